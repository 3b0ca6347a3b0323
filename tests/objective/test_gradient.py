"""Gradients of the bound against finite differences, and both in float32."""

import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.objective.brute_force import log_classifier, log_normal, standard_grid
from tests.objective.small_case import (
    ABC,
    ABCD,
    EVERYTHING,
    PATTERNS,
    PIXELS,
    SEVERAL_LATENTS,
    THREE_BINARY,
    Parameters,
    evaluation,
    every_value_and_none,
    gaussian_around_sigmoid,
    lattice_noise,
    some_image,
    some_noise,
    some_parameters,
    terms_of,
)
from tf_ccvae.labels import MISSING, Label, Labels


def central_differences(function, parameters, name, step):
    """(f(p + step) - f(p - step)) / (2 step) for every entry of one of the parameters."""
    array = getattr(parameters, name)
    differences = np.zeros_like(array)
    for where in np.ndindex(*array.shape):
        low, high = array.copy(), array.copy()
        low[where] -= step
        high[where] += step
        rise = function(parameters._replace(**{name: high})) - function(parameters._replace(**{name: low}))
        differences[where] = rise / (2 * step)
    return differences


@pytest.mark.programs  # some hundred evaluations
@pytest.mark.parametrize("labels", [THREE_BINARY, SEVERAL_LATENTS, EVERYTHING], ids=["binary", "several", "everything"])
def test_gradient_of_the_exact_loss_equals_finite_differences_with_the_same_noise(labels):
    values = [v + [MISSING] * (len(labels) - 3) for v in PATTERNS.values()]
    times, step = 20, 1e-6
    parameters, image = some_parameters(labels, batch=3), some_image(3)
    noise = some_noise(labels, 3 * times, draws=4)
    _, _, gradients = evaluation(labels, times=times)(parameters, values, noise, image)
    evaluate = evaluation(labels, times=times, compiled=True, differentiated=False)

    def mean_loss(moved):
        return evaluate(moved, values, noise, image)[1].mean()

    for name, gradient in zip(Parameters._fields, gradients, strict=True):
        differences = central_differences(mean_loss, parameters, name, step)
        # Rounding leaves 1e-15 * |loss| / step = 2e-8 in the difference. The sampler is piecewise smooth: a sample
        # that changes its cell within the step would show, at about 1e-4; with this noise none does.
        np.testing.assert_allclose(gradient, differences, atol=1e-6, rtol=1e-6, err_msg=name)


def expected_reconstruction(labels, parameters, image, value):
    """E_q(z|x) w log p(x|z) of one example with one label and two latents, over a grid; `gaussian_around_sigmoid`."""
    grid, mass = standard_grid(2, 101)
    z = parameters.loc[0] + parameters.scale[0] * grid
    w = mass * np.exp(log_classifier(labels, parameters, 0, z[:, : labels.characteristic])[:, value])
    means = 1 / (1 + np.exp(-(z @ parameters.decoder[:-1] + parameters.decoder[-1])))
    return w @ log_normal(image.reshape(PIXELS), means, 0.3).sum(1) / w.sum()


@pytest.mark.programs  # thousands of draws
@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("label", [Label("x"), Label("x", latents=2), Label("x", ABC)], ids=["one", "two", "classes"])
def test_expected_gradient_of_the_reconstruction_is_that_of_the_weighted_expectation(label, value):
    """The sampler has no weight w, and yet its reparameterised gradient is that of the expectation with w."""
    labels, rows, repetitions, step = Labels((label,)), 1_000, 10, 1e-4
    style = 2 - label.latents
    parameters, image = some_parameters(labels, style=style), some_image()

    names = ("loc", "scale", "kernel", "bias", "decoder")
    results = {name: [] for name in names}
    for seed in range(repetitions):
        watched = Parameters(*map(tf.constant, parameters))
        with tf.GradientTape() as tape:
            tape.watch(watched)
            p = watched._replace(loc=tf.tile(watched.loc, [rows, 1]), scale=tf.tile(watched.scale, [rows, 1]))
            reconstruction = terms_of(
                labels,
                p,
                np.full((rows, 1), value),
                lattice_noise(labels, rows, style, seed),
                np.tile(image, (rows, 1, 1, 1)),
                nodes=4,
                likelihood=gaussian_around_sigmoid,
            ).reconstruction
            mean = tf.reduce_mean(reconstruction)
        for name, gradient in zip(names, tape.gradient(mean, [getattr(watched, n) for n in names]), strict=True):
            results[name].append(gradient.numpy())

    def expected(moved):
        return expected_reconstruction(labels, moved, image, value)

    for name in names:
        differences = central_differences(expected, parameters, name, step)
        error = np.std(results[name], axis=0, ddof=1) / np.sqrt(repetitions)
        # Constant density inside cells of width h = 1/8 adds h^2 / 12 = 0.0013 to the variance of the noise.
        allowed = 4 * error + 2e-3 * np.abs(differences).max()
        assert np.all(np.abs(np.mean(results[name], axis=0) - differences) < allowed), name
        assert error.max() < 0.1 * np.abs(differences).max(), name


@functools.cache
def compiled_in_float32(labels):
    """One graph for all scales."""
    return evaluation(labels, tf.float32, compiled=True)


def hard_case(labels):
    """Every value observed, none, some; noise far out and uniform variates at both ends of (0, 1)."""
    values = every_value_and_none(labels)
    part = values[0].copy()
    part[::2] = MISSING
    values = np.concatenate([values, [part]])
    values = np.repeat(values, 6, axis=0)
    noise = some_noise(labels, len(values), draws=4)
    ends = np.array([6e-8, 1e-6, 1 - 1e-6, 1 - 6e-8], np.float32)
    noise.uniform[:] = np.resize([*ends, 0.3, 0.7], noise.uniform.shape[0])[:, None]
    noise.normal[:] = np.where(np.abs(noise.normal) > 2, 3 * noise.normal, noise.normal)
    return values, noise


@pytest.mark.programs  # many evaluations
@pytest.mark.parametrize("labels", [THREE_BINARY, EVERYTHING], ids=["binary", "everything"])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 10.0])
def test_values_and_gradients_are_finite_in_float32(labels, scale):
    values, noise = hard_case(labels)
    evaluate = compiled_in_float32(labels)
    parameters = some_parameters(labels, batch=len(values))
    for slope, intercept, loc in itertools.product([0, 1, -3], [-50, 50], [-50, 0, 50]):
        extreme = parameters._replace(
            loc=np.full_like(parameters.loc, loc),
            scale=np.full_like(parameters.scale, scale),
            kernel=np.full_like(parameters.kernel, slope),
            bias=np.full_like(parameters.bias, intercept),
        )
        terms, loss, gradients = evaluate(extreme, values, noise, some_image(len(values)))
        case = f"slope {slope}, intercept {intercept}, loc {loc}"
        assert all(np.all(np.isfinite(part)) for part in (*terms, loss)), case
        for name, gradient in zip(Parameters._fields, gradients, strict=True):
            assert np.all(np.isfinite(gradient)), f"{case}: {name}"


@pytest.mark.parametrize("labels", [THREE_BINARY, EVERYTHING], ids=["binary", "everything"])
def test_float32_agrees_with_float64(labels):
    values = every_value_and_none(labels)
    parameters = some_parameters(labels, batch=len(values))
    noise, image = some_noise(labels, len(values), draws=8), some_image(len(values))
    single = evaluation(labels, tf.float32)(parameters, values, noise, image)
    double = evaluation(labels, tf.float64)(parameters, values, noise, image)

    def compare(a, b):
        # Relative to the largest number of each array: small entries are differences of large ones.
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.max(np.abs(b), initial=0))

    tf.nest.map_structure(compare, single, double)


@pytest.mark.programs
@pytest.mark.parametrize("label", [Label("x"), Label("x", latents=3), Label("x", ABCD), Label("x", tuple("0123456"))])
def test_one_label_alone_has_the_terms_and_gradients_in_float32_that_it_has_in_float64(label):
    labels, batch = Labels((label,)), 100
    parameters = some_parameters(labels, batch)
    values = np.random.default_rng(0).integers(MISSING, label.values, (batch, 1))
    given = parameters, values, some_noise(labels, batch), some_image(batch)
    single, double = evaluation(labels, tf.float32, compiled=True)(*given), evaluation(labels)(*given)
    for found, expected in zip(tf.nest.flatten(single), tf.nest.flatten(double), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
