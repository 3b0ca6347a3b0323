"""Edits against the truth: pictures that were drawn again with one label changed, which is what an edit should make.

Only for data sets that can draw their examples again (`Dataset.renderer`). Five kinds of edits:

set_on: a binary label set from 0 to 1, a categorical one to another class. The truth is the same face with each variant
  of the label; the one that is nearest to the edited picture counts.
set_off: a binary label set from 1 to 0. The truth is the same face without it. Where something was covered (hair by a
  hat), the nearest of several ways that it may look counts.
traverse: the end of a traversal from the label's own value to another one; the truth is that of setting it.
swap: a label carried over from a donor that has another value of it. The truth is the recipient drawn with the donor's
  value and variant: its glasses, its hat and the hat's colour.
swap_within: the same from a donor that also has the label, but another variant of it.

Nearest is by the mean absolute error over the whole picture. `inside` is the region in which the truth differs from the
original by more than 8 of 255 in any channel. With e the edited picture, x the original, t the truth, rec the model's
plain reconstruction of a picture and |.| the mean absolute error inside,

  inside = sum(|rec(x) - t| - |e - t|) / sum(|rec(x) - t| - |rec(t) - t|)

over edits: 0 is what leaving the face alone gives, since its edited picture is the reconstruction of the original; 1 is
the reconstruction of the truth. Below 0 an edit is further from the truth than no edit. A label has no score where the
sum below is less than a tenth of its first part, that is where the model's reconstructions do not show the change.

  outside = sum(|e - x|) / sum(|rec(x) - x|)

with the mean absolute errors outside the region: 1 is as much as plain reconstruction loses there, 2 twice as much.

Up to `EXAMPLES` images are edited of each label, kind and value that a binary label has: the first ones of the split.
So at most 5 * EXAMPLES edits a label are drawn, those of settings in up to `redrawing.VARIANTS` ways.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tf_ccvae import interventions
from tf_ccvae.data.renderer import Redrawn, Renderer
from tf_ccvae.evaluation.context import Context
from tf_ccvae.evaluation.intervals import label_ratios
from tf_ccvae.evaluation.swap_effect import choose_donors
from tf_ccvae.labels import MISSING, Label, Labels
from tf_ccvae.support.files import JsonObject

EXAMPLES = 40
THRESHOLD = 8 / 255  # of a change that counts as one
SMALLEST = 0.1  # part of the error of leaving a face alone by which its true reconstruction has to be better
DRAWS = 8  # of donors, until one has a variant that can be carried over
KINDS = ("set_on", "set_off", "traverse", "swap", "swap_within")


class Edit(NamedTuple):
    """One kind of edit of one label, of n examples.

    Args:
      kind: one of `KINDS` but traverse, which is measured beside settings.
      label: its position.
      rows: of the examples, integer (n,).
      values: that the label is set to, integer (n,); of swaps, those of the donors.
      donors: rows of the donors, integer (n,); None where a value is set.
      truth: what the edited pictures should be; `of` is a position in `rows`.
    """

    kind: str
    label: int
    rows: np.ndarray
    values: np.ndarray
    donors: np.ndarray | None
    truth: Redrawn


class Errors(NamedTuple):
    """Mean absolute errors of n edits, float64 (n,) each.

    Args:
      edited, alone, rebuilt: of the edited picture, of the reconstruction of the original and of that of the truth,
        against the truth inside the region; NaN where the truth is the original.
      edited_outside, alone_outside: of the edited picture and of the reconstruction of the original, against the
        original outside the region; 0 where there is no outside.
    """

    edited: np.ndarray
    alone: np.ndarray
    rebuilt: np.ndarray
    edited_outside: np.ndarray
    alone_outside: np.ndarray


def plan(context: Context, renderer: Renderer) -> Iterator[Edit]:
    """The edits that are measured, described and not drawn."""
    for i, label in enumerate(context.labels):
        if label.name not in renderer.labels:
            continue
        yield from _settings(context, renderer, i, label)
        truth = context.truth[:, [i]]
        groups = [truth[:, 0] == v for v in range(label.values)] if label.binary else [truth[:, 0] != MISSING]
        rows = np.concatenate([np.flatnonzero(group)[:EXAMPLES] for group in groups])
        others = (choose_donors(truth, context.seed + k)[0] for k in range(DRAWS))
        yield from _swaps(context, renderer, "swap", i, rows, others)
        if label.name in context.label_factors:
            among = np.flatnonzero(truth[:, 0] == context.label_factors[label.name][0])
            within = (_permuted(among, len(truth), context.seed + k) for k in range(DRAWS))
            yield from _swaps(context, renderer, "swap_within", i, among[:EXAMPLES], within)


def _settings(context: Context, renderer: Renderer, index: int, label: Label) -> Iterator[Edit]:
    truth = context.truth[:, index]
    if label.binary:
        chosen = [(v, np.flatnonzero(truth == 1 - v)[:EXAMPLES]) for v in (1, 0)]
    else:  # each to another class, in turns
        rows = np.flatnonzero(truth != MISSING)[:EXAMPLES]
        turns = 1 + np.arange(len(rows)) % (label.values - 1)
        chosen = [(v, rows[(truth[rows] + turns) % label.values == v]) for v in range(label.values)]
    for value, rows in chosen:
        if len(rows):
            redrawn = renderer.setting(context.split, context.rows[rows], label.name, value)
            kind = "set_off" if label.binary and not value else "set_on"
            yield Edit(kind, index, rows, np.full(len(rows), value), None, redrawn)


def _permuted(among: np.ndarray, count: int, seed: int) -> np.ndarray:
    """A donor for each row that is among them, from among them; -1 for others: integer (count,)."""
    donors = np.full(count, -1)
    donors[among] = np.random.default_rng(seed).permutation(among)
    return donors


def first_swaps(context: Context, renderer: Renderer) -> dict[tuple[int, str], Edit]:
    """By label and kind (swap or swap_within) the first one that can be drawn, of one example and with one truth."""
    found: dict[tuple[int, str], Edit] = {}
    for edit in plan(context, renderer):
        if edit.donors is not None and (edit.label, edit.kind) not in found:
            truth = Redrawn(edit.truth.of[:1], {name: values[:1] for name, values in edit.truth.factors.items()})
            one = edit._replace(rows=edit.rows[:1], values=edit.values[:1], donors=edit.donors[:1], truth=truth)
            found[edit.label, edit.kind] = one
    return found


def _swaps(
    context: Context, renderer: Renderer, kind: str, index: int, rows: np.ndarray, draws: Iterator[np.ndarray]
) -> Iterator[Edit]:
    """Swaps with the first donors that have a variant which can be carried over alone."""
    for donors in draws:
        rows = rows[donors[rows] >= 0]
        if not len(rows):
            return
        theirs = donors[rows]
        places = context.rows[rows], context.rows[theirs]
        redrawn = renderer.carrying(context.split, *places, context.labels.names[index])
        done = np.unique(redrawn.of)
        if len(done):
            renumbered = Redrawn(np.searchsorted(done, redrawn.of), redrawn.factors)
            yield Edit(kind, index, rows[done], context.truth[theirs[done], index], theirs[done], renumbered)
        rows = np.delete(rows, done)


def edited_pictures(context: Context, edit: Edit) -> np.ndarray:
    """What the model makes of an edit: float32 (n, height, width, channels)."""
    mask = np.arange(len(context.labels)) == edit.label
    latents = context.latents[edit.rows]
    if edit.donors is not None:
        changed = interventions.swap_values(context.model, latents, context.latents[edit.donors], mask)
    else:
        values = np.where(mask, edit.values[:, None], MISSING)
        changed = interventions.set_values(context.model, latents, values, mask)
    return interventions.decode(context.model, changed)


def traversal_ends(context: Context, edit: Edit) -> np.ndarray:
    """The last pictures of traversals from the examples' own values to that of a setting, as `edited_pictures`."""
    own = context.truth[edit.rows, edit.label]
    name = context.labels.names[edit.label]
    result = np.empty((len(edit.rows), *context.model.image_shape), np.float32)
    for start in np.unique(own):
        rows = np.flatnonzero(own == start)
        images = context.images[edit.rows[rows]]
        ends = interventions.traverse(context.model, images, name, int(start), int(edit.values[0]), steps=2)
        result[rows] = ends[:, 1]
    return result


def nearest(edited: np.ndarray, pictures: np.ndarray, of: np.ndarray) -> np.ndarray:
    """For each edited picture that has any, the position of the nearest of its pictures, ascending.

    Args:
      edited: float (n, ...) in [0, 1].
      pictures: uint8 (pictures, ...).
      of: integer (pictures,), ascending, the edited picture that each belongs to.
    """
    far = np.array([np.abs(edited[i] - p / np.float32(255)).mean() for i, p in zip(of, pictures, strict=True)])
    order = np.lexsort((far, of))
    return order[np.unique(of[order], return_index=True)[1]]


def errors(
    edited: np.ndarray, original: np.ndarray, truth: np.ndarray, alone: np.ndarray, rebuilt: np.ndarray
) -> Errors:
    """The errors of edits; all pictures float (n, height, width, channels) in [0, 1].

    Args:
      edited: what the model made.
      original: the image that was edited.
      truth: what it should have made.
      alone: the reconstruction of the original.
      rebuilt: the reconstruction of the truth.
    """
    inside = (np.abs(truth - original) > THRESHOLD).any(-1)

    def mean(one: np.ndarray, other: np.ndarray, where: np.ndarray) -> np.ndarray:
        far = np.abs(one - other).mean(-1, dtype=np.float64)
        return (far * where).sum((1, 2)) / np.maximum(where.sum((1, 2)), 1)

    changed = np.where(inside.any((1, 2)), 0.0, np.nan)
    return Errors(
        *(mean(picture, truth, inside) + changed for picture in (edited, alone, rebuilt)),
        *(mean(picture, original, ~inside) for picture in (edited, alone)),
    )


def from_errors(labels: Labels, tables: dict[str, np.ndarray], counts: np.ndarray, seed: int = 0) -> JsonObject:
    """`inside` and `outside` of one kind of edits, with intervals.

    Args:
      labels: what the labels are.
      tables: by name in `Errors` their sums over the edits of each image and label, float (n, labels).
      counts: number of edits, (n, labels).
      seed: of the bootstrap over images.
    """
    moved, possible = tables["alone"] - tables["edited"], tables["alone"] - tables["rebuilt"]
    possible = np.where(possible.sum(0) >= SMALLEST * tables["alone"].sum(0), possible, 0.0)
    inside = label_ratios(moved, possible, labels.names, seed)
    outside = label_ratios(tables["edited_outside"], tables["alone_outside"], labels.names, seed)
    for i, name in enumerate(labels.names):
        if name in inside["labels"]:
            means = {key: float(tables[key][:, i].sum() / counts[:, i].sum()) for key in Errors._fields[:3]}
            inside["labels"][name] |= {"edits": int(counts[:, i].sum()), "errors": means}
    return {"inside": inside, "outside": outside}


def measure(context: Context) -> JsonObject:
    """`counterfactual`: for each of `KINDS` the scores inside and outside; nothing where pictures cannot be drawn."""
    renderer = context.dataset.renderer
    if renderer is None:
        return {}
    edits = list(plan(context, renderer))
    return {"counterfactual": scores(context, renderer, edits)}


def scores(context: Context, renderer: Renderer, edits: list[Edit]) -> JsonObject:
    """Draws the truth of all edits, and measures each kind of them."""
    shape = (len(context.images), len(context.labels))
    sums = {kind: {name: np.zeros(shape) for name in Errors._fields} for kind in KINDS}
    counts = {kind: np.zeros(shape) for kind in KINDS}
    for edit, pictures in zip(edits, drawn(renderer, edits), strict=True):
        made = {edit.kind: edited_pictures(context, edit)}
        if edit.donors is None:
            made["traverse"] = traversal_ends(context, edit)
        picked = {kind: nearest(edited, pictures, edit.truth.of) for kind, edited in made.items()}
        shown = np.unique(np.concatenate(list(picked.values())))
        rebuilt = interventions.reconstruct(context.model, pictures[shown])
        for kind, chosen in picked.items():
            which = edit.truth.of[chosen]
            rows, truth = edit.rows[which], pictures[chosen] / np.float32(255)
            original = context.images[rows] / np.float32(255)
            again = rebuilt[np.searchsorted(shown, chosen)]
            found = errors(made[kind][which], original, truth, context.rebuilt[rows], again)
            there = np.isfinite(found.edited)
            for name, values in found._asdict().items():
                np.add.at(sums[kind][name][:, edit.label], rows[there], values[there])
            np.add.at(counts[kind][:, edit.label], rows[there], 1)
    return {kind: from_errors(context.labels, sums[kind], counts[kind], context.seed) for kind in KINDS}


def drawn(renderer: Renderer, edits: list[Edit]) -> list[np.ndarray]:
    """The pictures of each edit's truth, drawn together: uint8 (pictures, height, width, channels) for each."""
    if not edits:
        return []
    names = edits[0].truth.factors
    together = {name: np.concatenate([edit.truth.factors[name] for edit in edits]) for name in names}
    ends = np.cumsum([len(edit.truth.of) for edit in edits])[:-1]
    return np.split(renderer.draw(together), ends)
