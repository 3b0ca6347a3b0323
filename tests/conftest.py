"""Fixtures shared by all tests: a tiny data set that is learned in seconds, a run on it, and an export of that."""

import gc
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests import made_up
from tests.made_up import made_once, on_tiny_folder
from tf_ccvae.data.dataset import Dataset
from tf_ccvae.support.startup import prepare

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


FAST = (  # rooms and files of single functions
    *("settings", "data_sources", "objective", "interventions", "evaluation", "models"),
    *("support/test_figures.py", "training/test_optimizers.py", "test_labels.py", "test_house.py", "test_docs.py"),
)
TRAIN = (  # in those rooms
    *("models/test_model.py", "models/test_baselines.py", "evaluation/test_judge.py"),
    *("evaluation/test_separation.py", "evaluation/test_within_label_capture.py"),
)
SLOW_FIXTURES = {"tiny_run", "exported", "numbers_exported", "tfds_folder", "huggingface_folder"}
FIRST = (  # the files that take longest, so that no process is left with one when the others have finished
    *("test_smoke.py", "export/test_run.py", "training/test_workers.py", "training/test_training.py"),
    *("serving/test_explorer.py", "models/test_model.py", "export/test_signatures.py", "export/test_runtimes.py"),
    *("export/test_pictures.py", "export/test_examples.py"),
    *("support/test_startup.py", "training/test_failed_writes.py", "export/test_saved_model.py", "test_package.py"),
    *("training/test_mirrored.py", "serving/test_publish.py", "models/test_baselines.py", "training/test_tracking.py"),
)


def of_functions(path):
    """Whether a file of tests is one of those of `FAST`."""
    place = path.relative_to(Path(__file__).parent)
    return bool({place.parts[0], str(place)} & set(FAST)) and str(place) not in TRAIN


def pytest_ignore_collect(collection_path, config):
    """`-m fast` need not import the files that hold no such test."""
    unwanted = config.getoption("markexpr") == "fast" and collection_path.match("test_*.py")
    return True if unwanted and not of_functions(collection_path) else None


def pytest_itemcollected(item):
    """Marks every test `fast`, of a function and small inputs, or `programs`, of whole programs."""
    fast = of_functions(item.path)
    slow = SLOW_FIXTURES & set(item.fixturenames) or item.get_closest_marker("programs")
    item.add_marker("programs" if slow or not fast or item.get_closest_marker("system") else "fast")


def turn(item):
    """When a test runs: the files of `FIRST` in their order, then all others."""
    place = str(item.path.relative_to(Path(__file__).parent))
    return FIRST.index(place) if place in FIRST else len(FIRST)


def pytest_collection_modifyitems(config, items):
    """Puts the tests into the order in which they run; leaves out the tests marked system without --system."""
    items.sort(key=turn)
    if config.getoption("--system"):
        return
    left_out = [item for item in items if item.get_closest_marker("system")]
    config.stash[LEFT_OUT] = len(left_out)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("system")]


def pytest_collection_finish(session):
    """What was imported is there to stay: the garbage collector need not look at it at every graph that is traced."""
    gc.collect()
    gc.freeze()


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


@pytest.fixture(scope="session")
def tiny() -> Dataset:
    return made_up.tiny()


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory, tiny):
    """The tiny data set as a folder of images with a CSV; returns (images, labels)."""
    place = tmp_path_factory.mktemp("tiny")
    made_up.write_tiny_folder(place, tiny)
    return place, place / "labels.csv"


@pytest.fixture
def tiny_arguments(tiny_folder):
    """Command-line arguments that train on the tiny folder in a few seconds, a model whose graphs are small."""
    return [
        *on_tiny_folder(tiny_folder),
        *("--model.latents-per-label", "1", "--model.backbone", "paper", "--objective.independence-weight", "0"),
        *("--training.epochs", "2", "--training.learning-rate", "2e-3", "--seed", "1"),
    ]


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
            path.mkdir(exist_ok=True)
            train(tiny_folder, made.run, made.by_fit)
            export_run(made.run, made.folder, Options(float16=True, int8_encoder=True))
    return made


def train(tiny_folder, run, by_fit):
    arguments = [
        *on_tiny_folder(tiny_folder),
        *("--model.latents-per-label", "2", "--training.epochs", "20", "--training.learning-rate", "3e-3"),
        *("--export.formats", "[litert]", "--export.to", str(by_fit)),
    ]
    from tf_ccvae import fit

    assert fit.main([*arguments, "--run-dir", str(run)]) == 0


class NumbersExported(NamedTuple):
    """An export of an untrained model with labels of every kind; see `numbers_export`."""

    folder: Path
    run: Path


@pytest.fixture(scope="session")
def numbers_exported(tmp_path_factory):
    """One export of everything, verified with the tiny test images."""
    from export.run import Options, export_run
    from tests import numbers_export

    with made_once(tmp_path_factory, "numbers_exported") as (path, needed):
        made = NumbersExported(path / "export", path / "run")
        if needed:
            numbers_export.write_run(made.run, numbers_export.made_up())
            images = made_up.tiny().test.images
            export_run(made.run, made.folder, Options(), images=images)
    return made


# Made-up data sets in the formats of the real ones.


@pytest.fixture(scope="session")
def celeba_folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("celeba")
    made_up.write_celeba(place)
    return place


@pytest.fixture(scope="session")
def chexpert_folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("data") / "CheXpert-v1.0-small"
    made_up.write_chexpert(place)
    return place


@pytest.fixture(scope="session")
def tfds_folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("tfds")
    made_up.write_tfds(place)
    return place


@pytest.fixture(scope="session")
def huggingface_folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("huggingface") / "celeba"
    made_up.write_huggingface(place)
    return place


@pytest.fixture(scope="session")
def idx_folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("idx")
    made_up.write_idx(place)
    return place
