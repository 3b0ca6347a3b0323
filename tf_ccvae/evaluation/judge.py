"""An independent judge of images: a small network that knows real images and their labels, and nothing else.

It is trained on the training split with all its labels, whatever share of them the model saw, and never sees an image
that a model has made. Where a data set knows more about its images than labels (`Split.factors`), the judge reads that
too. What it says about decoded images is how interventions are scored; its last hidden layer is the feature space of
Fréchet distances."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tf_ccvae.data.dataset import Dataset, Split
from tf_ccvae.labels import MISSING, Labels, value_mask
from tf_ccvae.support import keras_files
from tf_ccvae.support.files import JsonObject, write_json

EPOCHS = 5
BATCH = 64
RATE = 2e-3
FEATURES = 192
NOISE = 0.05  # largest standard deviation, of pixels in [0, 1]
RECIPE = "blur, shift, noise"  # what a judge in a cache must have been trained by
WIDTHS = (32, 48, 64, 96, 128)


class Judge:
    """Label probabilities, factors and features of images.

    Args:
      network: (n, height, width, channels) in [0, 1] -> logits of labels, outputs of factors, features.
      labels: what the labels are.
      factors: for each factor its categories, or None for a continuous one.
      about: accuracy on the test split and how it was trained.
    """

    def __init__(
        self,
        network: keras.Model,
        labels: Labels,
        factors: Mapping[str, tuple[str, ...] | None],
        about: JsonObject,
    ):
        self.network = network
        self.labels = labels
        self.factors = dict(factors)
        self.about = dict(about)
        self._run = tf.function(lambda images: network(images, training=False), reduce_retracing=True)

    def _outputs(self, images: np.ndarray, name: str) -> np.ndarray:
        parts = []
        for start in range(0, len(images), 500):
            part = np.asarray(images[start : start + 500])
            part = part.astype(np.float32) / 255 if part.dtype == np.uint8 else part.astype(np.float32)
            parts.append(np.asarray(self._run(tf.constant(part))[name]))
        return np.concatenate(parts)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Of every value of every label: uint8 or float in [0, 1] (n, ...) -> float32 (n, labels, values)."""
        if not len(self.labels):
            return np.zeros((len(images), 0, self.labels.values), np.float32)
        logits = self._outputs(images, "labels").reshape(len(images), len(self.labels), self.labels.values)
        logits = np.where(value_mask(self.labels), logits, -np.inf)
        odds = np.exp(logits - logits.max(-1, keepdims=True))
        return odds / odds.sum(-1, keepdims=True)

    def values(self, images: np.ndarray) -> np.ndarray:
        """The most probable value of each label, int64 (n, labels)."""
        return self.probabilities(images).argmax(-1)

    def features(self, images: np.ndarray) -> np.ndarray:
        """float32 (n, 192)."""
        return self._outputs(images, "features")

    def factor(self, images: np.ndarray, name: str) -> np.ndarray:
        """A factor as the judge sees it: logits (n, categories), or values (n, components) of a continuous one."""
        return self._outputs(images, f"factor_{name}")


def build(
    image_shape: tuple[int, int, int],
    labels: Labels,
    categories: Mapping[str, int],
    continuous: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> keras.Model:
    """An untrained judge: strided convolutions down to at most 4x4 and one hidden layer.

    Args:
      image_shape: (height, width, channels).
      labels: what the labels are.
      categories: number of categories of each categorical factor.
      continuous: means and standard deviations of each continuous factor's components.
    """
    inputs = keras.Input(image_shape)
    x = keras.layers.Rescaling(2.0, offset=-1.0)(inputs)
    for width in WIDTHS[: max(1, math.ceil(math.log2(image_shape[0] / 4)))]:
        x = keras.layers.Conv2D(width, 4, strides=2, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.Activation("relu")(x)
    x = keras.layers.Dropout(0.2)(keras.layers.Flatten()(x))
    features = keras.layers.Dense(FEATURES, activation="relu", name="features")(x)
    outputs = {}
    if len(labels):
        outputs["labels"] = keras.layers.Dense(len(labels) * labels.values, name="labels")(features)
    layers = {name: _layer_name(name, i) for i, name in enumerate((*categories, *continuous))}
    for name, size in categories.items():
        outputs[f"factor_{name}"] = keras.layers.Dense(size, name=layers[name])(features)
    for name, (mean, deviation) in continuous.items():
        standardised = keras.layers.Dense(len(mean))(features)
        rescale = keras.layers.Rescaling(deviation.tolist(), offset=mean.tolist(), name=layers[name])
        outputs[f"factor_{name}"] = rescale(standardised)
    return keras.Model(inputs, {**outputs, "features": features})


def _layer_name(factor: str, place: int) -> str:
    """The name of a factor's layer, for which TensorFlow takes fewer letters than people do."""
    return f"factor_{factor}" if re.fullmatch(r"[A-Za-z0-9_.-]+", factor) else f"other_factor_{place}"


def moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the components of a factor, (n, components), without what is not finite."""
    values = np.where(np.isfinite(values), values, np.nan).astype(np.float64)
    return np.nan_to_num(np.nanmean(values, axis=0)), np.maximum(np.nan_to_num(np.nanstd(values, axis=0)), 1e-6)


def train(dataset: Dataset, seed: int = 0, epochs: int = EPOCHS) -> Judge:
    """Trains a judge on the training split and measures it on the test split.

    The loss is the cross-entropy of known labels and of categorical factors plus half the squared error of standardised
    continuous ones, each averaged over the examples. So that it is hard to fool by pictures that a person cannot tell
    apart, half of the images are blurred a little, as decoded ones are, half are shifted by up to a 32nd of their size,
    and all get noise of a standard deviation from 0 to 0.05. Shifted images do not teach what `positions` of
    `Dataset.about` names.

    Args:
      dataset: with all labels that are known.
      seed: of weights and order.
      epochs: passes over the training split.
    """
    keras.utils.set_random_seed(seed)
    labels, split = dataset.labels, dataset.train
    kinds = {name: dataset.about.get("factors", {}).get(name) for name in split.factors}
    kinds = {name: tuple(x) if isinstance(x, tuple) else None for name, x in kinds.items()}
    factors = {name: np.asarray(x).reshape(len(split), -1) for name, x in split.factors.items()}
    continuous = {name: moments(factors[name]) for name, x in kinds.items() if x is None}
    sizes = {name: len(x) for name, x in kinds.items() if x is not None}
    network = build(dataset.image_shape, labels, sizes, continuous)
    positions = [name for name in dataset.about.get("positions", ()) if name in continuous]
    per_epoch = max(1, len(split) // BATCH)
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(RATE, epochs * per_epoch))
    optimizer.build(network.trainable_variables)
    values = split.labels.astype(np.int32)
    mask = tf.constant(value_mask(labels))

    @tf.function
    def step(images: tf.Tensor, truth: tf.Tensor, shown: dict[str, tf.Tensor], noise: tf.Tensor) -> tf.Tensor:
        images = tf.cast(images, tf.float32) / 255.0
        each = tf.stack([tf.shape(images)[0], 1, 1, 1])
        blurred = tf.random.stateless_uniform(each, noise) < 0.5
        images = tf.where(blurred, tf.nn.avg_pool2d(images, 3, 1, "SAME"), images)
        strength = NOISE * tf.random.stateless_uniform(each, noise + 1)
        images += strength * tf.random.stateless_normal(tf.shape(images), noise + 2)
        with tf.GradientTape() as tape:
            outputs = network(images, training=True)
            loss = tf.zeros([])
            if len(labels):
                logits = tf.reshape(outputs["labels"], [-1, len(labels), labels.values])
                logits = tf.where(mask, logits, -1e9)
                entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(truth, 0), logits)
                loss += tf.reduce_mean(tf.reduce_sum(tf.where(truth != MISSING, entropy, 0.0), axis=1))
            for name, target in shown.items():
                output = outputs[f"factor_{name}"]
                if name in sizes:
                    part = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(target[:, 0], tf.int32), output)
                else:
                    there = tf.math.is_finite(target)
                    error = (output - tf.where(there, target, 0.0)) / tf.constant(continuous[name][1], tf.float32)
                    part = 0.5 * tf.reduce_mean(tf.where(there, tf.square(error), 0.0), axis=1)
                loss += tf.reduce_mean(part)
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
        return loss

    # By hand, for Keras's `fit` takes longer and gives other numbers: docs/speed.md has both measured.
    random = np.random.default_rng(seed)
    for _ in range(epochs):
        order = random.permutation(len(split))
        for start in range(0, per_epoch * BATCH, BATCH):
            rows = np.sort(order[start : start + BATCH])
            images, moved = shifted(np.asarray(split.images[rows]), random)
            shown = {name: x[rows].astype(np.float32) for name, x in factors.items()}
            shown |= {name: np.where(moved[:, None], np.nan, shown[name]) for name in positions}
            noise = tf.constant(random.integers(0, 2**30, 2), tf.int32)
            step(tf.constant(images), tf.constant(values[rows]), {k: tf.constant(x) for k, x in shown.items()}, noise)
    judge = Judge(network, labels, kinds, {})
    judge.about = {"seed": seed, "epochs": epochs, "trained_with": RECIPE, **accuracy(judge, dataset.test)}
    return judge


def shifted(images: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Half of the images, each by up to a 32nd of its size in both directions, their edges repeated.

    Args:
      images: (n, height, width, channels).
      random: draws which, and how far.

    Returns:
      the images, and which of them may have moved, bool (n,).
    """
    count, height, width = images.shape[:3]
    most = max(1, height // 32)
    moved = random.uniform(size=(count, 1)) < 0.5
    steps = np.where(moved, random.integers(-most, most + 1, (count, 2)), 0)
    rows = np.clip(np.arange(height) + steps[:, :1], 0, height - 1)
    columns = np.clip(np.arange(width) + steps[:, 1:], 0, width - 1)
    return images[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]], moved[:, 0]


def accuracy(judge: Judge, split: Split) -> JsonObject:
    """How well the judge reads real images: accuracy over all known labels, per label, and per factor.

    A categorical factor has accuracy, a continuous one R^2 over its components where it is known.
    """
    right = judge.values(split.images) == split.labels
    observed = split.observed
    result: JsonObject = {
        "accuracy": float(right[observed].mean()) if observed.any() else None,
        "labels": {
            name: float(right[observed[:, i], i].mean())
            for i, name in enumerate(judge.labels.names)
            if observed[:, i].any()
        },
        "factors": {},
    }
    for name, kinds in judge.factors.items():
        seen, truth = judge.factor(split.images, name), np.asarray(split.factors[name]).reshape(len(split), -1)
        if kinds is not None:
            result["factors"][name] = float((seen.argmax(1) == truth[:, 0]).mean())
        else:
            there = np.isfinite(truth).all(1)
            if not there.any():
                result["factors"][name] = None
                continue
            spread = np.square(truth[there] - truth[there].mean(0)).sum()
            result["factors"][name] = float(1 - np.square(seen - truth)[there].sum() / max(spread, 1e-12))
    return result


def save(judge: Judge, folder: Path) -> None:
    """Writes network and description to `folder`, judge.json last."""
    folder.mkdir(parents=True, exist_ok=True)
    keras_files.save_model(judge.network, folder / "judge.keras")
    content = {"about": judge.about, "labels": judge.labels.get_config(), "factors": judge.factors}
    write_json(folder / "judge.json", content)


def load(folder: Path) -> Judge:
    """A judge that `save` has written.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is damaged.
    """
    content = json.loads((folder / "judge.json").read_text(encoding="utf-8"))
    factors = {name: None if kinds is None else tuple(kinds) for name, kinds in content["factors"].items()}
    network = keras.models.load_model(folder / "judge.keras", compile=False)
    return Judge(network, Labels.from_config(content["labels"]), factors, content["about"])


def cached(dataset: Dataset, folder: Path, seed: int = 0) -> Judge:
    """The judge in `folder`, if it is trained by `RECIPE` and knows these labels and factors; else a new one."""
    try:
        judge = load(folder)
        same = judge.labels.same_as(dataset.labels)
        same &= set(judge.factors) == set(dataset.train.factors)
        if same and judge.about.get("trained_with") == RECIPE:
            return judge
    except (FileNotFoundError, ValueError, KeyError):
        pass
    judge = train(dataset, seed)
    save(judge, folder)
    return judge
