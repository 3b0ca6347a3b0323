"""The official PyTorch program beside our models: it is trained by itself, and measured as a model of this package.

It knows binary labels alone, all of them known. So each class of a categorical label is a label of its own for it, and
what is not known counts as off, as in CelebA's own table. Errors, Fréchet distances and accuracies are those of the
same images and labels as ours; a categorical label is read as the class that it finds most probable. Interventions
and swaps are measured for each class by itself.
"""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import ROOT
from export import import_pytorch
from tf_ccvae.data.dataset import Dataset, Split
from tf_ccvae.evaluation.judge import Judge
from tf_ccvae.labels import MISSING, Label, Labels
from tf_ccvae.models.labelled_vae import LabelledVAE


def class_name(label: Label, value: int) -> str:
    """The binary label that stands for a value of a label."""
    return label.name if label.binary else f"{label.name}_{label.classes[value]}"


def class_columns(labels: Labels) -> list[tuple[int, int]]:
    """For each binary label: the label that it stands for, and the value at which it is on."""
    return [(i, v) for i, label in enumerate(labels) for v in ((1,) if label.binary else range(label.values))]


def by_class(dataset: Dataset) -> Dataset:
    """The data set with a binary label for each class of a categorical label."""
    columns = class_columns(dataset.labels)
    items = dataset.labels.items

    def part(split: Split) -> Split:
        known = split.observed
        values = [np.where(known[:, i], split.labels[:, i] == v, MISSING) for i, v in columns]
        return replace(split, labels=np.stack(values, axis=1).astype(np.int8))

    factors = {
        class_name(items[dataset.labels.names.index(name)], value): (1, varies)
        for name, (value, varies) in dataset.about["label_factors"].items()
        if name in dataset.labels.names
    }
    return replace(
        dataset,
        labels=Labels.of_binary(class_name(items[i], v) for i, v in columns),
        **{name: part(dataset.split(name)) for name in ("train", "validation", "test")},
        about={**dataset.about, "label_factors": factors},
    )


class JudgeByClass(Judge):
    """A judge that says of each class of a categorical label whether it is there.

    Args:
      judge: of the data set's own labels.
      labels: of `by_class`.
    """

    def __init__(self, judge: Judge, labels: Labels):
        super().__init__(judge.network, labels, judge.factors, judge.about)
        self.judge = judge

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Of off and on: uint8 or float in [0, 1] (n, ...) -> float32 (n, labels, 2)."""
        seen = self.judge.probabilities(images)
        on = np.stack([seen[:, i, v] for i, v in class_columns(self.judge.labels)], axis=1)
        return np.stack([1 - on, on], axis=-1)


def joined(labels: Labels, probabilities: np.ndarray) -> np.ndarray:
    """Probabilities of the classes together: (n, labels of `by_class`, 2) -> (n, labels, values).

    Those of a categorical label are what it says of each class, divided by their sum.
    """
    result = np.zeros((len(probabilities), len(labels), labels.values), np.float32)
    for column, (i, v) in enumerate(class_columns(labels)):
        result[:, i, v] = probabilities[:, column, 1]
        if labels.items[i].binary:
            result[:, i, 0] = probabilities[:, column, 0]
    return result / np.maximum(result.sum(-1, keepdims=True), 1e-12)


def train(dataset: Dataset, program: Path, seconds: float, seed: int, folder: Path) -> dict[str, Any]:
    """Trains the program, unless its weights are in `folder`; returns its steps and seconds.

    Args:
      dataset: of `by_class`.
      program: a checkout of github.com/thwjoy/ccvae_pytorch.
      seconds: of training.
      seed: of everything random.
      folder: for weights.

    Raises:
      SystemExit: the program cannot be used, or failed.
    """
    trained = folder / "trained.json"
    if not trained.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {"images": dataset.train.images, "values": dataset.train.labels == 1}
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        command = [sys.executable, "-m", "benchmarks.unseen.official_training"]
        command += [str((folder / f"{name}.npy").resolve()) for name in arrays]
        command += ["--official", str(program.resolve()), "--seconds", str(seconds), "--seed", str(seed)]
        done = subprocess.run([*command, "--to", str(folder.resolve())], cwd=ROOT, check=False)
        for name in arrays:
            (folder / f"{name}.npy").unlink()
        if done.returncode:
            raise SystemExit(done.returncode)  # it has said why
    return dict(json.loads(trained.read_text(encoding="utf-8")))


def load(folder: Path, dataset: Dataset) -> LabelledVAE:
    """The trained program as a model of this package, that knows how often labels are on.

    Args:
      folder: with the weights.
      dataset: of `by_class`.
    """
    parts = {part: import_pytorch.read(folder / f"{part}.pt") for part in import_pytorch.PARTS}
    model: LabelledVAE = import_pytorch.convert(parts, dataset.labels.names)
    model.label_statistics.learn(dataset.train.labels)
    return model
