"""What a trained model can do with characteristics: arrays in, arrays out, float32, seeds explicit.

Images are (n, height, width, channels), uint8 or float in [0, 1]; what is returned is float32 in [0, 1]. Labels are
given by name, their values as 0 or 1 (or False, True, "off", "on") or, for a categorical label, as a class name or
index. All functions take `CCVAE` and the baselines alike, work in batches and repeat themselves for equal arguments.

    model = keras.models.load_model("runs/few/model.keras")
    pictures = interventions.set_labels(model, images, {"Smiling": 1})
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_ccvae.base import LabelledVAE
from tf_ccvae.characteristics import MODES
from tf_ccvae.label_settings import Value, label_index, label_value, label_values
from tf_ccvae.labels import MISSING
from tf_ccvae.objective import Noise

BATCH = 250  # images that go through a network at once


class Generated(NamedTuple):
    """New images.

    images: (n, height, width, channels).
    labels: what they were asked to have, int64 (n, labels), `MISSING` where nothing was asked for.
    latents: what they were decoded from, (n, D).
    """

    images: np.ndarray
    labels: np.ndarray
    latents: np.ndarray


class Variation(NamedTuple):
    """Many draws of one characteristic.

    mean: (n, height, width, channels).
    deviation: standard deviation of a pixel over the draws, root mean square over channels, (n, height, width).
    images: all of them, (n, draws, height, width, channels).
    """

    mean: np.ndarray
    deviation: np.ndarray
    images: np.ndarray


# Images and latents ---------------------------------------------------------------------------------------------------


def encode(model: LabelledVAE, images: Any) -> np.ndarray:
    """Latents of images at the posterior mean, (n, D).

    Raises:
      ValueError: the images do not have the model's shape.
    """
    images = _checked(model, images)
    return _in_batches(model.latents_of, images) if len(images) else np.zeros((0, model.decoder_inputs), np.float32)


def decode(model: LabelledVAE, latents: Any) -> np.ndarray:
    """Images of latents: (..., D) -> (..., height, width, channels).

    Raises:
      ValueError: the latents do not have the model's number.
    """
    latents = np.asarray(latents, np.float32)
    if latents.ndim < 1 or latents.shape[-1] != model.decoder_inputs:
        raise ValueError(f"latents must have {model.decoder_inputs} columns, got shape {latents.shape}")
    flat = latents.reshape(-1, model.decoder_inputs)
    pictures = _in_batches(lambda part: model.decode(part).mean(), flat) if len(flat) else np.zeros((0,), np.float32)
    return pictures.reshape(*latents.shape[:-1], *model.image_shape)


def reconstruct(model: LabelledVAE, images: Any) -> np.ndarray:
    """Images decoded from their posterior means."""
    return decode(model, encode(model, images))


def _checked(model: LabelledVAE, images: Any) -> np.ndarray:
    images = np.asarray(images)
    if images.shape[1:] != tuple(model.image_shape):
        wanted = " x ".join(map(str, model.image_shape))
        raise ValueError(f"images must be (n, {wanted.replace(' x ', ', ')}), got shape {images.shape}")
    if images.dtype != np.uint8 and len(images) and not (images.min() >= 0 and images.max() <= 1):
        raise ValueError(f"float images must be in [0, 1], got {images.min():g} to {images.max():g}")
    return images


def _in_batches(function: Any, *arrays: np.ndarray) -> np.ndarray:
    count = len(arrays[0])
    parts = [np.asarray(function(*(x[i : i + BATCH] for x in arrays))) for i in range(0, count, BATCH)]
    return np.concatenate(parts)


# Interventions --------------------------------------------------------------------------------------------------------


def set_labels(
    model: LabelledVAE,
    images: Any,
    settings: Mapping[str, Value],
    mode: str = "transport",
    seed: int = 0,
    consistent: bool = True,
) -> np.ndarray:
    """The images with labels turned on or off, or set to a class.

    Args:
      model: a trained model.
      images: (n, height, width, channels).
      settings: values by label name.
      mode: 'transport' keeps each characteristic's quantile in the conditional prior, 'mean' takes the prior's mean,
        'sample' draws from it.
      seed: of the draws of 'sample'.
      consistent: also change labels that a given value excludes by the training labels (brown hair when it turns
        blond).

    Returns:
      float32 (n, height, width, channels).

    Raises:
      ValueError: an unknown label, value or mode.
    """
    values, asked = label_values(model, settings)
    latents = encode(model, images)
    return decode(model, set_values(model, latents, values, asked, mode, seed, consistent))


def set_values(
    model: LabelledVAE,
    latents: np.ndarray,
    values: np.ndarray,
    asked: np.ndarray,
    mode: str = "transport",
    seed: int = 0,
    consistent: bool = True,
) -> np.ndarray:
    """`set_labels` on latents (n, D), with values and asked as arrays, (labels,) or (n, labels)."""
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    shape = (len(latents), len(model.labels))
    noise = np.random.default_rng(seed).normal(size=(len(latents), model.labels.characteristic)).astype(np.float32)
    arrays = (latents, np.broadcast_to(values, shape), np.broadcast_to(asked, shape), noise)
    return _in_batches(lambda z, v, a, e: model.set_values(z, v, a, mode, e, consistent), *arrays)


def traverse(
    model: LabelledVAE,
    images: Any,
    label: str,
    start: Value = 0,
    end: Value = 1,
    steps: int = 8,
    deviations: float = 1.0,
    direction: int | None = None,
    consistent: bool = True,
) -> np.ndarray:
    """Moves one label's characteristic in a straight line through its conditional prior.

    From loc(start) - deviations * scale(start) to loc(end) + deviations * scale(end), the sign along the line from
    start to end. All other latents stay at the posterior mean, but for labels that start or end excludes (other hair
    colours when hair turns blond): they go along from what is consistent with start to what is consistent with end.

    Args:
      model: a trained model.
      images: (n, height, width, channels).
      label: name of the label.
      start, end: label values at the two ends; for a categorical label two of its classes.
      steps: number of pictures, at least 2.
      deviations: how far the line reaches beyond the two means, in prior standard deviations.
      direction: for a label with several latents, which of them alone moves (0 is the first); None moves all.
      consistent: whether labels that start or end excludes go along.

    Returns:
      float32 (n, steps, height, width, channels).

    Raises:
      ValueError: an unknown label, value or direction, or fewer than 2 steps.
    """
    latents = encode(model, images)
    ends = _ends(model, latents, label, start, end, deviations, direction, consistent)
    return decode(model, _line(*ends, _checked_steps(steps)))


def traverse_grid(
    model: LabelledVAE,
    images: Any,
    labels: tuple[str, str],
    starts: tuple[Value, Value] = (0, 0),
    ends: tuple[Value, Value] = (1, 1),
    steps: int = 8,
    deviations: float = 1.0,
) -> np.ndarray:
    """Moves two labels' characteristics, the first from row to row and the second from column to column.

    Returns:
      float32 (n, steps, steps, height, width, channels).

    Raises:
      ValueError: as for `traverse`, or twice the same label.
    """
    if labels[0] == labels[1]:
        raise ValueError(f"a grid needs two different labels, got {labels[0]!r} twice")
    latents = encode(model, images)
    steps = _checked_steps(steps)
    held = _characteristic(model, latents)
    grid = np.tile(held[:, None, None], (1, steps, steps, 1))
    for axis, (label, start, end) in enumerate(zip(labels, starts, ends, strict=True)):
        where = model.labels.slices[label_index(model, label)]
        first, last = _ends(model, latents, label, start, end, deviations, None, False)
        line = _line(_characteristic(model, first), _characteristic(model, last), steps)[..., where]
        grid[..., where] = line[:, :, None] if axis == 0 else line[:, None]
    many = np.repeat(latents, steps * steps, axis=0)
    moved = _in_batches(model.with_characteristic, many, grid.reshape(len(many), -1))
    return decode(model, moved.reshape(*grid.shape[:3], -1))


def _characteristic(model: LabelledVAE, latents: np.ndarray) -> np.ndarray:
    return _in_batches(model.characteristic, latents).copy()


def _checked_steps(steps: int) -> int:
    if steps < 2:
        raise ValueError(f"steps must be at least 2, got {steps}")
    return steps


def _line(first: np.ndarray, last: np.ndarray, steps: int) -> np.ndarray:
    return np.moveaxis(np.linspace(first, last, steps), 0, 1).astype(np.float32)  # (n, steps, D)


def _ends(
    model: LabelledVAE,
    latents: np.ndarray,
    label: str,
    start: Value,
    end: Value,
    deviations: float,
    direction: int | None,
    consistent: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Latents at the two ends of a traversal, (n, D) each."""
    index = label_index(model, label)
    low, high = (label_value(model, label, value) for value in (start, end))
    asked = np.arange(len(model.labels)) == index
    where = model.labels.slices[index]
    size = where.stop - where.start
    if direction is not None and not 0 <= direction < size:
        raise ValueError(f"direction must be 0 to {size - 1} for label {label!r}, got {direction}")
    reach = np.asarray(model.characteristic_scale(index), np.float32) * deviations  # (values, latents of the label)
    means = [
        _characteristic(model, set_values(model, latents, np.where(asked, value, MISSING), asked, "mean"))[:, where]
        for value in (low, high)
    ]
    sign = np.sign(means[1] - means[0])
    sign = np.where(sign == 0, 1, sign)
    ends = []
    for value, target in ((low, means[0] - sign * reach[low]), (high, means[1] + sign * reach[high])):
        settled = set_values(model, latents, np.where(asked, value, MISSING), asked, consistent=consistent)
        held = _characteristic(model, settled)
        if direction is not None:  # the label's other latents stay at the image's own
            target = np.where(np.arange(size) == direction, target, _characteristic(model, latents)[:, where])
        held[:, where] = target
        ends.append(_in_batches(model.with_characteristic, settled, held))
    first, last = ends
    return first, last


def generate(
    model: LabelledVAE,
    values: Any,
    seed: int,
    style: Any = None,
) -> Generated:
    """New images for given label values: characteristic latents from p(z_i|y_i), style latents from N(0, I).

    Args:
      model: a trained model.
      values: integer (n, labels); a label that is `MISSING` is summed out, z_i ~ sum_v p(v) p(z_i|v).
        `label_settings.choose_values` makes them from names.
      seed: of the draws.
      style: an image (1 or n of them) whose style latents are kept; by default they are drawn.

    Raises:
      ValueError: values of a wrong shape or out of range.
    """
    values = np.asarray(values)
    most = np.array([x.values for x in model.labels], int)
    if values.ndim != 2 or values.shape[1] != len(most):
        raise ValueError(f"values must be (n, {len(most)}), got shape {values.shape}")
    if ((values < MISSING) | (values >= most)).any():
        raise ValueError("values must be -1 (missing) or one of a label's values")
    random = np.random.default_rng([seed, 0])
    normal = random.normal(size=(len(values), model.latents)).astype(np.float32)
    uniform = np.random.default_rng([seed, 1]).random(values.shape).astype(np.float32)
    nothing = tf.zeros([0, 0, model.labels.characteristic])
    latents = _in_batches(lambda v, e, u: model.draw(v, Noise(e, u, nothing)), values.astype(np.int32), normal, uniform)
    if style is not None:
        kept = encode(model, style)
        if len(kept) not in (1, len(latents)):
            raise ValueError(f"style must be 1 or {len(latents)} images, got {len(kept)}")
        kept = np.broadcast_to(kept, latents.shape)
        latents = _in_batches(model.with_characteristic, kept, _characteristic(model, latents))
    return Generated(decode(model, latents), values, latents)


def swap(
    model: LabelledVAE, recipients: Any, donors: Any, labels: Sequence[str], consistent: bool = True
) -> np.ndarray:
    """The recipients with the donors' characteristics of the named labels, pair by pair.

    Args:
      model: a trained model.
      recipients, donors: (n, height, width, channels) each.
      labels: names of the labels that are carried over.
      consistent: also change labels of the recipient that the donor's values exclude.

    Raises:
      ValueError: an unknown label, no label, or different numbers of images.
    """
    if len(recipients) != len(donors):
        raise ValueError(f"as many donors as recipients are needed, got {len(donors)} and {len(recipients)}")
    both = encode(model, recipients), encode(model, donors)
    return decode(model, swap_values(model, *both, _asked(model, labels), consistent))


def swap_matrix(
    model: LabelledVAE, recipients: Any, donors: Any, labels: Sequence[str], consistent: bool = True
) -> np.ndarray:
    """Every recipient with every donor's characteristics: float32 (donors, recipients, height, width, channels)."""
    asked = _asked(model, labels)
    to, of = encode(model, recipients), encode(model, donors)
    pairs = np.tile(to, (len(of), 1)), np.repeat(of, len(to), axis=0)
    latents = swap_values(model, *pairs, asked, consistent)
    return decode(model, latents.reshape(len(of), len(to), -1))


def swap_values(
    model: LabelledVAE, latents: np.ndarray, donors: np.ndarray, asked: np.ndarray, consistent: bool = True
) -> np.ndarray:
    """`swap` on latents (n, D), with asked as an array, (labels,) or (n, labels)."""
    asked = np.broadcast_to(asked, (len(latents), len(model.labels)))
    return _in_batches(lambda z, d, a: model.swap(z, d, a, consistent), latents, donors, asked)


def _asked(model: LabelledVAE, labels: Sequence[str]) -> np.ndarray:
    if not labels:
        raise ValueError("name at least one label")
    asked = np.zeros(len(model.labels), bool)
    asked[[label_index(model, name) for name in labels]] = True
    return asked


def variation(
    model: LabelledVAE, images: Any, label: str, value: Value | None = None, draws: int = 64, seed: int = 0
) -> Variation:
    """What one characteristic changes: many draws of it from p(z_i|y_i), everything else kept.

    Args:
      model: a trained model.
      images: (n, height, width, channels).
      label: name of the label.
      value: of the label; by default the one that the image has.
      draws: how many, at least 2.
      seed: of the draws.

    Raises:
      ValueError: an unknown label or value, or fewer than 2 draws.
    """
    if draws < 2:
        raise ValueError(f"draws must be at least 2, got {draws}")
    index = label_index(model, label)
    latents = encode(model, images)
    values = np.asarray(model.values_of(latents)).copy()
    if value is not None:
        values[:, index] = label_value(model, label, value)
    asked = np.arange(len(model.labels)) == index
    many = np.repeat(latents, draws, axis=0)
    drawn = set_values(model, many, np.repeat(values, draws, axis=0), asked, "sample", seed)
    pictures = decode(model, drawn.reshape(len(latents), draws, -1))
    deviation = np.sqrt(pictures.var(axis=1, dtype=np.float64).mean(-1)).astype(np.float32)
    return Variation(pictures.mean(axis=1), deviation, pictures)
