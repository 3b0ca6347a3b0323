"""Fixtures shared by all tests: a tiny data set that is learned in seconds."""

import numpy as np
import pytest

from tf_ccvae.startup import prepare

prepare()

from tf_ccvae.data.dataset import Dataset, Split  # noqa: E402  after TensorFlow's environment is set
from tf_ccvae.labels import Labels  # noqa: E402

TINY_LABELS = Labels.of_binary(["Top", "Bright"])


def tiny_split(examples: int, seed: int, size: int = 28) -> Split:
    """Grey pictures of a square that stands at the top or not and is bright or not."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, (examples, 2)).astype(np.int8)
    images = np.full((examples, size, size, 1), 40, np.uint8)
    for image, (top, bright) in zip(images, labels, strict=True):
        row = (2 if top else size // 2) + random.integers(0, 2)
        left = random.integers(4, size // 2)
        image[row : row + size // 3, left : left + size // 3] = 230 if bright else 120
    return Split(images, labels)


@pytest.fixture(scope="session")
def tiny() -> Dataset:
    return Dataset("tiny", TINY_LABELS, tiny_split(256, 0), tiny_split(64, 1), tiny_split(64, 2))


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory, tiny):
    """The tiny data set as a folder of images with a CSV; returns (images, labels)."""
    from PIL import Image

    place = tmp_path_factory.mktemp("tiny")
    lines = ["file,split,Top,Bright"]
    for name in ("train", "validation", "test"):
        split = tiny.split(name)
        for i, (image, labels) in enumerate(zip(split.images, split.labels, strict=True)):
            Image.fromarray(image[..., 0]).save(place / f"{name}{i}.png")
            lines.append(f"{name}{i}.png,{name},{labels[0]},{labels[1]}")
    (place / "labels.csv").write_text("\n".join(lines) + "\n")
    return place, place / "labels.csv"


@pytest.fixture
def tiny_arguments(tiny_folder):
    """Command-line arguments that train on the tiny folder in a few seconds."""
    images, labels = tiny_folder
    return [
        *("--data.name", "folder", "--data.images", str(images), "--data.labels", str(labels)),
        *("--data.image-size", "28", "--data.channels", "1", "--model.latents", "6", "--model.hidden", "32"),
        *("--model.latents-per-label", "1", "--objective.independence-weight", "30"),
        *("--model.encoder-widths", "[8, 8, 16]", "--training.batch-size", "32", "--training.epochs", "2"),
        *("--training.learning-rate", "2e-3", "--seed", "1"),
        *("--model.likelihood-scale", "1.0", "--objective.label-weight", "100"),
    ]


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory, tiny_folder):
    """A trained run on the tiny folder."""
    images, labels = tiny_folder
    path = tmp_path_factory.mktemp("runs") / "tiny"
    arguments = [
        *("--data.name", "folder", "--data.images", str(images), "--data.labels", str(labels)),
        *("--data.image-size", "28", "--data.channels", "1", "--model.latents", "6", "--model.hidden", "32"),
        *("--model.latents-per-label", "1", "--objective.independence-weight", "30"),
        *("--model.encoder-widths", "[8, 8, 16]", "--training.batch-size", "32", "--training.epochs", "6"),
        *("--training.learning-rate", "3e-3", "--model.likelihood-scale", "1.0", "--objective.label-weight", "100"),
    ]
    from tf_ccvae import fit

    assert fit.main([*arguments, "--run-dir", str(path)]) == 0
    return path
