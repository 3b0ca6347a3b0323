"""What can be done with characteristic latents, as pure functions of tensors: set a label, swap, draw.

Everything works on latents (n, D), the posterior mean of an image say, and converts to any graph format.
Shapes: D latents, C of them characteristic, L labels, V values of the label with most, T values of all labels
together. `mask` is bool (n, L).
"""

import numpy as np
import tensorflow as tf

from tf_ccvae.label_arrays import Columns
from tf_ccvae.labels import MISSING, Labels, latent_owners, value_mask
from tf_ccvae.objective import numbers
from tf_ccvae.objective.classifier import label_logits, log_values, masked
from tf_ccvae.objective.exclusions import value_places
from tf_ccvae.objective.grades import with_grades
from tf_ccvae.objective.label_model import NEVER, LabelModel, Noise, TensorLike, parts

MODES = ("transport", "mean", "sample")


def values_of(latents: TensorLike, model: LabelModel) -> tf.Tensor:
    """The most probable value of each label given its latents, argmax_v q(y_i = v | z_i): int32 (n, L).

    With number labels float (n, L), these as E q(y_i | z_i) = a . z_i + b in their units.
    """
    if model.numbers is not None:
        columns, latents = Columns.of(model.labels), tf.convert_to_tensor(latents)
        plain = values_of(tf.gather(latents, columns.plain_latents, axis=1), model.plain)
        read = numbers.read_values(tf.gather(latents, columns.number_latents, axis=1), model.numbers)
        both = [tf.cast(plain, latents.dtype), numbers.in_units(read, model.numbers.labels)]
        return tf.gather(tf.concat(both, axis=1), columns.together, axis=1)
    latents = tf.convert_to_tensor(latents)
    if not len(model.labels):
        return tf.cast(latents[:, :0], tf.int32)
    logits = label_logits(latents, model)
    scores = with_grades(masked(logits, model.labels), logits, model.labels)
    return tf.argmax(scores, axis=-1, output_type=tf.int32)


def values_table(latents: TensorLike, model: LabelModel) -> tf.Tensor:
    """q(y_i = v | z_i), (n, L, V); 0 for values that a label does not have, and so for all of a number label."""
    latents = tf.convert_to_tensor(latents)
    if model.numbers is None:
        logits = label_logits(latents, model)
        if not model.labels.grades:
            return tf.nn.softmax(masked(logits, model.labels), axis=-1)
        return tf.exp(log_values(logits, model.labels))
    columns = Columns.of(model.labels)
    plain = values_table(tf.gather(latents, columns.plain_latents, axis=1), model.plain)
    nothing = tf.zeros([tf.shape(plain)[0], len(columns.numbers), model.labels.values], plain.dtype)
    return tf.gather(tf.concat([plain, nothing], axis=1), columns.together, axis=1)


def settle(
    current: TensorLike,
    values: TensorLike,
    mask: TensorLike,
    labels: Labels,
    log_label_prior: tf.Tensor,
    incompatible: TensorLike | None,
) -> tf.Tensor:
    """The values after an intervention: those in the mask are set, and others change only where these exclude them.

    A label whose current value excludes one that is set takes the value that is most frequent in training among those
    that exclude none of the set ones; if there is none it stays.

    Args:
      current: int32 (n, L).
      values: int32 (n, L); what stands outside the mask is ignored.
      mask: bool (n, L).
      labels: what the labels are.
      log_label_prior: log p(y_i = v), (L, V).
      incompatible: float32 (T, T) as `exclusions` has it, or None to leave all other labels as they are.

    Returns:
      int32 (n, L).
    """
    current, values = tf.cast(current, tf.int32), tf.cast(values, tf.int32)
    values = tf.where(mask, values, current)
    if incompatible is None:
        return values
    depth = labels.values
    chosen = tf.one_hot(values, depth) * tf.cast(mask, tf.float32)[..., None]  # (n, L, V)
    clash = _clashes(chosen, tf.convert_to_tensor(incompatible), labels)
    clashes = tf.reduce_sum(clash * tf.one_hot(current, depth), axis=-1) > 0
    ranked = tf.maximum(log_label_prior, NEVER / 2) + tf.where(clash > 0, NEVER, 0.0)
    free = tf.reduce_any((clash == 0) & value_mask(labels), axis=-1)
    best = tf.argmax(ranked, axis=-1, output_type=tf.int32)
    return tf.where(clashes & free & ~mask, best, values)


def _clashes(chosen: tf.Tensor, incompatible: tf.Tensor, labels: Labels) -> tf.Tensor:
    """How many chosen values exclude each value: 0 and 1 (n, L, V) -> (n, L, V); 0 where a label lacks the value."""
    mask = value_mask(labels)
    flat = tf.reshape(chosen, [-1, mask.size])
    if mask.all():
        return tf.reshape(flat @ incompatible, [-1, *mask.shape])
    there = tf.gather(flat, np.flatnonzero(mask), axis=1)  # (n, T)
    clash = tf.gather(there @ incompatible, value_places(labels).ravel(), axis=1)
    return tf.reshape(clash * tf.constant(mask.ravel(), clash.dtype), [-1, *mask.shape])


def set_values(
    latents: TensorLike,
    values: TensorLike,
    mask: TensorLike,
    model: LabelModel,
    incompatible: TensorLike | None = None,
    mode: str = "transport",
    noise: TensorLike | None = None,
) -> tf.Tensor:
    """Latents with labels set to values; all that no label of these owns stays as it is.

    'transport' moves z_i from p(z_i | current value) to p(z_i | new value) and keeps its quantile in every latent,
    loc(new) + scale(new) (z_i - loc(current)) / scale(current): the optimal transport between the two Gaussians. Where
    a label has its new value already nothing moves, and setting it back restores the latents. 'mean' puts z_i at
    loc(new), 'sample' at loc(new) + scale(new) noise.

    A grade has one scale for all its values and means in order along its classifier's slopes, so that 'transport' moves
    a . z_i, and with it every q(y_i >= v | z_i), up to a higher grade and down to a lower one; see `grades`.

    A number label has loc(y) = c y + d and one scale for all y, so that 'transport' moves its z_i along c, from the
    value y_old = a . z_i + b that is read now until y_new is read; see `numbers.transport_slope`.

    Args:
      latents: float32 (n, D).
      values: integer (n, L), or float with number labels, in their units; what stands outside the mask is ignored.
      mask: bool (n, L), which labels to set.
      model: the labels' distributions.
      incompatible: float32 (T, T): labels that those of the mask exclude change as `settle` says, or not: None.
      mode: 'transport', 'mean' or 'sample'.
      noise: standard normal (n, C), for 'sample'.

    Raises:
      ValueError: unknown mode, or 'sample' without noise.
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    if mode == "sample" and noise is None:
        raise ValueError("mode 'sample' needs noise")
    latents, mask = tf.convert_to_tensor(latents), tf.convert_to_tensor(mask)
    if model.numbers is not None:
        return _set_mixed(latents, values, mask, model, model.numbers, incompatible, mode, noise)
    labels = model.labels
    if not len(labels):
        return latents
    current = values_of(latents, model)
    new = settle(current, values, mask, labels, model.log_label_prior, incompatible)
    loc, scale = prior_of(new, model)
    characteristic = latents[:, : labels.characteristic]
    if mode == "transport":
        loc_before, scale_before = prior_of(current, model)
        moved = loc + scale * (characteristic - loc_before) / scale_before
        moves = new != current
    else:
        moved = loc if mode == "mean" else loc + scale * noise
        moves = (new != current) | mask
    kept = tf.where(_per_latent(moves, labels), moved, characteristic)
    return tf.concat([kept, latents[:, labels.characteristic :]], axis=1)


def _set_mixed(
    latents: tf.Tensor,
    values: TensorLike,
    mask: tf.Tensor,
    model: LabelModel,
    of: numbers.NumberModel,
    incompatible: TensorLike | None,
    mode: str,
    noise: TensorLike | None,
) -> tf.Tensor:
    """`set_values` where there are number labels; they exclude no value of another label, and none excludes theirs."""
    columns = Columns.of(model.labels)
    values = tf.cast(values, latents.dtype)
    own = tf.gather(latents, columns.number_latents, axis=1)
    noises = [None if noise is None else tf.gather(noise, x, axis=1) for x in columns[2:]]
    plain = set_values(
        tf.gather(latents, columns.plain_latents, axis=1),
        listed_values(tf.gather(values, columns.plain, axis=1)),
        tf.gather(mask, columns.plain, axis=1),
        model.plain,
        incompatible,
        mode,
        noises[0],
    )
    wanted, sought = (tf.gather(x, columns.numbers, axis=1) for x in (values, mask))
    read = numbers.read_values(own, of)
    new = tf.where(sought, numbers.standardised(tf.where(sought, wanted, 0.0), of.labels), read)
    loc, scale = numbers.prior_of(new, of)
    if mode == "transport":
        moved = own + numbers.transport_slope(of) * _per_latent(new - read, of.labels)
    else:
        moved = loc if mode == "mean" else loc + scale * noises[1]
    moved = tf.where(_per_latent(sought, of.labels), moved, own)
    both = tf.gather(tf.concat([plain, moved], axis=1), columns.latents_together, axis=1)
    return tf.concat([both, latents[:, model.labels.characteristic :]], axis=1)


def listed_values(values: tf.Tensor) -> tf.Tensor:
    """Values of labels that are no number labels, as int32: `MISSING` where they are NaN."""
    return tf.cast(tf.where(tf.math.is_nan(values), tf.constant(MISSING, values.dtype), values), tf.int32)


def swap(
    latents: TensorLike,
    donors: TensorLike,
    mask: TensorLike,
    model: LabelModel,
    incompatible: TensorLike | None = None,
) -> tf.Tensor:
    """The recipients' latents with the donors' characteristics of the labels in the mask.

    Labels of the recipient that the carried values exclude are transported as `settle` says.

    Args:
      latents: of the recipients, float32 (n, D).
      donors: of the donors, float32 (n, D).
      mask: bool (n, L), which labels are carried over.
      model: the labels' distributions.
      incompatible: float32 (T, T), or None to leave all other labels as they are.
    """
    latents, donors, mask = (tf.convert_to_tensor(x) for x in (latents, donors, mask))
    labels = model.labels
    if incompatible is not None:
        latents = set_values(latents, values_of(donors, model), mask, model, incompatible)
    carried = _per_latent(mask, labels)
    part = tf.where(carried, donors[:, : labels.characteristic], latents[:, : labels.characteristic])
    return tf.concat([part, latents[:, labels.characteristic :]], axis=1)


def draw(values: TensorLike, model: LabelModel, noise: Noise, of_numbers: TensorLike | None = None) -> tf.Tensor:
    """z ~ p(z | y): characteristic latents from p(z_i | y_i), style latents from N(0, I).

    A label that is `MISSING`, or NaN beside number labels, is summed out: z_i ~ sum_v p(v) p(z_i | v).

    Args:
      values: integer (n, L), or float with number labels, in their units.
      model: the labels' distributions.
      noise: `normal` (n, D) and `uniform` (n, L), the latter for missing labels.
      of_numbers: standard normal (n, L), the standardised values of missing number labels, in place of those that
        `noise.uniform` gives by the inverse of the normal distribution function, which other graph formats lack.

    Returns:
      float32 (n, D).
    """
    if model.numbers is not None:
        of_numbers = tf.math.ndtri(noise.uniform) if of_numbers is None else of_numbers
        return _draw_mixed(tf.cast(values, noise.normal.dtype), model, model.numbers, noise, of_numbers)
    if not len(model.labels):
        return noise.normal
    values = tf.cast(values, tf.int32)
    drawn = values_from_prior(noise.uniform, model.labels, model.log_label_prior)
    loc, scale = prior_of(tf.where(values == MISSING, drawn, values), model)
    split = model.labels.characteristic
    return tf.concat([loc + scale * noise.normal[:, :split], noise.normal[:, split:]], axis=1)


def _draw_mixed(
    values: tf.Tensor, model: LabelModel, of: numbers.NumberModel, noise: Noise, of_numbers: TensorLike
) -> tf.Tensor:
    """`draw` where there are number labels."""
    columns = Columns.of(model.labels)
    part = noise._replace(
        normal=tf.gather(noise.normal, columns.plain_latents, axis=1),
        uniform=tf.gather(noise.uniform, columns.plain, axis=1),
    )
    plain = draw(listed_values(tf.gather(values, columns.plain, axis=1)), model.plain, part)
    wanted, drawn = (tf.gather(x, columns.numbers, axis=1) for x in (values, of_numbers))
    unknown = tf.math.is_nan(wanted)
    y = numbers.standardised(tf.where(unknown, tf.zeros_like(wanted), wanted), of.labels)
    loc, scale = numbers.prior_of(tf.where(unknown, drawn, y), of)
    own = loc + scale * tf.gather(noise.normal, columns.number_latents, axis=1)
    both = tf.gather(tf.concat([plain, own], axis=1), columns.latents_together, axis=1)
    return tf.concat([both, noise.normal[:, model.labels.characteristic :]], axis=1)


def values_from_prior(uniform: TensorLike, labels: Labels, log_label_prior: tf.Tensor) -> tf.Tensor:
    """Values drawn from p(y_i) by uniform variates (n, L): int32 (n, L)."""
    cumulative = tf.cumsum(tf.exp(log_label_prior), axis=-1)  # (L, V)
    drawn = tf.reduce_sum(tf.cast(cumulative < uniform[..., None], tf.int32), axis=-1)
    return tf.minimum(drawn, tf.constant([x.values - 1 for x in labels], tf.int32))


def prior_of(values: TensorLike, model: LabelModel) -> tuple[tf.Tensor, tf.Tensor]:
    """Loc and scale of p(z_i | y_i) at integer values (n, L): (n, C) each."""
    owned = latent_owners(model.labels)
    table = tf.gather(tf.one_hot(values, model.labels.values), owned, axis=1)  # (n, C, V)
    loc, scale = parts(model.prior)
    return tf.einsum("njv,vj->nj", table, loc), tf.einsum("njv,vj->nj", table, scale)


def _per_latent(mask: tf.Tensor, labels: Labels) -> tf.Tensor:
    """bool (n, L) -> (n, C)."""
    return tf.gather(mask, latent_owners(labels), axis=1)
