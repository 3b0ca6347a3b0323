"""Edits of numbers against the truth: the same face, drawn again with the number that was asked for.

Only for data sets that can draw their examples again with another value of a number (`Renderer.numbers`). The number
asked for is that of another example, the donor; there are two kinds of edits, and both have the same truth:

set    the label set to the donor's number
swap   the label's characteristic carried over from the donor's picture

The scores are those of `counterfactual`: `inside` is 0 for the face left alone and 1 for the true picture encoded and
decoded, `outside` is the error everywhere else as a multiple of that of plain reconstruction. Up to `EXAMPLES` images
are edited of each label, the first ones of the split in which its number is known.
"""

import numpy as np

from tf_ccvae import interventions
from tf_ccvae.data.renderer import Renderer
from tf_ccvae.evaluation import counterfactual
from tf_ccvae.evaluation.context import Context
from tf_ccvae.evaluation.counterfactual import Errors
from tf_ccvae.label_arrays import known
from tf_ccvae.labels import Labels
from tf_ccvae.support.files import JsonObject

EXAMPLES = 100
KINDS = ("set", "swap")


def measure(context: Context) -> dict[str, JsonObject]:
    """For each number label that can be drawn, by name: `inside` and `outside` of each of `KINDS`.

    Args:
      context: of the model and the data with all labels.
    """
    renderer = context.dataset.renderer
    if renderer is None:
        return {}
    drawable = [i for i in context.labels.numbers if context.labels.names[i] in renderer.numbers]
    return {context.labels.names[i]: _of_label(context, renderer, i) for i in drawable}


def _of_label(context: Context, renderer: Renderer, index: int) -> JsonObject:
    label, truth = context.labels.items[index], context.part.labels[:, index].astype(np.float64)
    there = np.flatnonzero(known(truth))
    rows = there[:EXAMPLES]
    donors = np.random.default_rng([context.seed, index]).permutation(there)[: len(rows)]
    redrawn = renderer.setting_number(context.split, context.rows[rows], label.name, truth[donors])
    rows, donors = rows[redrawn.of], donors[redrawn.of]
    if not len(rows):
        return {}
    drawn = renderer.draw(redrawn.factors)
    model, latents, mask = context.model, context.latents, np.arange(len(context.labels)) == index
    values = np.where(mask, truth[donors, None], np.nan)
    edited = {
        "set": interventions.set_values(model, latents[rows], values, mask),
        "swap": interventions.swap_values(model, latents[rows], latents[donors], mask),
    }
    original, wanted = (pictures / np.float32(255) for pictures in (context.images[rows], drawn))
    rebuilt = interventions.reconstruct(model, drawn)
    scores = {}
    for kind in KINDS:
        found = counterfactual.errors(
            interventions.decode(model, edited[kind]), original, wanted, context.rebuilt[rows], rebuilt
        )
        scores[kind] = _scored(context, found, rows, index)
    return scores


def _scored(context: Context, found: Errors, rows: np.ndarray, index: int) -> JsonObject:
    """`inside` and `outside` of the edits of one label, with intervals by bootstrap over images."""
    differs = np.isfinite(found.edited)  # a donor with the same number leaves nothing to change
    tables = {name: np.zeros((len(context.images), 1)) for name in Errors._fields}
    for name, values in found._asdict().items():
        tables[name][rows[differs], 0] = values[differs]
    counts = np.zeros((len(context.images), 1))
    counts[rows[differs]] = 1
    own = Labels((context.labels.items[index],))
    result = counterfactual.from_errors(own, tables, counts, context.seed)
    nothing = {"mean": None, "low": None, "high": None}
    return {part: result[part]["labels"].get(own.names[0], nothing) for part in ("inside", "outside")}
