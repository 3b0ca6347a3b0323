"""Records of a training outside its run directory: MLflow and Weights & Biases, each a Keras callback.

Both get every setting as a parameter, the measures of each epoch as in `history.csv`, and, when training has ended,
`results.json`, the figures and, if wanted, the model. The run directory keeps which record is its own in
`tracking.json`, so that a continued run goes on in the same one. Neither may stop a training: the first failure of a
tracker is reported in one line, and the training goes on without it.
"""

import abc
import contextlib
import json
import math
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping

import keras

from tf_ccvae.settings import Config, ConfigError, flatten
from tf_ccvae.support.files import JsonObject, write_json
from tf_ccvae.support.packages import is_missing, missing_package
from tf_ccvae.training.run_directory import Run

LARGEST_BATCH = 100  # parameters in one request to MLflow


class Tracker(keras.callbacks.Callback, abc.ABC):
    """Measures of every epoch to one tracker; after a failure it does nothing more.

    Args:
      config: settings of the run.
      run: the run directory.
      report: called with one line for the user.
    """

    name = ""  # of the setting

    def __init__(self, config: Config, run: Run, report: Callable[[str], None]):
        super().__init__()
        self.config = config
        self.run = run
        self.report = report
        self.working = True
        self.async_safe = True  # only epochs are looked at

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """What is done inside may fail: that is reported once, and the tracker is not used any more."""
        try:
            yield
        except Exception as error:
            self.working = False
            reason = " ".join(str(error).split()) or type(error).__name__
            self.report(f"warning: tracking.{self.name}: {reason}; this run goes on without it")

    def start(self) -> None:
        """Begins the record, or goes on with the one that the run directory names."""
        with self.guarded():
            self.open(flatten(self.config))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self.working:
            with self.guarded():
                rate = self.model.optimizer.learning_rate
                self.log(epoch + 1, {**measures(logs or {}), "learning_rate": float(keras.ops.convert_to_numpy(rate))})

    def finish(self, results: JsonObject) -> None:
        """Sends results, figures and the model if wanted, and ends the record as one that succeeded."""
        if self.working:
            with self.guarded():
                self.complete(results)
        self.end("finished")

    def end(self, status: str) -> None:
        """Ends the record, if it has not ended: 'finished', 'interrupted' or 'failed'."""
        if self.working:
            with self.guarded():
                self.close(status)
        self.working = False

    def stored(self) -> dict[str, str]:
        """What `tracking.json` says about this tracker; empty for a run that it has not seen."""
        path = self.run.path / "tracking.json"
        return dict(json.loads(path.read_text(encoding="utf-8")).get(self.name, {})) if path.exists() else {}

    def store(self, values: dict[str, str]) -> None:
        """Writes into `tracking.json` which record this run has."""
        path = self.run.path / "tracking.json"
        before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        write_json(path, {**before, self.name: values})

    # What each tracker does in its own way; all may raise anything.

    @abc.abstractmethod
    def open(self, parameters: JsonObject) -> None:
        """Begins the record with these settings, or goes on with the one that `stored` names."""

    @abc.abstractmethod
    def log(self, epoch: int, values: dict[str, float]) -> None:
        """Measures of an epoch, counted from 1."""

    @abc.abstractmethod
    def complete(self, results: JsonObject) -> None:
        """What is in results.json, figures and model."""

    @abc.abstractmethod
    def close(self, status: str) -> None:
        """Ends the record: 'finished', 'interrupted' or 'failed'."""


class MLflow(Tracker):
    """A run in an MLflow experiment, through a client of its own: nothing that is global in mlflow is touched."""

    name = "mlflow"

    def open(self, parameters: JsonObject) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param, RunTag

        uri = self.config.tracking.uri
        if uri is not None and ("://" not in uri or uri.startswith("file:")):
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # who names a folder wants one
        self.client = MlflowClient(tracking_uri=uri)
        stored = self.stored()
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in parameters.items()}
        if stored and stored.get("uri") == (uri or ""):
            self.run_id = stored["run_id"]
            before = self.client.get_run(self.run_id).data.params
            changed = [RunTag(f"changed.{k}", text) for k, text in texts.items() if before.get(k, text) != text]
            self.client.log_batch(self.run_id, tags=changed)
            self.client.update_run(self.run_id, status="RUNNING")
            return
        name = self.config.tracking.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME", "Default")
        experiment = self.client.get_experiment_by_name(name)
        where = experiment.experiment_id if experiment else self.client.create_experiment(name)
        self.run_id = self.client.create_run(where, run_name=self.run.path.name).info.run_id
        self.store({"run_id": self.run_id, "uri": uri or ""})
        rows = [Param(key, text) for key, text in texts.items()]
        for first in range(0, len(rows), LARGEST_BATCH):
            self.client.log_batch(self.run_id, params=rows[first : first + LARGEST_BATCH])

    def log(self, epoch: int, values: dict[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        # MLflow refuses names with other characters; a label may have them
        rows = [Metric(re.sub(r"[^\w./ -]", "_", key), value, now, epoch) for key, value in values.items()]
        self.client.log_batch(self.run_id, metrics=rows)

    def complete(self, results: JsonObject) -> None:
        epoch = int(results["training"]["best_epoch"])
        self.log(epoch, {f"test_{key}": value for key, value in measures_of_test(results).items()})
        for path in (self.run.results, self.run.config):
            self.client.log_artifact(self.run_id, str(path))
        self.client.log_artifacts(self.run_id, str(self.run.figures), "figures")
        if self.config.tracking.model:
            self.client.log_artifact(self.run_id, str(self.run.model))

    def close(self, status: str) -> None:
        self.client.set_terminated(
            self.run_id, {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}[status]
        )


class WandB(Tracker):
    """A run in a Weights & Biases project; with `offline`, files in the run directory for `wandb sync`."""

    name = "wandb"

    def open(self, parameters: JsonObject) -> None:
        import wandb

        offline = self.config.tracking.wandb == "offline"
        run_id = self.stored().get("run_id") or uuid.uuid4().hex[:8]
        self.record = wandb.init(
            project=self.config.tracking.experiment or None,
            name=self.run.path.name,
            id=run_id,
            resume=None if offline else "allow",  # offline the same id is enough
            dir=str(self.run.path),
            config=parameters,
            allow_val_change=True,
            mode="offline" if offline else None,
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off"),
        )
        self.store({"run_id": run_id})
        if self.record.url:
            self.report(f"Weights & Biases: {self.record.url}")

    def log(self, epoch: int, values: dict[str, float]) -> None:
        self.record.log(values, step=epoch)

    def complete(self, results: JsonObject) -> None:
        import wandb

        self.record.summary.update({f"test_{key}": value for key, value in measures_of_test(results).items()})
        pictures = sorted(self.run.figures.glob("*.png"))
        self.record.log({f"figures/{path.stem}": wandb.Image(str(path)) for path in pictures})
        for path in (self.run.results, self.run.config):
            self.record.save(str(path), base_path=str(self.run.path), policy="now")
        if self.config.tracking.model:
            artifact = wandb.Artifact(f"model-{self.record.id}", type="model")
            artifact.add_file(str(self.run.model))
            self.record.log_artifact(artifact)

    def close(self, status: str) -> None:
        self.record.finish(exit_code={"finished": 0, "interrupted": 130, "failed": 1}[status])


TRACKERS: tuple[type[Tracker], ...] = (MLflow, WandB)


def check(config: Config) -> None:
    """Checks before training that the packages of the trackers that are switched on are there.

    Raises:
      ConfigError: one is missing.
    """
    for setting in ("mlflow", "wandb"):
        if getattr(config.tracking, setting) and is_missing(setting):
            raise ConfigError(f"tracking.{setting}: {missing_package(setting)}")


class Trackers:
    """All trackers of a run, begun. `with` ends them as failed if an exception passes.

    Args:
      config: settings of the run.
      run: the run directory.
      report: called with one line for the user.
      chief: whether this worker is the one that tracks; the others have no trackers.
    """

    def __init__(self, config: Config, run: Run, report: Callable[[str], None] = print, chief: bool = True):
        kinds = [kind for kind in TRACKERS if chief and getattr(config.tracking, kind.name)]
        self.callbacks = tuple(kind(config, run, report) for kind in kinds)
        for tracker in self.callbacks:
            tracker.start()

    def finish(self, results: JsonObject) -> None:
        """Sends what the run has left behind.

        Args:
          results: what is in results.json.
        """
        for tracker in self.callbacks:
            tracker.finish(results)

    def end(self, status: str) -> None:
        """Ends those that have not ended: 'finished', 'interrupted' or 'failed'."""
        for tracker in self.callbacks:
            tracker.end(status)

    def __enter__(self) -> "Trackers":
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        self.end("finished" if kind is None else "interrupted" if kind is KeyboardInterrupt else "failed")


def measures(logs: Mapping[str, float]) -> dict[str, float]:
    """The logs of a Keras epoch under the names of history.csv: `val_bound` is `validation_bound`."""
    numbers = {key: float(value) for key, value in logs.items()}
    return {re.sub(r"^val_", "validation_", key): value for key, value in numbers.items() if not math.isnan(value)}


def measures_of_test(results: JsonObject) -> dict[str, float]:
    """The numbers under `test` in results.json, those of single labels as `accuracy_<label>`."""
    numbers = {key: float(value) for key, value in results["test"].items() if isinstance(value, int | float)}
    for label, values in results["test"].get("labels", {}).items():
        numbers.update({f"{key}_{label}": float(x) for key, x in values.items() if isinstance(x, int | float)})
    return numbers
