"""What do some hundred or thousand images of one's own give, and after how long? `python -m benchmarks.own_images`

The drawn faces take the place of somebody's images: the first N training faces as PNG files, with a CSV file of five
labels of which a third, chosen at random, is left empty. Each row is `tf_ccvae.fit` with configs/folder.yaml and so
many images and epochs, or with some of its settings changed, measured on the 1,000 test faces by one judge that was
trained on all 10,000 training faces. Runs are kept in `--runs`; what is there is not run again, results are appended to
results/own_images.jsonl, from which results/own_images.md is made.
"""

import argparse
import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

from benchmarks.common import append, at, finished, machine, parser_of, table
from tf_ccvae import fit
from tf_ccvae.data import avatars
from tf_ccvae.data.dataset import Dataset
from tf_ccvae.evaluation import judge as judges
from tf_ccvae.evaluation import suite
from tf_ccvae.evaluation.context import Context
from tf_ccvae.labels import MISSING
from tf_ccvae.support.files import write_text
from tf_ccvae.training import run_directory

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "folder.yaml"
LABELS = ("Eyeglasses", "Smiling", "Wearing_Hat", "No_Beard", "Long_Hair")
LEFT_EMPTY = 1 / 3
VALIDATION = 500
ROWS = ((500, 188), (1500, 71), (5000, 22))  # images, and as many epochs as `training.epochs` auto makes of them
VARIANTS = {  # what is changed in configs/folder.yaml
    "": (),
    "the paper's networks": ("--model.backbone", "paper"),
    "shifts and flips": ("--data.augment", "[shift, flip]"),
    "without the consistency term": ("--objective.consistency-weight", "0"),
}
VARIED = (1500, 71)  # at which images and epochs
COLUMNS = {  # name in the table: where in the evaluation, digits
    "accuracy": (("classification", "exact", "accuracy"), 3),
    "error": (("reconstruction", "mean_absolute_error"), 4),
    "set success": (("set_success",), 3),
    "swap success": (("swap_success",), 3),
    "capture": (("within_label_capture",), 3),
}


def write_folder(faces: Dataset, images: int, folder: Path, seed: int) -> Path:
    """Writes images and labels.csv as a user would have them, unless they are there; returns the CSV file."""
    path = folder / "labels.csv"
    if path.is_file():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    rows = []
    for name, split, count in (("train", faces.train, images), ("validation", faces.validation, VALIDATION)):
        for i, (image, values) in enumerate(zip(split.images[:count], split.labels[:count], strict=True)):
            Image.fromarray(image).save(folder / f"{name}{i}.png")
            empty = random.random(len(values)) < (LEFT_EMPTY if name == "train" else 0)
            known = [
                "" if hidden or value == MISSING else int(value) for value, hidden in zip(values, empty, strict=True)
            ]
            rows.append([f"{name}{i}.png", name, *known])
    for i, image in enumerate(faces.test.images[:10]):  # a run wants some; it is measured on all of them below
        Image.fromarray(image).save(folder / f"test{i}.png")
        rows.append([f"test{i}.png", "test", *map(int, faces.test.labels[i])])
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["file", "split", *faces.labels.names], *rows])
    return path


def train(
    name: str, labels: Path, epochs: int, changed: tuple[str, ...], arguments: argparse.Namespace
) -> run_directory.Run:
    """Trains one model, unless its run is there."""
    run = run_directory.Run(arguments.runs / name)
    if not run.results.is_file():
        new = ["--config", str(CONFIG), "--data.images", str(labels.parent), "--data.labels", str(labels)]
        new += ["--training.epochs", str(epochs), "--seed", str(arguments.seed), *changed, "--run-dir", str(run.path)]
        if fit.main(["--resume", str(run.path)] if run.config.is_file() else new):
            raise SystemExit(1)
    return run


def measured(
    run: run_directory.Run, faces: Dataset, judge: judges.Judge, arguments: argparse.Namespace
) -> dict[str, Any]:
    """The measures of a run on the test faces: mean and interval by column, seconds and steps of its training."""
    model = run_directory.load(run.path)[1]
    faces = replace(faces, renderer=None)  # counterfactual scores are not in the table
    results = suite.evaluate(Context(model, faces, judge, seed=arguments.seed, count=arguments.generated)).results
    row = {
        name: {key: at(results, (*path, key)) for key in ("mean", "low", "high")} for name, (path, _) in COLUMNS.items()
    }
    training = json.loads(run.results.read_text(encoding="utf-8"))["training"]
    return {**row, "seconds": training["seconds"], "steps": training["steps"]}


def summarise(rows: list[dict[str, Any]], where: dict[str, Any]) -> str:
    """The Markdown page."""
    body = []
    for row in rows:
        cells = [
            "-" if row[name]["mean"] is None else f"{row[name]['mean']:.{digits}f}"
            for name, (_, digits) in COLUMNS.items()
        ]
        numbers = [f"{row[name]:,}" for name in ("images", "epochs", "steps")]
        body.append([*numbers, row["variant"] or "-", f"{row['seconds']:.0f}", *cells])
    text = [
        "# A folder of images and five labels, a third of them missing",
        "",
        "Made by `python -m benchmarks.own_images`; see its docstring. configs/folder.yaml, with what is named as",
        f"changed; measured on {rows[0]['tested']:,} test faces, seed {rows[0]['seed']}.",
        f"Machine: {where}",
        "",
        table(["images", "epochs", "steps", "changed", "seconds of fit", *COLUMNS], body),
    ]
    return "\n".join(text)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--examples", type=int, default=12000, help="how many faces are drawn; fewer only to try it out"
    )
    parser.add_argument("--only", nargs=2, type=int, metavar=("IMAGES", "EPOCHS"), help="one row instead of the table")
    parser.add_argument("--generated", type=int, default=240, help="images for distances, which are not shown")
    parser.add_argument("--runs", type=Path, default=Path("runs/own_images"), help="folder for images and runs")
    arguments = parser.parse_args()
    faces = avatars.load(examples=arguments.examples, progress=True).with_labels(LABELS)
    judge = judges.cached(faces, arguments.runs / "judge")
    path = arguments.results / "own_images.jsonl"
    wanted = [tuple(arguments.only)] if arguments.only else ROWS
    rows = [(images, epochs, "") for images, epochs in wanted]
    rows += [] if arguments.only else [(*VARIED, variant) for variant in VARIANTS if variant]
    for images, epochs, variant in rows:
        key = f"{images}/{epochs}/{variant}/{arguments.seed}"
        if key in finished(path):
            continue
        labels = write_folder(faces, images, arguments.runs / f"images-{images}-{arguments.seed}", arguments.seed)
        run = train(key.replace("/", "-").replace(" ", "_"), labels, epochs, VARIANTS[variant], arguments)
        about = {"key": key, "images": images, "epochs": epochs, "variant": variant, "seed": arguments.seed}
        row = measured(run, faces, judge, arguments)
        append(path, {**about, "tested": len(faces.test), **row})
        print(key, row, flush=True)
        keras.backend.clear_session()
    write_text(arguments.results / "own_images.md", summarise(list(finished(path).values()), machine()))


if __name__ == "__main__":
    main()
