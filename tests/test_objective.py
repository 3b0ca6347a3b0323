"""The bound of `objective.exact` against brute force, and what the other functions of the module promise.

Every reference is written out in numpy from the model's definition; nothing of it is shared with `tf_ccvae.objective`.
"""

import functools
import itertools
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tf_ccvae import objective, tilting
from tf_ccvae.distributions import positive
from tf_ccvae.labels import MISSING, Label, Labels

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


# A small model ------------------------------------------------------------------------------------------------------


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
        tf.cast(image, dtype),
        posterior_of(parameters, dtype),
        label_model(labels, parameters, dtype),
        likelihood(tf.cast(parameters.decoder, dtype)),
        tf.constant(values),
        tf.constant(values >= 0 if observed is None else observed),
        objective.Noise(*(tf.cast(x, dtype) for x in noise)),
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
            terms = objective.exact(
                image, posterior, model, laplace_around_linear(p.decoder), values, values >= 0, noise
            )
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


# Brute force --------------------------------------------------------------------------------------------------------


def log_sum_exp(x, axis):
    top = x.max(axis, keepdims=True)
    return (top + np.log(np.exp(x - top).sum(axis, keepdims=True))).squeeze(axis)


def log_normal(x, loc, scale):
    return -0.5 * ((x - loc) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi)


def soft_positive(raw):
    return np.maximum(np.logaddexp(0, raw), 1e-3)


def log_classifier(labels, parameters, index, own):
    """log q(y_i | z_i): latents of label `index` (n, d) -> (n, values of that label)."""
    where, count = labels.slices[index], labels.items[index].values
    logits = own @ parameters.kernel[where, : count - 1] + parameters.bias[index, : count - 1]
    logits = np.concatenate([np.zeros((len(own), 1)), logits], axis=1)
    return logits - log_sum_exp(logits, 1)[:, None]


def log_conditional_prior(labels, parameters, index, own):
    """log p(z_i | y_i): latents of label `index` (n, d) -> (n, values of that label)."""
    where = labels.slices[index]
    loc, scale = parameters.prior_loc[:, where], soft_positive(parameters.prior_raw_scale[:, where])
    count = labels.items[index].values
    return np.stack([log_normal(own, loc[v], scale[v]).sum(1) for v in range(count)], axis=1)


def weight_and_ratio(labels, parameters, image, values, z):
    """q(y_O|z) and sum_{y_M} q(y_M|z) log[ p(x|z) p(z|y) p(y_M) / (q(y|z) q(z|x)) ] at draws z: (n,) each."""
    own = [z[:, where] for where in labels.slices]
    means = z @ parameters.decoder[:-1] + parameters.decoder[-1]
    log_p_x = (-np.abs(image.reshape(PIXELS) - means) - np.log(2)).sum(1)
    log_p_style = log_normal(z[:, labels.characteristic :], 0, 1).sum(1)
    log_q_z = log_normal(z, parameters.loc[0], parameters.scale[0]).sum(1)
    log_q_y = [log_classifier(labels, parameters, i, own[i]) for i in range(len(labels))]
    log_p_z = [log_conditional_prior(labels, parameters, i, own[i]) for i in range(len(labels))]
    log_p_y = np.log(np.maximum(label_prior(labels), 1e-300))
    missing = [i for i, v in enumerate(values) if v == MISSING]
    weight = np.exp(sum(log_q_y[i][:, v] for i, v in enumerate(values) if v != MISSING))
    total = np.zeros(len(z))
    for y in itertools.product(
        *(range(x.values) if v == MISSING else [v] for x, v in zip(labels, values, strict=True))
    ):
        probability = np.exp(sum(log_q_y[i][:, y[i]] for i in missing))
        ratio = log_p_x + log_p_style - log_q_z + sum(log_p_y[i, y[i]] for i in missing)
        total += probability * (ratio + sum(log_p_z[i][:, y[i]] - log_q_y[i][:, y[i]] for i in range(len(labels))))
    return np.broadcast_to(weight, total.shape), total


def paper_bound(labels, parameters, image, values, draws, seed=0):
    """The paper's bound on log p(x, y_O) of one example, by samples of z ~ q(z|x) with weights w = q(y_O|z) / q(y_O|x).

        E_q(z|x) w sum_{y_M} q(y_M|z) log[ p(x|z) p(z|y) p(y_M) / (q(y|z) q(z|x)) ]  +  log q(y_O|x) + log p(y_O)

    Written for all latents and labels jointly, as in the paper; `values` has `MISSING` for the labels in M.

    Returns:
      Estimate and standard error (by the delta method: w contains the estimate of q(y_O|x)).
    """
    random = np.random.default_rng(seed + 300)
    chunk, results = 20_000, []
    for _ in range(draws // chunk):
        z = parameters.loc[0] + parameters.scale[0] * random.normal(size=(chunk, parameters.loc.shape[1]))
        results.append(weight_and_ratio(labels, parameters, image, values, z))
    numerator, ratio = np.concatenate(results, axis=1)
    marginal = numerator.mean()
    w = numerator / marginal
    expectation = (w * ratio).mean()
    log_p_y = sum(np.log(label_prior(labels)[i, v]) for i, v in enumerate(values) if v != MISSING)
    influence = w * (ratio - expectation) + (w - 1)
    return expectation + np.log(marginal) + log_p_y, influence.std() / np.sqrt(draws)


def standard_grid(dimensions, points):
    """Points of a tensor grid over [-8, 8] and their standard normal probabilities: (n, dimensions), (n,).

    The trapezoidal rule is exact to rounding here, as all integrands are smooth and vanish at the ends.
    """
    line = np.linspace(-8, 8, points)
    mass = np.exp(-0.5 * line**2)
    mass /= mass.sum()
    grid = np.stack(np.meshgrid(*[line] * dimensions, indexing="ij"), axis=-1).reshape(-1, dimensions)
    return grid, functools.reduce(np.multiply.outer, [mass] * dimensions).reshape(-1)


def label_integrals(labels, parameters, row, index):
    """log q(v|x) and E_{q(z_i|x)} w_v (log p(z_i|v) - log q(z_i|x) - log q(v|z_i)) of one label: (values,) each."""
    where, label = labels.slices[index], labels.items[index]
    grid, mass = standard_grid(label.latents, {1: 2001, 2: 301, 3: 81}[label.latents])
    loc, scale = parameters.loc[row, where], parameters.scale[row, where]
    own = loc + scale * grid
    log_q_y = log_classifier(labels, parameters, index, own)
    log_marginal = log_sum_exp(log_q_y + np.log(mass)[:, None], 0)
    w = np.exp(log_q_y - log_marginal)
    ratio = log_conditional_prior(labels, parameters, index, own) - log_q_y
    ratio = ratio - log_normal(own, loc, scale).sum(1)[:, None]
    return log_marginal, (mass[:, None] * w * ratio).sum(0)


def expected_label_terms(labels, parameters, values):
    """characteristic, label_marginal and label_prior, (batch, labels) each, by integrals over grids."""
    prior = label_prior(labels)
    expected = np.zeros((3, len(values), len(labels)))
    for row, index in np.ndindex(len(values), len(labels)):
        log_marginal, bracket = label_integrals(labels, parameters, row, index)
        value, log_prior = values[row][index], np.log(prior[index, : len(bracket)])
        if value == MISSING:
            share = np.exp(log_marginal)
            expected[:, row, index] = share @ bracket, 0, share @ log_prior
        else:
            expected[:, row, index] = bracket[value], log_marginal[value], log_prior[value]
    return expected


def label_terms(terms):
    return np.stack([terms.characteristic, terms.label_marginal, terms.label_prior])


def every_value_and_none(labels):
    """One example for each value of the labels and one without any: (values + 1, labels)."""
    rows = [[min(v, x.values - 1) for x in labels] for v in range(labels.values)]
    return np.array([*rows, [MISSING] * len(labels)])


# The bound ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("three_binary", "all"),
        ("three_binary", "none"),
        ("three_binary", "part"),
        ("several_latents", "all"),
        ("mixed", "part"),
    ],
)
def test_expectation_of_the_exact_bound_is_the_papers_bound(name, pattern):
    labels, values = SETS[name], PATTERNS[pattern]
    parameters, image = some_parameters(labels), some_image()
    expected, expected_error = paper_bound(labels, parameters, image, values, draws=1_000_000)

    rows, repetitions = 2_000, 16
    once = terms_of(labels, parameters, [values], some_noise(labels, 1), image)
    rest = float((once.bound - once.reconstruction)[0])  # no randomness in it
    reconstructions = [
        np.mean(
            terms_of(
                labels,
                tiled(parameters, rows),
                np.tile(values, (rows, 1)),
                lattice_noise(labels, rows, style=2, seed=seed),
                np.tile(image, (rows, 1, 1, 1)),
                nodes=4,  # of no influence on the reconstruction
            ).reconstruction
        )
        for seed in range(repetitions)
    ]
    own_error = np.std(reconstructions, ddof=1) / np.sqrt(repetitions)
    assert expected_error < 7e-3 and own_error < 7e-3  # so that four standard errors are a sharp statement
    assert abs(rest + np.mean(reconstructions) - expected) < 4 * np.hypot(expected_error, own_error)


@pytest.mark.parametrize("name", SETS)
def test_terms_of_every_label_equal_integrals_over_a_grid_whether_observed_or_summed_out(name):
    labels = SETS[name]
    values = every_value_and_none(labels)
    parameters = some_parameters(labels, batch=len(values))
    terms = terms_of(labels, parameters, values, some_noise(labels, len(values)))
    # 64 nodes: the error stays below 2e-8 for logits of scale up to 4, and the logits here are flatter.
    np.testing.assert_allclose(label_terms(terms), expected_label_terms(labels, parameters, values), atol=1e-8, rtol=0)


@pytest.mark.parametrize("order", [(1, 2, 3, 0), (2, 3, 0, 1), (3, 0, 1, 2), (3, 2, 1, 0), (1, 0, 3, 2)])
def test_order_of_the_labels_is_of_no_influence(order):
    values = np.array([[2, 1, 0, 1], [0, 0, 2, 0], [MISSING] * 4, [MISSING, 0, 1, MISSING]])
    parameters = some_parameters(EVERYTHING, batch=4)
    noise = some_noise(EVERYTHING, batch=4, draws=5)
    terms = terms_of(EVERYTHING, parameters, values, noise)

    latents = np.concatenate([np.arange(6)[EVERYTHING.slices[i]] for i in order])
    every = np.concatenate([latents, [6, 7]])  # style latents stay at the end
    order = list(order)
    moved = Parameters(
        parameters.loc[:, every],
        parameters.scale[:, every],
        parameters.kernel[latents],
        parameters.bias[order],
        parameters.prior_loc[:, latents],
        parameters.prior_raw_scale[:, latents],
        parameters.decoder[[*every, 8]],
    )
    moved_noise = objective.Noise(noise.normal[:, every], noise.uniform[:, order], noise.draws[..., latents])
    moved_labels = Labels(tuple(EVERYTHING.items[i] for i in order))
    again = terms_of(moved_labels, moved, values[:, order], moved_noise)
    # p(y) of `label_prior` depends on the position, which is why it is left out. Same sums in another order: 1e-12.
    np.testing.assert_allclose(again.characteristic, np.array(terms.characteristic)[:, order], rtol=1e-12)
    np.testing.assert_allclose(again.label_marginal, np.array(terms.label_marginal)[:, order], rtol=1e-12)
    np.testing.assert_allclose(again.reconstruction, terms.reconstruction, rtol=1e-12)
    np.testing.assert_allclose(again.style_divergence, terms.style_divergence, rtol=1e-12)


@pytest.mark.parametrize("value", [0, 1, 2, MISSING])
def test_expectation_of_a_sampled_categorical_label_is_the_integral_over_a_grid(value):
    labels, rows = Labels((Label("x", ABC, 2),)), 200
    parameters = some_parameters(labels, style=0)
    values = np.full((rows, 1), value)
    noise = some_noise(labels, rows, style=0, draws=2_000)
    estimates = label_terms(terms_of(labels, tiled(parameters, rows), values, noise))[..., 0]  # (3, rows)
    expected = expected_label_terms(labels, parameters, [[value]])[:, 0, 0]
    error = estimates.std(axis=1, ddof=1) / np.sqrt(rows)
    # A ratio of two means over S draws has a bias of order 1/S: 5e-4.
    assert np.all(np.abs(estimates.mean(axis=1) - expected) < 4 * error + 5e-4)


@pytest.mark.parametrize("beside", [(), (Label("other", ABC),), (Label("other", latents=2),)])
@pytest.mark.parametrize("value", [0, 1, MISSING])
def test_binary_label_equals_categorical_label_of_two_classes_in_value_and_gradient(value, beside):
    binary = Labels((*beside, Label("x")))
    categorical = Labels((*beside, Label("x", ("no", "yes"))))
    values = np.array([[1] * len(beside) + [value]])
    results = []
    for labels in (binary, categorical):
        parameters = some_parameters(labels)
        results.append(evaluation(labels)(parameters, values, some_noise(labels, 1), some_image()))
    tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12), *results)


@pytest.mark.parametrize("value", [0, 1, MISSING])
def test_terms_of_a_binary_label_are_the_same_beside_a_label_of_more_classes(value):
    """With it, the tables have a third column and another branch of the program is taken."""
    alone, beside = Labels((Label("x"),)), Labels((Label("x"), Label("other", ABC)))
    wide = some_parameters(beside, style=0)
    narrow = Parameters(
        wide.loc[:, :1],
        wide.scale[:, :1],
        wide.kernel[:1, :1],
        wide.bias[:1, :1],
        wide.prior_loc[:2, :1],
        wide.prior_raw_scale[:2, :1],
        np.zeros((2, PIXELS)),  # so that no gradient of the reconstruction comes in
    )
    wide = wide._replace(decoder=np.zeros((3, PIXELS)))
    other, _, other_gradients = evaluation(beside)(wide, [[value, 1]], some_noise(beside, 1, 0), some_image())
    terms, _, gradients = evaluation(alone)(narrow, [[value]], some_noise(alone, 1, 0), some_image())
    np.testing.assert_allclose(label_terms(other)[..., :1], label_terms(terms), rtol=1e-12, atol=1e-15)
    for gradient, other_gradient in zip(gradients[:-1], other_gradients[:-1], strict=True):
        rows, columns = gradient.shape
        np.testing.assert_allclose(other_gradient[:rows, :columns], gradient, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("value", [0, 1, MISSING])
def test_binary_label_of_two_latents_is_what_draws_for_two_classes_tend_to(value):
    rows = 200
    binary, categorical = Labels((Label("x", latents=2),)), Labels((Label("x", ("no", "yes"), 2),))
    parameters = some_parameters(binary, style=0)
    exact = label_terms(terms_of(binary, parameters, [[value]], some_noise(binary, 1, 0)))[:, 0, 0]
    noise = some_noise(categorical, rows, style=0, draws=2_000)
    estimates = label_terms(terms_of(categorical, tiled(parameters, rows), np.full((rows, 1), value), noise))[..., 0]
    error = estimates.std(axis=1, ddof=1) / np.sqrt(rows)
    assert np.all(np.abs(estimates.mean(axis=1) - exact) < 4 * error + 5e-4)  # bias of order 1/draws


@pytest.mark.parametrize("estimator", objective.ESTIMATORS)
def test_terms_sum_to_the_bound_and_label_weight_adds_to_the_loss_alone(estimator):
    values = [*PATTERNS.values()]
    parameters = some_parameters(MIXED, batch=3)
    terms = terms_of(MIXED, parameters, values, some_noise(MIXED, 3, draws=7), estimator=estimator)
    total = np.array(terms.reconstruction) - terms.style_divergence
    total = total + np.sum(terms.characteristic, 1) + np.sum(terms.label_marginal, 1) + np.sum(terms.label_prior, 1)
    np.testing.assert_allclose(terms.bound, total, rtol=1e-12)
    np.testing.assert_allclose(terms.loss(0.0), -total, rtol=1e-12)
    log_q_y = np.sum(terms.label_marginal, axis=1)
    np.testing.assert_allclose(terms.loss(100.0), -(total + 100 * log_q_y), rtol=1e-12)
    assert log_q_y[0] < 0 and log_q_y[1] == 0  # all labels observed, none


def test_missing_values_are_of_no_influence_and_have_no_label_marginal():
    labels = EVERYTHING
    observed = np.array([[True, False, True, False], [False] * 4])
    parameters, noise = some_parameters(labels, batch=2), some_noise(labels, 2, draws=5)
    results = [
        terms_of(labels, parameters, np.where(observed, 1, other), noise, observed=observed)
        for other in (MISSING, 0, 1)
    ]
    tf.nest.map_structure(np.testing.assert_array_equal, results[0], results[1])
    tf.nest.map_structure(np.testing.assert_array_equal, results[0], results[2])
    np.testing.assert_array_equal(np.array(results[0].label_marginal) == 0, ~observed)


@pytest.mark.parametrize("estimator", objective.ESTIMATORS)
def test_without_labels_the_bound_is_that_of_a_plain_vae(estimator):
    labels = Labels(())
    parameters, image = some_parameters(labels, batch=3, style=4), some_image(3)
    noise = some_noise(labels, 3, style=4, draws=0 if estimator == "exact" else 5)
    terms = terms_of(labels, parameters, np.zeros((3, 0)), noise, image, estimator=estimator)
    z = parameters.loc + parameters.scale * noise.normal
    means = z @ parameters.decoder[:-1] + parameters.decoder[-1]
    reconstruction = (-np.abs(image.reshape(3, PIXELS) - means) - np.log(2)).sum(1)
    divergence = (0.5 * (parameters.loc**2 + parameters.scale**2 - 1) - np.log(parameters.scale)).sum(1)
    if estimator == "pyro":  # one sample of it
        divergence = (log_normal(z, parameters.loc, parameters.scale) - log_normal(z, 0, 1)).sum(1)
    np.testing.assert_allclose(terms.bound, reconstruction - divergence, rtol=1e-12)
    np.testing.assert_allclose(terms.latents, z, rtol=1e-12)


def test_official_estimators_draw_no_value_that_a_label_does_not_have():
    rows = 1_000
    parameters = some_parameters(MIXED, batch=rows)
    noise = some_noise(MIXED, rows, draws=2)
    noise.uniform[:] = np.nextafter(np.float32(1), np.float32(0))  # above the sum of probabilities, after rounding
    terms = terms_of(MIXED, parameters, np.full((rows, 3), MISSING), noise, dtype=tf.float32, estimator="pytorch")
    assert np.abs(terms.characteristic).max() < 1e3  # log q(y|z) of such a value is -1e9


def test_unknown_estimator_is_refused_by_name():
    with pytest.raises(ValueError, match="exact, pytorch, pyro, got 'best'"):
        terms_of(MIXED, some_parameters(MIXED), [[0, 0, 0]], some_noise(MIXED, 1), estimator="best")


def test_draws_are_needed_by_official_estimators_and_categorical_labels_of_several_latents():
    assert objective.needed_draws("pytorch", THREE_BINARY, samples=100, proposals=16) == 100
    assert objective.needed_draws("exact", THREE_BINARY, samples=100, proposals=16) == 0
    assert objective.needed_draws("exact", EVERYTHING, samples=100, proposals=16) == 16


# Its gradient -------------------------------------------------------------------------------------------------------


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


# In float32 -----------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("labels", [THREE_BINARY, EVERYTHING], ids=["binary", "everything"])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 10.0])
def test_values_and_gradients_are_finite_in_float32(labels, scale):
    values, noise = hard_case(labels)
    evaluate = evaluation(labels, tf.float32, compiled=True)
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


# The official weight --------------------------------------------------------------------------------------------------


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


# Sampling -------------------------------------------------------------------------------------------------------------

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


# Label marginals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETS)
def test_label_marginals_equal_integrals_over_a_grid_and_sum_to_one(name):
    labels, rows = SETS[name], 2
    parameters = some_parameters(labels, batch=rows)
    marginals = objective.log_label_marginals(posterior_of(parameters), label_model(labels, parameters)).numpy()
    for row, (index, label) in itertools.product(range(rows), enumerate(labels)):
        expected, _ = label_integrals(labels, parameters, row, index)
        np.testing.assert_allclose(marginals[row, index, : label.values], expected, rtol=0, atol=1e-8)
    np.testing.assert_allclose(np.exp(marginals).sum(axis=2), 1, rtol=1e-12)


def test_label_marginals_from_draws_tend_to_the_integrals_and_sum_to_one():
    draws = 100_000
    parameters = some_parameters(EVERYTHING)
    marginals = objective.log_label_marginals(
        posterior_of(parameters), label_model(EVERYTHING, parameters), draws=some_noise(EVERYTHING, 1, 2, draws).draws
    ).numpy()
    np.testing.assert_allclose(np.exp(marginals).sum(axis=2), 1, rtol=1e-12)
    expected, _ = label_integrals(EVERYTHING, parameters, 0, 0)
    # The standard deviation of a probability is below 1/2: four standard errors of its mean.
    np.testing.assert_allclose(np.exp(marginals[0, 0]), np.exp(expected), rtol=0, atol=2 / np.sqrt(draws))


@pytest.mark.parametrize(("scale", "accuracy"), [(4.0, 2e-8), (8.0, 1e-3)])
def test_64_nodes_have_the_documented_accuracy(scale, accuracy):
    locs = np.linspace(-20, 20, 81)
    labels = Labels((Label("x"),))
    parameters = some_parameters(labels, batch=81, style=0)._replace(
        loc=locs[:, None], scale=np.full((81, 1), scale), kernel=np.ones((1, 1)), bias=np.zeros((1, 1))
    )
    marginals = objective.log_label_marginals(posterior_of(parameters), label_model(labels, parameters)).numpy()
    expected = np.stack([label_integrals(labels, parameters, row, 0)[0] for row in range(81)])
    np.testing.assert_allclose(marginals[:, 0], expected, rtol=0, atol=accuracy)
