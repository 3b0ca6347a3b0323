"""One run on the tiny folder, trained until it is right, and one export of it with everything.

All tests here share them, and so do all test processes.
"""

import fcntl
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from export.run import Options, export_run
from tf_ccvae import fit, runs


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
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if own.name.startswith("popen-") else own  # that of all processes of pytest-xdist
    made = Exported(shared / "exported", shared / "exported-run", shared / "exported-by-fit")
    with (shared / "exported.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.run.exists():
            train(tiny_folder, made.run, made.by_fit)
            export_run(made.run, made.folder, Options(float16=True, int8_encoder=True))
    return made


def train(tiny_folder, run, by_fit):
    images, labels = tiny_folder
    arguments = [
        *("--data.name", "folder", "--data.images", str(images), "--data.labels", str(labels)),
        *("--data.image-size", "28", "--data.channels", "1", "--model.latents", "6", "--model.hidden", "32"),
        *("--model.encoder-widths", "[8, 8, 16]", "--training.batch-size", "32", "--training.epochs", "12"),
        *("--training.learning-rate", "5e-3", "--objective.label-weight", "100"),
        *("--model.likelihood-scale", "1.0", "--model.latents-per-label", "2"),
        *("--export.formats", "[litert]", "--export.to", str(by_fit)),
    ]
    assert fit.main([*arguments, "--run-dir", str(run)]) == 0


@pytest.fixture(scope="session")
def model(exported):
    """The Keras model of the export."""
    return runs.load(exported.run)[1]


@pytest.fixture(scope="session")
def pixels(tiny):
    """float32 test images in [0, 1]."""
    return tiny.test.images.astype(np.float32) / 255
