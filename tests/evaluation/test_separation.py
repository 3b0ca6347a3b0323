"""Mutual information, gap and style probe on latents whose information is known."""

import numpy as np
import pytest

from tf_ccvae.evaluation import separation
from tf_ccvae.labels import MISSING, Label, Labels

LABELS = Labels((Label("a"), Label("b", latents=2)))


@pytest.fixture
def truth():
    return np.random.default_rng(0).integers(0, 2, (2000, 2))


def latents(truth, strength=8.0):
    random = np.random.default_rng(1)
    signal = np.stack([truth[:, 0], truth[:, 1], np.zeros(len(truth))], axis=1)
    return strength * signal + random.normal(size=(len(truth), 3))


def test_latents_that_tell_their_label_have_its_entropy_and_others_nothing(truth):
    result = separation.from_arrays(latents(truth), np.random.default_rng(2).normal(size=(2000, 3)), truth, LABELS)
    values = np.array(result["mutual_information"]["values"])
    np.testing.assert_allclose(values, [[np.log(2), 0], [0, np.log(2)], [0, 0]], atol=0.04)
    assert result["mutual_information"]["latents"] == ["a", "b", "b"]
    assert result["gap"]["mean"] == pytest.approx(1.0, abs=0.05)
    assert result["style_auroc"]["mean"] == pytest.approx(0.5, abs=0.05)
    assert "mutual_info_classif" in result["estimator"]


def test_gap_is_negative_where_another_labels_latent_knows_more(truth):
    swapped = latents(truth)[:, [1, 0, 2]]
    result = separation.from_arrays(swapped, np.zeros((2000, 0)), truth, LABELS)
    assert result["gap"]["mean"] == pytest.approx(-1.0, abs=0.05)
    assert result["style_auroc"]["mean"] is None


def test_style_that_knows_a_label_is_found_out(truth):
    style = np.concatenate([4.0 * truth[:, :1], np.zeros((2000, 1))], axis=1)
    style += np.random.default_rng(3).normal(size=style.shape)
    result = separation.from_arrays(latents(truth), style, truth, LABELS)
    assert result["style_auroc"]["labels"]["a"] > 0.98
    assert result["style_auroc"]["labels"]["b"] == pytest.approx(0.5, abs=0.05)


def test_the_non_linear_probe_finds_what_the_linear_one_cannot_see(truth):
    style = np.random.default_rng(3).normal(size=(2000, 2)) * (1 + 4.0 * truth[:, :1])  # the label is in the spread
    result = separation.from_arrays(latents(truth), style, truth, LABELS)
    assert result["style_auroc"]["labels"]["a"] == pytest.approx(0.5, abs=0.06)
    assert result["style_auroc_nonlinear"]["labels"]["a"] > 0.85
    assert result["style_auroc_nonlinear"]["labels"]["b"] == pytest.approx(0.5, abs=0.06)


def test_probes_take_more_than_two_values():
    values = np.random.default_rng(0).integers(0, 3, 600)
    style = np.random.default_rng(1).normal(size=(600, 2)) + 6.0 * values[:, None]
    assert separation.probe(style, values) > 0.9 and separation.probe(style, values, linear=False) > 0.98


def test_information_of_a_gaussian_pair_is_that_of_numerical_integration():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, (4000, 1))
    values = 2.0 * labels + random.normal(size=labels.shape)
    grid = np.linspace(-8, 10, 20_001)
    normal = [np.exp(-0.5 * (grid - m) ** 2) / np.sqrt(2 * np.pi) for m in (0.0, 2.0)]
    mixture = 0.5 * (normal[0] + normal[1])
    exact = sum(0.5 * np.trapezoid(p * np.log(np.maximum(p, 1e-300) / mixture), grid) for p in normal)
    assert separation.mutual_information(values, labels)[0, 0] == pytest.approx(exact, abs=0.03)


def test_missing_labels_do_not_count(truth):
    truth[:500, 0] = MISSING
    truth[:, 1] = 1  # never varies
    result = separation.from_arrays(latents(truth), np.zeros((2000, 1)), truth, LABELS)
    values = np.array(result["mutual_information"]["values"], float)
    assert values[0, 0] == pytest.approx(np.log(2), abs=0.04)
    assert np.isnan(values[:, 1]).all()
    assert set(result["gap"]["labels"]) == {"a"}
