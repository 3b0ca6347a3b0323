"""Measures a trained model: `python -m tf_ccvae.evaluate RUN [--split test]`.

Writes evaluation.json, report.html and figures/evaluation/ into the run. A judge, trained on the real images of the
training split on first use, is kept in RUN/judge; `--judge` takes that of another run on the same data.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from tf_ccvae.programs.on_run import main_of
from tf_ccvae.programs.run_inputs import add_places, load_data, places_of, settings_of_run
from tf_ccvae.settings import ConfigError
from tf_ccvae.support.errors import line_of
from tf_ccvae.support.files import JsonObject
from tf_ccvae.support.parser import Parser


def parser() -> Parser:
    """The command line."""
    options = Parser("python -m tf_ccvae.evaluate", __doc__)
    options.add_argument("run", type=Path, help="run directory that tf_ccvae.fit has made")
    options.add_argument("--split", default="test", help="train, validation or test (default)")
    options.add_argument("--judge", type=Path, help="folder of a judge (default: RUN/judge)")
    options.add_argument("--seed", type=int, default=0, help="of everything that is drawn (default: 0)")
    options.add_argument("--generated", type=int, default=2000, help="images generated for distances (default: 2000)")
    add_places(options)
    options.add_argument(
        "--examples",
        type=int,
        help="images of the split to look at, drawn by the seed (default: all)",
    )
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns its exit code: 0, or 2 for bad input."""
    return main_of(parser(), argv, run_command)


def run_command(arguments: argparse.Namespace) -> int:
    """Loads run, data and judge, measures, writes; see `tf_ccvae.evaluation`."""
    from tf_ccvae.evaluation import judge as judges
    from tf_ccvae.evaluation import report as page
    from tf_ccvae.evaluation import suite
    from tf_ccvae.evaluation.context import Context
    from tf_ccvae.evaluation.plain_view import view_of, without_numbers
    from tf_ccvae.support.console import plain_console
    from tf_ccvae.support.files import write_json
    from tf_ccvae.training import run_directory

    if arguments.examples is not None and arguments.examples < 1:
        raise ConfigError("--examples: must be at least 1")
    if arguments.generated < 24:
        raise ConfigError("--generated: must be at least 24")
    console = plain_console()
    started = time.monotonic()
    try:
        run, model = run_directory.load(arguments.run)
        dataset = load_data(settings_of_run(run, places_of(arguments)))
        dataset.split(arguments.split)
        if not model.labels.same_as(dataset.labels):
            raise ConfigError(f"{run.config}: the data have other labels than the model of this run")
        folder = arguments.judge or run.path / "judge"
        with console.status("judge: training on real images, once") as status:
            shared = (arguments.split, arguments.seed, arguments.generated, arguments.examples)
            if model.labels.numbers:
                judge = judges.cached(without_numbers(dataset), folder)
                whole = Context(model, dataset, judge, *shared)
                context = Context(view_of(model), without_numbers(dataset), judge, *shared, whole)
            else:
                judge = judges.cached(dataset, folder)
                context = Context(model, dataset, judge, *shared)
            evaluation = suite.evaluate(context, lambda what: status.update(f"measuring: {what}"))
            page.write(evaluation, context.labels, run.path.name, run.figures / "evaluation", run.path / "report.html")
            write_json(run.path / "evaluation.json", evaluation.results)
    except OSError as error:
        raise ConfigError(line_of(error, arguments.run)) from error
    for name, better, what, row in page.headlines(evaluation.results):
        console.print(
            f"{name:21} {row['mean']:.3f} ({row['low']:.3f} to {row['high']:.3f})  {better} is better: {what}"
        )
    for name, row in evaluation.results.get("grades", {}).items():
        console.print(
            f"{name}: {shown(row['steps_off'])} steps off, rank correlation {shown(row['rank_correlation'])}"
            + (f", {shown(row['set']['steps_off'])} steps off as set and read by the judge" if "set" in row else "")
        )
    for name, row in evaluation.results.get("numbers", {}).items():
        console.print(
            f"{name}: R2 {shown(row['r2'])}, mean absolute error {shown(row['absolute_error'], 4)}, "
            f"{shown(row['coverage'])} in the 90 % interval, set and read by the judge with a correlation of "
            f"{shown(row['set']['correlation'])}"
            + (f", true set {shown(row['counterfactual']['set']['inside'])}" if "counterfactual" in row else "")
        )
    for part, reason in evaluation.results.get("not_measured", {}).items():
        console.print(f"not measured: {part}: {reason}")
    console.print(
        f"Report: {run.path / 'report.html'}   Numbers: {run.path / 'evaluation.json'}   "
        f"{time.monotonic() - started:.0f} s"
    )
    return 0


def shown(row: JsonObject, digits: int = 3) -> str:
    """The mean of a measure, a dash where there is none."""
    return "-" if row["mean"] is None else f"{row['mean']:.{digits}g}"
