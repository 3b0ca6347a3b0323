"""Trains a CCVAE: `python -m tf_ccvae.fit [--config FILE] [--SETTING VALUE ...]`; `--help` lists every setting."""

import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tf_ccvae import settings
from tf_ccvae.support.startup import prepare

INTERRUPTED = 130  # exit code after Ctrl-C
LOST = 75  # exit code when another worker has gone: try again
MAY_CHANGE = (  # when a run is continued
    "strategy",
    "data.images",
    "data.labels",
    "data.path",
    "objective.label_weight",
    "training.epochs",
    "training.learning_rate",
    "training.clip_norm",
    "training.early_stopping",
    "training.jit",
    "export.formats",
    "export.to",
    "tracking.tensorboard",
    "tracking.mlflow",
    "tracking.wandb",
    "tracking.experiment",
    "tracking.uri",
    "tracking.model",
)


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns its exit code: 0, 2 for bad input, 75 if another worker has gone, 130 after Ctrl-C."""
    command = settings.read(sys.argv[1:] if argv is None else argv, prog="python -m tf_ccvae.fit")
    from tf_ccvae.data import sources
    from tf_ccvae.data.dataset import DataError

    try:
        sources.check_at_hand(command.config.data)
    except DataError as error:
        settings.exit_with(error)
    prepare(devices=command.config.strategy != "multi_worker")
    from tf_ccvae.training.run_directory import RunError
    from tf_ccvae.training.strategies import WorkerLost

    try:
        return run_command(command)
    except (settings.ConfigError, DataError, RunError) as error:
        settings.exit_with(error)
    except WorkerLost as error:
        print("error:", error, file=sys.stderr, flush=True)
        return LOST


def run_command(command: settings.Command) -> int:
    """Loads the data, trains, measures, draws; see `tf_ccvae.training`.

    With several workers the chief alone writes, prints and measures; the others wait for it to end.
    """
    from tf_ccvae.data import sources
    from tf_ccvae.support.console import plain_console
    from tf_ccvae.training import run_directory, strategies, tracking

    config = command.config
    if command.resume:
        check_unchanged(settings.Config.from_yaml(run_directory.Run(command.resume).config), config)
    check_export(config)
    tracking.check(config)
    started = time.monotonic()
    devices = strategies.make(config.strategy)
    console = plain_console(quiet=not devices.chief)
    dataset = sources.load(config.data, config.seed, progress=devices.chief)
    settings.check_latents(config, dataset.labels)
    for warning in dataset.about.get("warnings", ()):
        console.print(f"warning: {warning}")
    run = open_run(command, devices)
    console.print(
        f"{dataset.name}: {len(dataset.train):,} training images of {'x'.join(map(str, dataset.image_shape))}, "
        f"{len(dataset.labels)} labels. Run: {run.path}{devices.described()}"
    )
    with tracking.Trackers(config, run, console.print, devices.chief) as trackers:
        return train(config, dataset, run, devices, console, trackers, started)


def train(
    config: settings.Config, dataset: Any, run: Any, devices: Any, console: Any, trackers: Any, started: float
) -> int:
    """Trains, measures, draws, exports; returns the exit code. `started` is when the program did, by time.monotonic."""
    from tf_ccvae.support.files import write_json
    from tf_ccvae.training import build, loop, measures, pictures, run_directory, terminal

    steps = build.steps_per_epoch(config, dataset.train)
    with terminal.progress(console, config.training.epochs, steps, run.state().epoch) as bar:
        callbacks = (bar.callback, *trackers.callbacks)
        model, interrupted = loop.train(config, dataset, run, bar.epoch, callbacks, devices)
    done = run.state().epoch
    if done and devices.chief:
        run.save_model(model)
    if interrupted:
        path = shlex.quote(str(run.path))
        console.print(f"Stopped after {done} finished epochs. Go on by: python -m tf_ccvae.fit --resume {path}")
        trackers.end("interrupted")
        return INTERRUPTED
    if not devices.chief:
        devices.leave()
        return 0
    if devices.strategy:
        model = run_directory.load(run.path)[1]  # on one device
    results: dict[str, Any] = {
        "test": measures.measure(model, dataset.test),
        "training": {
            "epochs": len(run.state().history),
            "steps": steps * len(run.state().history),
            "best_epoch": run.state().best_epoch,
            "seconds": round(time.monotonic() - started, 1),
            "parameters": int(model.count_params()),
            "likelihood_scale": model.image_likelihood.fitted_scale(),
        },
    }
    pictures.draw(model, dataset, run)
    write_json(run.results, results)
    terminal.summary(console, results, run)
    trackers.finish(results)
    code = export(config, run, console) if config.export.formats else 0
    devices.leave()
    return code


def open_run(command: settings.Command, devices: Any) -> Any:
    """The run directory, with its settings in it; the chief makes it.

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
    else:
        run = run_directory.Run(command.resume or command.run_dir or Path())
    devices.wait()
    if not run.config.is_file():
        raise run_directory.RunError(
            f"{run.path}: the chief has made it, but it is not here; all workers need to share it"
        )
    return run


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


def export(config: settings.Config, run: Any, console: Any) -> int:
    """Exports the trained model as `export.formats` says; returns the exit code, 1 if a file fails its check."""
    from export import run as exporting
    from export.errors import CheckError, ExportError

    to = config.export.to or run.path / "export"
    try:
        options = exporting.Options(config.export.formats)
        exporting.export_run(run.path, to, options, report=console.print)
    except ExportError as error:
        settings.exit_with(error)
    except CheckError as error:
        console.print(f"error: {error}")
        return 1
    console.print(f"Export: {to}")
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


if __name__ == "__main__":
    sys.exit(main())
