"""Noise of the tilted posterior has the density that it should, and its gradient."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.objective.brute_force import log_classifier, log_sum_exp, standard_grid
from tests.objective.small_case import ABC, EVERYTHING, label_model, posterior_of, some_noise, some_parameters, tiled
from tf_ccvae import objective
from tf_ccvae.labels import Label, Labels
from tf_ccvae.objective import tilting

tfd = tfp.distributions


CELL = 16 / tilting.CELLS


def tilted_density(logits_of, value):
    """A fine grid in t over [-8, 8] and the tilted density on it, p(t) q(value | t), normalised to sum 1."""
    t = np.linspace(-8, 8, 16_001)
    logits = np.stack([np.zeros_like(t), *(loc + scale * t for loc, scale in logits_of)])
    log_density = -0.5 * t**2 + logits[value] - log_sum_exp(logits, 0)
    density = np.exp(log_density - log_density.max())
    return t, density / density.sum()


def assert_distributed(sample, t, density):
    """The sample has the mean, variance and cumulative distribution of the density on the grid t."""
    count = len(sample)
    mean = density @ t
    variance = density @ (t - mean) ** 2
    # The density is constant inside cells of width h: h^2 / 12 more variance, and a cumulative distribution off by at
    # most h^2 / 4 times the steepest slope of the density.
    steepest = np.abs(np.diff(density)).max() / np.diff(t)[0] ** 2
    fourth = density @ (t - mean) ** 4
    assert abs(sample.mean() - mean) < 4 * np.sqrt(variance / count) + 1e-4
    assert abs(sample.var() - variance) < 4 * np.sqrt((fourth - variance**2) / count) + CELL**2 / 12
    below = np.interp(np.sort(sample), t, np.cumsum(density))
    distance = np.abs(below - (np.arange(count) + 0.5) / count).max()  # Kolmogorov-Smirnov
    assert distance < 2.2 / np.sqrt(count) + CELL**2 / 4 * steepest  # 2.2: exceeded by chance 1 time in 8,000


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize(("mean", "slope"), [(0.3, 1.5), (-6.0, 2.0), (1.0, 8.0)])
def test_tilted_noise_of_a_binary_label_has_the_tilted_density(mean, slope, value):
    labels, rows = Labels((Label("x"),)), 20_000
    parameters = some_parameters(labels, style=1)
    kernel = np.array([[slope / parameters.scale[0, 0]]])
    bias = mean - kernel * parameters.loc[0, 0]
    parameters = tiled(parameters._replace(kernel=kernel, bias=bias), rows)
    noise = some_noise(labels, rows, style=1)
    sample = tilting.tilted_noise(
        posterior_of(parameters),
        label_model(labels, parameters),
        tf.fill([rows, 1], value),
        tf.fill([rows, 1], True),
        noise,
    ).numpy()
    assert_distributed(sample[:, 0], *tilted_density([(mean, slope)], value))
    np.testing.assert_array_equal(sample[:, 1], noise.normal[:, 1])  # style


@pytest.mark.parametrize("value", [0, 1, 2])
def test_tilted_noise_of_a_categorical_label_has_the_tilted_density(value):
    labels, rows = Labels((Label("x", ABC),)), 20_000
    parameters = some_parameters(labels, style=0)
    logits_of = [
        (k * parameters.loc[0, 0] + b, k * parameters.scale[0, 0])
        for k, b in zip(parameters.kernel[0], parameters.bias[0], strict=True)
    ]
    parameters = tiled(parameters, rows)
    sample = tilting.tilted_noise(
        posterior_of(parameters),
        label_model(labels, parameters),
        tf.fill([rows, 1], value),
        tf.fill([rows, 1], True),
        some_noise(labels, rows, style=0),
    ).numpy()
    assert_distributed(sample[:, 0], *tilted_density(logits_of, value))


@pytest.mark.parametrize("value", [0, 1])
def test_tilted_noise_of_several_latents_is_tilted_along_the_classifier_and_unchanged_across_it(value):
    labels, rows = Labels((Label("x", latents=2),)), 20_000
    parameters = some_parameters(labels, style=0)
    slopes = parameters.scale[0] * parameters.kernel[:, 0]
    length = np.linalg.norm(slopes)
    along, across = slopes / length, np.array([-slopes[1], slopes[0]]) / length
    mean = parameters.kernel[:, 0] @ parameters.loc[0] + parameters.bias[0, 0]
    parameters = tiled(parameters, rows)
    noise = some_noise(labels, rows, style=0)
    sample = tilting.tilted_noise(
        posterior_of(parameters),
        label_model(labels, parameters),
        tf.fill([rows, 1], value),
        tf.fill([rows, 1], True),
        noise,
    ).numpy()
    assert_distributed(sample @ along, *tilted_density([(mean, length)], value))
    np.testing.assert_allclose(sample @ across, noise.normal @ across, rtol=0, atol=1e-10)


@pytest.mark.parametrize("value", [0, 1, 2])
def test_noise_picked_among_proposals_has_the_tilted_moments(value):
    labels, rows, draws = Labels((Label("x", ABC, 2),)), 5_000, 200
    parameters = some_parameters(labels, style=0)
    grid, mass = standard_grid(2, 301)
    own = parameters.loc[0] + parameters.scale[0] * grid
    density = mass * np.exp(log_classifier(labels, parameters, 0, own)[:, value])
    density /= density.sum()
    parameters = tiled(parameters, rows)
    sample = tilting.tilted_noise(
        posterior_of(parameters),
        label_model(labels, parameters),
        tf.fill([rows, 1], value),
        tf.fill([rows, 1], True),
        some_noise(labels, rows, style=0, draws=draws),
    ).numpy()
    for power in (1, 2):
        error = (sample**power).std(axis=0) / np.sqrt(rows)
        expected = density @ grid**power
        # Picking among S proposals leaves a bias of order 1/S.
        assert np.all(np.abs((sample**power).mean(axis=0) - expected) < 4 * error + 1 / draws)


@pytest.mark.parametrize("slope", [0.0, 1.0, 3.0, 20.0])
def test_last_float32_before_one_gives_a_sample_that_the_density_allows(slope):
    locs = np.linspace(-8, 8, 100)
    labels, shape = Labels((Label("x"),)), (100, 1)
    noise = objective.Noise(tf.zeros(shape), tf.fill(shape, np.nextafter(np.float32(1), np.float32(0))), None)
    posterior = tfd.Normal(tf.constant(locs[:, None], tf.float32), tf.ones(shape))
    model = objective.LabelModel(labels, None, tf.constant([[0, slope]]), tf.zeros([1, 2]), None)
    sample = tilting.tilted_noise(posterior, model, tf.fill(shape, 0), tf.fill(shape, True), noise).numpy()
    # Value 0 thins the upper tail, and of a standard normal only 1e-9 lies above 6.
    assert sample.max() < 6


def test_noise_of_missing_labels_is_exactly_the_normal_noise():
    rows = 4
    parameters, noise = some_parameters(EVERYTHING, rows), some_noise(EVERYTHING, rows, draws=3)
    observed = np.array([[False] * 4, [True] * 4, [True, False, False, True], [False, True, True, False]])
    sample = tilting.tilted_noise(
        posterior_of(parameters), label_model(EVERYTHING, parameters), tf.ones([rows, 4], tf.int32), observed, noise
    ).numpy()
    seen = np.repeat(observed, [x.latents for x in EVERYTHING], axis=1)
    np.testing.assert_array_equal(sample[:, :6] == noise.normal[:, :6], ~seen)
    np.testing.assert_array_equal(sample[:, 6:], noise.normal[:, 6:])


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize(("mean", "slope"), [(0.3, 1.5), (-4.0, 2.0), (1.0, -4.0)])
def test_gradient_of_tilted_noise_is_that_of_the_tilted_mean(mean, slope, value):
    labels, rows, step = Labels((Label("x"),)), 20_000, 1e-5
    uniform = (np.arange(rows)[:, None] + 0.5) / rows
    noise = objective.Noise(tf.zeros([rows, 1], tf.float64), tf.constant(uniform), None)
    kernel, bias = tf.constant([[0, slope]], tf.float64), tf.constant([[0, mean]], tf.float64)
    zeros = tf.zeros([rows, 1], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch([kernel, bias])
        model = objective.LabelModel(labels, None, kernel, bias, None)
        values, observed = tf.fill([rows, 1], value), tf.fill([rows, 1], True)
        sample = tilting.tilted_noise(tfd.Normal(zeros, zeros + 1), model, values, observed, noise)
        own = tf.reduce_mean(sample)
    gradients = [g.numpy()[0, 1] for g in tape.gradient(own, [kernel, bias])]

    def tilted_mean(mean, slope):
        t, density = tilted_density([(mean, slope)], value)
        return density @ t

    expected = [
        (tilted_mean(mean, slope + step) - tilted_mean(mean, slope - step)) / (2 * step),
        (tilted_mean(mean + step, slope) - tilted_mean(mean - step, slope)) / (2 * step),
    ]
    # The rule of midpoints over 20,000 uniform variates errs by less than 1e-4 of the largest sample, 4.
    np.testing.assert_allclose(gradients, expected, rtol=0, atol=1e-4)
