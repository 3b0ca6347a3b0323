"""Capture on latents that hold a factor, hold noise, or hold the label alone."""

import numpy as np
import pytest

from tf_ccvae.evaluation import within_label_capture as capture


@pytest.fixture
def made():
    """Label 0 is on for half of the images; its latents hold a kind and a shade; nothing else holds them."""
    random = np.random.default_rng(0)
    n = 1200
    truth = random.integers(0, 2, (n, 2))
    kind = random.integers(0, 3, n).astype(np.int8)
    shade = random.normal(size=(n, 2)).astype(np.float32)
    shade[truth[:, 0] == 0] = np.nan
    own = np.concatenate([kind[:, None] * 2.0, np.nan_to_num(shade)], axis=1)
    own = np.where(truth[:, :1] == 1, own, -9.0)
    characteristic = np.concatenate([own + random.normal(0, 0.1, own.shape), truth[:, 1:] * 4.0 - 2.0], axis=1)
    style = random.normal(size=(n, 4))
    return truth, {"kind": kind, "shade": shade}, characteristic, style


def measured(made, label_factors, characteristic=None, style=None):
    truth, factors, own, other = made
    return capture.from_arrays(
        own if characteristic is None else characteristic,
        other if style is None else style,
        truth,
        factors,
        label_factors,
        {"a": slice(0, 3), "b": slice(3, 4)},
        {"a": 0, "b": 1},
    )


def test_latents_that_hold_the_factors_capture_them_and_the_label_alone_does_not(made):
    result = measured(made, {"a": (1, ("kind", "shade"))})
    entry = result["labels"]["a"]
    assert entry["mean"] > 0.9
    assert abs(entry["style"]) < 0.1
    assert abs(entry["label_alone"]) < 0.02
    assert entry["low"] <= entry["mean"] <= entry["high"]
    assert entry["factors"]["kind"]["characteristic_linear"] > 0.9
    assert entry["factors"]["shade"]["characteristic_linear"] > 0.95
    assert entry["factors"]["kind"]["characteristic_neighbours"] > 0.9
    assert result["mean"] == entry["mean"]


def test_latents_that_hold_only_the_value_capture_nothing(made):
    result = measured(made, {"b": (1, ("kind",))})
    assert abs(result["labels"]["b"]["mean"]) < 0.12  # 600 examples of 3 kinds: a standard error of about 0.03


def test_style_that_holds_the_factors_is_found_out(made):
    _, factors, characteristic, style = made
    style = np.concatenate([style, factors["kind"][:, None]], axis=1)
    swapped = measured(made, {"a": (1, ("kind",))}, characteristic=np.zeros_like(characteristic), style=style)
    assert swapped["labels"]["a"]["style"] > 0.5
    assert abs(swapped["labels"]["a"]["mean"]) < 0.02


def test_latents_of_other_labels_that_hold_the_factors_are_found_out(made):
    _, _, own, _ = made
    elsewhere = np.concatenate([np.zeros((len(own), 3)), own[:, :1]], axis=1)  # b's latent holds the kind
    result = measured(made, {"a": (1, ("kind",))}, elsewhere)
    assert result["others"] > 0.9 and abs(result["mean"]) < 0.1 and abs(result["style"]) < 0.1


def test_a_label_can_be_looked_at_where_it_is_off(made):
    truth, factors, _, _ = made
    characteristic = np.concatenate([factors["kind"][:, None] * np.ones((1, 3)), truth[:, 1:]], axis=1)
    result = measured(made, {"a": (0, ("kind",))}, characteristic=characteristic)
    assert result["labels"]["a"]["mean"] > 0.95


def test_factors_with_too_few_examples_are_left_out(made):
    truth, factors, characteristic, style = made
    truth = truth.copy()
    truth[:, 0] = 0
    truth[:30, 0] = 1
    result = measured((truth, factors, characteristic, style), {"a": (1, ("kind", "shade"))})
    assert result["labels"] == {} and result["mean"] is None


def test_scores_have_known_values():
    truth = np.array([0, 0, 0, 1, 2, 2])
    assert capture.categorical_score(truth, truth, 3) == 1.0
    assert capture.categorical_score(truth, np.zeros(6, int), 3) == pytest.approx(0.0)
    values = np.array([[0.0], [1.0], [2.0]])
    assert capture.continuous_score(values, values) == 1.0
    assert capture.continuous_score(values, np.ones((3, 1))) == 0.0
    assert capture.continuous_score(values, values[::-1]) == 0.0  # worse than the mean counts as 0
    assert capture.continuous_score(values, np.array([[0.5], [1.0], [1.5]])) == pytest.approx(0.75)


def test_each_fold_is_predicted_by_what_scores_better_on_the_others():
    truth, fold = np.array([0, 1, 0, 1, 0, 1]), np.array([0, 0, 1, 1, 2, 2])
    right, wrong = truth, 1 - truth
    first = np.where(fold == 0, wrong, right)  # best on folds 1 and 2, and so predicts fold 0, where it is wrong
    found = capture.better(truth, [first, np.where(fold == 0, right, wrong)], True, fold)
    np.testing.assert_array_equal(found, first)
    line = np.arange(6.0)[:, None]
    np.testing.assert_array_equal(capture.better(line, [line * 0, line], False, fold), line)


def test_a_factor_that_only_one_of_the_predictors_finds_is_captured():
    random = np.random.default_rng(0)
    n = 900
    kind = random.integers(0, 2, n).astype(np.int8)
    angle = random.uniform(0, 2 * np.pi, n)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1) * (1 + kind[:, None])  # one ring within the other
    truth = np.ones((n, 1), int)
    result = capture.from_arrays(
        ring, random.normal(size=(n, 3)), truth, {"kind": kind}, {"a": (1, ("kind",))}, {"a": slice(0, 2)}, {"a": 0}
    )
    entry = result["labels"]["a"]["factors"]["kind"]
    assert entry["characteristic_linear"] < 0.2 and entry["characteristic_neighbours"] > 0.95
    assert entry["characteristic"] == entry["characteristic_neighbours"] and abs(entry["style"]) < 0.12


def test_two_predictors_of_noise_are_no_better_than_one():
    random = np.random.default_rng(0)
    fold = np.arange(600) % 5
    found = []
    for _ in range(200):
        truth = random.integers(0, 2, 600)
        found.append(capture.score(truth, capture.better(truth, random.integers(0, 2, (2, 600)), True, fold), True))
    assert abs(np.mean(found)) < 0.02  # standard error 0.006
