"""The estimators `pytorch` and `pyro` against numbers of the authors' two programs (tests/data/README.md)."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tests.objective.small_case import PATTERNS, THREE_BINARY, some_image, some_noise, some_parameters, terms_of, tiled
from tf_ccvae import objective
from tf_ccvae.labels import Labels
from tf_ccvae.models.posterior import positive

TRAINED = (
    "loc",
    "scale",
    "decoder_matrix",
    "classifier_weight",
    "classifier_bias",
    "prior_loc_true",
    "prior_loc_false",
    "prior_raw_scale_true",
    "prior_raw_scale_false",
)


@pytest.fixture(scope="module")
def reference():
    return np.load(Path(__file__).parents[1] / "data" / "official_objective.npz")


def loss_and_gradients(reference, case, dtype):
    """Loss, log q(y|x) and gradients of our estimator on the reference input."""
    x = {k[3:]: tf.constant(reference[k], dtype) for k in reference.files if k.startswith("in/")}
    trained = [tf.Variable(x[name]) for name in TRAINED]
    labels = Labels.of_binary(f"label{i}" for i in range(5))
    labelled = case.endswith("_labelled")
    # A uniform variate above q(0|z) draws the label 1: push it to the end that draws the reference's label.
    uniform = tf.where(x["sampled_labels"] > 0.5, tf.constant(1.0, dtype), tf.constant(0.0, dtype))
    noise = objective.Noise(x["noise"], uniform, x["noise_k"][:, :, :5])
    with tf.GradientTape() as tape:
        loc, scale, matrix, weight, bias, loc_true, loc_false, raw_true, raw_false = (
            tf.convert_to_tensor(v) for v in trained
        )
        model = objective.LabelModel(
            labels,
            tfd.Normal(tf.stack([loc_false, loc_true]), positive(tf.stack([raw_false, raw_true]))),
            tf.stack([tf.zeros_like(weight), weight], axis=1),
            tf.stack([tf.zeros_like(bias), bias], axis=1),
            tf.math.log(tf.stack([1 - x["label_prior"], x["label_prior"]], axis=1)),
        )

        def decode(latents):
            pixels = tf.reshape(tf.sigmoid(latents @ matrix), [-1, 6, 6, 3])
            return tfd.Independent(tfd.Laplace(pixels, tf.ones_like(pixels)), 3)

        terms = objective.official(
            objective.Example(x["image"], tf.cast(x["labels"], tf.int32), tf.fill([4, 5], labelled), noise),
            tfd.Normal(loc, scale),
            model,
            decode,
            pyro=case.startswith("pyro"),
        )
        loss = tf.reduce_mean(terms.loss(label_weight=0.0))
    log_marginal = tf.reduce_sum(terms.label_marginal, axis=1)
    return loss, log_marginal, dict(zip(TRAINED, tape.gradient(loss, trained), strict=True))


@pytest.mark.parametrize("case", ["pytorch_labelled", "pytorch_unlabelled", "pyro_labelled"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(tf.float64, 1e-9), (tf.float32, 1e-4)])
def test_loss_and_all_nine_gradients_are_those_of_the_official_program(reference, case, dtype, tolerance):
    loss, log_marginal, gradients = loss_and_gradients(reference, case, dtype)
    np.testing.assert_allclose(loss, reference[f"{case}/loss"], rtol=tolerance)
    if f"{case}/log_q_y_given_x" in reference.files:
        np.testing.assert_allclose(log_marginal, reference[f"{case}/log_q_y_given_x"], rtol=tolerance)
    for name, gradient in gradients.items():
        expected = reference[f"{case}/grad_{name}"]
        np.testing.assert_allclose(
            gradient, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max(), err_msg=name
        )


@pytest.mark.programs  # many draws
def test_weight_of_the_official_estimator_has_mean_one_under_the_posterior():
    rows, draws, repetitions = 2_000, 500, 8
    parameters = some_parameters(THREE_BINARY)
    values = np.tile(PATTERNS["all"], (rows, 1))

    class One:
        """A likelihood whose log is 1, so that the reconstruction is the weight itself."""

        def log_prob(self, image):
            return tf.ones_like(image[:, 0, 0, 0])

    weights = np.concatenate(
        [
            terms_of(
                THREE_BINARY,
                tiled(parameters, rows),
                values,
                some_noise(THREE_BINARY, rows, draws=draws, seed=seed),
                some_image(rows),
                estimator="pytorch",
                likelihood=lambda _: lambda _: One(),
            ).reconstruction
            for seed in range(repetitions)
        ]
    )
    assert weights.std() > 0.3  # a weight that varies
    # 1 / q(y|x) from S draws is too large by a factor 1 + Var(w) / S on average.
    assert abs(weights.mean() - 1 - weights.var() / draws) < 4 * weights.std() / np.sqrt(len(weights))
