"""A small model as plain arrays, and the objective's functions on it."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tf_ccvae import objective
from tf_ccvae.labels import MISSING, Label, Labels
from tf_ccvae.models.posterior import positive

tfd = tfp.distributions


PIXELS = 6
ABC, ABCD = ("a", "b", "c"), ("a", "b", "c", "d")
THREE_BINARY = Labels.of_binary(["x", "y", "z"])
SEVERAL_LATENTS = Labels((Label("x", latents=2), Label("y"), Label("z", latents=3)))
CATEGORICAL = Labels((Label("x", ABC), Label("y"), Label("z", ABCD)))
MIXED = Labels((Label("x"), Label("y", ABC), Label("z", latents=2)))
EVERYTHING = Labels((Label("x", ABC, 2), Label("y", latents=2), Label("z", ABC), Label("w")))
SETS = {
    "three_binary": THREE_BINARY,
    "several_latents": SEVERAL_LATENTS,
    "categorical": CATEGORICAL,
    "mixed": MIXED,
}
PATTERNS = {"all": [1, 0, 1], "none": [MISSING] * 3, "part": [MISSING, 1, 0]}


class Parameters(NamedTuple):
    """All that is trained, as float64 arrays.

    loc, scale: posterior (batch, latents).  kernel, bias: (characteristic, values - 1), (labels, values - 1).
    prior_loc, prior_raw_scale: (values, characteristic).  decoder: (latents + 1, pixels), the last row is the bias.
    """

    loc: np.ndarray
    scale: np.ndarray
    kernel: np.ndarray
    bias: np.ndarray
    prior_loc: np.ndarray
    prior_raw_scale: np.ndarray
    decoder: np.ndarray


def some_parameters(labels, batch=1, style=2, seed=0):
    """Parameters of moderate size: logits of scale about 1, so that the weights w stay moderate."""
    random = np.random.default_rng(seed)
    own, latents, values = labels.characteristic, labels.characteristic + style, labels.values
    return Parameters(
        loc=random.normal(scale=0.7, size=(batch, latents)),
        scale=random.uniform(0.4, 1.0, size=(batch, latents)),
        kernel=random.normal(size=(own, values - 1)) + 0.3,
        bias=random.normal(scale=0.5, size=(len(labels), values - 1)),
        prior_loc=random.normal(size=(values, own)),
        prior_raw_scale=random.normal(loc=0.5, scale=0.5, size=(values, own)),
        decoder=random.normal(scale=0.4, size=(latents + 1, PIXELS)),
    )


def label_prior(labels):
    """p(y), float64 (labels, values): uneven, 0 for values that a label does not have."""
    prior = np.zeros((len(labels), labels.values))
    for i, label in enumerate(labels):
        prior[i, : label.values] = np.arange(1, label.values + 1) + i
    return prior / prior.sum(1, keepdims=True)


def some_image(batch=1, seed=0):
    return np.random.default_rng(seed + 100).uniform(size=(batch, 1, PIXELS, 1))


def some_noise(labels, batch, style=2, draws=0, seed=0):
    random = np.random.default_rng(seed + 200)
    return objective.Noise(
        random.normal(size=(batch, labels.characteristic + style)),
        random.uniform(size=(batch, len(labels))),
        random.normal(size=(draws, batch, labels.characteristic)),
    )


def lattice_noise(labels, batch, style, seed):
    """Noise from a randomly shifted lattice: each row has the right distribution, the mean over rows little error.

    The spread of results over seeds tells the error that is left.
    """
    latents = labels.characteristic + style
    dimensions = latents + len(labels)
    ratio = 2.0
    for _ in range(50):  # to the root of ratio^(dimensions + 1) = ratio + 1
        ratio = (1 + ratio) ** (1 / (dimensions + 1))
    steps = ratio ** -np.arange(1.0, dimensions + 1)
    shift = np.random.default_rng(seed + 400).uniform(size=dimensions)
    points = (shift + np.arange(batch)[:, None] * steps) % 1
    normal = tf.math.ndtri(tf.constant(points[:, :latents])).numpy()
    return objective.Noise(normal, points[:, latents:], np.zeros((0, batch, labels.characteristic)))


def tiled(parameters, times):
    """Every example `times` times in a row."""
    return parameters._replace(
        loc=np.repeat(parameters.loc, times, axis=0), scale=np.repeat(parameters.scale, times, axis=0)
    )


def posterior_of(parameters, dtype=tf.float64):
    return tfd.Normal(tf.cast(parameters.loc, dtype), tf.cast(parameters.scale, dtype))


def label_model(labels, parameters, dtype=tf.float64):
    p = Parameters(*(tf.cast(x, dtype) for x in parameters))
    with np.errstate(divide="ignore"):
        log_prior = tf.constant(np.log(label_prior(labels)), dtype)
    return objective.LabelModel(
        labels,
        tfd.Normal(p.prior_loc, positive(p.prior_raw_scale)),
        tf.pad(p.kernel, [[0, 0], [1, 0]]),
        tf.pad(p.bias, [[0, 0], [1, 0]]),
        log_prior,
    )


def laplace_around_linear(decoder):
    """p(x|z): a Laplace of unit scale around a linear map of z."""

    def decode(latents):
        pixels = tf.reshape(latents @ decoder[:-1] + decoder[-1], [-1, 1, PIXELS, 1])
        return tfd.Independent(tfd.Laplace(pixels, tf.ones_like(pixels)), 3)

    return decode


def gaussian_around_sigmoid(decoder):
    """p(x|z): smooth and nonlinear in z."""

    def decode(latents):
        pixels = tf.sigmoid(tf.reshape(latents @ decoder[:-1] + decoder[-1], [-1, 1, PIXELS, 1]))
        return tfd.Independent(tfd.Normal(pixels, 0.3 * tf.ones_like(pixels)), 3)

    return decode


def terms_of(
    labels,
    parameters,
    values,
    noise,
    image=None,
    dtype=tf.float64,
    nodes=64,
    estimator="exact",
    likelihood=laplace_around_linear,
    observed=None,
):
    """The terms; `values` is (batch, labels) with `MISSING` where a label is not observed."""
    values = np.asarray(values, np.int32)
    image = some_image(len(values)) if image is None else image
    return objective.estimate(
        estimator,
        objective.Example(
            tf.cast(image, dtype),
            tf.constant(values),
            tf.constant(values >= 0 if observed is None else observed),
            objective.Noise(*(tf.cast(x, dtype) for x in noise)),
        ),
        posterior_of(parameters, dtype),
        label_model(labels, parameters, dtype),
        likelihood(tf.cast(parameters.decoder, dtype)),
        nodes=nodes,
    )


def evaluation(labels, dtype=tf.float64, times=1, compiled=False, differentiated=True):
    """A function (parameters, values, noise, image) -> terms, loss, gradients of the mean loss (or nothing).

    The function is given distinct examples and evaluates each `times` times in a row; the loss is per evaluation.
    """

    def evaluate(parameters, values, noise, image):
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            p = parameters._replace(
                loc=tf.repeat(parameters.loc, times, axis=0), scale=tf.repeat(parameters.scale, times, axis=0)
            )
            values, image = tf.repeat(values, times, axis=0), tf.repeat(image, times, axis=0)
            posterior, model = posterior_of(p, dtype), label_model(labels, p, dtype)
            example = objective.Example(image, values, values >= 0, noise)
            terms = objective.exact(example, posterior, model, laplace_around_linear(p.decoder))
            loss = terms.loss(label_weight=3.0)
            mean = tf.reduce_mean(loss)
        return terms, loss, tape.gradient(mean, parameters) if differentiated else ()

    evaluate = tf.function(evaluate) if compiled else evaluate

    def call(parameters, values, noise, image):
        terms, loss, gradients = evaluate(
            Parameters(*(tf.cast(x, dtype) for x in parameters)),
            tf.constant(values, tf.int32),
            objective.Noise(*(tf.cast(x, dtype) for x in noise)),
            tf.cast(image, dtype),
        )
        return tf.nest.map_structure(lambda x: x.numpy(), (terms, loss, gradients))

    return call


def every_value_and_none(labels):
    """One example for each value of the labels and one without any: (values + 1, labels)."""
    rows = [[min(v, x.values - 1) for x in labels] for v in range(labels.values)]
    return np.array([*rows, [MISSING] * len(labels)])
