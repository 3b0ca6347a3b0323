"""Swaps whose effect is known."""

import numpy as np
import pytest

from tf_ccvae.evaluation import swap_effect
from tf_ccvae.labels import MISSING, Labels
from tf_ccvae.objective.exclusions import exclusion_table

LABELS = Labels.of_binary(["a", "b", "c"])
NOTHING = exclusion_table([], LABELS)


@pytest.fixture
def truth():
    return np.random.default_rng(0).integers(0, 2, (300, 3))


def swapped(truth, donors, effect):
    seen = np.full((len(truth), 3, 3), -1)
    for i in range(3):
        rows = np.flatnonzero(donors[i] >= 0)
        seen[rows, i] = effect(truth[rows].copy(), truth[donors[i, rows]], i)
    return seen


def perfect(recipients, donors, i):
    recipients[:, i] = donors[:, i]
    return recipients


def test_donors_differ_in_the_label_and_missing_labels_have_none(truth):
    truth[:40, 1] = MISSING
    donors = swap_effect.choose_donors(truth, seed=1)
    assert (donors[1, :40] == -1).all()
    for i in range(3):
        rows = np.flatnonzero(donors[i] >= 0)
        assert (truth[rows, i] != truth[donors[i, rows], i]).all()
        assert (truth[donors[i, rows], i] != MISSING).all()


def test_a_label_that_never_varies_has_no_donors(truth):
    truth[:, 2] = 1
    donors = swap_effect.choose_donors(truth)
    assert (donors[2] == -1).all()
    result = swap_effect.from_arrays(LABELS, truth, donors, swapped(truth, donors, perfect), NOTHING)
    assert set(result["swap_success"]["labels"]) == {"a", "b"}


def test_perfect_swaps_score_one_and_swaps_without_effect_zero(truth):
    donors = swap_effect.choose_donors(truth)
    best = swap_effect.from_arrays(LABELS, truth, donors, swapped(truth, donors, perfect), NOTHING)
    assert best["swap_success"]["mean"] == 1.0
    nothing = swap_effect.from_arrays(LABELS, truth, donors, swapped(truth, donors, lambda r, d, i: r), NOTHING)
    assert nothing["swap_success"]["mean"] == 0.0
    assert nothing["kept"]["mean"] == 1.0


def test_swaps_that_carry_everything_keep_nothing(truth):
    donors = swap_effect.choose_donors(truth)
    result = swap_effect.from_arrays(LABELS, truth, donors, swapped(truth, donors, lambda r, d, i: d), NOTHING)
    assert result["arrived"]["mean"] == 1.0
    assert result["kept"]["mean"] == pytest.approx(0.5, abs=0.06)  # independent coins; standard error 0.017
    assert result["swap_success"]["mean"] == pytest.approx(result["kept"]["mean"])


def test_labels_that_the_donor_excludes_need_not_be_kept(truth):
    excluded = exclusion_table([((0, 1), (1, 1))], LABELS)

    def turns_b_off(recipients, donors, i):
        recipients[:, i] = donors[:, i]
        if i == 0:
            recipients[donors[:, 0] == 1, 1] = 0
        return recipients

    donors = swap_effect.choose_donors(truth)
    seen = swapped(truth, donors, turns_b_off)
    assert swap_effect.from_arrays(LABELS, truth, donors, seen, NOTHING)["kept"]["labels"]["a"]["mean"] < 0.9
    assert swap_effect.from_arrays(LABELS, truth, donors, seen, excluded)["kept"]["labels"]["a"]["mean"] == 1.0
