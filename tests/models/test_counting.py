"""Counts and means are exact over batches of any size."""

import numpy as np
import pytest

from tf_ccvae.labels import Label, Labels
from tf_ccvae.models import grade_counting
from tf_ccvae.models.counting import LabelCounts, Sum, predicted_values

LABELS = Labels((Label("a"), Label("b", ("x", "y", "z"))))


@pytest.fixture
def counted():
    """Two uneven batches with a known answer; -1 is missing."""
    metric = LabelCounts(LABELS)
    values = np.array([[0, 0], [0, 1], [0, 2], [1, 2], [1, -1], [-1, 2]])
    predicted = np.array([[0, 0], [0, 0], [1, 2], [1, 2], [1, 0], [0, 1]])
    for rows in (slice(0, 1), slice(1, 6)):
        metric.update_state(values[rows], values[rows] >= 0, predicted[rows])
    return metric


def test_accuracy_counts_observed_labels_over_all_batches(counted):
    # a: 4 of 5 right; b: 0->0 right, 1->0 wrong, 2->2 right twice, 2->1 wrong: 3 of 5
    assert float(counted.accuracy()) == pytest.approx(7 / 10)


def test_balanced_accuracy_is_the_mean_over_labels_of_the_mean_over_values(counted):
    a = (2 / 3 + 1) / 2
    b = (1 + 0 + 2 / 3) / 3
    assert float(counted.balanced_accuracy()) == pytest.approx((a + b) / 2)
    assert counted.per_label()["a"] == pytest.approx(
        {"accuracy": 0.8, "balanced_accuracy": a, "majority": 0.6, "examples": 5}
    )
    assert counted.per_label()["b"]["balanced_accuracy"] == pytest.approx(b)


def test_result_names_the_measures_of_every_label(counted):
    result = {name: float(value) for name, value in counted.result().items()}
    assert set(result) == {
        *("accuracy", "accuracy_a", "accuracy_b"),
        *("balanced_accuracy", "balanced_accuracy_a", "balanced_accuracy_b"),
    }
    assert (result["accuracy_a"], result["accuracy_b"]) == pytest.approx((0.8, 0.6))


def test_a_value_that_never_occurs_is_left_out_of_balanced_accuracy():
    metric = LabelCounts(LABELS)
    metric.update_state(np.array([[1, 0]]), np.array([[True, False]]), np.array([[1, 0]]))
    assert float(metric.balanced_accuracy()) == 1.0


def test_what_was_never_observed_is_not_known_and_enters_no_mean():
    metric = LabelCounts(LABELS)
    assert np.isnan([metric.accuracy(), metric.balanced_accuracy()]).all()
    unknown = {"accuracy": None, "balanced_accuracy": None, "majority": None, "examples": 0}
    assert metric.per_label() == {"a": unknown, "b": unknown}
    metric.update_state(np.array([[1, -1]]), np.array([[True, False]]), np.array([[1, 0]]))
    assert float(metric.balanced_accuracy()) == float(metric.result()["accuracy_a"]) == 1.0
    assert np.isnan(metric.result()["accuracy_b"])
    assert metric.per_label()["b"] == unknown


def test_means_weigh_examples_not_batches():
    metric = Sum(("first", "second"))
    metric.update_state({"first": np.ones(1), "second": np.zeros(1)})
    metric.update_state({"first": np.zeros(3), "second": np.full(3, 2.0)})
    assert {k: float(v) for k, v in metric.result().items()} == pytest.approx({"first": 0.25, "second": 1.5})


def test_prediction_never_picks_a_value_that_a_label_does_not_have():
    log_marginals = np.log([[[0.2, 0.8, 1.0], [0.1, 0.2, 0.7]]]).astype(np.float32)
    np.testing.assert_array_equal(predicted_values(log_marginals, LABELS), [[1, 2]])


# Grades ---------------------------------------------------------------------------------------------------------------


def test_a_grade_has_the_mean_steps_off_and_the_rank_correlation_of_its_examples():
    from scipy.stats import spearmanr

    random = np.random.default_rng(0)
    labels = Labels((Label("hat"), Label("g", tuple("01234"), ordered=True)))
    true = random.integers(0, 5, 300)
    predicted = np.clip(true + random.integers(-1, 2, 300), 0, 4)
    metric = LabelCounts(labels)
    for rows in (slice(0, 100), slice(100, 300)):
        pair = (np.stack([x[rows] % 2, x[rows]], axis=1) for x in (true, predicted))
        values, read = pair
        metric.update_state(values, np.array([[True, True]]) & (values >= 0), read)
    measured = metric.per_label()
    assert measured["g"]["steps_off"] == pytest.approx(np.abs(true - predicted).mean())
    assert measured["g"]["rank_correlation"] == pytest.approx(spearmanr(true, predicted).statistic)
    assert not {"steps_off", "rank_correlation"} & set(measured["hat"])


def test_rank_correlation_is_1_in_order_minus_1_against_it_and_not_known_where_nothing_varies():
    assert grade_counting.rank_correlation(np.diag([3, 0, 2, 5])) == pytest.approx(1)
    assert grade_counting.rank_correlation(np.diag([3, 2, 5])[::-1]) == pytest.approx(-1)
    assert np.isnan(grade_counting.rank_correlation(np.array([[3, 0], [4, 0]])))
    assert np.isnan(grade_counting.steps_off(np.zeros((2, 2)))) and np.isnan(grade_counting.rank_correlation(np.eye(1)))
