"""The closed forms of number labels against brute force, finite differences, and what theory says of two values."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.objective.brute_force import log_normal
from tests.objective.small_case import (
    PIXELS,
    label_model,
    laplace_around_linear,
    some_image,
    some_noise,
    some_parameters,
)
from tf_ccvae import objective
from tf_ccvae.label_arrays import Columns, known
from tf_ccvae.labels import Label, Labels, Scale
from tf_ccvae.objective import characteristics
from tf_ccvae.objective.numbers import NumberModel

tfd = tfp.distributions

AGE, SIZE = Scale(50.0, 10.0, 20.0, 90.0), Scale(-2.0, 0.5, -3.0, -1.0)
NUMBERS = Labels((Label("age", latents=2, scale=AGE), Label("size", scale=SIZE)))
MIXED = Labels(
    (Label("age", latents=2, scale=AGE), Label("hat"), Label("size", scale=SIZE), Label("z", ("a", "b", "c")))
)
ROWS = np.array([[63.0, 1, -2.4, 2], [41.0, 0, np.nan, 1], [np.nan, np.nan, -1.1, np.nan], [np.nan] * 4])
LATENTS = 5 + 2  # of MIXED, and style


def some_numbers(labels, seed=0):
    """A `NumberModel` of moderate size, float64."""
    random, count, latents = np.random.default_rng(seed + 500), len(labels), labels.characteristic
    return NumberModel(
        labels,
        tf.constant(random.normal(size=latents)),
        tf.constant(random.normal(scale=0.3, size=count)),
        tf.constant(random.uniform(0.3, 0.9, size=count)),
        tf.constant(random.normal(size=latents)),
        tf.constant(random.normal(scale=0.3, size=latents)),
        tf.constant(random.uniform(0.4, 1.2, size=latents)),
    )


def some_model(labels=MIXED, dtype=tf.float64):
    """All labels' distributions."""
    plain = label_model(labels.plain, some_parameters(labels.plain), dtype)
    numbers = some_numbers(labels.of_numbers)
    return plain._replace(labels=labels, numbers=NumberModel(numbers.labels, *(tf.cast(x, dtype) for x in numbers[1:])))


def some_posterior(rows, latents=LATENTS, seed=0):
    random = np.random.default_rng(seed + 600)
    return tfd.Normal(
        tf.constant(random.normal(scale=0.7, size=(rows, latents))),
        tf.constant(random.uniform(0.4, 1.0, size=(rows, latents))),
    )


def decoder(latents=LATENTS):
    return laplace_around_linear(tf.constant(np.random.default_rng(7).normal(scale=0.4, size=(latents + 1, PIXELS))))


def evaluate(values, posterior, model, noise=None, estimator="exact"):
    values = np.asarray(values, float)
    noise = noise or some_noise(model.labels, len(values), int(posterior.loc.shape[1]) - model.labels.characteristic)
    example = objective.Example(some_image(len(values)), tf.constant(values), tf.constant(known(values)), noise)
    return objective.estimate(estimator, example, posterior, model, decoder(int(posterior.loc.shape[1])))


def drawn_terms(value, loc, scale, number, draws=1_000_000):
    """What one number label of a `NumberModel` adds, by draws: characteristic and marginal with standard errors."""
    random = np.random.default_rng(0)
    a, b, s, c, d, spread = (np.array(x) for x in number[1:])
    z = loc + scale * random.normal(size=(draws, len(loc)))
    log_q_z = log_normal(z, loc, scale).sum(1)
    mean = z @ a + b[0]
    y = mean + s[0] * random.normal(size=draws) if np.isnan(value) else np.full(draws, value)
    log_q_y = log_normal(y, mean, s[0])
    bracket = log_normal(z, c * y[:, None] + d, spread).sum(1) - log_q_z - log_q_y
    if np.isnan(value):
        return (bracket.mean(), bracket.std() / 1000), (log_normal(y, 0, 1).mean(), log_normal(y, 0, 1).std() / 1000)
    weights = np.exp(log_q_y)
    marginal = weights.mean()
    w = weights / marginal
    expected = (w * bracket).mean()
    return (
        (expected, (w * (bracket - expected)).std() / 1000),
        (np.log(marginal), w.std() / 1000),
    )


@pytest.mark.parametrize("latents", [1, 3])
@pytest.mark.parametrize("value", [0.8, -2.0, np.nan])
def test_terms_of_a_number_label_equal_those_of_a_million_draws(value, latents):
    labels = Labels((Label("y", latents=latents, scale=Scale(0, 1, -3, 3)),))
    model, posterior = some_model(labels), some_posterior(1, latents)
    terms = evaluate([[value]], posterior, model)
    loc, scale = np.array(posterior.loc)[0], np.array(posterior.scale)[0]
    (bracket, error), (other, other_error) = drawn_terms(value, loc, scale, model.numbers)
    assert error < 0.02 and abs(terms.characteristic[0, 0] - bracket) < 4 * error
    exact = terms.label_prior if np.isnan(value) else terms.label_marginal
    assert other_error < 0.02 and abs(exact[0, 0] - other) < 4 * other_error


def test_a_draw_has_the_moments_of_the_tilted_posterior():
    rows, labels = 200_000, Labels((Label("y", latents=2, scale=Scale(0, 1, -3, 3)),))
    model, one = some_model(labels), some_posterior(1, 2)
    posterior = tfd.Normal(tf.tile(one.loc, [rows, 1]), tf.tile(one.scale, [rows, 1]))
    z = np.array(evaluate(np.full((rows, 1), 1.3), posterior, model).latents)
    a, b, s = (np.array(x) for x in model.numbers[1:4])
    loc, scale = np.array(one.loc)[0], np.array(one.scale)[0]
    precision = np.diag(scale**-2) + np.outer(a, a) / s**2  # of the Gaussian q(z|x) q(y|z)
    covariance = np.linalg.inv(precision)
    mean = covariance @ (loc / scale**2 + a * (1.3 - b) / s**2)
    np.testing.assert_allclose(z.mean(0), mean, atol=0.01)
    np.testing.assert_allclose(np.cov(z.T), covariance, atol=0.01)


def test_gradient_of_the_bound_equals_finite_differences():
    model, posterior = some_model(), some_posterior(len(ROWS))
    arrays = [posterior.loc, posterior.scale, *model.numbers[1:], model.kernel]

    def bound(*arrays):
        changed = model._replace(numbers=NumberModel(model.numbers.labels, *arrays[2:8]), kernel=arrays[8])
        return tf.reduce_sum(evaluate(ROWS, tfd.Normal(*arrays[:2]), changed).bound)

    with tf.GradientTape() as tape:
        tape.watch(arrays)
        total = bound(*arrays)
    gradients = tape.gradient(total, arrays)
    random = np.random.default_rng(1)
    for i, gradient in enumerate(gradients):
        direction = random.normal(size=arrays[i].shape)
        if i == 8:
            direction[:, 0] = 0  # logits of the first value are 0
        ends = [bound(*(x + step * direction if k == i else x for k, x in enumerate(arrays))) for step in (1e-5, -1e-5)]
        np.testing.assert_allclose(np.sum(gradient * direction), (ends[0] - ends[1]) / 2e-5, rtol=1e-5, atol=1e-6)


@pytest.mark.programs
def test_labels_of_several_kinds_in_one_graph_have_the_terms_that_they_have_alone():
    model, posterior, columns = some_model(), some_posterior(len(ROWS)), Columns.of(MIXED)
    noise = some_noise(MIXED, len(ROWS))
    together = tf.function(lambda values: evaluate(ROWS, posterior, model, noise)[:6])(ROWS)
    together = objective.Terms(*together, None)

    def alone(places, latents, own):
        part = tfd.Normal(*(tf.gather(x, [*latents, 5, 6], axis=1) for x in (posterior.loc, posterior.scale)))
        some = objective.Noise(noise.normal[:, [*latents, 5, 6]], noise.uniform[:, places], noise.draws[..., latents])
        return evaluate(ROWS[:, places], part, own, some)

    plain = alone(columns.plain, columns.plain_latents, model.plain)
    empty = label_model(Labels(()), some_parameters(Labels(())))
    of_numbers = alone(columns.numbers, columns.number_latents, empty._replace(labels=NUMBERS, numbers=model.numbers))
    for name in ("characteristic", "label_marginal", "label_prior"):
        whole = np.array(getattr(together, name))
        np.testing.assert_allclose(whole[:, columns.plain], getattr(plain, name), rtol=1e-12)
        np.testing.assert_allclose(whole[:, columns.numbers], getattr(of_numbers, name), rtol=1e-12)
    np.testing.assert_allclose(together.style_divergence, plain.style_divergence, rtol=1e-12)


def test_a_weighted_number_pulls_its_mean_by_how_far_it_is_off_however_sure_the_classifier_is():
    model, values = some_model(Labels((Label("y", scale=Scale(0, 1, -3, 3)),))), np.array([[0.8], [-2.0], [np.nan]])
    slope, intercept = float(model.numbers.slope[0]), float(model.numbers.intercept[0])
    loc = tf.constant([[0.3], [-0.4], [1.0]], tf.float64)
    off = np.where(np.isnan(values), 0.0, values - slope * np.array(loc) - intercept)
    for sure in (0.05, 0.5):
        surer = model._replace(numbers=model.numbers._replace(scale=tf.constant([sure], tf.float64)))
        with tf.GradientTape() as tape:
            tape.watch(loc)
            terms = evaluate(values, tfd.Normal(loc, tf.constant([[0.2]] * 3, tf.float64)), surer)
            weighted = tf.reduce_sum(terms.loss(100.0) - terms.loss(0.0)) / 100
        np.testing.assert_allclose(tape.gradient(weighted, loc), -slope * off, rtol=1e-9)


def test_what_stands_where_a_number_is_missing_is_of_no_influence():
    model, posterior, noise = some_model(), some_posterior(len(ROWS)), some_noise(MIXED, len(ROWS))
    there = known(ROWS)
    results = []
    for other in (np.nan, 0.0, 1.0):
        values = tf.constant(np.where(there, ROWS, other))
        example = objective.Example(some_image(len(ROWS)), values, tf.constant(there), noise)
        results.append(objective.exact(example, posterior, model, decoder()))
    for other in results[1:]:
        tf.nest.map_structure(np.testing.assert_array_equal, results[0], other)
    np.testing.assert_array_equal(np.array(results[0].label_marginal) == 0, ~there)


def test_two_values_are_told_apart_with_the_log_odds_that_theory_gives():
    """log q(y_1|x) - log q(y_0|x) = (y_1 - y_0) (mean - (y_0 + y_1) / 2) / variance, as for any two Gaussians."""
    model, posterior = some_model(NUMBERS), some_posterior(3, 5)
    rows = np.array([[40.0, -2.0], [65.0, -2.0]])
    low, high = (np.array(evaluate(np.tile(row, (3, 1)), posterior, model).label_marginal)[:, 0] for row in rows)
    found = objective.number_marginals(posterior, model)
    mean, deviation = np.array(found.mean())[:, 0], np.array(found.stddev())[:, 0]
    np.testing.assert_allclose(high - low, 25 * (mean - 52.5) / deviation**2, rtol=1e-10)


@pytest.mark.parametrize("estimator", ["pytorch", "pyro"])
def test_official_estimators_refuse_number_labels_by_name(estimator):
    with pytest.raises(ValueError, match=f"estimator '{estimator}' knows no labels that are numbers, and 'age'"):
        evaluate(ROWS, some_posterior(len(ROWS)), some_model(), some_noise(MIXED, len(ROWS), draws=3), estimator)


# What interventions do ------------------------------------------------------------------------------------------------


def some_latents(count):
    return np.random.default_rng(0).normal(size=(count, LATENTS)).astype(np.float32)


def test_values_of_latents_are_in_the_units_of_the_labels():
    model, latents = some_model(dtype=tf.float32), some_latents(4)
    values = np.array(characteristics.values_of(latents, model))
    a, b = np.array(model.numbers.slope), np.array(model.numbers.intercept)
    np.testing.assert_allclose(values[:, 0], 50 + 10 * (latents[:, :2] @ a[:2] + b[0]), rtol=1e-5)
    np.testing.assert_allclose(values[:, 2], -2 + 0.5 * (latents[:, 3] * a[2] + b[1]), rtol=1e-5)
    assert set(values[:, 1]) <= {0, 1} and set(values[:, 3]) <= {0, 1, 2}


def readable(model):
    """The same with a prior in line with the classifier: a . c is 0.8 for the first label and 0.2 for the second."""
    slope = np.array(model.numbers.slope)
    lengths = np.array([*[np.square(slope[:2]).sum()] * 2, slope[2] ** 2])
    return model._replace(
        numbers=model.numbers._replace(prior_slope=tf.constant([0.8, 0.8, 0.2] * slope / lengths, tf.float32))
    )


def test_a_number_that_is_set_is_read_afterwards_and_setting_it_back_restores_the_latents():
    model, latents = readable(some_model(dtype=tf.float32)), some_latents(3)
    mask = np.tile([True, False, False, False], (3, 1))
    before = np.array(characteristics.values_of(latents, model))
    moved = characteristics.set_values(latents, np.full((3, 4), 71.0), mask, model)
    np.testing.assert_allclose(characteristics.values_of(moved, model)[:, 0], 71, rtol=1e-5)
    np.testing.assert_allclose(characteristics.set_values(moved, before, mask, model), latents, atol=1e-5)


def test_a_number_that_latents_hardly_tell_moves_twice_as_far_as_its_prior_at_most():
    model, latents = readable(some_model(dtype=tf.float32)), some_latents(3)
    mask = np.tile([False, False, True, False], (3, 1))
    before = np.array(characteristics.values_of(latents, model))[:, 2]
    moved = characteristics.set_values(latents, np.full((3, 4), -1.5), mask, model)
    after = np.array(characteristics.values_of(moved, model))[:, 2]
    np.testing.assert_allclose(after, before + 0.2 / 0.5 * (-1.5 - before), rtol=1e-5)


def test_transport_moves_a_number_along_its_prior_and_nothing_else():
    model, latents = readable(some_model(dtype=tf.float32)), some_latents(3)
    mask = np.tile([True, False, False, False], (3, 1))
    before = np.array(characteristics.values_of(latents, model))[:, 0]
    moved = np.array(characteristics.set_values(latents, np.full((3, 4), 71.0), mask, model))
    slope = np.array(model.numbers.prior_slope)[:2]
    np.testing.assert_allclose(moved[:, :2], latents[:, :2] + slope / 0.8 * (71 - before)[:, None] / 10, rtol=1e-4)
    np.testing.assert_array_equal(moved[:, 2:], latents[:, 2:])


@pytest.mark.parametrize("mode", characteristics.MODES)
def test_setting_a_class_beside_numbers_does_what_it_does_alone(mode):
    model, columns = some_model(dtype=tf.float32), Columns.of(MIXED)
    latents, noise = some_latents(3), some_latents(3)[:, :5]
    values, mask = np.tile(np.float32([np.nan, 1, np.nan, 2]), (3, 1)), np.tile([False, True, False, True], (3, 1))
    moved = np.array(characteristics.set_values(latents, values, mask, model, None, mode, noise))
    alone = characteristics.set_values(
        latents[:, columns.plain_latents],
        values[:, columns.plain].astype(int),
        mask[:, columns.plain],
        model.plain,
        None,
        mode,
        noise[:, columns.plain_latents],
    )
    np.testing.assert_allclose(moved[:, columns.plain_latents], alone, rtol=1e-6)
    np.testing.assert_array_equal(moved[:, columns.number_latents], latents[:, columns.number_latents])


def test_draws_have_the_prior_of_the_value_and_a_missing_number_that_of_the_mixture():
    count, model = 100_000, some_model(dtype=tf.float32)
    noise = objective.Noise(*(x.astype(np.float32) for x in some_noise(MIXED, count)))
    values = np.tile([65.0, 1.0, np.nan, np.nan], (count, 1))
    drawn = np.array(characteristics.draw(values, model, noise))
    c, d, spread = (np.array(x) for x in model.numbers[4:])
    np.testing.assert_allclose(drawn[:, :2].mean(0), c[:2] * 1.5 + d[:2], atol=0.02)
    np.testing.assert_allclose(drawn[:, :2].std(0), spread[:2], atol=0.02)
    np.testing.assert_allclose(drawn[:, 3].mean(), d[2], atol=0.02)
    np.testing.assert_allclose(drawn[:, 3].std(), np.hypot(c[2], spread[2]), atol=0.02)


def test_swap_carries_a_number_over_and_leaves_the_rest():
    model, random = some_model(dtype=tf.float32), np.random.default_rng(0)
    latents, donors = random.normal(size=(2, 3, LATENTS)).astype(np.float32)
    mask = np.tile([True, False, False, False], (3, 1))
    table = np.zeros((5, 5), np.float32)  # of the 2 + 3 values that can be listed
    swapped = np.array(characteristics.swap(latents, donors, mask, model, table))
    np.testing.assert_array_equal(swapped[:, :2], donors[:, :2])
    np.testing.assert_array_equal(swapped[:, 2:], latents[:, 2:])
