"""Grades, labels of ordered classes: q(y_i | z_i) by cumulative logits, p(z_i | y_i) with means in the same order.

With values 0 .. n - 1 in order, slopes a and thresholds t_1 < t_2 < ... < t_{n-1},

    q(y >= v | z_i) = sigmoid(l_v),   l_v = a . z_i - t_v,   l_0 = infinity, l_n = -infinity
    q(y = v | z_i)  = sigmoid(l_v) - sigmoid(l_{v+1})

so that the higher a . z_i is, the less probable is every q(y <= v | z_i) = sigmoid(t_{v+1} - a . z_i). The cumulative
logits l_v stand where other labels have the logits of their values: kernel_v = a and bias_v = -t_v for v = 1 .. n - 1.
With two values this is a binary label.

The difference of two sigmoids cancels where both are near 0 or near 1. From sigmoid(p) = e^p / (1 + e^p),

    sigmoid(p) - sigmoid(r) = (e^p - e^r) / ((1 + e^p) (1 + e^r)) = sigmoid(p) sigmoid(-r) (1 - e^{r - p}),

and p - r = l_v - l_{v+1} = t_{v+1} - t_v is the same for all z_i, so that

    log q(y = v | z_i) = log sigmoid(l_v) + log sigmoid(-l_{v+1}) + log(1 - e^{t_v - t_{v+1}}),

where what has an infinite threshold is 0: no term cancels, and log q is smooth and concave in a . z_i. With
h = tanh((t_{v+1} - t_v) / 2) the last term is log(2 h / (1 + h)), exact for thresholds that are close together.

log q depends on z_i through a . z_i alone, which is a Gaussian under q(z_i | x): with several latents too every
expectation is an integral over t = u . e as in `integrals`, with u = S a / |S a|, and the tilt moves z_i along u alone.

The conditional prior is p(z_i | y = v) = N(loc_v, P^2) per latent, with one P for all v and

    loc_v = s_v d + f_v - (d . f_v) d,   d = a / |a|,   s_0 < s_1 < ... < s_{n-1},

a place s_v along the direction in which the classifier looks, and any vector f_v across it, so that
a . loc_v = |a| s_v has the order of the grades whatever a, s and f are. An intervention that transports z_i from
p(z_i | v) to p(z_i | w) adds loc_w - loc_v to it, for P is the same, and a . z_i rises by |a| (s_w - s_v): where w > v
every q(y <= k | z_i) falls, whatever z_i was. With a P for each grade there would be z_i that step in the wrong
direction: transport would stretch its distance from loc_v as well.

References:
  McCullagh, "Regression models for ordinal data", Journal of the Royal Statistical Society B 42, 1980.
"""

import numpy as np
import tensorflow as tf

from tf_ccvae.labels import Labels, owner_matrix, value_mask
from tf_ccvae.objective.label_model import NEVER

LEAST_GAP = 1e-6  # between thresholds, below which rounding has lost their order


def log_grades(cumulative: tf.Tensor, there: np.ndarray, axis: int = -1) -> tf.Tensor:
    """log q(y_i = v | z_i) of grades, in nats.

    Args:
      cumulative: l_v, (..., L, V), or (..., L, V, K) with axis -2; what stands at v = 0 and at values that a label does
        not have is ignored.
      there: bool (L, V), which values each label has.
      axis: that of V.

    Returns:
      The same shape; `NEVER` for values that a label does not have.
    """
    shape = (*there.shape, *(1,) * (-1 - axis))
    values = there.shape[1]
    more = np.pad(there[:, 1:], [[0, 0], [0, 1]]).reshape(shape)  # whether there is v + 1 too
    lowest = (np.arange(values) == 0).reshape(shape[1:])
    always = tf.constant(-NEVER, cumulative.dtype)
    lower = tf.where(lowest, always, cumulative)
    upper = tf.where(more, tf.gather(cumulative, [*range(1, values), 0], axis=axis), -always)
    half = tf.tanh(tf.maximum(lower - upper, LEAST_GAP) / 2)
    log_value = tf.math.log_sigmoid(lower) + tf.math.log_sigmoid(-upper) + tf.math.log(2 * half / (1 + half))
    return tf.where(there.reshape(shape), log_value, -always)


def with_grades(table: tf.Tensor, logits: tf.Tensor, labels: Labels, axis: int = -1) -> tf.Tensor:
    """A table of log q(y_i = v | z_i) with the rows of grades made anew, from their cumulative logits.

    Args:
      table, logits: (..., L, V), or (..., L, V, K) with axis -2.
      labels: what the labels are.
      axis: that of V.
    """
    rows = np.array(labels.grades, int)
    if not len(rows):
        return table
    others = np.setdiff1d(np.arange(len(labels)), rows)
    grades = log_grades(tf.gather(logits, rows, axis=axis - 1), value_mask(labels)[rows], axis)
    both = tf.concat([tf.gather(table, others, axis=axis - 1), grades], axis=axis - 1)
    return tf.gather(both, np.argsort(np.concatenate([others, rows])), axis=axis - 1)


def ordered_means(slopes: tf.Tensor, places: tf.Tensor, free: tf.Tensor, labels: Labels) -> tf.Tensor:
    """loc_v = s_v d + f_v - (d . f_v) d of every value of grades, (V, C).

    Args:
      slopes: a, (C,), not all 0 within a label.
      places: s_v, (L, V), increasing in v.
      free: f_v, (V, C).
      labels: the grades alone.
    """
    owner = tf.constant(owner_matrix(labels), slopes.dtype)  # (C, L)
    length = tf.sqrt(tf.linalg.matvec(owner, tf.square(slopes), transpose_a=True))
    direction = slopes / tf.linalg.matvec(owner, length)
    along = tf.matmul(free * direction, owner)  # d . f_v, (V, L)
    return free + direction * tf.matmul(tf.transpose(places) - along, owner, transpose_b=True)
