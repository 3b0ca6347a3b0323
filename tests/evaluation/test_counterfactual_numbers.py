"""Edits of numbers against faces drawn again: a perfect model scores 1, one that does nothing 0."""

import numpy as np
import pytest

from tests.evaluation.test_counterfactual import SIZE, MadeUp
from tf_ccvae.data import avatars_numbers
from tf_ccvae.data.avatars_drawing import draw_all
from tf_ccvae.data.avatars_labels import LABELS, describe, faces_of, labels_of
from tf_ccvae.data.avatars_redrawing import AvatarsRedrawing
from tf_ccvae.data.dataset import Dataset, Split
from tf_ccvae.evaluation import counterfactual_numbers, report, suite
from tf_ccvae.evaluation.context import Context

FACES = 60
NAMES = avatars_numbers.NAMES
pytestmark = pytest.mark.programs  # they draw


class NumbersByHeart(MadeUp):
    """Sets numbers to a share of the way from the face's own to the one asked for; 1 is perfect, 0 leaves it alone."""

    def __init__(self, dataset, share=1.0, light=0.95):
        super().__init__(dataset, None, light)
        self.share = share

    def moved(self, latents, label, wanted):
        rows = self.rows(latents)
        own = self.dataset.test.labels[rows, label]
        values = own + self.share * (wanted - own)
        redrawn = self.dataset.renderer.setting_number("test", rows, self.labels.names[label], values)
        assert len(redrawn.of) == len(latents)
        return self.dataset.renderer.draw(redrawn.factors).reshape(len(latents), -1) / np.float32(255)

    def set_values(self, latents, values, mask, *_):
        label = int(np.flatnonzero(mask[0])[0])
        assert np.isnan(np.delete(values, label, axis=1)).all()
        return self.moved(latents, label, values[:, label]) if self.share else latents

    def swap(self, latents, donors, mask, *_):
        label = int(np.flatnonzero(mask[0])[0])
        wanted = self.dataset.test.labels[self.rows(donors), label]
        return self.moved(latents, label, wanted) if self.share else latents


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Drawn faces with a label that is on or off and all numbers."""
    factors = describe(FACES, seed=1)
    place = tmp_path_factory.mktemp("drawings")
    renderer = AvatarsRedrawing({"test": factors}, SIZE, 1, place, processes=1)
    part = Split(draw_all(faces_of(factors), SIZE, processes=1), labels_of(factors), factors)
    plain = Dataset("drawn", LABELS, part, part, part, {}, renderer)
    return avatars_numbers.with_numbers(plain, NAMES).with_labels(["Smiling", *NAMES])


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(counterfactual_numbers, "EXAMPLES", 12)


def measured(dataset, *arguments, **more):
    return counterfactual_numbers.measure(Context(NumbersByHeart(dataset, *arguments), dataset, None, **more))


def test_a_perfect_model_scores_one_inside_and_spoils_nothing_outside(dataset):
    results = measured(dataset)
    assert tuple(results) == NAMES
    for found in results.values():
        assert set(found) == {"set", "swap"}
        for score in found.values():
            for end in ("mean", "low", "high"):
                assert score["inside"][end] == pytest.approx(1, abs=1e-5)
            assert 0 < score["inside"]["edits"] <= 12
            assert score["inside"]["errors"]["edited"] < score["inside"]["errors"]["alone"]
            assert score["outside"]["mean"] == pytest.approx(1, abs=0.03)


def test_a_model_that_does_nothing_scores_zero_inside_and_spoils_nothing_outside(dataset):
    for found in measured(dataset, 0.0).values():
        assert all(score["inside"]["mean"] == 0 for score in found.values())
        assert all(score["outside"]["mean"] == pytest.approx(1) for score in found.values())


def test_going_half_the_way_scores_between_and_the_wrong_way_below_zero(dataset):
    for found in measured(dataset, 0.5).values():
        assert all(0.2 < score["inside"]["mean"] < 0.8 for score in found.values())
    wrong = measured(dataset, -0.3)
    assert all(wrong[name]["set"]["inside"]["mean"] < -0.1 for name in ("Skin_Lightness", "Head_Size"))


def test_a_number_that_reconstructions_do_not_show_has_no_score(dataset):
    nothing = {"mean": None, "low": None, "high": None}
    assert all(found["set"]["inside"] == nothing for found in measured(dataset, 1.0, 0.0).values())


def test_data_that_cannot_be_drawn_again_go_without(dataset):
    plain = Dataset("plain", dataset.labels, dataset.train, dataset.validation, dataset.test)
    assert counterfactual_numbers.measure(Context(NumbersByHeart(dataset), plain, None)) == {}


def test_examples_that_are_drawn_from_a_split_are_compared_with_their_own_pictures(dataset):
    for found in measured(dataset, examples=FACES // 2).values():
        assert found["set"]["inside"]["mean"] == pytest.approx(1, abs=1e-5)


def test_the_report_has_both_scores_of_each_number(dataset, tmp_path):
    results = {"intervention_matrix": {}, "separation": {}, "within_label_capture": {"labels": {}}}
    results["numbers"] = {name: {"counterfactual": x} for name, x in measured(dataset).items()}
    results["numbers"]["age"] = {}
    report.write(suite.Evaluation(results, {}), dataset.labels, "made-up", tmp_path, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    text = text[text.index("<h2>Numbers</h2>") :]
    assert "True set and true swap are against the" in text
    row = text[text.index("<td>Hair_Hue</td>") :]
    assert row[: row.index("</tr>")].count("<td>1.00 (") == 2
    row = text[text.index("<td>age</td>") :]
    assert row[: row.index("</tr>")].count("<td>- (-)</td>") == 2
