"""Can a small network read every label of the drawn faces? Trains one and compares it with the majority class.

    python -m benchmarks.avatars_learnability

About 450,000 parameters, 4 epochs, one minute on two CPU cores. Prints a table and writes
`benchmarks/results/avatars_learnability.json`. A label is learnable when its test accuracy reaches 0.95, or 0.2 above
the majority class.
"""

import argparse
import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from tf_ccvae.data import avatars
from tf_ccvae.data.dataset import Dataset, Split
from tf_ccvae.labels import MISSING

RESULTS = Path(__file__).parent / "results" / "avatars_learnability.json"


def classifier(image_shape: tuple[int, int, int], labels: int) -> keras.Model:
    """Four strided convolutions and one hidden layer; uint8 images in, one logit per label out."""
    inputs = keras.Input(image_shape, dtype="uint8")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    for filters in (32, 48, 64, 96):
        x = keras.layers.Conv2D(filters, 4, strides=2, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.Activation("relu")(x)
    x = keras.layers.Dropout(0.2)(keras.layers.Flatten()(x))
    x = keras.layers.Dense(192, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dense(labels)(x))


def known_cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of the known labels, summed over labels and averaged over examples; (batch, labels) each."""
    known = tf.cast(labels != MISSING, logits.dtype)
    targets = tf.cast(labels, logits.dtype) * known
    return tf.reduce_mean(tf.reduce_sum(known * tf.nn.sigmoid_cross_entropy_with_logits(targets, logits), axis=1))


def accuracies(model: keras.Model, split: Split) -> np.ndarray:
    """float64 (labels,): how many of the known labels the model gets right, each label counted exactly."""
    right = (np.asarray(model.predict(split.images, batch_size=250, verbose=0)) > 0) == (split.labels == 1)
    return (right & split.observed).sum(axis=0) / split.observed.sum(axis=0)


def measure(data: Dataset, epochs: int, seed: int, batch_size: int = 64) -> dict[str, dict[str, Any]]:
    """Trains on the training split; per label rates over all splits, accuracy and majority on the test split."""
    keras.utils.set_random_seed(seed)
    model = classifier(data.image_shape, len(data.labels))
    steps = epochs * -(-len(data.train) // batch_size)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, steps))
    model.compile(optimizer, known_cross_entropy, jit_compile=False)
    pairs = tf.data.Dataset.from_tensor_slices((np.asarray(data.train.images), data.train.labels))
    model.fit(pairs.shuffle(len(data.train), seed=seed).batch(batch_size), epochs=epochs, shuffle=False, verbose=2)
    everywhere = np.concatenate([data.split(name).labels for name in ("train", "validation", "test")])
    rates = {}
    for i, (name, accuracy) in enumerate(zip(data.labels.names, accuracies(model, data.test), strict=True)):
        known, tested = everywhere[:, i], data.test.labels[:, i]
        known, tested = known[known != MISSING], tested[tested != MISSING]
        majority = max(tested.mean(), 1 - tested.mean())
        rates[name] = {
            "positive": round(float(known.mean()), 3),
            "missing": round(1 - len(known) / len(everywhere), 3),
            "majority": round(float(majority), 3),
            "accuracy": round(float(accuracy), 3),
            "learnable": bool(accuracy >= 0.95 or accuracy >= majority + 0.2),
        }
    return rates


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Can a small network read every label of the drawn faces?")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0, help="of the network and its training; the faces keep seed 0")
    parser.add_argument("--examples", type=int, default=12000)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    data = avatars.load(examples=options.examples, progress=True)
    started = time.perf_counter()
    labels = measure(data, options.epochs, options.seed)
    seconds = time.perf_counter() - started
    table = Table("label", "positive", "missing", "majority", "accuracy", "learnable")
    for name, row in labels.items():
        table.add_row(name, *(str(row[key]) for key in ("positive", "missing", "majority", "accuracy", "learnable")))
    Console().print(table)
    result = {
        "command": f"python -m benchmarks.avatars_learnability --epochs {options.epochs} --seed {options.seed}",
        "faces": {"version": avatars.VERSION, "seed": 0, "examples": options.examples, "image_size": 64},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("tensorflow", "keras", "dicebear-core", "resvg_py")},
        "seconds": round(seconds, 1),
        "labels": labels,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
