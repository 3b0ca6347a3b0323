"""Variants in own latents: pictures are made again from what is left of them where their labels show is painted over.

The bound is the same whether the kind and colour of a hat stand in the latents of the label or in others, which the
label only switches on, and the latter is what is learned: a swap of hats then leaves the recipient its own. So in half
of each batch half of the known labels, drawn anew for each example, are set to their most frequent value (a number to
its mean), as an edit does. Where this changes the decoded picture is where these labels show, and that region R of the
image is painted over in grey. With S the labels that changed, h the image that is left and z' ~ q(z | h), training also
lowers

    - log p(x | z_S, z'_-S) + 5 sum_{j not in S} (m_j(x) - m_j(h))^2

with z_S the latents of x that belong to S, all others from h, and m the means of q(z | x) and q(z | h). What h does
not show of x has to come from the labels' own latents, and all other latents are to say of x what they say of h.
Missing labels are never in S but where a new value excludes theirs: the hair under a hat is unknown, and its latents,
read from x, could hold the hat. No gradient flows through R or into m(h).

R holds the pixels at which the mean over 3x3 pixels of the change, that of the channel that changes most, is above
0.08, and those up to 3 pixels away. A picture with the labels edited in place of the grey was tried and does less: the
decoder leaves traces of what it takes out, which the encoder learns to read (docs/results.md).

The term is no part of the bound, and the official estimators do without it.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.label_arrays import Columns
from tf_ccvae.labels import latent_owners
from tf_ccvae.models import draws
from tf_ccvae.models.consistency import settled
from tf_ccvae.objective import LabelModel, characteristics

SHARE = 0.5  # of the known labels that are set to their most frequent value
CHANGED = 0.08  # change of pixels in [0, 1] from which on a label shows there
AVERAGED, GROWN = 3, 7  # sides of the squares, in pixels, over which changes are averaged and the region grows
GREY = 0.5
CLOSENESS = 5.0  # weight of the squared distances
WARM_UP = 500  # steps over which the term grows to its weight, while edits are learned


class Original(NamedTuple):
    """Examples and what the encoder says of them.

    image: pixels in [0, 1], float32 (n, height, width, channels).  values: integer (n, L), or float with number labels.
    observed: bool (n, L).  latents: one z ~ q'(z | x, y), (n, D).  loc: the mean of q(z | x), (n, D).
    """

    image: tf.Tensor
    values: tf.Tensor
    observed: tf.Tensor
    latents: tf.Tensor
    loc: tf.Tensor


class Taken(NamedTuple):
    """Latents with some labels at their most frequent value.

    latents: float32 (n, D). own: bool (n, D), the latents of labels that have another value than before.
    """

    latents: tf.Tensor
    own: tf.Tensor


def usual_values(model: LabelModel) -> tf.Tensor:
    """The most probable value of each label under p(y_i), the mean of a number label: (L,), integers or floats."""
    usual = tf.argmax(model.log_label_prior, axis=1, output_type=tf.int32)
    if model.numbers is None:
        return usual
    means = tf.constant([label.units.mean for label in model.numbers.labels], tf.float32)
    both = tf.concat([tf.cast(usual, tf.float32), means], axis=0)
    return tf.gather(both, Columns.of(model.labels).together)


def take_out(original: Original, model: LabelModel, incompatible: tf.Tensor, seed: tf.Tensor) -> Taken:
    """Sets half of the known labels of each example to their most frequent value, with the mean latents of that value.

    A missing label changes where a new value excludes what its latents tell. No gradient flows into the result.

    Args:
      original: the examples.
      model: the labels' distributions.
      incompatible: float32 (T, T), see `characteristics.settle`.
      seed: int32 (2,), of which labels are set.
    """
    latents = tf.stop_gradient(original.latents)
    read = characteristics.values_of(latents, model)
    current = tf.where(original.observed, tf.cast(original.values, read.dtype), read)
    chosen = (draws.uniform(tf.shape(current), seed) < SHARE) & original.observed
    new = tf.broadcast_to(usual_values(model), tf.shape(current))
    edited = characteristics.set_values(latents, new, chosen, model, incompatible, "mean")
    changed = settled(current, new, chosen, model, incompatible) != current
    own = tf.gather(changed, latent_owners(model.labels), axis=1)
    style = tf.zeros([tf.shape(latents)[0], latents.shape[1] - own.shape[1]], tf.bool)
    own = tf.concat([own, style], axis=1)
    return Taken(tf.stop_gradient(tf.where(own, edited, latents)), own)


def region(before: tf.Tensor, after: tf.Tensor) -> tf.Tensor:
    """Where two pictures (n, height, width, channels) with pixels in [0, 1] differ: 1 or 0, (n, height, width, 1)."""
    change = tf.reduce_max(tf.abs(after - before), axis=3, keepdims=True)
    there = tf.nn.avg_pool2d(change, AVERAGED, 1, "SAME") > CHANGED
    return tf.nn.max_pool2d(tf.cast(there, tf.float32), GROWN, 1, "SAME")


def cost(
    original: Original,
    model: LabelModel,
    incompatible: tf.Tensor,
    encode: Callable[[tf.Tensor], tfd.Normal],
    decode: Callable[[tf.Tensor], tfd.Distribution],
    seed: tf.Tensor,
) -> tf.Tensor:
    """The module's sum, in nats, (n,).

    Args:
      original: the examples.
      model: the labels' distributions.
      incompatible: float32 (T, T), see `characteristics.settle`.
      encode: pixels in [0, 1], (n, height, width, channels), to q(z|x).
      decode: latents (n, D) to p(x|z).
      seed: int32 (2,), of all that is drawn.
    """
    taken = take_out(original, model, incompatible, draws.fold(seed, 0))
    both = decode(tf.concat([tf.stop_gradient(original.latents), taken.latents], axis=0)).mean()
    covered = region(*tf.split(both, 2, axis=0))
    left = encode(tf.stop_gradient(covered * GREY + (1 - covered) * original.image))
    others = left.loc + left.scale * draws.normal(tf.shape(original.loc), draws.fold(seed, 1))
    again = decode(tf.where(taken.own, original.latents, others)).log_prob(original.image)
    apart = tf.where(taken.own, 0.0, tf.square(original.loc - tf.stop_gradient(left.loc)))
    return CLOSENESS * tf.reduce_sum(apart, axis=1) - again


def warmed_up(weight: float, step: tf.Tensor) -> tf.Tensor:
    """The weight of the term at a step: linear from 0 over the first 500."""
    return weight * tf.minimum(1.0, tf.cast(step, tf.float32) / WARM_UP)
