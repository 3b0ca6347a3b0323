"""The paper's table of CelebA: label accuracy at supervision rates 0.004, 0.06, 0.2 and 1: `python -m benchmarks.paper`

One command for a machine with the data and a GPU:

    python -m benchmarks.paper --data /data/celeba

`exact` is configs/celeba.yaml as it is, `pytorch` the estimator of the authors' PyTorch program with its batch size and
learning rate, `m2` the baseline. What was stopped goes on where it was: runs are kept in `--runs`, each is continued
from its last epoch, and what is finished is not run again. results/paper.jsonl gets a line for each run and
results/paper.md is written after each.

The paper's own numbers are not kept here: `--published FILE` reads them from a CSV file that whoever has the paper at
hand writes, with the header `method,rate,accuracy` and accuracies in [0, 1], and shows them beside what was measured.
"""

import argparse
import csv
import itertools
from pathlib import Path
from typing import Any

import keras

from benchmarks.common import append, finished, machine, parser_of, table
from tf_ccvae import fit, settings
from tf_ccvae.data import sources
from tf_ccvae.settings import ConfigError
from tf_ccvae.support.files import write_text
from tf_ccvae.support.parser import mistakes_in_one_line
from tf_ccvae.training import measures, run_directory

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "celeba.yaml"
RATES = (0.004, 0.06, 0.2, 1.0)
PAPER = {  # networks and settings of the official program, but for the estimator
    "model.backbone": "paper",
    "model.latents": "45",
    "model.latents-per-label": "1",
    "model.likelihood-scale": "1",
    "training.batch-size": "64",
    "training.learning-rate": "0.001",
}
METHODS: dict[str, dict[str, str]] = {
    "exact": {},
    "pytorch": {
        "objective.estimator": "pytorch",
        "training.batch-size": "200",
        "training.learning-rate": "0.0001",
        "training.schedule": "constant",
    },
    "m2": {"model.name": "m2"},
}
MEASURES = ("accuracy", "balanced_accuracy", "mean_absolute_error")
HEADER = ["method", "rate", "accuracy"]


def published(path: Path | None) -> dict[tuple[str, float], float]:
    """The paper's accuracies by method and rate, from a CSV file; none without a file.

    Raises:
      ConfigError: the file cannot be read or holds something else.
    """
    if path is None:
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = [line for line in csv.reader(file) if line]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--published: {path}: cannot be read ({error})") from error
    if not lines or lines[0] != HEADER:
        raise ConfigError(f"--published: {path}: the first line must be {','.join(HEADER)}")
    found = {}
    for number, line in enumerate(lines[1:], 2):
        try:
            method, rate, accuracy = line[0], float(line[1]), float(line[2])
            known = len(line) == 3 and 0 <= rate <= 1 and 0 <= accuracy <= 1
        except (ValueError, IndexError):
            known = False
        if not known:
            raise ConfigError(
                f"--published: {path}, row {number}: {','.join(line)!r} is not a method, a rate and an accuracy, "
                "both numbers from 0 to 1"
            )
        found[method, rate] = accuracy
    return found


def train(method: str, rate: float, arguments: argparse.Namespace) -> run_directory.Run:
    """Trains one model, or goes on with it; nothing if it is finished."""
    run = run_directory.Run(arguments.runs / f"{method}-{rate:g}-{arguments.seed}")
    if run.results.is_file():
        return run
    given = {"config": str(arguments.config), "run-dir": str(run.path), "seed": str(arguments.seed)}
    given |= {"data.labelled-fraction": str(rate), **PAPER, **METHODS[method]}
    if arguments.data:
        given["data.path"] = str(arguments.data)
    if arguments.epochs:
        given["training.epochs"] = str(arguments.epochs)
    new = [part for name, value in given.items() for part in (f"--{name}", value)]
    code = fit.main(["--resume", str(run.path)] if run.config.is_file() else new)
    if code:
        raise SystemExit(code)
    return run


def measure(run: run_directory.Run) -> dict[str, Any]:
    """The measures of a finished run on the test split."""
    config = settings.Config.from_yaml(run.config)
    dataset = sources.load(config.data, config.seed)
    results = measures.measure(run_directory.load(run.path)[1], dataset.test)
    return {**{name: results[name] for name in MEASURES}, "epochs": config.training.epochs, "train": len(dataset.train)}


def summarise(rows: list[dict[str, Any]], known: dict[tuple[str, float], float], where: dict[str, Any]) -> str:
    """The Markdown page."""
    measured = {(r["method"], r["rate"]): r for r in rows}
    body = []
    for rate, method in itertools.product(RATES, dict.fromkeys([*METHODS, *(method for method, _ in known)])):
        row, there = measured.get((method, rate)), known.get((method, rate))
        if row is None and there is None:
            continue
        cells = ["-"] * len(MEASURES) if row is None else [f"{row[name]:.4f}" for name in MEASURES]
        body.append([f"{rate:g}", method, *cells, "-" if there is None else f"{there:g}"])
    about = sorted({(r["train"], r["epochs"], r["seed"]) for r in rows})
    text = [
        "# CelebA at the paper's supervision rates",
        "",
        "Made by `python -m benchmarks.paper`; see its docstring. Test split, means over labels.",
        *(f"{train:,} training images, {epochs} epochs, seed {seed}." for train, epochs, seed in about),
        f"Machine: {where}",
        "",
        table(["rate", "method", "accuracy", "balanced accuracy", "error", "accuracy in the paper"], body),
    ]
    return "\n".join(text)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--data", type=Path, help="folder of CelebA's files; through tensorflow-datasets if left out")
    parser.add_argument("--published", type=Path, help="CSV file of the paper's numbers: method,rate,accuracy")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--rates", nargs="+", type=float, default=list(RATES), choices=list(RATES))
    parser.add_argument("--config", type=Path, default=CONFIG, help="settings of all runs")
    parser.add_argument("--epochs", type=int, help="if others than the configuration says")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("runs/paper"), help="folder for the runs")
    arguments = parser.parse_args()
    path = arguments.results / "paper.jsonl"
    with mistakes_in_one_line():
        known = published(arguments.published)
        for rate, method in itertools.product(arguments.rates, arguments.methods):
            key = f"{method}/{rate:g}/{arguments.seed}"
            if key not in finished(path):
                row = measure(train(method, rate, arguments))
                append(path, {"key": key, "method": method, "rate": rate, "seed": arguments.seed, **row})
                print(key, row, flush=True)
                keras.backend.clear_session()
            text = summarise(list(finished(path).values()), known, machine())
            write_text(arguments.results / "paper.md", text)


if __name__ == "__main__":
    main()
