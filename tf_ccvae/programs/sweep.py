"""The search: trials proposed by KerasTuner, trained as ordinary runs, ranked."""

import csv
import io
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tf_ccvae import settings
from tf_ccvae.programs.sweep_settings import Range, Sweep, configure, less_is_better, text_of
from tf_ccvae.support.files import Json, write_text

if TYPE_CHECKING:
    from keras_tuner import HyperParameters, Oracle, Tuner
    from keras_tuner.engine.trial import Trial

    from tf_ccvae.data.dataset import Dataset


def space(sweep: Sweep) -> "HyperParameters":
    """The searched settings as KerasTuner's HyperParameters; lists become choices between texts."""
    from keras_tuner import HyperParameters

    space = HyperParameters()
    for name, values in sweep.search.items():
        if isinstance(values, Range):
            whole = all(isinstance(x, int) for x in (values.min, values.max, values.step or 1))
            make = space.Int if whole else space.Float
            make(name, values.min, values.max, step=values.step, sampling=values.scale)
        else:
            space.Choice(name, [text_of(value) for value in values])
    return space


def oracle(sweep: Sweep, epochs: int | str) -> "Oracle":
    """KerasTuner's oracle that proposes the trials; hyperband trains the best for `epochs` epochs, a number."""
    from keras_tuner import Objective, oracles

    shared = {
        "objective": Objective(sweep.objective, "min" if less_is_better(sweep.objective) else "max"),
        "hyperparameters": space(sweep),
        "seed": sweep.seed + 1,  # to KerasTuner 0 means none
        "max_consecutive_failed_trials": 10,
    }
    if sweep.tuner == "hyperband":
        return oracles.HyperbandOracle(max_epochs=epochs, **shared)
    kinds = {"random": oracles.RandomSearchOracle, "bayesian": oracles.BayesianOptimizationOracle}
    return kinds[sweep.tuner](max_trials=sweep.trials, **shared)


Train = Callable[[str, settings.Config], float]


def search(sweep: Sweep, fixed: Sequence[str], to: Path, train: Train, report: Callable[[str], None]) -> "Tuner":
    """Runs the trials that are still missing.

    Args:
      sweep: the sweep.
      fixed: arguments that hold for all trials.
      to: folder of the sweep.
      train: from a trial's name and settings to the value of the objective.
      report: called with one line per trial.

    Returns:
      The KerasTuner tuner, whose `oracle.trials` are the trials by name.
    """
    import keras_tuner
    from sklearn.exceptions import ConvergenceWarning

    epochs = configure(sweep, {}, fixed).training.epochs

    class Trials(keras_tuner.Tuner):
        def run_trial(self, trial: "Trial", *arguments: object, **keywords: object) -> dict[str, float]:
            value = train(trial.trial_id, trial_config(sweep, trial, fixed))
            report(f"trial {trial.trial_id}: {sweep.objective} {value:.5g}  {shown(sweep, trial)}")
            return {sweep.objective: value}

        def on_trial_end(self, trial: "Trial") -> None:
            super().on_trial_end(trial)
            write(sweep, fixed, self.oracle, to)

    tuner = Trials(oracle(sweep, epochs), directory=str(to), project_name="search")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of the Gaussian process, after the first few trials
        tuner.search(verbose=0)
    return tuner


def trial_config(sweep: Sweep, trial: "Trial", fixed: Sequence[str]) -> settings.Config:
    """The settings of a trial, with the number of epochs that hyperband gives it."""
    values = trial.hyperparameters.values
    config = configure(sweep, {name: values[name] for name in sweep.search}, fixed)
    if "tuner/epochs" not in values:
        return config
    training = config.training.model_copy(update={"epochs": int(values["tuner/epochs"])})
    return config.model_copy(update={"training": training})


def shown(sweep: Sweep, trial: "Trial") -> str:
    values = trial.hyperparameters.values
    return "  ".join(f"{name} {short(values[name])}" for name in sweep.search)


def short(value: Json) -> str:
    """A value of a setting as tables show it."""
    return f"{value:.4g}" if isinstance(value, float) else text_of(value)


def ranking(sweep: Sweep, oracle: "Oracle") -> "list[Trial]":
    """The trials that ended well, best first; those of the most epochs before others."""
    ended = [trial for trial in oracle.trials.values() if trial.status == "COMPLETED"]
    sign = 1 if less_is_better(sweep.objective) else -1
    return sorted(ended, key=lambda t: (-t.hyperparameters.values.get("tuner/epochs", 0), sign * t.score))


def write(sweep: Sweep, fixed: Sequence[str], oracle: "Oracle", to: Path) -> None:
    """Writes results.csv, best trial first, and best.yaml, its settings."""
    ranked = ranking(sweep, oracle)
    if not ranked:
        return
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    best = trial_config(sweep, ranked[0], fixed)
    writer.writerow(["trial", sweep.objective, "epochs", *sweep.search])
    for trial in ranked:
        values = trial.hyperparameters.values
        epochs = values.get("tuner/epochs", best.training.epochs)
        if "training.epochs" in sweep.search:
            epochs = values["training.epochs"]
        writer.writerow([trial.trial_id, trial.score, epochs, *(values[name] for name in sweep.search)])
    write_text(to / "results.csv", table.getvalue())
    best.to_yaml(to / "best.yaml")


class LastData:
    """The data of configurations; loaded again only if their settings differ from the last."""

    def __init__(self) -> None:
        self._key: tuple[settings.Data, int] | None = None
        self._dataset: Dataset | None = None

    def of(self, config: settings.Config) -> "Dataset":
        """The data set of a configuration; raises what `sources.load` does."""
        from tf_ccvae.data import sources

        key = (config.data, config.seed)
        if self._dataset is None or self._key != key:
            self._key, self._dataset = key, sources.load(config.data, config.seed, progress=True)
        return self._dataset


def trainer(to: Path, objective: str, data: LastData, report: Callable[[str], None]) -> Train:
    """What trains a trial: in `to`/runs/<trial>, going on with a run that was stopped.

    Args:
      to: folder of the sweep.
      objective: the column of history.csv.
      data: where trials get their data.
      report: called with one line for the user.
    """
    import keras
    from keras_tuner.errors import FailedTrialError

    from tf_ccvae.training import loop, run_directory
    from tf_ccvae.training.tracking import Trackers

    def train(name: str, config: settings.Config) -> float:
        run = run_directory.Run(to / "runs" / f"{to.name}-{name}")
        if not run.config.is_file() or settings.Config.of_run(run.config) != config:
            shutil.rmtree(run.path, ignore_errors=True)  # of a sweep that was stopped before it was first saved
            run = run_directory.create(run.path, config.name)
            config.to_yaml(run.config)
        dataset = data.of(config)
        keras.backend.clear_session()
        try:
            with Trackers(config, run, report) as trackers:
                if loop.train(config, dataset, run, callbacks=trackers.callbacks).interrupted:
                    raise KeyboardInterrupt
        except (settings.ConfigError, run_directory.RunError) as error:
            report(f"trial {name}: {error}")
            raise FailedTrialError(str(error)) from error
        state = run.state()
        value = state.history[state.best_epoch - 1][objective]
        if value is None:
            reason = f"{objective} is not known: no validation example has a label for it"
            report(f"trial {name}: {reason}; choose another objective")
            raise FailedTrialError(reason)
        return value

    return train
