"""Fixtures shared by all tests: a tiny data set that is learned in seconds, a run on it, and an export of that."""

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tf_ccvae.data.dataset import Dataset, Split
from tf_ccvae.labels import Labels
from tf_ccvae.support.startup import prepare

TINY_LABELS = Labels.of_binary(["Top", "Bright"])


CACHE = pytest.StashKey[tempfile.TemporaryDirectory]()


def pytest_configure(config):
    """Gives the tests a cache of their own, and prepares TensorFlow where tests run, not where they are handed out."""
    if not hasattr(config, "workerinput"):  # the processes that run tests take it from here
        config.stash[CACHE] = tempfile.TemporaryDirectory(prefix="tf_ccvae-cache-")
        os.environ["XDG_CACHE_HOME"] = config.stash[CACHE].name
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        prepare()


def pytest_addoption(parser):
    parser.addoption(
        "--system",
        action="store_true",
        help="run also the tests marked system: they need git, nginx, openssl, chromium, npm, make, gcc and Debian's "
        "dataset-fashion-mnist, and fail if one is missing",
    )


LEFT_OUT = pytest.StashKey[int]()


FAST = ("settings", "data_sources", "test_labels.py")
SLOW_FIXTURES = {"tiny_run", "exported", "tfds_folder", "huggingface_folder"}


def pytest_itemcollected(item):
    """Marks every test `fast`, of a function and small inputs, or `programs`, of whole programs."""
    place = item.path.relative_to(Path(__file__).parent).parts[0]
    slow = place not in FAST or SLOW_FIXTURES & set(item.fixturenames) or item.get_closest_marker("programs")
    item.add_marker("programs" if slow or item.get_closest_marker("system") else "fast")


def pytest_collection_modifyitems(config, items):
    """Without --system leaves out the tests that need more than pip installs."""
    if config.getoption("--system"):
        return
    left_out = [item for item in items if item.get_closest_marker("system")]
    config.stash[LEFT_OUT] = len(left_out)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("system")]


def pytest_sessionfinish(session):
    if hasattr(session.config, "workerinput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(LEFT_OUT, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Every process of pytest-xdist collects all tests, so that one count is the count of all."""
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", 0)


def pytest_unconfigure(config):
    """The last line of the output."""
    if CACHE in config.stash:
        config.stash[CACHE].cleanup()
    left_out = config.stash.get(LEFT_OUT, 0)
    if left_out and not hasattr(config, "workerinput"):
        print(f"{left_out} tests that need more than pip installs were left out; run them too by: pytest --system")


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


def on_tiny_folder(tiny_folder):
    """Command-line arguments for a small network on the tiny folder."""
    images, labels = tiny_folder
    return [
        *("--data.name", "folder", "--data.images", str(images), "--data.labels", str(labels)),
        *("--data.image-size", "28", "--data.channels", "1", "--model.latents", "6", "--model.hidden", "32"),
        *("--model.encoder-widths", "[8, 8, 16]", "--training.batch-size", "32"),
        *("--model.likelihood-scale", "1.0", "--objective.label-weight", "100"),
    ]


@pytest.fixture
def tiny_arguments(tiny_folder):
    """Command-line arguments that train on the tiny folder in a few seconds."""
    return [
        *on_tiny_folder(tiny_folder),
        *("--model.latents-per-label", "1", "--objective.independence-weight", "30"),
        *("--training.epochs", "2", "--training.learning-rate", "2e-3", "--seed", "1"),
    ]


@contextlib.contextmanager
def made_once(tmp_path_factory, name):
    """A path that all test processes share, and whether it is still to be made; the others wait meanwhile."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if own.name.startswith("popen-") else own  # that of all processes of pytest-xdist
    path, finished = shared / name, shared / f"{name}.finished"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield path, not finished.exists()
        finished.touch()


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory, tiny_folder):
    """A trained run on the tiny folder."""
    arguments = [
        *on_tiny_folder(tiny_folder),
        *("--model.latents-per-label", "1", "--objective.independence-weight", "30"),
        *("--training.epochs", "6", "--training.learning-rate", "3e-3"),
    ]
    from tf_ccvae import fit

    with made_once(tmp_path_factory, "tiny_run") as (path, needed):
        assert not needed or fit.main([*arguments, "--run-dir", str(path)]) == 0
    return path


class Exported(NamedTuple):
    """An export: its folder, the run that it was made from, and what fit exported when the training had ended."""

    folder: Path
    run: Path
    by_fit: Path

    @property
    def arrays(self):
        """What went into Keras and came out."""
        with np.load(self.folder / "reference.npz") as stored:
            return dict(stored)


@pytest.fixture(scope="session")
def exported(tmp_path_factory, tiny_folder):
    """One run on the tiny folder, trained until it is right, and one export of it with everything."""
    from export.run import Options, export_run

    with made_once(tmp_path_factory, "exported") as (path, needed):
        made = Exported(path / "export", path / "run", path / "by_fit")
        if needed:
            path.mkdir()
            train(tiny_folder, made.run, made.by_fit)
            export_run(made.run, made.folder, Options(float16=True, int8_encoder=True))
    return made


def train(tiny_folder, run, by_fit):
    arguments = [
        *on_tiny_folder(tiny_folder),
        *("--model.latents-per-label", "2", "--training.epochs", "12", "--training.learning-rate", "5e-3"),
        *("--export.formats", "[litert]", "--export.to", str(by_fit)),
    ]
    from tf_ccvae import fit

    assert fit.main([*arguments, "--run-dir", str(run)]) == 0


# Made-up data sets in the formats of the real ones: noise, with labels drawn by a fixed seed.


@pytest.fixture(scope="session")
def celeba_folder(tmp_path_factory):
    """40 pictures in the layout of CelebA's folder: 24 to train, 8 for validation, 8 for the test."""
    from PIL import Image

    from tf_ccvae.data.celeba import ATTRIBUTES

    place = tmp_path_factory.mktemp("celeba")
    random = np.random.default_rng(0)
    (place / "img_align_celeba").mkdir()
    attributes, partition = ["40", " ".join(ATTRIBUTES) + " "], []
    for i in range(1, 41):
        pixels = random.integers(0, 256, (218, 178, 3), np.uint8)
        Image.fromarray(pixels).save(place / "img_align_celeba" / f"{i:06}.jpg")
        values = " ".join(f"{value:2}" for value in random.choice([-1, 1], len(ATTRIBUTES)))
        attributes.append(f"{i:06}.jpg {values}")
        partition.append(f"{i:06}.jpg {0 if i <= 24 else 1 if i <= 32 else 2}")
    (place / "list_attr_celeba.txt").write_text("\n".join(attributes) + "\n")
    (place / "list_eval_partition.txt").write_text("\n".join(partition) + "\n")
    return place


@pytest.fixture(scope="session")
def chexpert_folder(tmp_path_factory):
    """As CheXpert: 20 patients with 2 frontal and 1 lateral view each in train.csv, 6 patients in valid.csv."""
    from PIL import Image

    from tf_ccvae.data.chexpert import OBSERVATIONS

    place = tmp_path_factory.mktemp("data") / "CheXpert-v1.0-small"
    random = np.random.default_rng(0)
    for split, patients, first in (("train", 20, 1), ("valid", 6, 64541)):
        lines = ["Path,Sex,Age,Frontal/Lateral,AP/PA," + ",".join(OBSERVATIONS)]
        for patient in range(first, first + patients):
            for study, view in ((1, "frontal"), (2, "frontal"), (2, "lateral"))[: 3 if split == "train" else 1]:
                number = 2 if view == "lateral" else 1
                file = f"{split}/patient{patient:05}/study{study}/view{number}_{view}.jpg"
                (place / file).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(random.integers(0, 256, (40, 32), np.uint8)).save(place / file)
                values = random.choice(["1.0", "0.0", "-1.0", ""] if split == "train" else ["1.0", "0.0"], 14)
                lines.append(f"{place.name}/{file},Male,61,{view.title()},AP,{','.join(values)}")
        (place / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return place


@pytest.fixture(scope="session")
def tfds_folder(tmp_path_factory):
    """A data_dir of tensorflow-datasets with cifar10 (48 and 12 pictures) and celeb_a (24, 8 and 8), made up."""
    import tensorflow_datasets as tfds

    from tf_ccvae.data.celeba import ATTRIBUTES

    place = tmp_path_factory.mktemp("tfds")
    random = np.random.default_rng(0)

    def examples(count, features):
        for i in range(count):
            example = {"image": random.integers(0, 256, features["image"].shape, np.uint8)}
            if "label" in features:
                example |= {"id": f"train_{i:05}", "label": i % 10}
            else:
                example |= {"attributes": {name: bool(random.integers(2)) for name in ATTRIBUTES}}
                example |= {kind: {name: i for name in features[kind]} for kind in ("landmarks", "identity")}
            yield example

    tfds.disable_progress_bar()
    for name, sizes in (("cifar10", {"train": 48, "test": 12}), ("celeb_a", {"train": 24, "validation": 8, "test": 8})):
        real = tfds.builder(name, data_dir=place)
        features = real.info.features
        if name == "cifar10":  # the real one learns the names of its classes from what it downloads
            features["label"].names = [
                "airplane",
                "automobile",
                "bird",
                "cat",
                "deer",
                "dog",
                "frog",
                "horse",
                "ship",
                "truck",
            ]
        tfds.dataset_builders.store_as_tfds_dataset(
            name,
            str(real.version),
            features,
            {split: list(enumerate(examples(count, features))) for split, count in sizes.items()},
            data_dir=place,
        )
    return place


@pytest.fixture(scope="session")
def huggingface_folder(tmp_path_factory):
    """A data set of the package `datasets` as flwrlabs/celeba is: pictures, booleans, splits train, valid and test."""
    import datasets

    from tf_ccvae.data.celeba import PAPER_LABELS

    random = np.random.default_rng(0)
    features = {"image": datasets.Image(), "celeb_id": datasets.Value("int64")}
    features |= {name: datasets.Value("bool") for name in (*PAPER_LABELS, "Bald")}

    def split(count):
        from PIL import Image

        columns = {name: (random.random(count) < 0.5).tolist() for name in features if name != "image"}
        columns["celeb_id"] = list(range(count))
        columns["image"] = [Image.fromarray(random.integers(0, 256, (218, 178, 3), np.uint8)) for _ in range(count)]
        return datasets.Dataset.from_dict(columns, features=datasets.Features(features))

    place = tmp_path_factory.mktemp("huggingface") / "celeba"
    datasets.DatasetDict({"train": split(24), "valid": split(8), "test": split(8)}).save_to_disk(place)
    return place


@pytest.fixture(scope="session")
def idx_folder(tmp_path_factory):
    """As MNIST: 60 pictures to train and 20 for the test in four IDX files, their classes 0, 1, ..., 9, 0, ..."""
    import struct

    from tf_ccvae.data.idx import FILES

    place = tmp_path_factory.mktemp("idx")
    random = np.random.default_rng(0)
    for split, count in (("train", 60), ("test", 20)):
        images, classes = random.integers(0, 256, (count, 28, 28), np.uint8), np.arange(count, dtype=np.uint8) % 10
        for name, values in zip(FILES[split], (images, classes), strict=True):
            header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
            (place / name).write_bytes(header + values.tobytes())
    return place
