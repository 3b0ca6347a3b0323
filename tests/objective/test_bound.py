"""The bound of `objective.exact` against brute force, and what the other functions of the module promise."""

import numpy as np
import pytest
import tensorflow as tf

from tests.objective.brute_force import expected_label_terms, label_terms, log_normal, paper_bound
from tests.objective.small_case import (
    ABC,
    EVERYTHING,
    MIXED,
    PATTERNS,
    PIXELS,
    SETS,
    THREE_BINARY,
    Parameters,
    evaluation,
    every_value_and_none,
    lattice_noise,
    some_image,
    some_noise,
    some_parameters,
    terms_of,
    tiled,
)
from tf_ccvae import objective
from tf_ccvae.labels import MISSING, Label, Labels


@pytest.mark.programs  # a million draws
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
