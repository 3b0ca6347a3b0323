"""Success, selectivity and the matrix for edits whose effect is known."""

import numpy as np
import pytest

from tf_ccvae.evaluation import intervention_effect
from tf_ccvae.labels import MISSING, Label, Labels
from tf_ccvae.objective.exclusions import exclusion_table

LABELS = Labels((Label("a"), Label("b"), Label("c", ("x", "y", "z"))))
NOTHING = exclusion_table([], LABELS)


def certain(values):
    """Probabilities of a judge that is sure: integer (n, labels) -> (n, labels, values)."""
    return np.eye(3)[values]


def edits(values, effect):
    """What the judge sees after each edit: `effect(values, i, v)` gives the values after label i is set to v."""
    result = np.full((len(values), 3, 3, 3, 3), np.nan)
    for i, label in enumerate(LABELS):
        for v in range(label.values):
            result[:, i, v] = certain(effect(values.copy(), i, v))
    return result


def perfect(values, i, v):
    values[:, i] = v
    return values


@pytest.fixture
def truth():
    random = np.random.default_rng(0)
    return np.stack([random.random(400) < 0.1, random.integers(0, 2, 400), random.integers(0, 3, 400)], axis=1).astype(
        int
    )


def from_probabilities(truth, original, rebuilt, edited, incompatible, labels=LABELS):
    seen = intervention_effect.look_at(lambda i, v: edited[:, i, v], labels, original)
    return intervention_effect.from_arrays(labels, truth, original, rebuilt, seen, incompatible)


def measured(truth, effect, incompatible=NOTHING):
    seen = certain(np.maximum(truth, 0))
    return from_probabilities(truth, seen, seen, edits(np.maximum(truth, 0), effect), incompatible)


def test_perfect_edits_succeed_and_change_nothing_else(truth):
    result = measured(truth, perfect)
    assert result["set_success"]["mean"] == 1.0
    assert result["selectivity"]["mean"] == 0.0
    matrix = np.array(result["matrix"]["values"])
    assert result["matrix"]["names"] == ["a", "b", "c=x", "c=y", "c=z"]
    np.testing.assert_allclose(matrix[:2], np.eye(5)[:2])
    shares = np.bincount(truth[:, 2]) / len(truth)
    np.testing.assert_allclose(matrix[2:, 2:], np.eye(3) - shares, atol=1e-5)


def test_edits_that_do_nothing_never_succeed(truth):
    result = measured(truth, lambda values, i, v: values)
    assert result["set_success"]["mean"] == 0.0
    assert result["selectivity"]["mean"] == 0.0
    np.testing.assert_allclose(result["matrix"]["values"], 0.0)


def test_rare_values_count_as_much_as_frequent_ones(truth):
    def only_on(values, i, v):  # turning a label off never works
        if v:
            values[:, i] = v
        return values

    result = measured(truth, only_on)
    assert result["set_success"]["labels"]["a"]["mean"] == pytest.approx(0.5)
    assert result["set_success"]["labels"]["b"]["mean"] == pytest.approx(0.5)
    assert result["set_success"]["labels"]["c"]["mean"] == pytest.approx(2 / 3)


def test_selectivity_is_the_share_of_other_labels_that_change(truth):
    def entangled(values, i, v):  # setting a flips b
        values[:, i] = v
        if i == 0:
            values[:, 1] = 1 - values[:, 1]
        return values

    result = measured(truth, entangled)
    assert result["selectivity"]["labels"]["a"]["mean"] == pytest.approx(0.5)  # one of two other labels
    assert result["selectivity"]["labels"]["b"]["mean"] == 0.0
    related = exclusion_table([((0, 1), (1, 1))], LABELS)
    assert measured(truth, entangled, related)["selectivity"]["unrelated"] == 0.0


def test_a_label_without_others_has_no_selectivity():
    seen = np.eye(2)[[[0], [1]]]  # (n, labels, values)
    set_to = np.broadcast_to(np.eye(2)[:, None], (2, 1, 2, 1, 2))
    result = from_probabilities(np.array([[0], [1]]), seen, seen, set_to, np.zeros((2, 2)), Labels.of_binary("a"))
    assert result["set_success"]["mean"] == 1.0
    assert (result["selectivity"]["mean"], result["selectivity"]["labels"]) == (None, {})


def test_what_the_reconstruction_changes_already_does_not_count(truth):
    blurred = 0.9 * certain(truth) + 0.1 / 3
    original = certain(truth)
    after = 0.9 * edits(truth, perfect) + 0.1 / 3
    result = from_probabilities(truth, original, blurred, after, NOTHING)
    assert result["selectivity"]["mean"] == pytest.approx(0.0, abs=1e-9)
    assert result["selectivity"]["reconstruction"] == pytest.approx(0.1 * 2 / 3)


def test_where_a_label_is_missing_the_judges_reading_counts(truth):
    hidden = truth.copy()
    hidden[:, 0] = MISSING
    seen = certain(truth)
    result = from_probabilities(hidden, seen, seen, edits(truth, perfect), NOTHING)
    assert result["set_success"]["labels"]["a"]["mean"] == 1.0
