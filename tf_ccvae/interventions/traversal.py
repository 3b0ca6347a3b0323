"""Straight lines through the conditional prior of one label's characteristic, and grids of two."""

import numpy as np
from numpy.typing import ArrayLike

from tf_ccvae.interventions.codec import decode, encode, in_batches
from tf_ccvae.interventions.edits import set_values
from tf_ccvae.interventions.values_by_name import label_index, label_value, warn_outside
from tf_ccvae.labels import MISSING, Value
from tf_ccvae.models.labelled_vae import LabelledVAE


def traverse(
    model: LabelledVAE,
    images: ArrayLike,
    label: str,
    start: Value | None = None,
    end: Value | None = None,
    steps: int = 8,
    deviations: float = 1.0,
    direction: int | None = None,
    consistent: bool = True,
) -> np.ndarray:
    """Moves one label's characteristic in a straight line through its conditional prior.

    From loc(start) - deviations * scale(start) to loc(end) + deviations * scale(end), the sign along the line from
    start to end. All other latents stay at the posterior mean, but for labels that start or end excludes (other hair
    colours when hair turns blond): they go along from what is consistent with start to what is consistent with end.

    A number label is set to start and to end as `set_labels` does, so that its value changes evenly from picture to
    picture; it reaches no further. The line of a grade reaches beyond the two means in its own direction, so that the
    grade that is read never steps back from picture to picture.

    Args:
      model: a trained model.
      images: (n, height, width, channels).
      label: name of the label.
      start, end: label values at the two ends, by default 0 and 1; for a categorical label two of its classes; for a
        grade by default the first and the last; for a number label two numbers, by default those of `Scale.ends`.
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
    return decode(model, _line(*ends, _check_steps(steps)))


def traverse_grid(
    model: LabelledVAE,
    images: ArrayLike,
    labels: tuple[str, str],
    starts: tuple[Value | None, Value | None] = (None, None),
    ends: tuple[Value | None, Value | None] = (None, None),
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
    steps = _check_steps(steps)
    held = characteristic_of(model, latents)
    grid = np.tile(held[:, None, None], (1, steps, steps, 1))
    for axis, (label, start, end) in enumerate(zip(labels, starts, ends, strict=True)):
        where = model.labels.slices[label_index(model, label)]
        first, last = _ends(model, latents, label, start, end, deviations, None, False)
        line = _line(characteristic_of(model, first), characteristic_of(model, last), steps)[..., where]
        grid[..., where] = line[:, :, None] if axis == 0 else line[:, None]
    many = np.repeat(latents, steps * steps, axis=0)
    moved = in_batches(model.with_characteristic, many, grid.reshape(len(many), -1))
    return decode(model, moved.reshape(*grid.shape[:3], -1))


def characteristic_of(model: LabelledVAE, latents: np.ndarray) -> np.ndarray:
    return in_batches(model.characteristic, latents).copy()


def _check_steps(steps: int) -> int:
    if steps < 2:
        raise ValueError(f"steps must be at least 2, got {steps}")
    return steps


def _line(first: np.ndarray, last: np.ndarray, steps: int) -> np.ndarray:
    return np.moveaxis(np.linspace(first, last, steps), 0, 1).astype(np.float32)  # (n, steps, D)


def _ends(
    model: LabelledVAE,
    latents: np.ndarray,
    label: str,
    start: Value | None,
    end: Value | None,
    deviations: float,
    direction: int | None,
    consistent: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Latents at the two ends of a traversal, (n, D) each."""
    index = label_index(model, label)
    scale, ordered = model.labels.items[index].scale, model.labels.items[index].ordered
    usual = model.labels.items[index].ends if scale or ordered else (0, 1)
    low, high = (
        label_value(model, label, other if value is None else value)
        for value, other in zip((start, end), usual, strict=True)
    )
    warn_outside(model, index, low, high, depth=2)
    mask = np.arange(len(model.labels)) == index
    where = model.labels.slices[index]
    size = where.stop - where.start
    if direction is not None and not 0 <= direction < size:
        raise ValueError(f"direction must be 0 to {size - 1} for label {label!r}, got {direction}")
    mode = "transport" if scale else "mean"
    means = [
        characteristic_of(model, set_values(model, latents, np.where(mask, value, MISSING), mask, mode))[:, where]
        for value in (low, high)
    ]
    sign = np.sign(means[1] - means[0])
    sign = np.where(sign == 0, 1, sign)
    if not scale:
        reach = np.asarray(model.characteristic_scale(index), np.float32) * deviations  # (values, latents of the label)
        outward = [sign * reach[int(value)] for value in (low, high)]
        if ordered:
            outward = [_along(means[1] - means[0], reach[int(value)]) for value in (low, high)]
        means = [means[0] - outward[0], means[1] + outward[1]]
    ends = []
    for value, target in zip((low, high), means, strict=True):
        settled = set_values(model, latents, np.where(mask, value, MISSING), mask, consistent=consistent)
        held = characteristic_of(model, settled)
        if direction is not None:  # the label's other latents stay at the image's own
            target = np.where(np.arange(size) == direction, target, characteristic_of(model, latents)[:, where])
        held[:, where] = target
        ends.append(in_batches(model.with_characteristic, settled, held))
    first, last = ends
    return first, last


def _along(line: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Steps along lines (n, d), as long as the deviation in that direction of what deviates by (d,) in the latents."""
    direction = line / np.maximum(np.linalg.norm(line, axis=-1, keepdims=True), 1e-12)
    return direction * np.linalg.norm(direction * deviation, axis=-1, keepdims=True)
