"""log q(y|x) against integrals over a grid."""

import itertools

import numpy as np
import pytest

from tests.objective.brute_force import label_integrals
from tests.objective.small_case import EVERYTHING, SETS, label_model, posterior_of, some_noise, some_parameters
from tf_ccvae import objective
from tf_ccvae.labels import Label, Labels


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
