"""Measures of label probabilities on made-up ones."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from tf_ccvae.evaluation import classification
from tf_ccvae.labels import MISSING, Label, Labels

LABELS = Labels((Label("a"), Label("b", ("x", "y", "z"))))


def table(one, three):
    """Probabilities of value 1 of label a, and of the three classes of label b."""
    one, three = np.asarray(one, float), np.asarray(three, float)
    return np.stack([np.stack([1 - one, one, np.zeros_like(one)], axis=1), three], axis=1)


def perfect(truth):
    return table(np.where(truth[:, 0] == 1, 0.99, 0.01), np.eye(3)[np.maximum(truth[:, 1], 0)] * 0.97 + 0.01)


def test_perfect_probabilities_score_one():
    random = np.random.default_rng(0)
    truth = np.stack([random.integers(0, 2, 300), random.integers(0, 3, 300)], axis=1)
    result = classification.from_arrays(truth, perfect(truth), LABELS)
    for name in ("accuracy", "balanced_accuracy", "auroc", "average_precision"):
        assert result[name]["mean"] == 1.0
    assert result["calibration_error"]["labels"]["a"]["mean"] == pytest.approx(0.01)
    assert result["calibration_error"]["labels"]["b"]["mean"] == pytest.approx(0.02)


def test_noise_scores_chance():
    random = np.random.default_rng(1)
    truth = np.stack([random.random(4000) < 0.8, random.integers(0, 3, 4000)], axis=1).astype(int)
    guess = random.dirichlet(np.ones(3), 4000)
    result = classification.from_arrays(truth, table(random.random(4000), guess), LABELS)
    # Standard errors are below 0.012.
    assert result["auroc"]["labels"]["a"]["mean"] == pytest.approx(0.5, abs=0.04)
    assert result["auroc"]["labels"]["b"]["mean"] == pytest.approx(0.5, abs=0.04)
    assert result["balanced_accuracy"]["labels"]["a"]["mean"] == pytest.approx(0.5, abs=0.04)
    assert result["balanced_accuracy"]["labels"]["b"]["mean"] == pytest.approx(1 / 3, abs=0.04)
    assert result["average_precision"]["labels"]["a"]["mean"] == pytest.approx(0.8, abs=0.04)
    rare, frequent = (truth[:, 0] == 0).sum(), (truth[:, 0] == 1).sum()
    error = np.sqrt((rare + frequent + 1) / (12 * rare * frequent))  # of the AUROC of noise: Mann and Whitney
    interval = result["auroc"]["labels"]["a"]
    assert interval["high"] - interval["low"] == pytest.approx(2 * 1.96 * error, rel=0.3)


def test_balanced_accuracy_counts_rare_values_as_much_as_frequent_ones():
    truth = np.array([1] * 90 + [0] * 10)
    always = np.tile([0.1, 0.9], (100, 1))
    once = np.ones((1, 100))
    assert classification.accuracy(truth, always, once).item() == 0.9
    assert classification.balanced_accuracy(truth, always, once).item() == 0.5
    assert classification.calibration_error(truth, always, once).item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("values", [2, 4])
def test_areas_of_every_resample_are_those_of_scikit_learn(values):
    random = np.random.default_rng(0)
    truth = random.integers(0, values, 60)
    scores = random.dirichlet(np.ones(values), 60).round(1)  # many are equal
    times = random.multinomial(60, np.full(60, 1 / 60), 20)
    of = [1] if values == 2 else range(values)
    for ours, theirs in (
        (classification.auroc, roc_auc_score),
        (classification.average_precision, average_precision_score),
    ):
        wanted = [np.mean([theirs(truth == v, scores[:, v], sample_weight=row) for v in of]) for row in times]
        np.testing.assert_allclose(ours(truth, scores, times), wanted, rtol=1e-12)


def test_a_resample_with_one_value_has_no_area():
    truth, scores = np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    times = np.array([[1, 1, 1], [0, 2, 1], [3, 0, 0]])
    for area in (classification.auroc, classification.average_precision):
        np.testing.assert_array_equal(area(truth, scores, times), [1.0, np.nan, np.nan])


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    random = np.random.default_rng(0)
    right = np.arange(1000) % 2 == 0  # right half of the time
    confident = np.where(right, 1, 0)
    truth = np.where(right, 1, 0)
    probabilities = np.tile([0.1, 0.9], (1000, 1))
    assert classification.calibration_error(truth, probabilities, np.ones((1, 1000))) == pytest.approx(0.4)
    calibrated = random.random(20_000)
    drawn = (random.random(20_000) < calibrated).astype(int)
    both = np.stack([1 - calibrated, calibrated], axis=1)
    assert classification.calibration_error(drawn, both, np.ones((1, 20_000))) < 0.02
    assert confident.sum() == 500


def test_missing_labels_do_not_count_and_a_label_without_any_is_left_out():
    random = np.random.default_rng(0)
    truth = np.stack([random.integers(0, 2, 100), np.full(100, MISSING)], axis=1)
    truth[:50, 0] = MISSING
    probabilities = perfect(truth)
    probabilities[:50, 0] = [0.5, 0.5, 0.0]
    result = classification.from_arrays(truth, probabilities, LABELS)
    assert result["accuracy"]["labels"] == {"a": {"mean": 1.0, "low": 1.0, "high": 1.0}}
