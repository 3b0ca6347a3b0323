"""Bootstrap intervals against what statistics says about means."""

import numpy as np
import pytest

from tf_ccvae.evaluation.intervals import label_means, mean_over, resampled


def test_interval_of_a_mean_is_that_of_the_normal_approximation():
    values = np.random.default_rng(0).normal(2.0, 3.0, (900, 1))
    result = label_means(values, np.ones_like(values), ["a"], draws=4000)
    error = values.std() / 30
    assert result["mean"] == pytest.approx(values.mean())
    assert result["low"] == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert result["high"] == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_95_of_100_intervals_hold_the_true_mean():
    random = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        values = random.normal(0.0, 1.0, (80, 1))
        result = label_means(values, np.ones_like(values), ["a"], draws=400)
        inside += result["low"] <= 0.0 <= result["high"]
    assert 180 <= inside <= 198  # binomial(200, 0.95): 190 with a standard deviation of 3


def test_what_is_not_counted_has_no_influence_and_labels_without_anything_are_left_out():
    values = np.array([[1.0, 5.0, 2.0], [3.0, np.nan, 2.0], [100.0, np.nan, 2.0]])
    counted = np.array([[1, 0, 1], [1, 0, 1], [0, 0, 1]])
    result = label_means(values, counted, ["a", "b", "c"])
    assert result["labels"]["a"]["mean"] == 2.0
    assert set(result["labels"]) == {"a", "c"}
    assert result["mean"] == 2.0
    assert result["labels"]["c"] == {"mean": 2.0, "low": 2.0, "high": 2.0}
    nothing = label_means(values, np.zeros_like(values), ["a", "b", "c"])
    assert nothing == {"mean": None, "low": None, "high": None, "labels": {}}


def test_weights_are_weights():
    values, weights = np.array([[1.0], [4.0]]), np.array([[2.0], [1.0]])
    assert label_means(values, weights, ["a"])["mean"] == pytest.approx(2.0)


def test_resampled_takes_rows():
    values = np.random.default_rng(0).normal(size=400)
    result = resampled(lambda rows: float(np.median(values[rows])), len(values))
    assert result["mean"] == np.median(values)
    assert result["low"] < result["mean"] < result["high"]
    assert result["high"] - result["low"] == pytest.approx(2 * 1.96 * 1.2533 / 20, rel=0.4)  # of a normal median


def test_the_mean_over_some_labels_leaves_out_those_that_were_not_measured():
    result = label_means(np.array([[0.2, 0.6, 0.9]]), np.array([[1, 1, 0]]), ("a", "b", "c"))
    assert mean_over(result, ("b", "c")) == pytest.approx(0.6)
    assert mean_over(result, ("a", "b")) == pytest.approx(0.4)
    assert mean_over(result, ("c",)) is None
