"""Edits against pictures drawn again: a perfect model scores 1, one that does nothing 0."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.unseen import data, drawing
from benchmarks.unseen.redrawing import StyleRedrawing
from benchmarks.unseen.styles import STYLES
from tf_ccvae.data import redrawing
from tf_ccvae.data.avatars_drawing import draw_all
from tf_ccvae.data.avatars_labels import LABEL_FACTORS, LABELS, describe, faces_of, labels_of
from tf_ccvae.data.avatars_redrawing import AvatarsRedrawing
from tf_ccvae.data.dataset import Dataset, Split
from tf_ccvae.evaluation import counterfactual, pictures, report, suite
from tf_ccvae.evaluation.context import Context

SIZE = 24
FACES = 60
BINARY = ("Eyeglasses", "Smiling", "Wearing_Hat")
MIXED = ("Glasses", "Skin")


class MadeUp:
    """A model whose latents are pixels and whose reconstructions are a little dark.

    Args:
      dataset: whose test split it knows by heart.
      edit: from the pictures of a perfect edit, (n, pixels), to the latents after it; None to leave a face alone.
      light: of reconstructions.
    """

    image_shape = (SIZE, SIZE, 3)
    decoder_inputs = SIZE * SIZE * 3

    def __init__(self, dataset, edit, light=0.95):
        self.labels, self.dataset, self.edit, self.light = dataset.labels, dataset, edit, light
        self.known = {image.tobytes(): row for row, image in enumerate(dataset.test.images)}

    def latents_of(self, images):
        return np.asarray(images, np.float32).reshape(len(images), -1) / np.float32(255)

    def decode(self, latents):
        pictures = np.asarray(latents).reshape(-1, *self.image_shape) * np.float32(self.light)
        return SimpleNamespace(mean=lambda: pictures)

    def characteristic(self, latents):
        return np.zeros((len(latents), self.labels.characteristic), np.float32)

    def characteristic_scale(self, index):
        return np.ones((self.labels.items[index].values, self.labels.items[index].latents), np.float32)

    def with_characteristic(self, latents, _):
        return latents

    def rows(self, latents):
        return np.array([self.known[np.uint8(np.rint(x * 255)).tobytes()] for x in latents])

    def set_values(self, latents, values, mask, *_):
        label = int(np.flatnonzero(mask[0])[0])
        rows, name = self.rows(latents), self.labels.names[label]
        at = [np.flatnonzero(values[:, label] == value) for value in range(self.labels.items[label].values)]
        redrawn = [self.dataset.renderer.setting("test", rows[some], name, value) for value, some in enumerate(at)]
        return self.after(latents, at, redrawn)

    def swap(self, latents, donors, mask, *_):
        name = self.labels.names[int(np.flatnonzero(mask[0])[0])]
        redrawn = self.dataset.renderer.carrying("test", self.rows(latents), self.rows(donors), name)
        return self.after(latents, [np.arange(len(latents))], [redrawn])

    def after(self, latents, at, redrawn):
        """The first picture of each edit; those of `redrawn` are of the latents `at` these places."""
        if self.edit is None:
            return latents
        first = [np.unique(x.of, return_index=True)[1] for x in redrawn]
        order = np.argsort(np.concatenate(at))
        assert sum(map(len, first)) == len(order) == len(latents)
        firsts = {
            name: np.concatenate([x.factors[name][rows] for x, rows in zip(redrawn, first, strict=True)])[order]
            for name in redrawn[0].factors
        }
        return self.edit(self.dataset.renderer.draw(firsts).reshape(len(latents), -1) / np.float32(255))


def dataset_of(images, labels, values, label_factors, renderer):
    part = Split(images, values)
    return Dataset("drawn", labels, part, part, part, {"label_factors": label_factors}, renderer)


@pytest.fixture(scope="module", params=[pytest.param(x, marks=pytest.mark.programs) for x in ("avatars", "micah")])
def dataset(request, tmp_path_factory):
    """Some drawn faces with a few labels; of micah one is categorical."""
    place = tmp_path_factory.mktemp("drawings")
    if request.param == "avatars":
        factors = describe(FACES, seed=1)
        renderer = AvatarsRedrawing({"test": factors}, SIZE, 1, place, processes=1)
        images = draw_all(faces_of(factors), SIZE, processes=1)
        return dataset_of(images, LABELS, labels_of(factors), LABEL_FACTORS, renderer).with_labels(BINARY)
    style = STYLES["micah"]
    factors = drawing.describe(style, FACES)
    renderer = StyleRedrawing(style, {"test": factors}, SIZE, place, processes=1)
    made = dataset_of(
        renderer.drawn(factors),
        data.labels(style),
        drawing.labels_of(style, factors),
        data.label_factors(style),
        renderer,
    )
    return made.with_labels(MIXED)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """So few edits that a test takes little time."""
    monkeypatch.setattr(counterfactual, "EXAMPLES", 3)
    monkeypatch.setattr(redrawing, "VARIANTS", 4)


def measured(dataset, edit, light=0.95):
    return counterfactual.measure(Context(MadeUp(dataset, edit, light), dataset, None))["counterfactual"]


def test_a_perfect_model_scores_one_inside_and_spoils_nothing_outside(dataset):
    results = measured(dataset, lambda pictures: pictures)
    for kind, found in results.items():
        binary = {label.name for label in dataset.labels if label.binary}
        assert set(found["inside"]["labels"]) == (binary if kind == "set_off" else set(dataset.labels.names)), kind
        for score in found["inside"]["labels"].values():
            assert score["mean"] == pytest.approx(1, abs=1e-5) and score["low"] == pytest.approx(1, abs=1e-5)
            assert score["edits"] > 0 and score["errors"]["edited"] < score["errors"]["alone"]
        for score in found["outside"]["labels"].values():
            assert score["mean"] == pytest.approx(1, abs=0.03)


def test_a_model_that_does_nothing_scores_zero_inside_and_spoils_nothing_outside(dataset):
    for found in measured(dataset, None).values():
        assert all(score["mean"] == 0 for score in found["inside"]["labels"].values())
        assert all(score["mean"] == pytest.approx(1) for score in found["outside"]["labels"].values())


def test_the_sheet_of_swaps_shows_recipient_donor_swap_and_truth(dataset):
    context = Context(MadeUp(dataset, lambda pictures: pictures, light=1), dataset, None)
    sheet = pictures.swaps(context)
    assert set(sheet.rows) == set(dataset.labels.names) and sheet.images.shape[1] == len(sheet.columns) == 8
    known = {np.float32(image / np.float32(255)).tobytes() for image in dataset.test.images}
    for recipient, donor, swap, truth in sheet.images[:, :4]:
        assert {recipient.tobytes(), donor.tobytes()} <= known and not np.array_equal(recipient, truth)
        np.testing.assert_allclose(swap, truth, atol=1e-6)
    plain = Dataset("plain", dataset.labels, dataset.train, dataset.validation, dataset.test)
    assert pictures.swaps(Context(MadeUp(dataset, None), plain, None)) is None


def test_what_an_edit_spoils_elsewhere_counts_outside_and_not_inside(dataset):
    def spoil(pictures):
        pictures = pictures.reshape(-1, SIZE, SIZE, 3).copy()
        pictures[:, :4, :2] = 0  # the background in a corner, which no label is about
        return pictures.reshape(len(pictures), -1)

    for found in measured(dataset, spoil).values():
        for name in set(found["inside"]["labels"]) - {"Wearing_Hat"}:  # some hats reach into that corner
            assert found["inside"]["labels"][name]["mean"] == pytest.approx(1, abs=1e-5)
            assert found["outside"]["labels"][name]["mean"] > 1.1


def test_edits_that_are_half_gray_score_less(dataset):
    def halfway(pictures):
        return (pictures + 0.5) / 2

    results = measured(dataset, halfway)
    assert all(score["mean"] < 0.9 for found in results.values() for score in found["inside"]["labels"].values())


def test_a_label_that_reconstructions_do_not_show_has_no_score(dataset):
    for found in measured(dataset, lambda pictures: pictures, light=0).values():
        assert found["inside"] == {"mean": None, "low": None, "high": None, "labels": {}}


def test_data_that_cannot_be_drawn_again_go_without(dataset):
    plain = Dataset("plain", dataset.labels, dataset.train, dataset.validation, dataset.test)
    assert counterfactual.measure(Context(MadeUp(dataset, None), plain, None)) == {}


def test_examples_that_are_drawn_from_a_split_are_compared_with_their_own_pictures(dataset):
    context = Context(MadeUp(dataset, lambda pictures: pictures), dataset, None, examples=FACES // 2)
    assert context.rows[0] > 0 or np.any(np.diff(context.rows) > 1)
    inside = counterfactual.measure(context)["counterfactual"]["set_on"]["inside"]
    assert inside["mean"] == pytest.approx(1, abs=1e-5)


def test_of_several_true_pictures_the_nearest_counts():
    edited = np.array([0.1, 0.9, 0.5])[:, None, None, None] * np.ones((3, 2, 2, 1))
    pictures = np.array([0, 255, 255, 230, 0])[:, None, None, None] * np.ones((5, 2, 2, 1), np.uint8)
    assert counterfactual.nearest(edited, pictures.astype(np.uint8), np.array([0, 0, 1, 1, 1])).tolist() == [0, 3]


def test_errors_are_those_of_the_changed_region_and_of_the_rest():
    original = np.zeros((2, 2, 2, 1))
    truth = original.copy()
    truth[0, 0, 0] = 0.8  # and nothing changes in the second
    edited, alone, rebuilt = truth + 0.1, original + 0.3, truth - 0.2
    found = counterfactual.errors(edited, original, truth, alone, rebuilt)
    np.testing.assert_allclose(found.edited, [0.1, np.nan])
    np.testing.assert_allclose(found.alone, [0.5, np.nan])
    np.testing.assert_allclose(found.rebuilt, [0.2, np.nan])
    np.testing.assert_allclose(found.edited_outside, [0.1, 0.1])
    np.testing.assert_allclose(found.alone_outside, [0.3, 0.3])


def test_headlines_are_those_that_were_measured():
    row = {"mean": 0.4, "low": 0.3, "high": 0.5}
    nothing = {"mean": None, "low": None, "high": None}
    results = {"set_success": row, "selectivity": nothing, "counterfactual": {"swap": {"inside": row}}}
    assert [x.name for x in report.headlines(results)] == ["set success", "true swap"]


def test_the_report_has_a_row_for_each_label_with_both_scores_of_each_kind_of_edit(dataset, tmp_path):
    results = {"intervention_matrix": {}, "separation": {}, "within_label_capture": {"labels": {}}}
    results["counterfactual"] = measured(dataset, lambda pictures: pictures)
    name = dataset.labels.names[0]
    results["counterfactual"]["swap_within"]["inside"]["labels"].pop(name, None)
    report.write(suite.Evaluation(results, {}), dataset.labels, "made-up", tmp_path, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    table = text[text.index("<h2>Edits against the truth</h2>") :]
    first = table[table.index(f"<td>{name}</td>") :]
    cells = re.findall(r"<td>([^<]*)</td>", first[: first.index("</tr>")])
    assert all(cells[k].startswith("1.00 (") for k in (1, 3, 4)) and cells[5].startswith("- (")
    del results["counterfactual"]
    report.write(suite.Evaluation(results, {}), dataset.labels, "made-up", tmp_path, tmp_path / "report.html")
    assert "Edits against the truth" not in (tmp_path / "report.html").read_text()
