"""What does the program give on pictures that nobody tuned it for? `python -m benchmarks.unseen`

Eight drawn data sets in eight styles of dicebear-styles, with labels that are true by construction. On each,
configs/folder.yaml is trained unchanged by the program's own training with `model.backbone: residual` and with `paper`;
and with `--official PATH`, a checkout of github.com/thwjoy/ccvae_pytorch, that program too, for as many seconds as the
residual network took. `--models hiding` is the residual network with `objective.hiding_weight: 1`. All are measured by
the same judge on the same test pictures; `official.py` says how that program gets categorical labels. The data set is
handed over in memory: a folder has neither categorical labels nor the factors that capture needs.

The styles that `styles.LOOKED_AT` names may be looked at while defaults are chosen; the others are run once at the end.

Each run adds a line to the results, so that a benchmark that was stopped goes on. Beside the results are written a page
with the table, and for each style a sheet: test pictures, reconstructions, and one label of each picture changed.
"""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from benchmarks.common import RESULTS, append, finished, machine, table
from benchmarks.unseen import data, measuring, official, training
from benchmarks.unseen.styles import LOOKED_AT, STYLES
from tf_ccvae.data.cache import digest
from tf_ccvae.data.dataset import SPLITS, Dataset
from tf_ccvae.evaluation.context import GENERATED
from tf_ccvae.evaluation.judge import Judge
from tf_ccvae.support.files import write_text
from tf_ccvae.support.parser import mistakes_in_one_line
from tf_ccvae.training import run_directory

BACKBONES = ("residual", "paper")
OFFICIAL = "official PyTorch"
MODELS = (*BACKBONES, training.HIDING, OFFICIAL)  # in this order
QUICK = {"examples": 160, "epochs": 1, "generated": 24}  # to see whether it works


def prepared(style: str, arguments: argparse.Namespace) -> tuple[Dataset, Path]:
    """The data set of a style, and the folder for all that is kept about it, which changes with the style's table."""
    shared = training.configured(BACKBONES[0], arguments.seed, arguments.epochs).data
    shares = (shared.validation_fraction, shared.test_fraction)
    dataset = data.dataset(style, arguments.examples, arguments.seed, *shares, cache_dir=arguments.cache / "drawings")
    if arguments.quick:
        dataset = dataset.with_labels((dataset.labels.names[0], dataset.labels.names[-1]))
    about = digest(
        [repr(STYLES[style]), data.VERSION, [len(dataset.split(name)) for name in SPLITS], dataset.labels.names]
    )
    return dataset, arguments.cache / f"{style}-{about[:8]}"


def place_of(name: str, folder: Path, arguments: argparse.Namespace) -> Path:
    """Where the run of a model is kept: another place whenever the settings, or the seconds, are others."""
    if name == OFFICIAL:
        return folder / f"official-{seconds_for_official(folder, arguments):g}s"
    config = training.configured(name, arguments.seed, arguments.epochs)
    return folder / f"{name}-{digest(config.dump())[:8]}"


def seconds_for_official(folder: Path, arguments: argparse.Namespace) -> float:
    """How long the official program may train: as `--seconds` says, or as long as the residual network has."""
    if arguments.seconds:
        return float(arguments.seconds)
    return float(trained_by(place_of(BACKBONES[0], folder, arguments))["seconds"])


def trained_by(place: Path) -> dict[str, Any]:
    """Steps and seconds of one of our runs."""
    content = json.loads(run_directory.Run(place).results.read_text(encoding="utf-8"))
    return dict(content["training"])


def run(name: str, dataset: Dataset, judge: Judge, place: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Trains and measures one model; its pictures are kept beside `place`. Returns steps, seconds and measures."""
    by_class = name == OFFICIAL
    if by_class:
        classes = official.by_class(dataset)
        seconds = seconds_for_official(place.parent, arguments)
        trained = official.train(classes, arguments.official, seconds, arguments.seed, place)
        model = official.load(place, classes)
    else:
        training.train(training.configured(name, arguments.seed, arguments.epochs), dataset, place)
        trained = trained_by(place)
        model = run_directory.load(place)[1]
    found = measuring.measures(model, dataset, judge, arguments.seed, arguments.generated, by_class)
    measuring.save_pictures(measuring.pictures(model, dataset, by_class), pictures_of(place))
    return {"steps": trained["steps"], "seconds": trained["seconds"], **found}


def pictures_of(place: Path) -> Path:
    return place.with_name(f"{place.name}.npz")


def cell(row: dict[str, Any], name: str) -> str:
    """A measure as the table shows it."""
    value = row[name]["mean"] if isinstance(row[name], dict) else row[name]
    return "-" if value is None else f"{value:.{measuring.COLUMNS[name][1]}f}"


def against_official(row: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    """The error over that of the official program on the same data and machine; '-' if there is none."""
    same = ("style", "seed", "train", "machine")
    for other in rows:
        if other["model"] == OFFICIAL and row["model"] != OFFICIAL and all(row[k] == other[k] for k in same):
            mine, theirs = row["error"]["mean"], other["error"]["mean"]
            return f"{mine / theirs:.2f}" if mine and theirs else "-"
    return "-"


def summarise(rows: list[dict[str, Any]]) -> str:
    """The Markdown page."""
    rows = sorted(rows, key=lambda row: (list(STYLES).index(row["style"]), MODELS.index(row["model"])))
    body = [
        [
            row["style"] + ("" if row["style"] in LOOKED_AT else " (held back)"),
            row["model"],
            row["instructions"],
            f"{row['train']:,}",
            f"{row['steps']:,}",
            f"{row['seconds']:.0f}",
            *(cell(row, name) for name in measuring.COLUMNS),
            against_official(row, rows),
        ]
        for row in rows
    ]
    header = ["style", "model", "machine", "images", "steps", "seconds", *measuring.COLUMNS, "error / official's"]
    styles = dict.fromkeys(row["style"] for row in rows)
    text = [
        "# Drawn faces and figures that nobody tuned the program for",
        "",
        "Made by `python -m benchmarks.unseen`; see its docstring. configs/folder.yaml with each backbone; styles that",
        "are held back were not looked at while defaults were chosen. Lower is better for error, Fréchet distance and",
        "what style tells of labels (AUROC by a linear and by a non-linear probe, 0.5 is nothing). Labels read well",
        "are those that the judge reads right on 0.9 of real images. True edits are scored against pictures that were",
        "drawn again: 0 is the face left alone, 1 the reconstruction of what the edit should have made.",
        "",
        table(header, body),
        *(f"- {name}: {STYLES[name].licence}" for name in styles),
        *(f"- machine with {kind}: {where}" for kind, where in {r["instructions"]: r["machine"] for r in rows}.items()),
        "",
    ]
    return "\n".join(text)


def positive(text: str) -> float:
    """A number of seconds, for the command line."""
    value = float(text)
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line, with `examples`, `epochs` and `generated` as `--quick` says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.unseen",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    results = RESULTS / "unseen.jsonl"
    parser.add_argument("--results", type=Path, default=results, metavar="FILE", help="a .jsonl file, one line a run")
    parser.add_argument("--cache", type=Path, default=Path("runs/unseen"), metavar="FOLDER", help="drawings and runs")
    parser.add_argument("--styles", nargs="+", default=list(STYLES), choices=list(STYLES), metavar="NAME")
    parser.add_argument("--models", nargs="+", default=list(BACKBONES), choices=MODELS[:-1])
    parser.add_argument("--official", type=Path, metavar="PATH", help="checkout of github.com/thwjoy/ccvae_pytorch")
    parser.add_argument("--seconds", type=positive, help="of training for the official program")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="few pictures, labels and steps, only to try it out")
    arguments = parser.parse_args(argv)
    if arguments.results.suffix != ".jsonl":
        parser.error(f"--results: {arguments.results} does not end in .jsonl")
    if arguments.seed < 0:
        parser.error(f"--seed: {arguments.seed} is below 0")
    if arguments.official and not (arguments.official / "models" / "ccvae.py").is_file():
        parser.error(f"--official: {arguments.official}: no models/ccvae.py there; name a checkout of ccvae_pytorch")
    if arguments.official and not arguments.seconds and BACKBONES[0] not in arguments.models:
        parser.error("--official: give --seconds too, or residual among --models, so that it is known for how long")
    quick = {"examples": None, "epochs": None, "generated": GENERATED}
    return argparse.Namespace(**vars(arguments) | (QUICK if arguments.quick else quick))


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parsed(argv)
    where = machine()
    instructions = "AVX-512" if "avx512f" in where["instructions"] else "AVX2"
    for style in arguments.styles:
        dataset, folder = prepared(style, arguments)
        judge = measuring.judge_of(dataset, folder / "judge", arguments.quick)
        for name in [*arguments.models, *[OFFICIAL] * bool(arguments.official)]:
            place = place_of(name, folder, arguments)
            key = f"{folder.name}/{place.name}/{instructions}"
            if key in finished(arguments.results):
                continue
            row = run(name, dataset, judge, place, arguments)
            about = {"key": key, "style": style, "model": name, "seed": arguments.seed, "train": len(dataset.train)}
            kept = {"tested": len(dataset.test), "instructions": instructions, "machine": where}
            append(arguments.results, {**about, **row, **kept})
            print(key, row, flush=True)
            keras.backend.clear_session()
        rows = list(finished(arguments.results).values())
        draw(style, dataset, folder, rows, arguments.results)
        write_text(arguments.results.with_suffix(".md"), summarise(rows))


def draw(style: str, dataset: Dataset, folder: Path, rows: list[dict[str, Any]], results: Path) -> None:
    """Writes the sheet of a style, with the last run of each model whose pictures are there."""
    kept = {row["model"]: pictures_of(folder / row["key"].split("/")[1]) for row in rows if row["style"] == style}
    shown = {name: measuring.load_pictures(kept[name]) for name in MODELS if name in kept and kept[name].is_file()}
    if shown:
        path = results.with_name(f"{results.stem}-{style}.png")
        measuring.sheet(dataset, shown, f"{style}: {STYLES[style].licence}", path)


if __name__ == "__main__":
    with mistakes_in_one_line():
        main()
