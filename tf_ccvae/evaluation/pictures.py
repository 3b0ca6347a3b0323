"""The pictures of the report: grids of images with the names of their rows and columns."""

from typing import NamedTuple

import numpy as np

from tf_ccvae import interventions
from tf_ccvae.evaluation import counterfactual
from tf_ccvae.evaluation.context import Context
from tf_ccvae.labels import MISSING

VALUES = 5  # of a label that are shown
ACROSS = 12


class Sheet(NamedTuple):
    """images: (rows, columns, height, width, channels) in [0, 1]; rows, columns: a name for each, or none."""

    images: np.ndarray
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


def of(context: Context) -> dict[str, Sheet]:
    """All sheets by name; one for which there is no picture is left out."""
    count = min(ACROSS, len(context.images))
    if not count:
        return {}
    pairs = np.stack([context.images[:count].astype(np.float32) / 255, context.rebuilt[:count]])
    images = context.generated.images
    fits = len(images) >= 2 * ACROSS
    samples = images[: 2 * ACROSS].reshape(2, ACROSS, *context.model.image_shape) if fits else images[None]
    sheets = {"reconstructions": Sheet(pairs, ("image", "reconstruction")), "samples": Sheet(samples)}
    changed = (("edits", edits), ("swaps", swaps), ("variations", variations)) if context.model.edits else ()
    for name, made in changed:
        sheet = made(context)
        if sheet is not None:
            sheets[name] = sheet
    return sheets


def edits(context: Context) -> Sheet | None:
    """For each label an image, its reconstruction, and the image with the label set to each of its first values."""
    labels = context.labels
    binary = all(label.binary for label in labels)
    most = min(labels.values, VALUES)
    rows, names = [], []
    for i, label in enumerate(labels):
        there = np.flatnonzero(context.truth[:, i] != MISSING)
        if not len(there):
            continue
        row = there[(7 * i) % len(there)]
        image = context.images[row : row + 1]
        shown = range(min(label.values, VALUES))
        edited = [interventions.set_labels(context.model, image, {label.name: value})[0] for value in shown]
        blank = [np.ones_like(edited[0])] * (most - len(edited))
        rows.append(np.stack([image[0].astype(np.float32) / 255, context.rebuilt[row], *edited, *blank]))
        names.append(label.name if binary else f"{label.name}: {', '.join(label.value_names[v] for v in shown)}")
    columns = ("off", "on") if binary else ("",) * most
    return Sheet(np.stack(rows), tuple(names), ("image", "rebuilt", *columns)) if rows else None


def swaps(context: Context) -> Sheet | None:
    """For each label recipient, donor, the swap and its truth: from a donor with another value, and with the same."""
    renderer = context.dataset.renderer
    if renderer is None:
        return None
    edits = counterfactual.first_swaps(context, renderer)
    pictures = dict(zip(edits, counterfactual.drawn(renderer, list(edits.values())), strict=True))
    rows, names = [], []
    for i, label in enumerate(context.labels):
        row = np.ones((8, *context.model.image_shape), np.float32)
        for place, kind in ((0, "swap"), (4, "swap_within")):
            if (i, kind) in edits:
                edit = edits[i, kind]
                donors = context.images[edit.donors]
                shown = [context.images[edit.rows[0]], donors[0], pictures[i, kind][0]]
                row[[place, place + 1, place + 3]] = np.stack(shown).astype(np.float32) / 255
                row[place + 2] = counterfactual.edited_pictures(context, edit)[0]
        if (i, "swap") in edits or (i, "swap_within") in edits:
            rows.append(row)
            names.append(label.name)
    columns = ("recipient", "donor", "swap", "truth", "both have it", "donor", "swap", "truth")
    return Sheet(np.stack(rows), tuple(names), columns) if rows else None


def variations(context: Context) -> Sheet | None:
    """For each label an image that has its last value, and draws of its characteristic given that."""
    rows, names = [], []
    for i, label in enumerate(context.labels):
        there = np.flatnonzero(context.truth[:, i] == label.values - 1)
        if not len(there):
            continue
        image = context.images[there[:1]]
        drawn = interventions.variation(context.model, image, label.name, label.values - 1, draws=6, seed=i)
        rows.append(np.concatenate([image.astype(np.float32) / 255, drawn.images[0]]))
        names.append(label.name if label.binary else f"{label.name}={label.value_names[-1]}")
    columns = ("image", *(f"draw {i + 1}" for i in range(6)))
    return Sheet(np.stack(rows), tuple(names), columns) if rows else None
