"""Fashion-MNIST with few labels and with all: CCVAE, M2 and a classifier alone: `python -m benchmarks.fashion_mnist`

CCVAE and M2 are trained by `tf_ccvae.fit` with configs/fashion_mnist.yaml (but for the number of epochs), with so many
labelled images and all others without labels, and keep the epoch with the best validation bound. The classifier alone
is the same encoder and a softmax, trained by cross-entropy on the labelled images only, with the same optimizer, batch
size and number of steps; it keeps the epoch with the best validation accuracy. The classifier of most labels also says
how often class-conditional samples of the other two show the class that they should. Runs are kept in `--runs`;
what is there is not run again, results are appended to results/fashion_mnist.jsonl, from which results/fashion_mnist.md
and the figure of samples are made.
"""

import argparse
import itertools
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.common import append, finished, machine, parser_of, table
from tf_ccvae import (
    fit,
    interventions,
    settings,
)
from tf_ccvae.data import sources
from tf_ccvae.data.dataset import Dataset
from tf_ccvae.data.pipeline import evaluation_batches, hide_labels, training_batches
from tf_ccvae.evaluation.intervals import resampled
from tf_ccvae.models.networks import Encoder, default_widths
from tf_ccvae.support import figures
from tf_ccvae.support.files import replacing, write_text
from tf_ccvae.training import (
    build,
    measures,
    run_directory,
)

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "configs" / "fashion_mnist.yaml"
MODELS = ("classifier", "ccvae", "m2")
NAMES = {"classifier": "classifier alone", "ccvae": "CCVAE", "m2": "M2"}
COLUMNS = {"bound": ",.1f", "error": ".4f", "samples": ".3f"}
SHOWN = 6  # samples per class and model in the figure


def fraction_of(labelled: int, examples: int) -> float:
    """The labelled fraction that keeps the labels of exactly so many of the examples; 0 stands for all."""
    return (labelled - 0.5) / examples if 0 < labelled < examples else 1.0


def configuration(model: str, labelled: int, examples: int, arguments: argparse.Namespace) -> list[str]:
    """The command line of a run, without its directory."""
    given = ["--config", str(CONFIG), "--seed", str(arguments.seed), "--training.epochs", str(arguments.epochs)]
    given += ["--model.name", model, "--data.labelled-fraction", repr(fraction_of(labelled, examples))]
    return [*given, *(["--data.path", str(arguments.data)] if arguments.data else [])]


def train(model: str, labelled: int, examples: int, arguments: argparse.Namespace) -> run_directory.Run:
    """Trains CCVAE or M2, unless its run is there."""
    run = run_directory.Run(arguments.runs / f"{model}-{labelled or 'all'}-{arguments.epochs}-{arguments.seed}")
    if not run.results.is_file():
        new = [*configuration(model, labelled, examples, arguments), "--run-dir", str(run.path)]
        if fit.main(["--resume", str(run.path)] if run.config.is_file() else new):
            raise SystemExit(1)
    return run


def train_classifier(labelled: int, dataset: Dataset, arguments: argparse.Namespace) -> keras.Model:
    """The classifier alone: pixels (n, height, width, channels) in [0, 1] -> class probabilities (n, classes).

    Trained on the images whose labels `tf_ccvae.fit` would see, unless its file is there.
    """
    path = arguments.runs / f"classifier-{labelled or 'all'}-{arguments.epochs}-{arguments.seed}.keras"
    if path.is_file():
        return keras.models.load_model(path)
    config = settings.parse(configuration("ccvae", labelled, len(dataset.train), arguments)).config
    split = hide_labels(dataset.train, config.data.labelled_fraction, 0.0, config.seed)
    per_epoch = build.steps_per_epoch(config, split)
    steps = per_epoch * config.training.epochs
    seen = np.flatnonzero(split.observed.all(1))
    known = type(split)(split.images[seen], split.labels[seen])
    keras.utils.set_random_seed(config.seed)
    widths = config.model.encoder_widths or default_widths(dataset.image_shape[0])
    inputs = keras.Input(dataset.image_shape)
    features = Encoder(dataset.image_shape, widths, config.model.hidden)(inputs)
    outputs = keras.layers.Dense(dataset.labels.values, activation="softmax")(features)
    network = keras.Model(inputs, outputs)
    optimizer = build.build_optimizer(config, steps)
    network.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)

    def pairs(batch: dict[str, Any]) -> tuple[Any, Any]:
        return keras.ops.cast(batch["image"], "float32") / 255.0, batch["labels"][:, 0]

    with replacing(path) as beside:
        best = keras.callbacks.ModelCheckpoint(beside, "val_accuracy", mode="max", save_best_only=True)
        network.fit(
            training_batches(known, config.training.batch_size, steps, config.seed).map(pairs),
            epochs=config.training.epochs,
            steps_per_epoch=per_epoch,
            shuffle=False,
            validation_data=evaluation_batches(dataset.validation, measures.EVALUATION_BATCH).map(pairs),
            verbose=0,
            callbacks=[best],
        )
    return keras.models.load_model(path)


def predict(network: keras.Model, images: np.ndarray) -> np.ndarray:
    """The most probable class of each image, uint8 or float in [0, 1]: int64 (n,)."""
    pixels = images / np.float32(255) if images.dtype == np.uint8 else images
    return np.asarray(network.predict(pixels, batch_size=500, verbose=0)).argmax(-1)


def accuracy(right: np.ndarray) -> dict[str, float]:
    """Mean of bool (n,) with its 95 % interval by bootstrap over images."""
    return resampled(lambda rows: float(right[rows].mean()), len(right), draws=1000)


def samples(model: Any, per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Class-conditional samples, z ~ p(z | y), and their classes: (n, height, width, channels) and (n,)."""
    classes = np.repeat(np.arange(model.labels.values), per_class)
    return interventions.generate(model, classes[:, None], seed).images, classes


def measure(
    model: str, labelled: int, dataset: Dataset, judge: keras.Model, arguments: argparse.Namespace
) -> dict[str, Any]:
    """One row of results, on the test split."""
    truth = dataset.test.labels[:, 0]
    if model == "classifier":
        network = train_classifier(labelled, dataset, arguments)
        return {"accuracy": accuracy(predict(network, dataset.test.images) == truth)}
    run = train(model, labelled, len(dataset.train), arguments)
    trained = run_directory.load(run.path)[1]
    parts = [
        np.asarray(trained(batch["image"]).label_probabilities)[:, 0].argmax(-1)
        for batch in evaluation_batches(dataset.test, measures.EVALUATION_BATCH)
    ]
    terms = measures.measure(trained, dataset.test)
    images, classes = samples(trained, arguments.samples, arguments.seed)
    return {
        "accuracy": accuracy(np.concatenate(parts) == truth),
        "bound": terms["bound"],
        "error": terms["mean_absolute_error"],
        "samples": float((predict(judge, images) == classes).mean()),
        "best_epoch": run.state().best_epoch,
    }


def summarise(rows: list[dict[str, Any]], where: dict[str, Any]) -> str:
    """The Markdown page."""
    body = []
    for labelled, model in itertools.product(sorted({r["labelled"] for r in rows}), MODELS):
        for row in (r for r in rows if (r["labelled"], r["model"]) == (labelled, model)):
            found = row["accuracy"]
            cells = [f"{row[name]:{form}}" if name in row else "-" for name, form in COLUMNS.items()]
            interval = f"{found['mean']:.4f} ({found['low']:.4f} to {found['high']:.4f})"
            body.append([f"{labelled:,}", NAMES[model], interval, *cells])
    about = sorted({(r["epochs"], r["seed"], r["examples"]) for r in rows})
    settings_line = "; ".join(f"{epochs} epochs of {n:,} images, seed {seed}" for epochs, seed, n in about)
    header = ["labels", "model", "accuracy (95 % interval)", "bound (nats)", "error", "samples of the asked class"]
    text = [
        "# Fashion-MNIST",
        "",
        "Made by `python -m benchmarks.fashion_mnist`; see its docstring. The official test images; "
        + settings_line
        + ".",
        f"Machine: {where}",
        "",
        "Intervals are by bootstrap over test images. Bounds are on log p(x, y) with every test label known.",
        "",
        table(header, body),
    ]
    return "\n".join(text)


def draw(arguments: argparse.Namespace) -> None:
    """The figure: ten classes in rows, some samples of each of three runs beside each other."""
    few, most = min(arguments.labelled, key=lambda n: n or np.inf), max(arguments.labelled, key=lambda n: n or np.inf)
    shown = (("ccvae", few), ("ccvae", most), ("m2", most))
    blocks, names = [], []
    for model, labelled in shown:
        run = run_directory.Run(arguments.runs / f"{model}-{labelled or 'all'}-{arguments.epochs}-{arguments.seed}")
        if run.model.is_file():
            trained = run_directory.load(run.path)[1]
            images, _ = samples(trained, SHOWN, arguments.seed + 1)
            blocks.append(images.reshape(-1, SHOWN, *trained.image_shape))
            title = f"{NAMES[model]}, {labelled or 'all'} labels"
            names += [title if k == SHOWN // 2 else "" for k in range(SHOWN)]
            classes = trained.labels.items[0].classes
    if blocks:
        arguments.figure.parent.mkdir(parents=True, exist_ok=True)
        figures.save(figures.grid(np.concatenate(blocks, axis=1), rows=classes, columns=names), arguments.figure)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--labelled", nargs="+", type=int, default=[100, 600, 3000, 0], help="how many; 0 for all")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--samples", type=int, default=200, help="samples of each class that are judged")
    parser.add_argument("--data", type=Path, help="folder of the IDX files, if they are elsewhere")
    parser.add_argument("--runs", type=Path, default=Path("runs/fashion_mnist"), help="folder for the runs")
    parser.add_argument(
        "--figure", type=Path, default=ROOT / "docs" / "images" / "fashion_mnist_samples.png", help="file of samples"
    )
    arguments = parser.parse_args()
    arguments.runs.mkdir(parents=True, exist_ok=True)
    config = settings.parse(configuration("ccvae", 0, 1, arguments)).config
    dataset = sources.load(config.data, config.seed)
    most = max(arguments.labelled, key=lambda n: n or np.inf)
    judge = train_classifier(most, dataset, arguments)
    path = arguments.results / "fashion_mnist.jsonl"
    for model, labelled in itertools.product(arguments.models, arguments.labelled):
        key = f"{model}/{labelled or 'all'}/{arguments.epochs}/{arguments.seed}"
        if key in finished(path):
            continue
        examples = len(dataset.train)
        about = {"key": key, "model": model, "labelled": labelled or examples, "epochs": arguments.epochs}
        row = measure(model, labelled, dataset, judge, arguments)
        append(path, {**about, "seed": arguments.seed, "examples": examples, **row})
        print(key, row, flush=True)
    write_text(arguments.results / "fashion_mnist.md", summarise(list(finished(path).values()), machine()))
    draw(arguments)


if __name__ == "__main__":
    main()
