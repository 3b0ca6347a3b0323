"""The terms of number labels in closed form: a Gaussian times a linear Gaussian, and nothing to integrate.

y is the standardised value of label i, (value - mean) / deviation of the training values, so that p(y) = N(0, 1) is
the normal that fits them. With a, b, s the classifier and c, d, P the conditional prior (per latent j of the label),

    q(y | z_i) = N(y; a . z_i + b, s^2)    p(z_j | y) = N(z_j; c_j y + d_j, P_j^2)    q(z_j | x) = N(z_j; m_j, S_j^2)

let g_j = S_j a_j, v^2 = sum_j g_j^2, h^2 = v^2 + s^2 and r = y - a . m - b. Write z_j = m_j + S_j e_j. Then

    q(y | x)  = N(y; a . m + b, h^2)
    q'(z_i)   = q(z_i | x) q(y | z_i) / q(y | x), a Gaussian with
                E e_j = g_j r / h^2      E e_j^2 = (E e_j)^2 + 1 - g_j^2 / h^2
                E (y - a . z_i - b) = r s^2 / h^2      Var (y - a . z_i - b) = v^2 s^2 / h^2

and a draw from it is e = e_0 + g (r / h^2 - (g . e_0) / (h (h + s))) with e_0 standard normal: it has the mean above
and the covariance (1 - g g' / (h (h + s)))^2 = 1 - g g' / h^2, where g g' has v^2 as its only eigenvalue other than 0
and h^2 - v^2 = s^2. It is a smooth function of all parameters, at g = 0 too.

A missing y is integrated out under q(z_i | x) q(y | z_i), where y ~ N(a . m + b, h^2), e_j is standard normal and
Cov(z_j, y) = S_j g_j, so that z_j - c_j y - d_j has variance S_j^2 + c_j^2 h^2 - 2 c_j S_j g_j.

Where training weights log q(y | x), it multiplies it by h^2 held still (`emphasis`), so that the gradient of the mean
is that of r^2 / 2. The gradient of log q(y | x) itself, r / h^2, has no end: the surer the classifier is, the more a
miss of the same size counts, and pictures lose all weight beside it. A listed label has nothing like that, as its
terms end at 0 once it is read right.

Densities, all in nats, are those of the standardised value. Shapes: D latents, C of them of number labels, N labels.

References:
  Seitzer, Tavakoli, Antic, Martius, "On the pitfalls of heteroscedastic uncertainty estimation with probabilistic
  neural networks", ICLR 2022 (such a weight, there with an exponent beta; here 1).
"""

import math
from typing import NamedTuple

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.labels import Labels, latent_owners, owner_matrix

LEAST_GAIN = 0.5  # a . c below which steps are made no longer
LOG_ROOT = 0.5 * math.log(2 * math.pi)


class NumberModel(NamedTuple):
    """p(z_i|y_i) and q(y_i|z_i) of number labels.

    labels: the number labels alone.
    slope: a, (C,).  intercept: b, (N,).  scale: s, (N,), above 0.
    prior_slope, prior_intercept, prior_scale: c, d and P, (C,).
    """

    labels: Labels
    slope: tf.Tensor
    intercept: tf.Tensor
    scale: tf.Tensor
    prior_slope: tf.Tensor
    prior_intercept: tf.Tensor
    prior_scale: tf.Tensor


class NumberTerms(NamedTuple):
    """Parts of the bound, (batch, N) each, in nats; see `objective.bound`. `emphasis` is h^2, without a gradient."""

    characteristic: tf.Tensor
    label_marginal: tf.Tensor
    label_prior: tf.Tensor
    emphasis: tf.Tensor


class Read(NamedTuple):
    """What q(z|x) and the classifier say of each label.

    mean: a . m + b, (batch, N).  deviation: h, (batch, N).  reach: g, (batch, C).
    """

    mean: tf.Tensor
    deviation: tf.Tensor
    reach: tf.Tensor


def standardised(values: tf.Tensor, labels: Labels) -> tf.Tensor:
    """Values of number labels in the user's units, (..., N), to what the model works with."""
    mean, deviation = _units(labels, values.dtype)
    return (values - mean) / deviation


def in_units(values: tf.Tensor, labels: Labels) -> tf.Tensor:
    """The inverse of `standardised`."""
    mean, deviation = _units(labels, values.dtype)
    return mean + deviation * values


def read_values(latents: tf.Tensor, model: NumberModel) -> tf.Tensor:
    """a . z_i + b: latents of the number labels (n, C) -> standardised (n, N)."""
    return _summed(latents * model.slope, model.labels) + model.intercept


def read(posterior: tfd.Normal, model: NumberModel) -> Read:
    """q(y | x), standardised; `posterior` has batch shape (batch, C)."""
    reach = posterior.scale * model.slope
    variance = _summed(tf.square(reach), model.labels) + tf.square(model.scale)
    return Read(read_values(posterior.loc, model), tf.sqrt(variance), reach)


def marginals(posterior: tfd.Normal, model: NumberModel) -> tfd.Normal:
    """q(y | x) in the user's units: `tfd.Normal`, batch shape (batch, N)."""
    found = read(posterior, model)
    _, deviation = _units(model.labels, found.mean.dtype)
    return tfd.Normal(in_units(found.mean, model.labels), found.deviation * deviation)


def terms(posterior: tfd.Normal, model: NumberModel, values: tf.Tensor, observed: tf.Tensor) -> NumberTerms:
    """The parts of the bound that belong to number labels.

    Args:
      posterior: of their latents, `tfd.Normal`, batch shape (batch, C).
      model: the labels' distributions.
      values: standardised, float (batch, N); finite also where missing.
      observed: bool (batch, N).
    """
    labels, s = model.labels, model.scale
    mean, h, reach = read(posterior, model)
    variance = tf.square(h)
    inside = 1 - tf.square(s) / variance  # v^2 / h^2
    seen = _per_latent(observed, labels)
    r = tf.where(observed, values - mean, 0.0)
    scale, of_h = posterior.scale, _per_latent(variance, labels)
    noise = tf.where(seen, reach * _per_latent(r, labels) / of_h, 0.0)  # E e
    spread = tf.where(seen, 1 - tf.square(reach) / of_h, 1.0)  # Var e
    y = _per_latent(tf.where(observed, values, mean), labels)
    away = posterior.loc + scale * noise - model.prior_slope * y - model.prior_intercept
    together = of_h * tf.square(model.prior_slope) - 2 * model.prior_slope * scale * reach
    distance = tf.square(away) + tf.square(scale) * spread + tf.where(seen, tf.zeros_like(together), together)
    log_ratio = tf.math.log(scale) - tf.math.log(model.prior_scale) + 0.5 * (tf.square(noise) + spread)
    log_ratio -= 0.5 * distance / tf.square(model.prior_scale)
    error = tf.where(observed, tf.square(r * s / variance) + inside, 1.0)  # E (y - a . z - b)^2 / s^2
    log_likelihood = -tf.math.log(s) - LOG_ROOT - 0.5 * error
    square = tf.where(observed, tf.square(values), tf.square(mean) + variance)
    return NumberTerms(
        characteristic=_summed(log_ratio, labels) - log_likelihood,
        label_marginal=tf.where(observed, -0.5 * tf.square(r) / variance - tf.math.log(h) - LOG_ROOT, 0.0),
        label_prior=-LOG_ROOT - 0.5 * square,
        emphasis=tf.stop_gradient(variance),
    )


def tilted_noise(
    posterior: tfd.Normal, model: NumberModel, values: tf.Tensor, observed: tf.Tensor, normal: tf.Tensor
) -> tf.Tensor:
    """e of one draw z_i ~ q' of each observed label, and e_0 itself where a label is missing.

    Args:
      posterior, model, values, observed: as for `terms`.
      normal: e_0, standard normal (batch, C).
    """
    mean, h, reach = read(posterior, model)
    r = tf.where(observed, values - mean, 0.0)
    along = _summed(reach * normal, model.labels)
    step = tf.where(observed, r / tf.square(h) - along / (h * (h + model.scale)), 0.0)
    return normal + reach * _per_latent(step, model.labels)


def transport_slope(model: NumberModel) -> tf.Tensor:
    """How far each latent moves when the value of its label is moved by 1: c_j / max(a . c, 0.5), (1, C).

    Along the line of the prior's means a step of c changes what is read, a . z_i + b, by a . c. That is the share of
    the label's variance which the latents explain, and below 1 for a label that no picture tells exactly. The step is
    so much longer that the value wanted is the value read, up to twice as long.
    """
    gain = tf.maximum(_summed((model.slope * model.prior_slope)[None], model.labels), LEAST_GAIN)
    return model.prior_slope / _per_latent(gain, model.labels)


def prior_of(values: tf.Tensor, model: NumberModel) -> tuple[tf.Tensor, tf.Tensor]:
    """Loc and scale of p(z_i | y_i) at standardised values (n, N): (n, C) each."""
    loc = model.prior_slope * _per_latent(values, model.labels) + model.prior_intercept
    return loc, tf.broadcast_to(model.prior_scale, tf.shape(loc))


def _units(labels: Labels, dtype: tf.DType) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and deviation of each label, (N,)."""
    scales = [x.units for x in labels]
    return tf.constant([x.mean for x in scales], dtype), tf.constant([x.deviation for x in scales], dtype)


def _summed(per_latent: tf.Tensor, labels: Labels) -> tf.Tensor:
    """(n, C) -> (n, N): the sum over each label's latents."""
    if labels.characteristic == len(labels):
        return per_latent
    return tf.matmul(per_latent, tf.constant(owner_matrix(labels), per_latent.dtype))


def _per_latent(per_label: tf.Tensor, labels: Labels) -> tf.Tensor:
    """(n, N) -> (n, C): to each latent what its label has."""
    if labels.characteristic == len(labels):
        return per_label
    return tf.gather(per_label, latent_owners(labels), axis=1)
