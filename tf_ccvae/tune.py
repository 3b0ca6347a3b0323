"""Searches for good settings: `python -m tf_ccvae.tune SWEEP [--to FOLDER] [--trials N] [--SETTING VALUE ...]`

SWEEP is a YAML file such as examples/sweep.yaml: which settings to start from, which to vary and how far, and which
validation measure to improve. KerasTuner proposes the settings of each trial; a trial is an ordinary training in a run
directory of its own. The test split is never looked at. Settings given here are fixed for all trials. Stopped sweeps go
on by the same command with the same folder.
"""

import argparse
import csv
import difflib
import importlib.util
import io
import json
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from tf_ccvae import config as settings
from tf_ccvae.commands import Parser
from tf_ccvae.files import write_text
from tf_ccvae.startup import prepare

LEAST = ("validation_mean_absolute_error", "validation_style_divergence")  # measures of which less is better
INTERRUPTED = 130


class Range(settings.Settings):
    """Numbers from `min` to `max`; whole numbers if both are."""

    min: int | float
    max: int | float
    scale: Literal["linear", "log"] = "linear"
    step: int | float | None = None


class Sweep(settings.Settings):
    """What a sweep file holds.

    config: YAML file of settings to start from; relative to the current directory.
    settings: changes of it for all trials, such as `{training.epochs: 6}`.
    search: for each setting to vary a list of values or a `Range`.
    tuner: how settings are proposed; hyperband trains most trials for a few epochs only.
    trials: how many; hyperband has a number of its own, from `training.epochs`.
    objective: a column of history.csv that begins with `validation_`, taken at the epoch that the run keeps.
    seed: of the proposals.
    """

    config: Path
    settings: Annotated[dict[str, Any], Field(default_factory=dict)]
    search: Annotated[dict[str, Range | list[Any]], Field(min_length=1)]
    tuner: Literal["random", "bayesian", "hyperband"] = "bayesian"
    trials: Annotated[int, Field(ge=1)] = 20
    objective: Annotated[str, Field(pattern="^validation_")] = "validation_bound"
    seed: Annotated[int, Field(ge=0)] = 0


def read_sweep(path: Path) -> Sweep:
    """The sweep in a file.

    Raises:
      ConfigError: it cannot be read, or holds something that a sweep has not.
    """
    content = settings.read_yaml(path)
    try:
        return Sweep.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise settings.ConfigError(f"{path}: {'.'.join(map(str, first['loc'][:2]))}: {first['msg']}") from None


def text_of(value: Any) -> str:
    """A value as it is written on the command line: `0.1`, `true`, `null`, `[32, 64]`, `cosine`."""
    return value if isinstance(value, str) else json.dumps(value)


def option(name: str) -> str:
    """A setting as it is written on the command line: `--training.batch-size`."""
    return f"--{name.replace('_', '-')}"


def configure(sweep: Sweep, values: dict[str, Any], fixed: Sequence[str] = ()) -> settings.Config:
    """The settings of a trial.

    Args:
      sweep: the sweep.
      values: values of settings that are searched, as KerasTuner gives them.
      fixed: arguments such as `--training.epochs 3`; they come before the file.

    Raises:
      ConfigError: they are not settings, or impossible.
    """
    given = {argument.partition("=")[0] for argument in fixed}
    written = {option(name): value for name, value in {**sweep.settings, **values}.items()}
    arguments = [f"{name}={text_of(value)}" for name, value in written.items() if name not in given]
    return settings.parse(["--config", str(sweep.config), *fixed, *arguments]).config


def check(sweep: Sweep, file: Path, fixed: Sequence[str]) -> settings.Config:
    """Checks every value that the search can meet at its ends; returns the settings without the search.

    Raises:
      ConfigError: one of them is not possible.
    """
    base = configure(sweep, {}, fixed)
    if base.strategy != "none":
        raise settings.ConfigError("strategy: a sweep trains on one device; leave it at none")
    if sweep.tuner == "hyperband" and "training.epochs" in sweep.search:
        raise settings.ConfigError(f"{file}: search.training.epochs: hyperband sets it itself; take it out")
    for name, values in sweep.search.items():
        if option(name) in {argument.partition("=")[0] for argument in fixed}:
            raise settings.ConfigError(f"{option(name)}: {file} searches it; take it out in one of the two places")
        if isinstance(values, Range):
            if values.min >= values.max:
                raise settings.ConfigError(f"{file}: search.{name}: min must be below max")
            if values.scale == "log" and (values.min <= 0 or values.step is not None):
                raise settings.ConfigError(f"{file}: search.{name}: scale log needs a min above 0 and no step")
        elif len(values) < 2:
            raise settings.ConfigError(f"{file}: search.{name}: needs at least two values")
        for value in (values.min, values.max) if isinstance(values, Range) else values:
            try:
                configure(sweep, {name: value}, fixed)
            except settings.ConfigError as error:
                raise settings.ConfigError(f"{file}: search: {error}") from None
    return base


def space(sweep: Sweep) -> Any:
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


def oracle(sweep: Sweep, epochs: int) -> Any:
    """KerasTuner's oracle that proposes the trials; hyperband trains the best for `epochs` epochs."""
    from keras_tuner import Objective, oracles

    shared = {
        "objective": Objective(sweep.objective, "min" if sweep.objective in LEAST else "max"),
        "hyperparameters": space(sweep),
        "seed": sweep.seed + 1,  # to KerasTuner 0 means none
        "max_consecutive_failed_trials": 10,
    }
    if sweep.tuner == "hyperband":
        return oracles.HyperbandOracle(max_epochs=epochs, **shared)
    kinds = {"random": oracles.RandomSearchOracle, "bayesian": oracles.BayesianOptimizationOracle}
    return kinds[sweep.tuner](max_trials=sweep.trials, **shared)


Train = Callable[[str, settings.Config], float]


def search(sweep: Sweep, fixed: Sequence[str], to: Path, train: Train, report: Callable[[str], None]) -> Any:
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
        def run_trial(self, trial: Any, *arguments: Any, **keywords: Any) -> dict[str, float]:
            value = train(trial.trial_id, trial_config(sweep, trial, fixed))
            report(f"trial {trial.trial_id}: {sweep.objective} {value:.5g}  {shown(sweep, trial)}")
            return {sweep.objective: value}

        def on_trial_end(self, trial: Any) -> None:
            super().on_trial_end(trial)
            write(sweep, fixed, self.oracle, to)

    tuner = Trials(oracle(sweep, epochs), directory=str(to), project_name="search")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of the Gaussian process, after the first few trials
        tuner.search(verbose=0)
    return tuner


def trial_config(sweep: Sweep, trial: Any, fixed: Sequence[str]) -> settings.Config:
    """The settings of a trial, with the number of epochs that hyperband gives it."""
    values = trial.hyperparameters.values
    config = configure(sweep, {name: values[name] for name in sweep.search}, fixed)
    if "tuner/epochs" not in values:
        return config
    training = config.training.model_copy(update={"epochs": int(values["tuner/epochs"])})
    return config.model_copy(update={"training": training})


def shown(sweep: Sweep, trial: Any) -> str:
    values = trial.hyperparameters.values
    return "  ".join(f"{name} {_short(values[name])}" for name in sweep.search)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else text_of(value)


def ranking(sweep: Sweep, oracle: Any) -> list[Any]:
    """The trials that ended well, best first; those of the most epochs before others."""
    ended = [trial for trial in oracle.trials.values() if trial.status == "COMPLETED"]
    sign = 1 if sweep.objective in LEAST else -1
    return sorted(ended, key=lambda t: (-t.hyperparameters.values.get("tuner/epochs", 0), sign * t.score))


def write(sweep: Sweep, fixed: Sequence[str], oracle: Any, to: Path) -> None:
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


def trainer(to: Path, objective: str, data: dict[str, Any], report: Callable[[str], None]) -> Train:
    """What trains a trial: in `to`/runs/<trial>, going on with a run that was stopped.

    Args:
      to: folder of the sweep.
      objective: the column of history.csv.
      data: the last data set that was loaded and the settings it has, kept between trials.
      report: called with one line for the user.
    """
    import keras
    from keras_tuner.errors import FailedTrialError

    from tf_ccvae import runs, training
    from tf_ccvae.tracking import Trackers

    def train(name: str, config: settings.Config) -> float:
        run = runs.Run(to / "runs" / f"{to.name}-{name}")
        if not run.config.is_file() or settings.Config.from_yaml(run.config) != config:
            shutil.rmtree(run.path, ignore_errors=True)  # of a sweep that was stopped before it was first saved
            run = runs.create(run.path, config.name)
            config.to_yaml(run.config)
        dataset = load(config, data)
        keras.backend.clear_session()
        try:
            with Trackers(config, run, report) as trackers:
                if training.train(config, dataset, run, callbacks=trackers.callbacks).interrupted:
                    raise KeyboardInterrupt
        except (settings.ConfigError, runs.RunError) as error:
            report(f"trial {name}: {error}")
            raise FailedTrialError(str(error)) from error
        state = run.state()
        return float(state.history[state.best_epoch - 1][objective])

    return train


def load(config: settings.Config, data: dict[str, Any]) -> Any:
    """The data of a configuration; loaded again only if their settings differ from the last."""
    from tf_ccvae.data import sources

    key = (config.data, config.seed)
    if data.get("key") != key:
        data.update(key=key, dataset=sources.load(config.data, config.seed, progress=True))
    return data["dataset"]


def check_objective(objective: str, labels: Sequence[str]) -> None:
    """Checks that history.csv has such a column.

    Raises:
      ConfigError: it has not.
    """
    from tf_ccvae.training import MEASURES

    per_label = [f"{name}_{label}" for label in labels for name in MEASURES[-2:]]
    known = [f"validation_{name}" for name in (*MEASURES, *per_label)]
    if objective not in known:
        near = difflib.get_close_matches(objective, known, n=1, cutoff=0)
        raise settings.ConfigError(f"objective: {objective} is not measured; did you mean {near[0]}?")


def parser() -> Parser:
    made = Parser("python -m tf_ccvae.tune", __doc__)
    made.add_argument("sweep", type=Path, help="YAML file that says what to search, such as examples/sweep.yaml")
    made.add_argument("--to", type=Path, help="folder of the sweep (default: runs/<name of the file>-<time>)")
    made.add_argument("--trials", type=int, help="in place of the number in the file")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns its exit code: 0, 1 if every trial failed, 2 for bad input, 130 after Ctrl-C."""
    from tf_ccvae.data.dataset import DataError

    try:
        arguments, fixed = parser().parse_known_args(sys.argv[1:] if argv is None else argv)
        return run(arguments, fixed)
    except (settings.ConfigError, DataError) as error:
        settings.exit_with(error)


def run(arguments: argparse.Namespace, fixed: list[str]) -> int:
    """Checks everything, searches, prints the best trials."""
    from rich.console import Console
    from rich.table import Table

    file = arguments.sweep
    sweep = read_sweep(file)
    if arguments.trials is not None:
        if arguments.trials < 1:
            raise settings.ConfigError("--trials: must be at least 1")
        sweep = sweep.model_copy(update={"trials": arguments.trials})
    base = check(sweep, file, fixed)
    if importlib.util.find_spec("keras_tuner") is None:
        raise settings.ConfigError("a sweep needs the package keras-tuner; pip install -r requirements-tune.txt")
    prepare()
    from tf_ccvae import tracking

    tracking.check(base)
    data: dict[str, Any] = {}
    check_objective(sweep.objective, load(base, data).labels.names)
    to = arguments.to or Path("runs") / f"{file.stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    remember(sweep, fixed, to)
    console = Console(highlight=False, soft_wrap=True)
    try:
        tuner = search(sweep, fixed, to, trainer(to, sweep.objective, data, console.print), console.print)
    except KeyboardInterrupt:
        console.print(f"Stopped. Go on by the same command with --to {to}")
        return INTERRUPTED
    ranked = ranking(sweep, tuner.oracle)
    if not ranked:
        console.print("error: no trial ended well")
        return 1
    table = Table("trial", sweep.objective, *sweep.search)
    for trial in ranked[:10]:
        values = [_short(trial.hyperparameters.values[name]) for name in sweep.search]
        table.add_row(trial.trial_id, f"{trial.score:.5g}", *values)
    console.print(table)
    console.print(f"All trials: {to / 'results.csv'}. Train by the best settings:")
    console.print(f"python -m tf_ccvae.fit --config {to / 'best.yaml'}")
    return 0


def remember(sweep: Sweep, fixed: Sequence[str], to: Path) -> None:
    """Keeps in the folder what is searched; the number of trials may change later.

    Raises:
      ConfigError: the folder holds another sweep or something else, or cannot be written.
    """
    said = json.dumps({**sweep.model_dump(mode="json", exclude={"trials"}), "fixed": list(fixed)}, indent=2) + "\n"
    path = to / "sweep.json"
    try:
        to.mkdir(parents=True, exist_ok=True)
        if path.exists():
            if path.read_text(encoding="utf-8") != said:
                raise settings.ConfigError(f"--to: {to} holds a sweep with other settings; choose another folder")
        elif any(to.iterdir()):
            raise settings.ConfigError(f"--to: {to} is not empty and holds no sweep; choose another folder")
        else:
            write_text(path, said)
    except OSError as error:
        raise settings.ConfigError(f"--to: {to} cannot be written ({error.strerror}); choose another") from error


if __name__ == "__main__":
    sys.exit(main())
