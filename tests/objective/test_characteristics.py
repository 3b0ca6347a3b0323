"""Set, swap and draw on latents, with conditional priors and classifiers that are known."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from tensorflow_probability import distributions as tfd

from tf_ccvae.labels import MISSING, Label, Labels
from tf_ccvae.models.label_statistics import incompatible_values
from tf_ccvae.objective import Noise, characteristics
from tf_ccvae.objective.exclusions import excluding_pairs, exclusion_table
from tf_ccvae.objective.label_model import LabelModel

LABELS = Labels((Label("a"), Label("b", ("x", "y", "z")), Label("c", latents=2)))
LOC = np.array([[-2.0, -3.0, 1.0, 0.0], [2.0, 0.0, -1.0, 4.0], [0.0, 3.0, 0.0, 0.0]], np.float32)
SCALE = np.array([[0.5, 1.0, 1.0, 2.0], [1.5, 0.5, 2.0, 1.0], [1.0, 2.0, 1.0, 1.0]], np.float32)


@pytest.fixture(scope="module")
def model():
    """Classifiers that follow the prior's means; p(y) is skewed."""
    kernel = np.array([[0, 3, 0], [0, 2, 4], [0, -2, 0], [0, 2, 0]], np.float32)
    bias = np.array([[0, 0, 0], [0, 3, 0], [0, -4, 0]], np.float32)
    with np.errstate(divide="ignore"):
        prior = np.log(np.array([[0.3, 0.7, 0], [0.2, 0.5, 0.3], [0.9, 0.1, 0]], np.float32))
    return LabelModel(LABELS, tfd.Normal(LOC, SCALE), tf.constant(kernel), tf.constant(bias), tf.constant(prior))


def at(*values):
    """Latents at the means of the given values, two style latents behind."""
    return np.array([[LOC[values[0], 0], LOC[values[1], 1], *LOC[values[2], 2:], 7.0, 8.0]], np.float32)


def asked(*indices):
    return np.isin(np.arange(3), indices)[None]


def test_values_are_those_that_the_classifiers_see(model):
    for values in ((0, 0, 0), (1, 1, 1), (1, 2, 0)):
        np.testing.assert_array_equal(characteristics.values_of(at(*values), model), [values])


@pytest.mark.parametrize(("index", "value", "where"), [(0, 1, slice(0, 1)), (1, 2, slice(1, 2)), (2, 1, slice(2, 4))])
def test_transport_keeps_the_quantile_in_the_conditional_prior(model, index, value, where):
    latents = at(0, 0, 0)
    latents[:, where] += 0.3 * SCALE[0, where]
    values = np.full((1, 3), MISSING)
    values[0, index] = value
    moved = np.asarray(characteristics.set_values(latents, values, asked(index), model))
    before = stats.norm.cdf(latents[0, where], LOC[0, where], SCALE[0, where])
    after = stats.norm.cdf(moved[0, where], LOC[value, where], SCALE[value, where])
    np.testing.assert_allclose(after, before, rtol=1e-5)
    others = np.ones(6, bool)
    others[where] = False
    np.testing.assert_array_equal(moved[0, others], latents[0, others])


def test_transport_there_and_back_is_where_it_was(model):
    latents = at(0, 1, 0) + 0.1
    there = characteristics.set_values(latents, [[1, 2, 1]], asked(0, 1, 2), model)
    np.testing.assert_array_equal(characteristics.values_of(there, model), [[1, 2, 1]])
    back = characteristics.set_values(there, [[0, 1, 0]], asked(0, 1, 2), model)
    np.testing.assert_allclose(back, latents, atol=1e-5)


def test_transport_to_the_value_that_is_there_moves_nothing(model):
    latents = at(1, 2, 0) + 0.2
    np.testing.assert_array_equal(characteristics.set_values(latents, [[1, 2, 0]], asked(0, 1, 2), model), latents)


def test_mean_and_sample_come_from_the_prior_of_the_value_even_if_it_is_there(model):
    latents = at(1, 2, 0) + 0.2
    mean = np.asarray(characteristics.set_values(latents, [[1, MISSING, 1]], asked(0, 2), model, mode="mean"))
    np.testing.assert_allclose(mean, [[2.0, 3.2, -1.0, 4.0, 7.2, 8.2]], rtol=1e-6)
    noise = np.full((1, 4), 2.0, np.float32)
    drawn = characteristics.set_values(latents, [[1, MISSING, 1]], asked(0, 2), model, mode="sample", noise=noise)
    np.testing.assert_allclose(drawn, [[5.0, 3.2, 3.0, 6.0, 7.2, 8.2]], rtol=1e-6)


def test_labels_that_the_asked_value_excludes_take_their_most_frequent_other_value(model):
    incompatible = exclusion_table([((0, 1), (1, 0))], LABELS)  # a on excludes class x of b
    values = characteristics.settle([[0, 0, 0]], [[1, 0, 0]], asked(0), LABELS, model.log_label_prior, incompatible)
    np.testing.assert_array_equal(values, [[1, 1, 0]])  # y is more frequent than z
    kept = characteristics.settle([[0, 2, 0]], [[1, 0, 0]], asked(0), LABELS, model.log_label_prior, incompatible)
    np.testing.assert_array_equal(kept, [[1, 2, 0]])
    both = characteristics.settle([[0, 0, 0]], [[1, 0, 0]], asked(0, 1), LABELS, model.log_label_prior, incompatible)
    np.testing.assert_array_equal(both, [[1, 0, 0]])  # who asks for both gets both
    moved = characteristics.set_values(at(0, 0, 0), [[1, 0, 0]], asked(0), model, incompatible)
    np.testing.assert_allclose(moved, at(1, 1, 0), atol=1e-6)


def test_swap_carries_the_asked_latents_and_nothing_else(model):
    recipient, donor = at(0, 0, 0), at(1, 2, 1) + 0.5
    swapped = np.asarray(characteristics.swap(recipient, donor, asked(0, 2), model))
    np.testing.assert_array_equal(swapped[0, [0, 2, 3]], donor[0, [0, 2, 3]])
    np.testing.assert_array_equal(swapped[0, [1, 4, 5]], recipient[0, [1, 4, 5]])


def test_swap_with_exclusions_moves_what_the_donor_excludes(model):
    incompatible = exclusion_table([((0, 1), (2, 1))], LABELS)
    recipient, donor = at(0, 0, 1), at(1, 2, 0) + 0.5
    swapped = np.asarray(characteristics.swap(recipient, donor, asked(0), model, incompatible))
    assert swapped[0, 0] == donor[0, 0]
    np.testing.assert_allclose(swapped[0, 2:4], LOC[0, 2:4])


def test_draws_follow_the_conditional_prior_and_missing_labels_its_mixture(model):
    n = 40_000
    random = np.random.default_rng(0)
    noise = Noise(
        random.normal(size=(n, 6)).astype(np.float32), random.random((n, 3)).astype(np.float32), tf.zeros([0, 0, 4])
    )
    values = np.tile([MISSING, 2, 1], (n, 1))
    drawn = np.asarray(characteristics.draw(values, model, noise))
    # Standard errors: below 0.01 for means of scale 2, 0.0023 for the share.
    np.testing.assert_allclose(drawn[:, 1:].mean(0), [3.0, -1.0, 4.0, 0.0, 0.0], atol=0.05)
    np.testing.assert_allclose(drawn[:, 1:].std(0), [2.0, 2.0, 1.0, 1.0, 1.0], rtol=0.02)
    assert stats.kstest(drawn[:, 0], _mixture_cdf).pvalue > 1e-3


def _mixture_cdf(x):
    return 0.3 * stats.norm.cdf(x, -2.0, 0.5) + 0.7 * stats.norm.cdf(x, 2.0, 1.5)


def test_unknown_modes_and_missing_noise_are_refused(model):
    with pytest.raises(ValueError, match="mode must be one of transport, mean, sample, got 'mix'"):
        characteristics.set_values(at(0, 0, 0), [[1, 0, 0]], asked(0), model, mode="mix")
    with pytest.raises(ValueError, match="needs noise"):
        characteristics.set_values(at(0, 0, 0), [[1, 0, 0]], asked(0), model, mode="sample")


def test_values_that_never_meet_are_found_and_rare_ones_are_left_alone():
    random = np.random.default_rng(0)
    labels = Labels((Label("blond"), Label("brown"), Label("hat"), Label("rare")))
    colour = random.integers(0, 3, 3000)
    table = np.stack([colour == 0, colour == 1, random.random(3000) < 0.4, random.random(3000) < 0.003], axis=1)
    table = table.astype(int)
    table[table[:, 2] == 1, 0] = MISSING  # under a hat nobody knows: that excludes nothing
    excluded = incompatible_values(table, labels)
    assert excluding_pairs(excluded, labels) == [[0, 1, 1, 1], [1, 1, 0, 1]]
    np.testing.assert_array_equal(excluded, excluded.T)
