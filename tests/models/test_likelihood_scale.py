"""The likelihood's scale that follows the error: what it comes to, and who may have it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_ccvae.data.pipeline import training_batches
from tf_ccvae.labels import Labels
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.models.likelihood import RECONSTRUCTION_NATS, Likelihood

SHAPE = (40, 40, 3)


def followed(kind, error, shape=SHAPE, steps=600):
    """A likelihood that has followed images whose error has this size, and these images and logits."""
    random = np.random.default_rng(0)
    likelihood = Likelihood(kind, "auto")
    likelihood.build((None, *shape))
    logits = tf.zeros((4, *shape))
    image = (0.5 + error * random.normal(size=(4, *shape))).astype(np.float32)

    @tf.function
    def step():
        likelihood.follow(tf.reduce_mean(likelihood(logits).log_prob(image)))

    for _ in range(steps):
        step()
    return likelihood, image, logits


@pytest.mark.parametrize("error", [0.01, 0.2])
@pytest.mark.parametrize("kind", ["laplace", "gaussian"])
def test_scale_comes_to_the_error_times_a_factor_of_the_size_alone(kind, error):
    likelihood, image, _ = followed(kind, error)
    measured = np.abs(image - 0.5).mean() if kind == "laplace" else np.sqrt(np.square(image - 0.5).mean())
    ratio = np.prod(SHAPE) / RECONSTRUCTION_NATS
    factor = ratio if kind == "laplace" else np.sqrt(ratio)
    assert likelihood.fitted_scale() == pytest.approx(measured * factor, rel=1e-3)


def test_small_images_have_the_scale_of_greatest_likelihood():
    likelihood, image, logits = followed("laplace", 0.1, (8, 8, 1))
    best = np.mean(likelihood(logits).log_prob(image))
    for factor in (0.9, 1.1):
        other = Likelihood("laplace", likelihood.fitted_scale() * factor)
        other.build()
        assert np.mean(other(logits).log_prob(image)) < best


@pytest.mark.parametrize("scale", [0.3, "learned"])
def test_other_scales_do_not_follow(scale):
    likelihood = Likelihood("laplace", scale)
    likelihood.build((None, *SHAPE))
    before = likelihood.fitted_scale()
    likelihood.follow(tf.constant(-10.0))
    assert likelihood.fitted_scale() == before


@pytest.mark.programs  # trains
def test_training_moves_the_scale_and_a_saved_model_keeps_it(tiny, tmp_path):
    keras.utils.set_random_seed(0)
    model = CCVAE((28, 28, 1), tiny.labels, 6, widths=(4, 4, 4), hidden=8, likelihood_scale="auto")
    before = model.image_likelihood.fitted_scale()
    assert not any("log_scale" in weight.path for weight in model.trainable_weights)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
    model.fit(training_batches(tiny.train, 8, steps=3, seed=0), shuffle=False, verbose=0)
    after = model.image_likelihood.fitted_scale()
    assert after != before
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.likelihood_scale == "auto"
    assert again.image_likelihood.fitted_scale() == pytest.approx(after)


def test_official_estimators_refuse_a_scale_that_follows():
    with pytest.raises(ValueError, match="'auto' needs estimator 'exact'"):
        CCVAE((28, 28, 1), Labels.of_binary(["a"]), 3, widths=(4, 4, 4), estimator="pyro", likelihood_scale="auto")
