"""Searches for good settings: `python -m tf_ccvae.tune SWEEP [--to FOLDER] [--trials N] [--SETTING VALUE ...]`

SWEEP is a YAML file such as examples/sweep.yaml: which settings to start from, which to vary and how far, and which
validation measure to improve. KerasTuner proposes the settings of each trial; a trial is an ordinary training in a run
directory of its own. The test split is never looked at. Settings given here are fixed for all trials. Stopped sweeps go
on by the same command with the same folder.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from tf_ccvae import settings
from tf_ccvae.programs.sweep import LastData, ranking, search, short, trainer
from tf_ccvae.programs.sweep_settings import Sweep, check, check_objective, read_sweep
from tf_ccvae.support.errors import reason
from tf_ccvae.support.files import new_folder, write_text
from tf_ccvae.support.packages import is_missing, missing_package
from tf_ccvae.support.parser import Parser, mistakes_in_one_line
from tf_ccvae.support.startup import prepare

INTERRUPTED = 130


def parser() -> Parser:
    options = Parser("python -m tf_ccvae.tune", __doc__)
    options.add_argument("sweep", type=Path, help="YAML file that says what to search, such as examples/sweep.yaml")
    options.add_argument("--to", type=Path, help="folder of the sweep (default: runs/<name of the file>-<time>)")
    options.add_argument("--trials", type=int, help="in place of the number in the file")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns its exit code: 0, 1 if every trial failed, 2 for bad input, 130 after Ctrl-C."""
    with mistakes_in_one_line():
        arguments, fixed = parser().parse_known_args(sys.argv[1:] if argv is None else argv)
        return run(arguments, fixed)


def run(arguments: argparse.Namespace, fixed: list[str]) -> int:
    """Checks everything, searches, prints the best trials."""
    from rich.table import Table

    from tf_ccvae.support.console import plain_console

    file = arguments.sweep
    sweep = read_sweep(file)
    if arguments.trials is not None:
        if arguments.trials < 1:
            raise settings.ConfigError("--trials: must be at least 1")
        sweep = sweep.model_copy(update={"trials": arguments.trials})
    base = check(sweep, file, fixed)
    if is_missing("keras_tuner"):
        raise settings.ConfigError(f"a sweep {missing_package('keras_tuner')}")
    prepare()
    from tf_ccvae.training import tracking

    tracking.check(base)
    data = LastData()
    check_objective(sweep.objective, data.of(base))
    to = arguments.to or new_folder(Path("runs"), file.stem)
    remember(sweep, fixed, to)
    console = plain_console()
    try:
        tuner = search(sweep, fixed, to, trainer(to, sweep.objective, data, console.print), console.print)
    except KeyboardInterrupt:
        console.print(f"Stopped. Go on by the same command with --to {shlex.quote(str(to))}")
        return INTERRUPTED
    ranked = ranking(sweep, tuner.oracle)
    if not ranked:
        console.print("error: no trial ended well")
        return 1
    table = Table("trial", sweep.objective, *sweep.search)
    for trial in ranked[:10]:
        values = [short(trial.hyperparameters.values[name]) for name in sweep.search]
        table.add_row(trial.trial_id, f"{trial.score:.5g}", *values)
    console.print(table)
    console.print(f"All trials: {to / 'results.csv'}. Train by the best settings:")
    console.print(f"python -m tf_ccvae.fit --config {shlex.quote(str(to / 'best.yaml'))}")
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
        raise settings.ConfigError(f"--to: {to} cannot be written ({reason(error)}); choose another") from error
