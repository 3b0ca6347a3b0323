"""Trains a CCVAE: `python -m tf_ccvae.fit [--config FILE] [--SETTING VALUE ...]`; `--help` lists every setting."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tf_ccvae import config as settings
from tf_ccvae.startup import prepare


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns its exit code: 0, 2 for bad input, 130 after Ctrl-C."""
    command = settings.read(sys.argv[1:] if argv is None else argv, prog="python -m tf_ccvae.fit")
    prepare()
    from tf_ccvae.data.dataset import DataError
    from tf_ccvae.runs import RunError

    try:
        return run_command(command)
    except (settings.ConfigError, DataError, RunError) as error:
        settings.exit_with(error)


def run_command(command: settings.Command) -> int:
    """Loads the data, trains, measures, draws; see `tf_ccvae.training` and `tf_ccvae.report`."""
    from rich.console import Console

    from tf_ccvae import report, runs, training
    from tf_ccvae.data import sources

    config = command.config
    console = Console(highlight=False, soft_wrap=True)
    started = time.monotonic()
    dataset = sources.load(config.data, config.seed, progress=True)
    settings.check_latents(config, dataset.labels)
    for warning in dataset.about.get("warnings", ()):
        console.print(f"warning: {warning}")
    run = runs.Run(Path(command.resume)) if command.resume else runs.create(command.run_dir, config.name)
    config.to_yaml(run.config)
    console.print(
        f"{dataset.name}: {len(dataset.train):,} training images of {'x'.join(map(str, dataset.image_shape))}, "
        f"{len(dataset.labels)} labels. Run: {run.path}"
    )
    steps = training.steps_per_epoch(config, dataset.train)
    try:
        with report.progress(console, config.training.epochs, steps, run.state().epoch) as bar:
            model = training.train(config, dataset, run, report=bar.epoch, callbacks=(bar.callback,))
    except KeyboardInterrupt:
        return _interrupted(console, run)
    run.save_model(model)
    results: dict[str, Any] = {
        "test": training.measure(model, dataset.test),
        "training": {
            "epochs": len(run.state().history),
            "best_epoch": run.state().best_epoch,
            "seconds": round(time.monotonic() - started, 1),
            "parameters": int(model.count_params()),
            "likelihood_scale": model.image_likelihood.fitted_scale(),
        },
    }
    report.draw(model, dataset, run)
    runs.write_json(run.results, results)
    report.summary(console, results, run)
    return 0


def _interrupted(console: Any, run: Any) -> int:
    state = run.state()
    console.print(
        f"Stopped after {state.epoch} finished epochs. Go on with: python -m tf_ccvae.fit --resume {run.path}"
    )
    return 130


if __name__ == "__main__":
    sys.exit(main())
