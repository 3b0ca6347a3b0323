"""All measures of a model on one split, and what the report shows of them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tf_ccvae import interventions
from tf_ccvae.data.dataset import Dataset
from tf_ccvae.evaluation import (
    classification,
    generation,
    intervention_effect,
    reconstruction,
    separation,
    swap_effect,
    within_label_capture,
)
from tf_ccvae.evaluation.judge import Judge
from tf_ccvae.interventions import values_by_name
from tf_ccvae.labels import MISSING
from tf_ccvae.models.labelled_vae import LabelledVAE

GENERATED = 2000  # images for Fréchet distances
POINT_SCALE = 1e-6  # of a posterior that is a point


class Evaluation(NamedTuple):
    """`results` for evaluation.json, and `pictures`: named arrays (rows, columns, height, width, channels)."""

    results: dict[str, Any]
    pictures: dict[str, np.ndarray]


def probabilities(model: LabelledVAE, images: np.ndarray) -> np.ndarray:
    """q(y|x) of images, float32 (n, labels, values)."""
    parts = [np.asarray(model(images[i : i + 250]).label_probabilities) for i in range(0, len(images), 250)]
    return np.concatenate(parts)


def point_probabilities(model: LabelledVAE, latents: np.ndarray) -> np.ndarray | None:
    """q(y|z) at given latents, float32 (n, labels, values); None for a model without q(y|z)."""
    table = model.values_table(latents)
    return None if table is None else np.asarray(table)


def evaluate(
    model: LabelledVAE,
    dataset: Dataset,
    judge: Judge,
    split: str = "test",
    seed: int = 0,
    generated: int = GENERATED,
    report: Callable[[str], None] = lambda what: None,
) -> Evaluation:
    """Runs every measure that applies.

    Args:
      model: a trained model.
      dataset: the data it was trained on.
      judge: who looks at images; see `evaluation.judge`.
      split: which split.
      seed: of everything that is drawn.
      generated: number of generated images.
      report: called with what comes next.
    """
    part = dataset.split(split)
    labels, truth, images = model.labels, part.labels.astype(np.int64), np.asarray(part.images)
    incompatible = np.asarray(model.label_statistics.incompatible)
    report("reconstructions")
    latents = interventions.encode(model, images)
    rebuilt = interventions.decode(model, latents)
    results: dict[str, Any] = {
        "split": split,
        "examples": len(images),
        "seed": seed,
        "judge": judge.about,
        "reconstruction": reconstruction.measure(model, part, rebuilt, seed),
    }
    report("labels")
    results["classification"] = {"exact": classification.measure(truth, probabilities(model, images), labels, seed)}
    points = point_probabilities(model, latents)
    if points is not None:
        results["classification"]["posterior_mean"] = classification.measure(truth, points, labels, seed)

    report("interventions")
    original, plain = judge.probabilities(images), judge.probabilities(rebuilt)
    edited = intervention_effect.edit_probabilities(model, latents, judge)
    effect = intervention_effect.measure(labels, truth, original, plain, edited, incompatible, seed)
    results.update(set_success=effect["set_success"], selectivity=effect["selectivity"])
    results["intervention_matrix"] = effect["matrix"]

    report("swaps")
    donors = swap_effect.choose_donors(truth, seed)
    seen = swap_effect.swapped_values(model, latents, donors, judge)
    swaps = swap_effect.measure(labels, truth, donors, seen, incompatible, seed)
    results.update(swap_success=swaps["swap_success"], swap={k: swaps[k] for k in ("arrived", "kept")})

    report("what latents hold")
    characteristic, style = np.asarray(model.characteristic(latents)), np.asarray(model.style(latents))
    results["separation"] = separation.measure(characteristic, style, truth, labels, seed)
    label_factors = dataset.about.get("label_factors", {})
    known = {name: label_factors[name] for name in labels.names if name in label_factors}
    results["within_label_capture"] = within_label_capture.measure(
        characteristic,
        style,
        truth,
        part.factors,
        known,
        dict(zip(labels.names, labels.slices, strict=True)),
        {name: i for i, name in enumerate(labels.names)},
        seed,
    )
    results["within_label_swap"] = within_label_capture.after_swap(
        model, latents, judge, truth, part.factors, known, seed
    )

    report("generated images")
    asked = values_by_name.choose_values(model, {}, generated, seed)
    made = interventions.generate(model, asked, seed)
    results["generation"] = generation.measure(
        labels,
        asked,
        made.images,
        judge.features(made.images),
        judge.values(made.images),
        truth,
        images,
        judge.features(images),
        seed,
    )
    report("pictures")
    return Evaluation(results, pictures(model, images, truth, rebuilt, made.images))


def pictures(
    model: LabelledVAE, images: np.ndarray, truth: np.ndarray, rebuilt: np.ndarray, made: np.ndarray
) -> dict[str, np.ndarray]:
    """Image grids for the report, each (rows, columns, height, width, channels) in [0, 1]."""
    count = min(12, len(images))
    real = images[:count].astype(np.float32) / 255
    result = {"reconstructions": np.stack([real, rebuilt[:count]])}
    rows, variations = [], []
    for i, label in enumerate(model.labels):
        known = np.flatnonzero(truth[:, i] != MISSING)
        if not len(known):
            continue
        row = known[(7 * i) % len(known)]
        image = images[row : row + 1]
        edits = [interventions.set_labels(model, image, {label.name: v})[0] for v in range(min(label.values, 5))]
        blank = [np.ones_like(edits[0])] * (min(model.labels.values, 5) - len(edits))
        rows.append(np.stack([image[0].astype(np.float32) / 255, rebuilt[row], *edits, *blank]))
        on = np.flatnonzero(truth[:, i] == label.values - 1)
        if len(on):
            chosen = images[on[:1]]
            drawn = interventions.variation(model, chosen, label.name, label.values - 1, draws=6, seed=i)
            variations.append(np.concatenate([chosen.astype(np.float32) / 255, drawn.images[0]]))
    result["edits"] = np.stack(rows)
    if variations:
        result["variations"] = np.stack(variations)
    result["samples"] = made[:24].reshape(2, 12, *model.image_shape) if len(made) >= 24 else made[None]
    return result
