"""Fréchet distance in closed form, diversity and agreement on made-up images."""

import numpy as np
import pytest

from tf_ccvae.evaluation import generation
from tf_ccvae.labels import MISSING, Labels

LABELS = Labels.of_binary(["a", "b"])


def test_frechet_distance_of_gaussians_is_the_closed_form():
    random = np.random.default_rng(0)
    one = random.normal(0.0, 1.0, (60_000, 3))
    other = random.normal([1.0, 0.0, 0.0], [2.0, 1.0, 0.5], (60_000, 3))
    exact = 1.0 + (2 - 1) ** 2 + 0.0 + (0.5 - 1) ** 2
    assert generation.frechet(one, other) == pytest.approx(exact, rel=0.03)
    assert generation.frechet(one, one) == pytest.approx(0.0, abs=1e-6)
    assert generation.frechet(one, other) == pytest.approx(generation.frechet(other, one), rel=1e-6)


def test_features_that_do_not_vary_are_no_obstacle():
    features = np.random.default_rng(0).normal(size=(200, 5))
    features[:, 2:] = 0.0
    assert generation.frechet(features, features + np.array([3.0, 0, 0, 0, 0])) == pytest.approx(9.0)


def test_mean_distance_of_points_is_that_of_all_pairs():
    assert generation.mean_distance(np.array([[0.0], [3.0], [6.0]])) == 4.0


def measured(made, asked, seen, real, truth):
    flat = [x.reshape(len(x), -1).astype(float) for x in (made, real / 255.0)]
    return generation.from_arrays(LABELS, asked, made, flat[0], seen, truth, real, flat[1])


@pytest.fixture
def real():
    return np.random.default_rng(0).integers(0, 256, (600, 2, 2, 1), np.uint8)


def test_the_same_images_are_as_diverse_and_at_no_distance(real):
    truth = np.random.default_rng(1).integers(0, 2, (600, 2))
    result = measured(real / 255.0, truth, truth, real, truth)
    assert result["frechet"] == pytest.approx(0.0, abs=1e-6)
    assert result["diversity_pixels"] == pytest.approx(1.0)
    assert result["diversity_features"] == pytest.approx(1.0)
    assert result["agreement"]["mean"] == 1.0
    assert result["labels"]["a"]["diversity_pixels"] == pytest.approx(1.0)
    assert result["frechet_real"] > 0


def test_images_that_are_all_alike_have_no_diversity(real):
    truth = np.ones((600, 2), int)
    made = np.full((600, 2, 2, 1), 0.5)
    result = measured(made, truth, np.zeros_like(truth), real, truth)
    assert result["diversity_pixels"] == 0.0
    assert result["frechet"] > result["frechet_real"]
    assert result["agreement"]["mean"] == 0.0


def test_labels_that_nobody_asked_for_do_not_count(real):
    asked = np.random.default_rng(1).integers(0, 2, (600, 2))
    seen = asked.copy()
    asked[:, 1] = MISSING
    result = measured(real / 255.0, asked, seen, real, np.zeros((600, 2), int))
    assert set(result["agreement"]["labels"]) == {"a"}
    assert result["labels"] == {}  # no real image has a label
