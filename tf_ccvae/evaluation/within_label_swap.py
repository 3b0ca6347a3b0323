"""Whether a swap carries the donor's own variant of a label, such as its glasses to somebody who wears some.

A judge of factors looks at recipients that have the label themselves and were given a donor's characteristic. Its
reading is scored against the donor's truth as `within_label_capture` scores predictions: at most 1, and 0 is what the
label alone gives.

The judge cannot read every variant: within black hair its shade, for one. So its reading of the donors' own images is
scored too, and the means are given again over the labels for which that is at least 0.5.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from tf_ccvae import interventions
from tf_ccvae.evaluation.context import Context
from tf_ccvae.evaluation.judge import Judge
from tf_ccvae.evaluation.within_label_capture import FEWEST, Scored, factor_rows, measurable, scored, summary
from tf_ccvae.models.labelled_vae import LabelledVAE
from tf_ccvae.support.files import JsonObject

READ_WELL = 0.5  # score on real images from which on the judge is taken to read the variants of a label
BESIDE = ("recipient", "reconstruction", "image")  # scores beside that against the donor


def from_model(
    model: LabelledVAE,
    latents: np.ndarray,
    images: np.ndarray,
    judge: Judge,
    truth: np.ndarray,
    factors: Mapping[str, np.ndarray],
    label_factors: Mapping[str, tuple[int, Sequence[str]]],
    seed: int = 0,
) -> JsonObject:
    """Whether the donor's own variant arrives, among pairs that both have the label.

    Returns:
      `mean`, `low`, `high` and `labels` of the score against the donor's truth. Each label also has the score of the
      same reading against the recipient's truth (`recipient`) and, as ceilings, those of the judge's readings of the
      donor's reconstruction (`reconstruction`) and of the donor's `image` itself, and all of these of each of its
      `factors`; `recipient`, `reconstruction` and `image` beside `mean` are the means over labels. `read_well` has the
      same means, without an interval, over the labels in its `labels`, whose variants the judge reads in images with a
      score of 0.5 or better; None if there are none.
    """
    random = np.random.default_rng(seed)
    labels = []
    for index, name in enumerate(model.labels.names):
        if name not in label_factors:
            continue
        value, belonging = label_factors[name]
        rows = np.flatnonzero(truth[:, index] == value)
        if len(rows) < FEWEST:
            continue
        donors = random.permutation(rows)
        mask = np.arange(len(model.labels)) == index
        swapped = interventions.decode(model, interventions.swap_values(model, latents[rows], latents[donors], mask))
        rebuilt, originals = interventions.decode(model, latents[donors]), images[donors]
        entries, sampled = {}, []
        for factor in belonging:
            values = np.asarray(factors[factor])
            categorical = np.issubdtype(values.dtype, np.integer)
            kept = factor_rows(values, donors, categorical)
            if not len(kept):
                continue
            there = np.isin(donors, kept)
            after, again, before = (judge.factor(x[there], factor) for x in (swapped, rebuilt, originals))
            entry: JsonObject = {}
            for key, reading, of in (
                ("donor", after, donors),
                ("recipient", after, rows),
                ("reconstruction", again, donors),
                ("image", before, donors),
            ):
                target = values[of[there]]
                if categorical:
                    present = np.unique(values[kept])
                    reading = present[reading[:, present].argmax(1)]
                else:
                    target = target.reshape(len(target), -1).astype(np.float64)
                rated = np.isin(target, np.unique(values[kept])) if categorical else np.isfinite(target).all(1)
                entry[key], entry_draws = scored(target[rated], reading[rated], categorical, seed)
                if key == "donor":
                    sampled.append(entry_draws)
            entries[factor] = entry
        if entries:
            labels.append(Scored(name, entries, np.mean(sampled, axis=0)))
    result = summary(labels, "donor", BESIDE)
    return {**result, "read_well": read_well(result["labels"])}


def read_well(labels: Mapping[str, JsonObject]) -> JsonObject | None:
    """Means over the labels whose variants the judge reads in real images; see `from_model`."""
    kept = [name for name, entry in labels.items() if entry["image"] >= READ_WELL]
    if not kept:
        return None
    return {"labels": kept, **{key: float(np.mean([labels[name][key] for name in kept])) for key in ("mean", *BESIDE)}}


def measure(context: Context) -> JsonObject:
    """Whether the donor's variant arrives, as `within_label_swap`."""
    arrays = (context.latents, context.part.images, context.judge, context.truth, context.part.factors)
    result = from_model(context.model, *arrays, context.label_factors, context.seed)
    return {"within_label_swap": measurable(result, context)}
