"""The run directory: what is in it, and how it is made, saved, loaded and continued.

config.yaml       every setting
history.csv       one line per epoch
checkpoints/      weights and optimizer state of the last and of the best epoch; state.json says which
tensorboard/      events
model.keras       the model of the best epoch, once training has ended
results.json      measures on the test split
examples.npz      the first pictures of the test split and their labels, so that the run can be used without its data
figures/          pictures
"""

import csv
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import keras
import numpy as np

from tf_ccvae.support import keras_files
from tf_ccvae.support.errors import UserError, reason
from tf_ccvae.support.files import new_folder, replacing, write_json, write_text

if TYPE_CHECKING:
    from tf_ccvae.data.dataset import Split
    from tf_ccvae.models.labelled_vae import LabelledVAE

EXAMPLES = 64  # test pictures that a run keeps: as many as the figures and the check of an export take


class RunError(UserError):
    """A run directory that cannot be used; the message is one line that says what is wrong and what to do."""


@dataclass(frozen=True)
class State:
    """Where a training stands.

    epoch: number of finished epochs.
    best_epoch: the one (counted from 1) with the highest validation bound so far; 0 before the first.
    history: one dict of measures per finished epoch, None where one is not known.
    """

    epoch: int = 0
    best_epoch: int = 0
    history: tuple[dict[str, float | None], ...] = ()


class Examples(NamedTuple):
    """The first pictures of the test split.

    images: uint8 (examples, height, width, channels).
    labels: int16 (examples, labels), -1 where a label is not known; with number labels float32, NaN there.
    """

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Run:
    """Paths of one run directory."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def model(self) -> Path:
        return self.path / "model.keras"

    @property
    def history(self) -> Path:
        return self.path / "history.csv"

    @property
    def results(self) -> Path:
        return self.path / "results.json"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def examples(self) -> Path:
        return self.path / "examples.npz"

    def weights(self, epoch: int) -> Path:
        """Weights and optimizer state after `epoch` epochs."""
        return self.checkpoints / f"epoch-{epoch:04d}.weights.h5"

    def state(self) -> State:
        """What checkpoints/state.json says; the state before the first epoch if there is none.

        Raises:
          RunError: the file or a checkpoint that it names is damaged or missing.
        """
        path = self.checkpoints / "state.json"
        if not path.exists():
            return State()
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            state = State(int(content["epoch"]), int(content["best_epoch"]), tuple(content["history"]))
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{path}: not readable ({error}); start a new run") from error
        for epoch in {state.epoch, state.best_epoch} - {0}:
            if not self.weights(epoch).exists():
                raise RunError(f"{self.weights(epoch)}: missing; start a new run")
        return state

    def save_checkpoint(self, model: keras.Model, state: State) -> None:
        """Writes weights and state after an epoch, then removes checkpoints that are neither last nor best."""
        keras_files.save_weights(model, self.weights(state.epoch))
        write_json(self.checkpoints / "state.json", state.__dict__)
        write_text(self.history, _table(state.history))
        kept = {self.weights(state.epoch), self.weights(state.best_epoch)}
        for path in self.checkpoints.glob("epoch-*.weights.h5"):
            if path not in kept:
                path.unlink()

    def save_model(self, model: keras.Model) -> None:
        """Writes architecture and weights, without optimizer, schedule or anything else of the training."""
        bare = type(model).from_config(model.get_config())
        bare.set_weights(model.get_weights())
        keras_files.save_model(bare, self.model)

    def load_weights(self, model: keras.Model, epoch: int) -> None:
        """Gives a model the weights, and its optimizer the state, after `epoch` epochs.

        Raises:
          RunError: the checkpoint cannot be read.
        """
        path = self.weights(epoch)
        try:
            keras_files.load_weights(model, path)
        except OSError as error:
            raise RunError(f"{path}: not readable ({reason(error)}); start a new run") from error

    def save_examples(self, split: "Split") -> None:
        """Keeps the first `EXAMPLES` pictures of a split and their labels."""
        images, labels = np.asarray(split.images[:EXAMPLES]), split.labels[:EXAMPLES]
        labels = labels.astype(np.float32 if np.issubdtype(labels.dtype, np.floating) else np.int16)
        with replacing(self.examples) as beside, beside.open("wb") as file:
            np.savez_compressed(file, images=images, labels=labels)

    def read_examples(self) -> Examples | None:
        """What `save_examples` has kept; None if the run has none, as runs of imported weights.

        Raises:
          RunError: the file is damaged.
        """
        if not self.examples.is_file():
            return None
        try:
            with np.load(self.examples, allow_pickle=False) as arrays:
                return Examples(arrays["images"], arrays["labels"])
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise RunError(f"{self.examples}: not readable ({error}); remove it to use the run's data") from error


def _table(history: tuple[dict[str, float | None], ...]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    return text.getvalue()


def create(path: Path | None, name: str) -> Run:
    """A new run directory: `path`, or runs/<name>-<time>.

    Raises:
      RunError: the directory is there already and not empty, or cannot be written.
    """
    try:
        if path is None:
            path = new_folder(Path("runs"), name)
        path.mkdir(parents=True, exist_ok=True)
        run = Run(path)
        if any(path.iterdir()):
            raise FileExistsError
        run.checkpoints.mkdir()  # by one of two programs that are told the same directory at the same time
        run.figures.mkdir()
    except FileExistsError:
        if path is not None and path.is_dir():
            raise RunError(
                f"--run-dir: {path} is not empty; choose another, or continue that run by --resume {path}"
            ) from None
        raise RunError(f"--run-dir: {path} is not a folder; choose another") from None
    except OSError as error:
        where = path or "runs"
        raise RunError(f"--run-dir: {where} cannot be written ({reason(error)}); choose another") from error
    return run


def load(path: Path) -> tuple[Run, "LabelledVAE"]:
    """A finished run and its model.

    Raises:
      RunError: there is no run, it has no model yet, or the model cannot be read.
    """
    run = Run(Path(path))
    if not run.config.is_file():
        raise RunError(f"{path}: not a run directory (no config.yaml); name one that tf_ccvae.fit has made")
    if not run.model.is_file():
        raise RunError(f"{path}: no model.keras yet; finish training by python -m tf_ccvae.fit --resume {path}")
    try:
        return run, keras.models.load_model(run.model)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise RunError(f"{run.model}: not readable ({' '.join(str(error).split())[:200]}); train again") from error
