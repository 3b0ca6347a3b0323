"""Trains a CCVAE: `python -m tf_ccvae.fit [--config FILE] [--SETTING VALUE ...]`; `--help` lists every setting."""

from __future__ import annotations

import dataclasses
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tf_ccvae import settings
from tf_ccvae.support.errors import UserError, failed_write, line_of
from tf_ccvae.support.files import JsonObject
from tf_ccvae.support.parser import mistakes_in_one_line
from tf_ccvae.support.startup import prepare

if TYPE_CHECKING:
    from rich.console import Console

    from tf_ccvae.data.dataset import Dataset
    from tf_ccvae.models.labelled_vae import LabelledVAE
    from tf_ccvae.training.run_directory import Run
    from tf_ccvae.training.strategies import Devices
    from tf_ccvae.training.tracking import Trackers

FAILED_CHECK = 1  # exit code when an exported file is not near enough to Keras
SHOWN = 8  # test images among which one is chosen for the command at the end
MEANINGS = 10  # notes on what was taken for what that are printed
LOST = 75  # exit code when another worker has gone: try again
INTERRUPTED = 130  # exit code after Ctrl-C
MAY_CHANGE = (  # when a run is continued
    "strategy",
    "data.images",
    "data.labels",
    "data.path",
    "objective.label_weight",
    "training.epochs",
    "training.steps",
    "training.learning_rate",
    "training.clip_norm",
    "training.early_stopping",
    "training.jit",
    "export.formats",
    "export.to",
    "tracking.tensorboard",
    "tracking.pictures",
    "tracking.mlflow",
    "tracking.wandb",
    "tracking.experiment",
    "tracking.uri",
    "tracking.model",
)


@dataclass(frozen=True)
class Job:
    """One training: what is read, where it is written, and what computes it.

    started: when the program started, by `time.monotonic`.
    """

    config: settings.Config
    dataset: Dataset
    run: Run
    devices: Devices
    console: Console
    started: float


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns its exit code: 0, 2 for bad input, 75 if another worker has gone, 130 after Ctrl-C."""
    command = settings.read(sys.argv[1:] if argv is None else argv, prog="python -m tf_ccvae.fit")
    from tf_ccvae.data import sources

    with mistakes_in_one_line():
        sources.check_at_hand(command.config.data)
        prepare(devices=command.config.strategy != "multi_worker")
        from tf_ccvae.training.strategies import WorkerLost

        try:
            return run_command(command)
        except WorkerLost as error:
            print("error:", error, file=sys.stderr, flush=True)
            return LOST


def run_command(command: settings.Command) -> int:
    """Prepares, trains, measures, reports; returns the exit code.

    With several workers the chief alone writes, prints and measures; the others wait for it to end.

    Raises:
      ConfigError, DataError, RunError: settings, data or run directory cannot be used, or writing failed.
      WorkerLost: another worker has gone.
    """
    import tensorflow as tf

    from tf_ccvae.training import tracking
    from tf_ccvae.training.run_directory import RunError

    job = prepare_job(command)
    try:
        with tracking.Trackers(job.config, job.run, job.console.print, job.devices.chief) as trackers:
            model = train(job, trackers)
            if model is None:
                return INTERRUPTED
            code = 0
            if job.devices.chief:
                results = measure(job, model)
                report(job, model, results, trackers)
                code = export(job) if job.config.export.formats else 0
            job.devices.leave()
            return code
    except (OSError, tf.errors.OpError) as error:
        cause = error if isinstance(error, OSError) else failed_write(error)
        if cause is None:
            raise
        line = line_of(cause, job.run.path)
        raise RunError(f"{line}; once that is mended go on by: {continued(job.run)}") from error


def prepare_job(command: settings.Command) -> Job:
    """Checks everything that can be checked before training, loads the data and opens the run directory.

    Raises:
      ConfigError, DataError, RunError: settings, data or run directory cannot be used.
    """
    from tf_ccvae.data import sources
    from tf_ccvae.support.console import plain_console
    from tf_ccvae.training import build, run_directory, strategies, tracking

    config = command.config
    if command.resume:
        check_unchanged(settings.Config.of_run(run_directory.Run(command.resume).config), config)
    check_export(config)
    tracking.check(config)
    started = time.monotonic()
    devices = strategies.make(config.strategy)
    console = plain_console(quiet=not devices.chief)
    dataset = sources.load(config.data, config.seed, progress=devices.chief)
    command = dataclasses.replace(command, config=sources.settled(config, dataset))
    config = command.config
    settings.check_labels(config, dataset.labels)
    settings.number_of_latents(config, dataset.labels)  # refused before there is a run directory
    build.check_network(config, dataset.image_shape)
    meaning = dataset.about.get("meaning", ())
    console.print(*meaning[:MEANINGS], sep="\n", end="\n" if meaning else "")
    if len(meaning) > MEANINGS:
        console.print(f"... and {len(meaning) - MEANINGS} more columns; python -m tf_ccvae.data inspect lists all")
    for warning in dataset.about.get("warnings", ()):
        console.print(f"warning: {warning}")
    run = open_run(command, dataset, devices)
    console.print(
        f"{dataset.name}: {len(dataset.train):,} training images of {'x'.join(map(str, dataset.image_shape))}, "
        f"{len(dataset.labels)} labels. Run: {run.path}{devices.described()}"
    )
    return Job(config, dataset, run, devices, console, started)


def open_run(command: settings.Command, dataset: Dataset, devices: Devices) -> Run:
    """The run directory, with its settings and examples in it; the chief makes it.

    Raises:
      RunError: it cannot be made, or this worker does not see it.
    """
    from tf_ccvae.training import run_directory

    if devices.chief:
        run = (
            run_directory.Run(command.resume)
            if command.resume
            else run_directory.create(command.run_dir, command.config.name)
        )
        command.config.to_yaml(run.config)
        run.save_examples(dataset.test)
    else:
        run = run_directory.Run(command.resume or command.run_dir or Path())
    devices.wait()
    if not run.config.is_file():
        raise run_directory.RunError(
            f"{run.path}: the chief has made it, but it is not here; all workers need to share it"
        )
    return run


def train(job: Job, trackers: Trackers) -> LabelledVAE | None:
    """Trains and saves the model of the best epoch; None after Ctrl-C."""
    from tf_ccvae.training import build, loop, pictures, run_directory, terminal

    config, run = job.config, job.run
    counts = (build.number_of_epochs(config, job.dataset.train), build.steps_per_epoch(config, job.dataset.train))
    with terminal.progress(job.console, *counts, run.state().epoch) as bar:
        drawing = pictures.during(config.tracking, run, job.dataset, job.devices)
        callbacks = (bar.callback, *trackers.callbacks, *drawing)
        model, interrupted = loop.train(config, job.dataset, run, bar.epoch, callbacks, job.devices)
    if (finished := run.state().epoch) and job.devices.chief:
        run.save_model(model)
    if interrupted:
        job.console.print(f"Stopped after {finished} finished epochs. Go on by: {continued(run)}")
        trackers.end("interrupted")
        return None
    if job.devices.strategy and job.devices.chief:
        model = run_directory.load(run.path)[1]  # on one device
    return model


def measure(job: Job, model: LabelledVAE) -> JsonObject:
    """The content of results.json: measures on the test split, and what the training took."""
    from tf_ccvae.training import build, measures

    state = job.run.state()
    return {
        "test": measures.measure(model, job.dataset.test),
        "training": {
            "epochs": len(state.history),
            "steps": build.steps_per_epoch(job.config, job.dataset.train) * len(state.history),
            "best_epoch": state.best_epoch,
            "seconds": round(time.monotonic() - job.started, 1),
            "parameters": int(model.count_params()),
            "likelihood_scale": model.image_likelihood.fitted_scale(),
        },
    }


def report(job: Job, model: LabelledVAE, results: JsonObject, trackers: Trackers) -> None:
    """Writes figures and results.json, prints the summary, and ends the records of trackers."""
    import numpy as np

    from tf_ccvae import interventions
    from tf_ccvae.support.files import write_json
    from tf_ccvae.training import pictures, terminal

    pictures.draw(model, job.dataset, job.run)
    write_json(job.run.results, results)
    visible = interventions.most_visible(model, np.asarray(job.dataset.test.images[:SHOWN]))
    terminal.summary(job.console, results, job.run, visible, model.edits)
    trackers.finish(results)


def continued(run: Run) -> str:
    """The command that goes on with a run."""
    return f"python -m tf_ccvae.fit --resume {shlex.quote(str(run.path))}"


def check_export(config: settings.Config) -> None:
    """Checks before training that what `export.formats` asks for can be made.

    Raises:
      ConfigError: a baseline is trained, or a converter is missing.
    """
    if not config.export.formats:
        return
    from export.errors import ExportError
    from export.run import Options

    if config.model.name != "ccvae":
        raise settings.ConfigError(f"export.formats: only ccvae is exported, not {config.model.name}; leave it empty")
    try:
        Options(config.export.formats)
    except ExportError as error:
        raise settings.ConfigError(str(error).replace("--formats", "export.formats")) from error


def export(job: Job) -> int:
    """Exports the trained model as `export.formats` says; returns the exit code, 1 if a file fails its check.

    Raises:
      UserError: the export cannot be written.
    """
    from export import run as exporting
    from export.errors import CheckError, ExportError

    to = job.config.export.to or job.run.path / "export"
    try:
        options = exporting.Options(job.config.export.formats)
        exporting.export_run(job.run.path, to, options, report=job.console.print)
    except ExportError as error:
        raise UserError(str(error)) from error
    except CheckError as error:
        job.console.print(f"error: {error}")
        return FAILED_CHECK
    job.console.print(f"Export: {to}")
    return 0


def check_unchanged(saved: settings.Config, config: settings.Config) -> None:
    """Checks that a continued run keeps what it was started with.

    Raises:
      ConfigError: a setting outside `MAY_CHANGE` differs.
    """
    before = settings.flatten(saved)
    for key, value in settings.flatten(config).items():
        if value != before[key] and key not in MAY_CHANGE:
            raise settings.ConfigError(
                f"{key}: cannot change from {before[key]} to {value} when a run is continued; start a new run"
            )
