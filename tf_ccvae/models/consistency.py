"""Edits that the encoder reads as they were meant: a term that trains the decoder on pictures with a label changed.

The bound trains the decoder on latents of images alone. What it draws where a label was set, between latents that never
came together, follows from nothing, and where style knows the label it may draw the old value. So in half of each batch
one label is given another value v: its latents are drawn from p(z_i | v), labels that v excludes change as in an edit,
and the picture that is decoded is encoded again. The decoder learns to minimise

    -log q(y_i = v | that picture) - 0.1 sum_{j != i} log q(y_j | that picture),

where y_j are the observed labels after the edit. A number label gets a value v drawn from p(y_i), and its cost is
(v - E q(y_i | that picture))^2 / (2 0.5^2) in deviations of the label, that of a reader with one fixed deviation: with
one as sure as the encoder, small misses would count for more than all pixels. The encoder and the latents take no part
in it, so the term can not be lowered by an encoder that sees labels where there are none. It is no part of the bound,
and the official estimators do without it.
"""

from typing import NamedTuple

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.label_arrays import Columns
from tf_ccvae.labels import Labels
from tf_ccvae.models import draws
from tf_ccvae.objective import LabelModel, characteristics, numbers

OTHERS = 0.1  # weight of a label that was not changed, where the changed one has 1
NO_LABELS = Labels(())
COARSE = 0.5  # with which a number is read, in deviations of the label
WARM_UP = 1000  # steps over which the term grows to its weight, while the encoder learns the labels


class Edit(NamedTuple):
    """Latents with one label changed, and what the encoder should read in their picture.

    latents: float32 (n, D). values: int32 (n, L), or float32 with number labels, all labels after the edit. weights:
    float32 (n, L), of each label.
    """

    latents: tf.Tensor
    values: tf.Tensor
    weights: tf.Tensor


def another_value(values: tf.Tensor, labels: Labels, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """One label of each example and one of its other values, each equally probable; a number is drawn from p(y_i).

    Args:
      values: int32 (n, L), at least 0; or float32 with number labels, in their units.
      labels: what the labels are.
      seed: int32 (2,).

    Returns:
      bool (n, L), true at the label; of the type of `values` (n, L), its new value there.
    """
    examples = tf.shape(values)[0]
    counts = tf.constant([label.values or 2 for label in labels], tf.int32)
    index = _below(len(labels), draws.uniform([examples], draws.fold(seed, 0)))
    uniform = draws.uniform([examples], draws.fold(seed, 1))
    step = 1 + _below(tf.gather(counts, index) - 1, uniform)
    changed = tf.one_hot(index, len(labels), on_value=True, off_value=False, dtype=tf.bool)
    if not labels.numbers:
        return changed, tf.math.floormod(values + step[:, None], counts)
    columns = Columns.of(labels)
    listed = tf.cast(tf.gather(values, columns.plain, axis=1), tf.int32)
    listed = tf.cast(tf.math.floormod(listed + step[:, None], tf.gather(counts, columns.plain)), values.dtype)
    drawn = tf.tile(tf.math.ndtri(uniform)[:, None], [1, len(columns.numbers)])
    new = [listed, numbers.in_units(drawn, labels.of_numbers)]
    return changed, tf.gather(tf.concat(new, axis=1), columns.together, axis=1)


def _below(count: int | tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """Integers from 0 to count - 1, each equally probable."""
    count = tf.convert_to_tensor(count)
    return tf.minimum(tf.cast(uniform * tf.cast(count, tf.float32), tf.int32), count - 1)


def edit(
    latents: tf.Tensor,
    values: tf.Tensor,
    observed: tf.Tensor,
    model: LabelModel,
    incompatible: tf.Tensor,
    noise: tf.Tensor,
    seed: tf.Tensor,
) -> Edit:
    """Changes one label of each example.

    Args:
      latents: float32 (n, D).
      values: integer (n, L), or float with number labels; where a label is missing, the value that its latents tell
        takes its place.
      observed: bool (n, L).
      model: the labels' distributions.
      incompatible: float32 (T, T), see `characteristics.settle`.
      noise: standard normal (n, C).
      seed: int32 (2,), of which label gets which value.
    """
    read = characteristics.values_of(latents, model)
    current = tf.where(observed, tf.cast(values, read.dtype), read)
    changed, new = another_value(current, model.labels, seed)
    edited = characteristics.set_values(latents, new, changed, model, incompatible, "sample", noise)
    target = settled(current, new, changed, model, incompatible)
    weights = tf.where(changed, 1.0, tf.where(observed, OTHERS, 0.0))
    return Edit(edited, target, weights)


def settled(
    current: tf.Tensor, new: tf.Tensor, changed: tf.Tensor, model: LabelModel, incompatible: tf.Tensor
) -> tf.Tensor:
    """The values of all labels after the edit."""
    labels, columns = model.labels, Columns.of(model.labels)
    if not labels.numbers:
        return characteristics.settle(current, new, changed, labels, model.log_label_prior, incompatible)
    before, after, where = (tf.gather(x, columns.plain, axis=1) for x in (current, new, changed))
    listed = characteristics.settle(before, after, where, labels.plain, model.log_label_prior, incompatible)
    others = tf.gather(tf.where(changed, new, current), columns.numbers, axis=1)
    return tf.gather(tf.concat([tf.cast(listed, current.dtype), others], axis=1), columns.together, axis=1)


def cost(
    log_marginals: tf.Tensor, edited: Edit, of_numbers: tfd.Normal | None = None, labels: Labels = NO_LABELS
) -> tf.Tensor:
    """The module's sum, in nats, (n,).

    Args:
      log_marginals: log q(y_i = v | picture), (n, L, V).
      edited: what should be read.
      of_numbers: q(y_i | picture) of number labels in their units, batch shape (n, number labels); None without any.
      labels: what the labels are; of use only with number labels.
    """
    if of_numbers is None:
        read = tf.gather(log_marginals, edited.values, axis=2, batch_dims=2)
        return -tf.reduce_sum(edited.weights * read, axis=1)
    columns, scales = Columns.of(labels), labels.of_numbers
    listed = tf.cast(tf.gather(edited.values, columns.plain, axis=1), tf.int32)
    read = tf.gather(tf.gather(log_marginals, columns.plain, axis=1), listed, axis=2, batch_dims=2)
    values = numbers.standardised(tf.gather(edited.values, columns.numbers, axis=1), scales)
    missed = (values - numbers.standardised(of_numbers.loc, scales)) / COARSE
    together = tf.gather(tf.concat([read, -0.5 * tf.square(missed)], axis=1), columns.together, axis=1)
    return -tf.reduce_sum(edited.weights * together, axis=1)


def warmed_up(weight: float, step: tf.Tensor) -> tf.Tensor:
    """The weight of the term at a step: linear from 0 over the first 1,000."""
    return weight * tf.minimum(1.0, tf.cast(step, tf.float32) / WARM_UP)
