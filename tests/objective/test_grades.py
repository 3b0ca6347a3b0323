"""The terms of grades against brute force, finite differences and closed forms, and what interventions do to them."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.objective.brute_force import log_normal
from tests.objective.small_case import label_model, posterior_of, some_image, some_noise, some_parameters
from tests.objective.test_numbers import AGE, decoder, evaluate, some_numbers, some_posterior
from tf_ccvae import objective
from tf_ccvae.labels import MISSING, Label, Labels
from tf_ccvae.objective import characteristics, grades, tilting
from tf_ccvae.objective.classifier import label_logits, log_values
from tf_ccvae.objective.numbers import NumberModel

tfd = tfp.distributions

FIVE, ABC = tuple("01234"), ("a", "b", "c")
GRADE = Labels((Label("g", FIVE, 2, ordered=True),))
LISTED = Labels(
    (
        Label("hat"),
        Label("g", FIVE, 2, ordered=True),
        Label("z", ABC),
        Label("h", ABC, 1, ordered=True),
        Label("y", ABC, 2),
    )
)
MIXED = Labels((LISTED.items[1], Label("age", latents=2, scale=AGE), *LISTED.items[:1], *LISTED.items[2:]))


def some_grades(labels, seed=0, dtype=tf.float64):
    """A `LabelModel` of moderate size; that of grades has thresholds and means in order."""
    plain = labels.plain
    parameters = some_parameters(plain, seed=seed)
    kernel, bias, loc, scale = (np.array(x) for x in parameters[2:6])
    for i in plain.grades:
        where = plain.slices[i]
        kernel[where] = kernel[where, :1]
        bias[i] = -np.sort(np.random.default_rng(seed + i).normal(scale=1.2, size=len(bias[i])))
        alone = Labels((plain.items[i],))
        places = np.sort(np.random.default_rng(seed + 50 + i).normal(size=(1, len(loc))))
        loc[:, where] = grades.ordered_means(kernel[where, 0], places, loc[:, where], alone)
        scale[:, where] = scale[:1, where]
    parameters = parameters._replace(kernel=kernel, bias=bias, prior_loc=loc, prior_raw_scale=scale)
    model = label_model(plain, parameters, dtype)
    if not labels.numbers:
        return model
    numbers = some_numbers(labels.of_numbers)
    return model._replace(labels=labels, numbers=NumberModel(numbers.labels, *(tf.cast(x, dtype) for x in numbers[1:])))


def log_grade(model, own, index=0):
    """log q(y = v | z_i) from the definition: latents (n, d) of one grade -> (n, values)."""
    where, count = model.labels.slices[index], model.labels.items[index].values
    slopes, thresholds = np.array(model.kernel)[where, 1], -np.array(model.bias)[index, 1:count]
    below = 1 / (1 + np.exp(-(thresholds - (own @ slopes)[:, None])))  # q(y <= v | z_i)
    return np.log(np.diff(below, prepend=0, append=1, axis=1))


def drawn_terms(value, loc, scale, model, draws=1_000_000):
    """What one grade adds, by draws: characteristic and marginal or prior term, each with its standard error."""
    z = loc + scale * np.random.default_rng(0).normal(size=(draws, len(loc)))
    log_q_y = log_grade(model, z)
    prior_loc, prior_scale = np.array(model.prior.loc), np.array(model.prior.scale)
    log_p_z = np.stack([log_normal(z, *x).sum(1) for x in zip(prior_loc, prior_scale, strict=True)], axis=1)
    bracket = log_p_z - log_normal(z, loc, scale).sum(1)[:, None] - log_q_y
    if value == MISSING:
        share, log_prior = np.exp(log_q_y), np.array(model.log_label_prior)[0]
        return tuple((x.mean(), x.std() / 1000) for x in ((share * bracket).sum(1), share @ log_prior))
    weights = np.exp(log_q_y[:, value])
    w = weights / weights.mean()
    expected = (w * bracket[:, value]).mean()
    error = (w * (bracket[:, value] - expected)).std() / 1000
    return (expected, error), (np.log(weights.mean()), w.std() / 1000)


@pytest.mark.programs  # a million draws
@pytest.mark.parametrize("latents", [1, 3])
@pytest.mark.parametrize("value", [0, 2, 4, MISSING])
def test_terms_of_a_grade_equal_those_of_a_million_draws(value, latents):
    labels = Labels((Label("g", FIVE, latents, ordered=True),))
    model, posterior = some_grades(labels), some_posterior(1, latents)
    terms = evaluate([[value if value != MISSING else np.nan]], posterior, model)
    loc, scale = np.array(posterior.loc)[0], np.array(posterior.scale)[0]
    (bracket, error), (other, other_error) = drawn_terms(value, loc, scale, model)
    assert error < 0.02 and abs(terms.characteristic[0, 0] - bracket) < 4 * error
    exact = terms.label_prior if value == MISSING else terms.label_marginal
    assert other_error < 0.02 and abs(exact[0, 0] - other) < 4 * other_error


def test_a_narrow_posterior_gives_the_probabilities_at_its_mean():
    model, wide = some_grades(GRADE), some_posterior(4, 2)
    posterior = tfd.Normal(wide.loc, 1e-4 * wide.scale)
    found = objective.log_label_marginals(posterior, model)[:, 0]
    np.testing.assert_allclose(found, log_grade(model, np.array(wide.loc)), atol=1e-6)


def test_probabilities_of_grades_are_differences_of_sigmoids_and_sum_to_1():
    model, latents = some_grades(LISTED), np.random.default_rng(0).normal(size=(6, 9)) * 3
    table = np.array(characteristics.values_table(latents, model))
    np.testing.assert_allclose(table.sum(-1), 1, rtol=1e-12)
    for i in LISTED.grades:
        where, count = LISTED.slices[i], LISTED.items[i].values
        expected = np.exp(log_grade(model, latents[:, where], i))
        np.testing.assert_allclose(table[:, i, :count], expected, rtol=1e-9, atol=1e-14)
        np.testing.assert_array_equal(table[:, i, count:], 0)
        np.testing.assert_array_equal(characteristics.values_of(latents, model)[:, i], expected.argmax(1))


def test_far_out_no_probability_of_a_grade_is_lost_in_float32():
    """The probability of a grade in the middle falls as exp(-|a . z|), also where 1 - sigmoid is 0 in float32."""
    labels = Labels((Label("g", ABC, ordered=True),))
    logits = np.array([0.0, 1.0, -1.0]) + np.array([-60.0, 60.0])[:, None]
    found = np.array(log_values(tf.constant(logits[:, None], tf.float32), labels))[:, 0]
    middle = np.log(np.exp(1.0) - np.exp(-1.0)) - 60
    np.testing.assert_allclose(found, [[0, middle, -61], [-61, middle, 0]], atol=1e-4)


def test_a_grade_of_two_values_is_a_binary_label_alone_and_beside_more_values():
    posterior, noise = some_posterior(3, 9), some_noise(LISTED, 3, draws=4)
    values = np.array([[1.0], [0], [np.nan]])
    pairs = []
    for beside in ((), LISTED.items[2:3]):
        for label in (Label("x", latents=2), Label("x", ("no", "yes"), 2, ordered=True)):
            labels = Labels((label, *beside))
            rows = np.concatenate([values, np.full((3, len(beside)), np.nan)], axis=1)
            own = objective.Noise(noise.normal, noise.uniform[:, : len(labels)], noise.draws[..., : 2 + len(beside)])
            model = label_model(labels, some_parameters(labels))
            pairs.append(evaluate(rows, posterior, model, own)[:6])
    tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), *pairs[:2])
    tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), *pairs[2:])


ROWS = np.array(
    [[3.0, 63.0, 1, 2, 0, 1], [np.nan, 41.0, 0, 1, 2, 0], [0, np.nan, np.nan, np.nan, 1, np.nan], [np.nan] * 6]
)


def one_label(model, index):
    """The distributions of one label that is no number, in tables of its own size, and its latents among all."""
    plain = [i for i, x in enumerate(model.labels) if not x.scale]
    place, label = plain.index(index), model.labels.items[index]
    own, count = model.labels.plain.slices[place], label.values
    prior = tfd.Normal(model.prior.loc[:count, own], model.prior.scale[:count, own])
    tables = (
        model.kernel[own, :count],
        model.bias[place : place + 1, :count],
        model.log_label_prior[place, None, :count],
    )
    return objective.LabelModel(Labels((label,)), prior, *tables), np.arange(20)[model.labels.slices[index]]


@pytest.mark.programs
def test_labels_of_all_kinds_have_in_one_graph_the_terms_that_they_have_alone():
    model, posterior, noise = some_grades(MIXED), some_posterior(len(ROWS), 11), some_noise(MIXED, len(ROWS), draws=5)

    @tf.function(input_signature=[tf.TensorSpec([None, len(MIXED)], tf.float64)])
    def terms(values):
        example = objective.Example(some_image(len(ROWS)), values, ~tf.math.is_nan(values), noise)
        return objective.exact(example, posterior, model, decoder(11))[:6]

    for rows in (ROWS, ROWS[::-1]):  # other labels are missing
        together = objective.Terms(*terms(rows), None)
        for i, label in enumerate(MIXED):
            if label.scale:
                continue
            alone, latents = one_label(model, i)
            part = tfd.Normal(*(tf.gather(x, latents, axis=1) for x in (posterior.loc, posterior.scale)))
            own = objective.Noise(noise.normal[:, latents], noise.uniform[:, [i]], noise.draws[..., latents])
            expected = evaluate(rows[:, [i]], part, alone, own)
            for name in ("characteristic", "label_marginal", "label_prior"):
                np.testing.assert_allclose(getattr(together, name)[:, i], getattr(expected, name)[:, 0], rtol=1e-10)
    assert terms.experimental_get_tracing_count() == 1


def test_gradient_of_the_bound_equals_finite_differences():
    model, posterior, noise = some_grades(MIXED), some_posterior(len(ROWS), 11), some_noise(MIXED, len(ROWS), draws=5)
    arrays = [posterior.loc, posterior.scale, model.kernel, model.bias, model.prior.loc, model.prior.scale]

    def bound(loc, scale, kernel, bias, prior_loc, prior_scale):
        changed = model._replace(prior=tfd.Normal(prior_loc, prior_scale), kernel=kernel, bias=bias)
        return tf.reduce_sum(evaluate(ROWS, tfd.Normal(loc, scale), changed, noise).bound)

    with tf.GradientTape() as tape:
        tape.watch(arrays)
        total = bound(*arrays)
    gradients = tape.gradient(total, arrays)
    random = np.random.default_rng(1)
    for i, gradient in enumerate(gradients):
        direction = random.normal(size=arrays[i].shape)
        if i in (2, 3):
            direction[:, 0] = 0  # logits of the first value are 0
        if i == 2:  # grades have one slope a latent for all values
            for place in model.labels.plain.grades:
                direction[model.labels.plain.slices[place], 1:] = direction[model.labels.plain.slices[place], 1:2]
        ends = [bound(*(x + step * direction if k == i else x for k, x in enumerate(arrays))) for step in (1e-5, -1e-5)]
        np.testing.assert_allclose(np.sum(gradient * direction), (ends[0] - ends[1]) / 2e-5, rtol=1e-5, atol=1e-6)


@pytest.mark.programs  # many draws
@pytest.mark.parametrize("value", range(5))
def test_a_draw_has_the_mean_and_the_variance_of_the_tilted_posterior(value):
    rows, model = 50_000, some_grades(GRADE)
    parameters = some_parameters(GRADE, style=0)
    one = posterior_of(parameters)
    posterior = tfd.Normal(tf.tile(one.loc, [rows, 1]), tf.tile(one.scale, [rows, 1]))
    noise, all_of_it = some_noise(GRADE, rows, style=0), tf.fill([rows, 1], True)
    drawn = np.array(tilting.tilted_noise(posterior, model, tf.fill([rows, 1], value), all_of_it, noise))
    line = np.linspace(-8, 8, 401)
    grid = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    log_density = log_grade(model, np.array(one.loc) + np.array(one.scale) * grid)[:, value] - 0.5 * (grid**2).sum(1)
    mass = np.exp(log_density - log_density.max())
    mass /= mass.sum()
    mean = mass @ grid
    np.testing.assert_allclose(drawn.mean(0), mean, atol=4.5 / np.sqrt(rows))
    expected = (mass[:, None] * (grid - mean)).T @ (grid - mean)
    np.testing.assert_allclose(np.cov(drawn.T), expected, atol=0.03)


@pytest.mark.parametrize("estimator", ["pytorch", "pyro"])
def test_official_estimators_refuse_grades_by_name(estimator):
    with pytest.raises(ValueError, match=f"estimator '{estimator}' knows no grades, and 'g' is one; use 'exact'"):
        evaluate([[1.0]], some_posterior(1, 2), some_grades(GRADE), estimator=estimator)


# What interventions do ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("latents", [1, 2, 5])
def test_means_have_the_order_of_the_grades_along_the_slopes_and_are_free_across_them(latents):
    random, labels = np.random.default_rng(latents), Labels((Label("g", FIVE, latents, ordered=True),))
    slopes, free = random.normal(size=latents), random.normal(size=(5, latents)) * 3
    places = np.sort(random.normal(size=(1, 5)))
    loc = np.array(grades.ordered_means(slopes, places, free, labels))
    direction = slopes / np.linalg.norm(slopes)
    np.testing.assert_allclose(loc @ direction, places[0], rtol=1e-10)
    across = np.eye(latents) - np.outer(direction, direction)
    np.testing.assert_allclose(loc @ across, free @ across, atol=1e-12)


def test_a_higher_grade_moves_up_along_the_slopes_and_makes_every_lower_grade_less_probable():
    model, labels = some_grades(MIXED, dtype=tf.float32), MIXED
    latents = np.random.default_rng(0).normal(size=(200, 11)).astype(np.float32) * 2
    before = np.array(characteristics.values_of(latents, model)).astype(int)
    table = np.array(characteristics.values_table(latents, model))
    for i, new in itertools.chain.from_iterable(((i, v) for v in range(labels.items[i].values)) for i in labels.grades):
        mask = np.tile(np.arange(len(labels)) == i, (200, 1))
        moved = np.array(characteristics.set_values(latents, np.full((200, len(labels)), float(new)), mask, model))
        after = np.array(characteristics.values_table(moved, model))
        below, sign = np.cumsum(table - after, axis=-1)[:, i, : labels.items[i].values - 1], np.sign(new - before[:, i])
        assert (below * sign[:, None] >= -1e-6).all() and ((below * sign[:, None]).max(1)[sign != 0] > 1e-3).all()
        others = np.setdiff1d(np.arange(11), np.arange(11)[labels.slices[i]])
        np.testing.assert_array_equal(moved[:, others], latents[:, others])
        np.testing.assert_array_equal(moved[sign == 0], latents[sign == 0])


def test_logits_of_a_grade_are_cumulative():
    model, latents = some_grades(GRADE), np.random.default_rng(0).normal(size=(7, 2))
    cumulative = np.array(label_logits(latents, model))[:, 0, 1:]
    beyond = np.cumsum(np.exp(log_grade(model, latents))[:, ::-1], axis=1)[:, -2::-1]  # q(y >= v | z), v = 1 .. 4
    np.testing.assert_allclose(1 / (1 + np.exp(-cumulative)), beyond, rtol=1e-9)
