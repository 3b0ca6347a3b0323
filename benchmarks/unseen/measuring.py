"""Measures and pictures of one model on one style."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import at
from benchmarks.unseen import official
from tf_ccvae import interventions
from tf_ccvae.data.dataset import Dataset
from tf_ccvae.evaluation import classification, suite
from tf_ccvae.evaluation import judge as judges
from tf_ccvae.evaluation.context import Context
from tf_ccvae.evaluation.judge import Judge
from tf_ccvae.labels import MISSING
from tf_ccvae.models.labelled_vae import LabelledVAE
from tf_ccvae.support import figures
from tf_ccvae.support.files import replacing

ACROSS = 12  # pictures of a sheet
JUDGE_IMAGES = 50_000  # that a judge sees in training, each one several times
COLUMNS = {  # name in the table: where in the evaluation, digits
    "error": (("reconstruction", "mean_absolute_error"), 4),
    "accuracy": (("classification", "exact", "accuracy"), 3),
    "set success": (("set_success",), 3),
    "of labels read well": (("set_success", "read_well"), 3),
    "swap success": (("swap_success",), 3),
    "true set on": (("counterfactual", "set_on", "inside"), 3),
    "true set off": (("counterfactual", "set_off", "inside"), 3),
    "true swap": (("counterfactual", "swap", "inside"), 3),
    "capture": (("within_label_capture",), 3),
    "within-label swap": (("within_label_swap",), 3),
    "style AUROC": (("separation", "style_auroc", "mean"), 3),
    "non-linear": (("separation", "style_auroc_nonlinear", "mean"), 3),
    "Fréchet": (("generation", "frechet"), 1),
}
Picture = tuple[np.ndarray, np.ndarray]  # reconstructions and edits, each (pictures, height, width, channels) in [0, 1]


def judge_of(dataset: Dataset, folder: Path, quick: bool) -> Judge:
    """The judge in `folder`; a new one if there is none, trained for one epoch if `quick`."""
    try:
        return judges.load(folder)
    except (FileNotFoundError, ValueError, KeyError):
        epochs = 1 if quick else max(judges.EPOCHS, round(JUDGE_IMAGES / len(dataset.train)))
        judge = judges.train(dataset, epochs=epochs)
        judges.save(judge, folder)
        return judge


def measures(
    model: LabelledVAE, dataset: Dataset, judge: Judge, seed: int, count: int, by_class: bool
) -> dict[str, Any]:
    """What the table shows, and the judge's own accuracy.

    Args:
      model: a trained model.
      dataset: with the style's own labels.
      judge: of these labels.
      seed: of what is drawn.
      count: of generated images.
      by_class: the model has the labels of `official.by_class`.

    Returns:
      By column `mean`, `low` and `high` of a 95 % interval, or a number alone; None where it cannot be measured.
    """
    if by_class:
        classes = official.by_class(dataset)
        context = Context(model, classes, official.JudgeByClass(judge, classes.labels), seed=seed, count=count)
    else:
        context = Context(model, dataset, judge, seed=seed, count=count)
    results = suite.evaluate(context).results
    if by_class:
        joined = official.joined(dataset.labels, context.probabilities)
        truth = dataset.test.labels.astype(np.int64)
        results["classification"]["exact"] = classification.from_arrays(truth, joined, dataset.labels, seed)
    row: dict[str, Any] = {}
    for name, (path, _) in COLUMNS.items():
        found = at(results, path)
        row[name] = {key: found[key] for key in ("mean", "low", "high")} if isinstance(found, dict) else found
    return suite.finite({**row, "judge": judge.about["accuracy"]})


def edits(dataset: Dataset) -> list[tuple[str, int]]:
    """For each picture of the sheet one label and another value of it than the picture has, label after label."""
    found = []
    for row in range(min(ACROSS, len(dataset.test))):
        truth = dataset.test.labels[row]
        order = np.roll(np.arange(len(dataset.labels)), -row)
        column = next((int(i) for i in order if truth[i] != MISSING), int(order[0]))
        label = dataset.labels.items[column]
        found.append((label.name, (int(truth[column]) + 1) % label.values))
    return found


def pictures(model: LabelledVAE, dataset: Dataset, by_class: bool) -> Picture:
    """Reconstructions of the first test images, and each with the label of `edits` set."""
    images = np.asarray(dataset.test.images[:ACROSS])
    rebuilt = interventions.reconstruct(model, images)
    edited = []
    for image, (name, value) in zip(images, edits(dataset), strict=True):
        label = dataset.labels.items[dataset.labels.names.index(name)]
        asked: Mapping[str, int] = {name: value}
        if by_class and not label.binary:
            asked = {official.class_name(label, v): int(v == value) for v in range(label.values)}
        edited.append(interventions.set_labels(model, image[None], asked)[0])
    return rebuilt, np.stack(edited)


def save_pictures(found: Picture, path: Path) -> None:
    with replacing(path) as beside, beside.open("wb") as file:
        np.savez_compressed(file, rebuilt=found[0], edited=found[1])


def load_pictures(path: Path) -> Picture:
    with np.load(path) as arrays:
        return arrays["rebuilt"], arrays["edited"]


def sheet(dataset: Dataset, by_model: Mapping[str, Picture], title: str, path: Path) -> None:
    """Writes a picture: test images, and below them what each model makes of them.

    Args:
      dataset: of the style.
      by_model: by its name.
      title: above everything.
      path: of the PNG file.
    """
    names = [
        f"{name}: {dataset.labels.items[dataset.labels.names.index(name)].value_names[value]}"
        for name, value in edits(dataset)
    ]
    rows = {"image": dataset.test.images[: len(names)] / np.float32(255)}
    for name, (rebuilt, edited) in by_model.items():
        rows |= {f"{name}, rebuilt": rebuilt, f"{name}, edited": edited}
    grid = figures.grid(np.stack(list(rows.values())), rows=list(rows), columns=names, title=title, scale=1.8)
    figures.save(grid, path)
