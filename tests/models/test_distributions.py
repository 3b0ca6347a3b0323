"""The Keras layers of distributions against closed forms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_ccvae.labels import MISSING, Label, Labels, owner_matrix, value_mask
from tf_ccvae.models.conditional_prior import LabelDistributions
from tf_ccvae.models.label_statistics import observed_frequencies
from tf_ccvae.models.likelihood import LIKELIHOODS, Likelihood
from tf_ccvae.models.posterior import PosteriorHead
from tf_ccvae.objective.classifier import label_logits, masked
from tf_ccvae.objective.label_model import NEVER

MIXED = Labels((Label("glasses"), Label("colour", ("red", "green", "blue")), Label("smile", latents=2)))


@pytest.fixture(params=["float32", "mixed_float16", "mixed_bfloat16"])
def policy(request):
    """The precision of the networks around the layers, restored afterwards."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


def built(layer, *shape):
    layer.build(*shape)
    return layer


def test_value_mask_and_owner_matrix_of_mixed_labels():
    np.testing.assert_array_equal(value_mask(MIXED), [[True, True, False], [True, True, True], [True, True, False]])
    np.testing.assert_array_equal(owner_matrix(MIXED), [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]])


def test_value_mask_and_owner_matrix_without_labels_are_empty():
    assert value_mask(Labels(())).shape == (0, 2) and value_mask(Labels(())).dtype == bool
    assert owner_matrix(Labels(())).shape == (0, 0)


# Posterior ----------------------------------------------------------------------------------------------------------


def test_posterior_scale_is_at_least_a_thousandth():
    head = built(PosteriorHead(2), (None, 3))
    head.raw_scale.bias.assign([-100.0, 1.0])
    posterior = head(tf.zeros([1, 3]))
    np.testing.assert_allclose(posterior.scale, [[1e-3, np.log1p(np.e)]], rtol=1e-6)


def test_posterior_is_an_affine_map_of_the_features():
    head = built(PosteriorHead(4), (None, 3))
    features = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    posterior = head(features)
    raw = features @ head.raw_scale.kernel.numpy() + head.raw_scale.bias.numpy()
    assert posterior.batch_shape == (5, 4)
    np.testing.assert_allclose(posterior.loc, features @ head.loc.kernel.numpy() + head.loc.bias.numpy(), rtol=1e-5)
    np.testing.assert_allclose(posterior.scale, np.maximum(np.log1p(np.exp(raw)), 1e-3), rtol=1e-5)


def test_every_layer_computes_in_float32_whatever_the_policy(policy):
    low = tf.ones([2, 3], keras.config.dtype_policy().compute_dtype)
    posterior = built(PosteriorHead(4), (None, 3))(low)
    assert posterior.loc.dtype == posterior.scale.dtype == tf.float32
    labels = built(LabelDistributions(MIXED))
    assert labels.prior.dtype == labels.kernel.dtype == labels.bias.dtype == tf.float32
    assert label_logits(tf.ones([2, 4]), labels.label_model()).dtype == tf.float32
    for kind in LIKELIHOODS:
        likelihood = built(Likelihood(kind))(tf.ones([2, 3, 3, 1], low.dtype))
        assert likelihood.log_prob(tf.zeros([2, 3, 3, 1])).dtype == tf.float32


# Labels -------------------------------------------------------------------------------------------------------------


def test_first_column_of_the_classifier_is_zero_and_not_trained():
    layer = built(LabelDistributions(MIXED))
    for weight in layer.trainable_weights:
        weight.assign(tf.ones_like(weight))
    np.testing.assert_array_equal(layer.kernel[:, 0], np.zeros(4))
    np.testing.assert_array_equal(layer.kernel[:, 1:], np.ones((4, 2)))
    np.testing.assert_array_equal(layer.bias[:, 0], np.zeros(3))
    np.testing.assert_array_equal(layer.bias[:, 1:], np.ones((3, 2)))


def test_conditional_prior_has_one_normal_per_value_and_characteristic_latent():
    layer = built(LabelDistributions(MIXED, separation=3.0))
    assert layer.prior.batch_shape == (3, 4)
    np.testing.assert_allclose(layer.prior.loc[:, 0], [-1.5, 1.5, 0], rtol=1e-6)  # binary; the last is padding
    np.testing.assert_allclose(layer.prior.loc[:, 1], [-1.5, 0, 1.5], atol=1e-6)
    distance = np.linalg.norm(layer.prior.loc[1, 2:] - layer.prior.loc[0, 2:])
    np.testing.assert_allclose(distance, 3.0, rtol=1e-6)  # `separation`, whatever the number of latents


def test_prior_scale_is_at_least_a_thousandth():
    layer = built(LabelDistributions(MIXED))
    layer.paced_raw_scale.assign(np.full((3, 4), -100))
    np.testing.assert_allclose(layer.prior.scale, np.full((3, 4), 1e-3), rtol=1e-6)


def test_classifier_of_a_label_sees_its_own_latents_alone():
    layer = built(LabelDistributions(MIXED))
    random = np.random.default_rng(0)
    layer.free_kernel.assign(random.normal(size=(4, 2)))
    layer.free_bias.assign(random.normal(size=(3, 2)))
    latents = random.normal(size=(5, 4)).astype(np.float32)
    logits = masked(label_logits(latents, layer.label_model()), MIXED).numpy()
    kernel, bias = layer.kernel.numpy(), layer.bias.numpy()
    for i, (own, values) in enumerate([([0], 2), ([1], 3), ([2, 3], 2)]):
        expected = latents[:, own] @ kernel[own, :values] + bias[i, :values]
        np.testing.assert_allclose(logits[:, i, :values], expected, rtol=1e-5, atol=1e-6)
        assert np.all(logits[:, i, values:] == NEVER)


def test_new_classifier_favours_the_value_in_whose_prior_the_latents_are():
    layer = built(LabelDistributions(MIXED))
    first, last = layer.prior.loc[0], tf.stack([layer.prior.loc[v, j] for j, v in enumerate([1, 2, 1, 1])])
    scores = masked(label_logits(tf.stack([first, last]), layer.label_model()), MIXED).numpy()
    np.testing.assert_array_equal(scores.argmax(axis=2), [[0, 0, 0], [1, 2, 1]])


def test_classes_of_a_new_label_with_several_latents_differ_in_prior_and_classifier():
    layer = built(LabelDistributions(Labels((Label("shape", ("round", "square", "flat", "long"), 3),))))
    for table in (layer.prior.loc.numpy(), layer.kernel.numpy().T):
        distances = np.linalg.norm(table[:, None] - table, axis=-1)
        assert distances[~np.eye(4, dtype=bool)].min() > 0.1  # of a `separation` of 2


def test_label_prior_is_uniform_until_it_is_set_and_never_trained():
    layer = built(LabelDistributions(MIXED))
    uniform = [[1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3], [1 / 2, 1 / 2, 0]]
    np.testing.assert_allclose(np.exp(layer.log_label_prior), uniform, rtol=1e-6)
    probabilities = np.array([[0.9, 0.1, 0], [0.2, 0.3, 0.5], [0.0, 1.0, 0]])
    layer.set_label_prior(probabilities)
    np.testing.assert_allclose(np.exp(layer.log_label_prior), probabilities, rtol=1e-6, atol=1e-29)
    np.testing.assert_array_equal(np.isinf(layer.log_label_prior), ~value_mask(MIXED))
    assert not any(weight is layer.log_label_prior for weight in layer.trainable_weights)
    assert len(layer.trainable_weights) == 4


def test_observed_frequencies_count_what_is_observed_and_give_padding_nothing():
    values = np.array([[0, 2, MISSING], [1, 2, MISSING], [1, 0, MISSING], [MISSING, MISSING, MISSING]])
    # glasses: 1 no, 2 yes; colour: 1 red, 0 green, 2 blue; smile: never observed. One is added to each count.
    expected = [[2 / 5, 3 / 5, 0], [2 / 6, 1 / 6, 3 / 6], [1 / 2, 1 / 2, 0]]
    np.testing.assert_allclose(observed_frequencies(values, MIXED), expected, rtol=1e-12)
    expected = [[1.5 / 4, 2.5 / 4, 0], [1.5 / 4.5, 0.5 / 4.5, 2.5 / 4.5], [1 / 2, 1 / 2, 0]]
    np.testing.assert_allclose(observed_frequencies(values, MIXED, smoothing=0.5), expected, rtol=1e-12)


def test_layer_without_labels_has_empty_tables():
    layer = built(LabelDistributions(Labels(())))
    assert layer.prior.batch_shape == (2, 0)
    assert layer.kernel.shape == (0, 2) and layer.bias.shape == (0, 2)
    assert observed_frequencies(np.zeros((3, 0), int), Labels(())).shape == (0, 2)


# Likelihood ---------------------------------------------------------------------------------------------------------


def log_probability(kind, logits, pixels, scale):
    """log p(pixel | logit) in float64, from the textbook."""
    mean = 1 / (1 + np.exp(-logits))
    if kind == "laplace":
        return -np.abs(pixels - mean) / scale - np.log(2 * scale)
    if kind == "gaussian":
        return -0.5 * ((pixels - mean) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi)
    bernoulli = -pixels * np.logaddexp(0, -logits) - (1 - pixels) * np.logaddexp(0, logits)
    if kind == "bernoulli":
        return bernoulli
    # 2 artanh(1 - 2 mean) / (1 - 2 mean) = logit / tanh(logit / 2), which tends to 2
    safe = np.where(logits == 0, 1, logits)
    return bernoulli + np.log(np.where(logits == 0, 2, safe / np.tanh(safe / 2)))


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_log_probability_of_a_pixel_is_the_closed_form(kind):
    # Far out, moderate, and around 0, where the mean is 1/2 and the continuous Bernoulli's constant is 0 / 0.
    line = [0, 1e-6, 1e-4, 1e-3, 3e-3, 5e-3, 0.01, 0.1, 1, 5, 20, 50]
    logits = np.array([*line, *np.negative(line)], np.float32).reshape(-1, 1, 1, 1)
    for pixel in (0.0, 0.3, 0.5, 1.0):
        image = np.full_like(logits, pixel)
        expected = log_probability(kind, logits.astype(float), image.astype(float), 0.4).reshape(-1)
        likelihood = built(Likelihood(kind, scale=0.4))(logits)
        # float32: 1e-6 relative; the series that replaces the 0 / 0 is good to 2e-6.
        np.testing.assert_allclose(likelihood.log_prob(image), expected, rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_gradient_of_the_log_probability_is_finite_everywhere(kind):
    logits = tf.constant([0, 1e-6, 4e-3, 0.1, 50, 1000, -1e-6, -4e-3, -50, -1000], tf.float32)[:, None, None, None]
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = built(Likelihood(kind))(logits).log_prob(tf.fill(logits.shape, 0.3))
    assert np.all(np.isfinite(value)) and np.all(np.isfinite(tape.gradient(value, logits)))


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_log_probability_of_an_image_is_the_sum_over_pixels(kind):
    random = np.random.default_rng(0)
    logits, image = random.normal(size=(2, 3, 4, 5)), random.uniform(size=(2, 3, 4, 5))
    expected = log_probability(kind, logits, image, 1.0).sum((1, 2, 3))
    likelihood = built(Likelihood(kind))(tf.constant(logits))
    assert likelihood.event_shape == (3, 4, 5)
    # 60 pixels in float32
    np.testing.assert_allclose(likelihood.log_prob(image.astype(np.float32)), expected, rtol=1e-5)


@pytest.mark.parametrize("kind", ["laplace", "gaussian"])
def test_learned_scale_is_one_trained_number_and_used(kind):
    layer = built(Likelihood(kind, scale="learned"))
    assert [weight.shape for weight in layer.trainable_weights] == [()]
    layer.log_scale.assign(np.log(0.7))
    logits, image = np.zeros((1, 1, 1, 1), np.float32), np.ones((1, 1, 1, 1), np.float32)
    with tf.GradientTape() as tape:
        value = layer(logits).log_prob(image)
    np.testing.assert_allclose(value, log_probability(kind, logits, image, 0.7).reshape(1), rtol=1e-5)
    power = 1 if kind == "laplace" else 2
    # d/d log s of -|x - m|^p / (p s^p) - log s
    np.testing.assert_allclose(tape.gradient(value, layer.log_scale), (0.5 / 0.7) ** power - 1, rtol=1e-5)
    np.testing.assert_allclose(layer.fitted_scale(), 0.7, rtol=1e-6)


def test_fitted_scale_is_the_given_scale_or_none():
    assert built(Likelihood("laplace", 0.5)).fitted_scale() == 0.5
    assert built(Likelihood("bernoulli")).fitted_scale() is None
    assert built(Likelihood("laplace", 0.5)).trainable_weights == []


def test_unknown_likelihood_is_refused_by_name():
    with pytest.raises(ValueError, match=r"likelihood must be one of laplace, .*, got 'poisson'"):
        Likelihood("poisson")


@pytest.mark.parametrize("scale", [0, -1.0, float("nan"), "small", None])
def test_scale_that_is_not_positive_is_refused_by_name(scale):
    with pytest.raises(ValueError, match=f"scale must be positive, 'learned' or 'auto', got {scale!r}"):
        Likelihood("laplace", scale)
