"""How far do few labels go, and who goes furthest with them? `python -m benchmarks.few_labels`

Every model that `fit` trains, and a classifier alone, on the same images with the same few labels for as many steps:
Fashion-MNIST with 100, 600, 3,000 and all labels (configs/fashion_mnist.yaml), the drawn faces at f = 0.004, 0.06, 0.2
and 1 (configs/avatars.yaml), and two styles of `benchmarks.unseen` at f = 0.02 (configs/folder.yaml). What stands in
these files holds for every model, but for `training.epochs`, which is as many as make `--steps` steps and at least 3.
The classifier alone is the same encoder with a softmax for each label, trained by cross-entropy on the labels that
are known, with the same optimizer, batches and number of steps; it keeps the epoch with the best validation accuracy,
and the other models that with the best validation bound. With less than a tenth of the labels there are three seeds,
which draw other labelled images too.

A row is a model, a case and a seed. Runs are kept in `--runs`, and one that was stopped goes on at its last epoch; rows
are appended to results/few_labels.jsonl, and what is there is not run again. `--rows 1` stops after the next row.
results/few_labels.md is written from all rows.
"""

import argparse
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.common import ROOT, append, finished, machine, parser_of, table
from benchmarks.few_labels_classifier import train_classifier
from benchmarks.unseen import data as unseen
from tf_ccvae import settings
from tf_ccvae.data import sources
from tf_ccvae.data.dataset import Dataset
from tf_ccvae.evaluation import classification
from tf_ccvae.programs import fit
from tf_ccvae.support.console import plain_console
from tf_ccvae.support.files import write_json, write_text
from tf_ccvae.support.parser import mistakes_in_one_line
from tf_ccvae.training import measures, run_directory, strategies, tracking

CLASSIFIER = "classifier"
MODELS = {
    "ccvae": "CCVAE",
    "m2": "M2",
    "diva": "DIVA",
    "mvae": "MVAE",
    "vae_classifier": "VAE with a classifier",
    CLASSIFIER: "classifier alone",
}
FEW = 0.1  # share of labelled images below which there are several seeds
SEEDS = 3
COLUMNS = {  # name in the table: name in a row, digits
    "accuracy": ("accuracy", 4),
    "balanced accuracy": ("balanced_accuracy", 4),
    "calibration error": ("calibration_error", 4),
    "error": ("error", 4),
    "bound (nats)": ("bound", 1),
    "seconds": ("seconds", 0),
}


@dataclass(frozen=True)
class Case:
    """A data set with few of its labels.

    source: 'fashion_mnist', 'avatars', or the name of a style of `benchmarks.unseen`.
    labelled: how many training images keep their labels, or which share of them if it is at most 1.
    """

    source: str
    labelled: float

    @property
    def name(self) -> str:
        return f"{self.source}/{self.labelled:g}"

    def fraction(self, examples: int) -> float:
        """The `data.labelled_fraction` that keeps so many labels of so many training images."""
        if self.labelled <= 1:
            return self.labelled
        return (self.labelled - 0.5) / examples if self.labelled < examples else 1.0


CASES = (
    *(Case("fashion_mnist", count) for count in (100, 600, 3000, 55000)),
    *(Case("avatars", fraction) for fraction in (0.004, 0.06, 0.2, 1.0)),
    *(Case(style, 0.02) for style in ("micah", "personas")),
)


def file_of(case: Case) -> Path:
    """The configuration of a case."""
    return ROOT / "configs" / f"{case.source if case.source in ('fashion_mnist', 'avatars') else 'folder'}.yaml"


def dataset_of(case: Case, arguments: argparse.Namespace) -> Dataset:
    """The data set of a case; the same for all seeds of it."""
    config = settings.Config.from_yaml(file_of(case))
    if file_of(case).stem == "folder":
        shares = (config.data.validation_fraction, config.data.test_fraction)
        return unseen.dataset(case.source, arguments.examples, 0, *shares, cache_dir=arguments.runs / "drawings")
    changed: dict[str, Any] = {"path": arguments.data} if case.source == "fashion_mnist" and arguments.data else {}
    if case.source == "avatars" and arguments.examples:
        changed["examples"] = arguments.examples
    return sources.load(config.data.model_copy(update=changed), 0)


def configured(case: Case, model: str, seed: int, dataset: Dataset, steps: int) -> settings.Config:
    """The settings of a row; those of `ccvae` for the classifier alone."""
    config = settings.Config.from_yaml(file_of(case))
    fraction = case.fraction(len(dataset.train))
    changed = {
        "name": model,
        "seed": seed,
        "data": config.data.model_copy(update={"labelled_fraction": fraction}),
        "model": config.model.model_copy(update={"name": "ccvae" if model == CLASSIFIER else model}),
        "training": config.training.model_copy(update={"epochs": "auto", "steps": steps}),
        "tracking": config.tracking.model_copy(update={"tensorboard": False, "pictures": 0}),
    }
    return config.model_copy(update=changed)


def train(config: settings.Config, dataset: Dataset, folder: Path) -> run_directory.Run:
    """Trains a model of `fit` on a data set in memory, from where its run stands; nothing if that is finished.

    Raises:
      SystemExit: Ctrl-C.
      UserError: the settings do not fit the data, or the run cannot be written.
    """
    run = run_directory.Run(folder)
    if run.results.is_file():
        return run
    if not run.config.is_file():
        run = run_directory.create(folder, config.name)
        config.to_yaml(run.config)
    job = fit.Job(config, dataset, run, strategies.make(config.strategy), plain_console(), 0.0)
    with tracking.Trackers(config, run, job.console.print) as trackers:
        model = fit.train(job, trackers)
    if model is None:
        raise SystemExit(fit.INTERRUPTED)
    results = fit.measure(job, model)
    results["training"]["seconds"] = round(sum(row["seconds"] for row in run.state().history), 1)
    write_json(run.results, results)
    return run


def measure(case: Case, model: str, seed: int, dataset: Dataset, arguments: argparse.Namespace) -> dict[str, Any]:
    """Trains a model and measures it on the test split: a row."""
    config = configured(case, model, seed, dataset, arguments.steps)
    place = arguments.runs / f"{case.name.replace('/', '-')}-{model}-{arguments.steps}-{seed}"
    if model == CLASSIFIER:
        classifier = train_classifier(config, dataset, place)
        probabilities, row = classifier.probabilities(dataset.test.images), dict(classifier.training)
    else:
        run = train(config, dataset, place)
        trained = run_directory.load(run.path)[1]
        size = measures.EVALUATION_BATCH
        parts = [
            np.asarray(trained(dataset.test.images[i : i + size]).label_probabilities)
            for i in range(0, len(dataset.test), size)
        ]
        probabilities = np.concatenate(parts)
        results = json.loads(run.results.read_text(encoding="utf-8"))
        row = {name: results["training"][name] for name in ("steps", "seconds", "best_epoch")}
        row |= {"bound": results["test"]["bound"], "error": results["test"]["mean_absolute_error"]}
    found = classification.from_arrays(dataset.test.labels.astype(np.int64), probabilities, dataset.labels)
    for name in ("accuracy", "balanced_accuracy", "calibration_error"):
        row[name] = found[name]["mean"]
    row["interval"] = [found["accuracy"][end] for end in ("low", "high")]
    return row


def rows_of(cases: Sequence[Case], arguments: argparse.Namespace) -> Iterator[tuple[Case, str, int, Dataset]]:
    """All rows in the order in which they are run: case, model, seed, and the data set."""
    for case in cases:
        dataset = dataset_of(case, arguments)
        seeds = range(SEEDS if case.fraction(len(dataset.train)) < FEW else 1)
        for seed, model in itertools.product(arguments.seeds or seeds, arguments.models):
            yield case, model, seed, dataset


def cell(rows: Sequence[dict[str, Any]], name: str, digits: int) -> str:
    """The mean over seeds, with the smallest and the largest if there are several."""
    values = [row[name] for row in rows if row.get(name) is not None]
    if not values:
        return "-"
    mean = f"{np.mean(values):,.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def summarise(rows: Sequence[dict[str, Any]], where: dict[str, Any]) -> str:
    """The Markdown page."""
    body = []
    for case, steps in sorted({(row["case"], row["steps"]) for row in rows}, key=lambda x: (_place(x[0]), x[1])):
        for model, title in MODELS.items():
            same = [r for r in rows if (r["case"], r["steps"], r["model"]) == (case, steps, model)]
            if same:
                cells = [cell(same, name, digits) for name, digits in COLUMNS.values()]
                body.append([case, f"{steps:,}", title, str(len(same)), *cells])
    text = [
        "# Few labels",
        "",
        "Made by `python -m benchmarks.few_labels`; see its docstring. Means over seeds, smallest and largest in",
        "brackets.",
        f"Machine: {where}",
        "",
        "Lower is better for calibration error and error. Bounds are on log p(x, y) with every test label known, but",
        "for MVAE and the VAE with a classifier, where p(y) is what their latents give.",
        "",
        table(["data/labels", "steps", "model", "seeds", *COLUMNS], body),
    ]
    return "\n".join(text)


def _place(case: str) -> int:
    names = [known.name for known in CASES]
    return names.index(case) if case in names else len(names)


def main(argv: Sequence[str] | None = None) -> None:
    """The program."""
    parser = parser_of(__doc__)
    names = [case.name for case in CASES]
    parser.add_argument("--cases", nargs="+", default=names, choices=names, metavar="CASE", help=", ".join(names))
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument(
        "--seeds", nargs="+", type=int, help="by default 0, 1 and 2 below a tenth of the labels, else 0"
    )
    parser.add_argument("--steps", type=int, default=3000, help="of each training, as in the default run")
    parser.add_argument("--rows", type=int, help="stop after so many new rows")
    parser.add_argument("--examples", type=int, help="how many faces are drawn; fewer only to try it out")
    parser.add_argument("--data", type=Path, help="folder of Fashion-MNIST's files, where they are not in their place")
    parser.add_argument("--runs", type=Path, default=Path("runs/few_labels"), help="folder for the runs")
    arguments = parser.parse_args(argv)
    path = arguments.results / "few_labels.jsonl"
    done = 0
    with mistakes_in_one_line():
        for case, model, seed, dataset in rows_of([c for c in CASES if c.name in arguments.cases], arguments):
            key = f"{case.name}/{model}/{arguments.steps}/{seed}"
            if key in finished(path):
                continue
            if done == arguments.rows:
                break
            row = measure(case, model, seed, dataset, arguments)
            append(path, {"key": key, "case": case.name, "model": model, "seed": seed, **row})
            print(key, row, flush=True)
            keras.backend.clear_session()
            done += 1
    rows = list(finished(path).values())
    write_text(arguments.results / "few_labels.md", summarise(rows, machine()))


if __name__ == "__main__":
    main()
