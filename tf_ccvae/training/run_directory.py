"""The run directory: what is in it, and how it is made, saved, loaded and continued.

config.yaml       every setting
history.csv       one line per epoch
checkpoints/      weights and optimizer state of the last and of the best epoch; state.json says which
tensorboard/      events
model.keras       the model of the best epoch, once training has ended
results.json      measures on the test split
figures/          pictures
"""

import csv
import io
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from tf_ccvae.support.files import replacing, write_json, write_text


class RunError(Exception):
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
        with replacing(self.weights(state.epoch)) as beside:
            model.save_weights(beside)
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
        with replacing(self.model) as beside:
            bare.save(beside)


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
    if path is None:
        path = Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise RunError(f"--run-dir: {path} is not empty; choose another, or continue that run by --resume {path}")
        run = Run(path)
        for folder in (run.checkpoints, run.figures):
            folder.mkdir()
    except OSError as error:
        raise RunError(f"--run-dir: {path} cannot be written ({error.strerror}); choose another") from error
    return run


def load(path: Path) -> tuple[Run, Any]:
    """A finished run and its model.

    Raises:
      RunError: there is no run, or it has no model yet.
    """
    run = Run(Path(path))
    if not run.config.is_file():
        raise RunError(f"{path}: not a run directory (no config.yaml); name one that tf_ccvae.fit has made")
    if not run.model.is_file():
        raise RunError(f"{path}: no model.keras yet; finish training by python -m tf_ccvae.fit --resume {path}")
    return run, keras.models.load_model(run.model)
