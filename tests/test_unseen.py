"""Faces of the styles of `benchmarks.unseen`: labels follow from what is drawn, and a face can be drawn again."""

import numpy as np
import pytest

from benchmarks.unseen import data, drawing
from benchmarks.unseen.redrawing import StyleRedrawing
from benchmarks.unseen.styles import LOOKED_AT, STYLES
from benchmarks.unseen.tables import Binary
from tf_ccvae.labels import MISSING


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_every_known_value_of_a_label_is_frequent_enough_to_learn(style):
    labels = drawing.labels_of(style, drawing.describe(style, 3000))
    assert 8 <= labels.shape[1] <= 20
    for name, column in zip(style.labels, labels.T, strict=True):
        shares = np.bincount(column[column != MISSING]) / len(column)
        assert shares.min() >= 0.08, name


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_weights_add_up_and_labels_name_variants_that_exist(style):
    for weights in [part.variants.values() for part in style.parts.values()]:
        assert sum(weights) == pytest.approx(1)
    for label in style.labels.values():
        groups = [label.variants] if isinstance(label, Binary) else list(label.classes.values())
        assert {name for group in groups for name in group} <= set(drawing.names_of(style, label.factor))
        for factor, names in label.hidden.items():
            assert set(names) <= set(drawing.names_of(style, factor))


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_faces_are_the_same_for_a_seed_and_in_a_longer_set_and_others_for_another_seed(style):
    short, long, other = drawing.describe(style, 5), drawing.describe(style, 9), drawing.describe(style, 5, seed=1)
    for name, values in short.items():
        np.testing.assert_array_equal(values, long[name][:5])
    assert not np.array_equal(short["background_color"], other["background_color"])
    face = drawing.rows_of(short)[0]
    np.testing.assert_array_equal(drawing.draw(face, 64, style.name), drawing.draw(face, 64, style.name))


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_a_face_drawn_again_with_another_color_keeps_its_background_and_changes(style):
    shade = next(iter(style.shades))  # skin, or ink
    face = drawing.rows_of(drawing.describe(style, 1))[0]
    names = drawing.names_of(style, shade)
    again = drawing.changed(style, face, {shade: names[(face[shade] + 1) % len(names)]})
    assert {name for name in face if not np.array_equal(face[name], again[name])} == {shade}
    before, after = (drawing.draw(x, 64, style.name) for x in (face, again))
    assert np.abs(before.astype(int) - after).max() > 30
    np.testing.assert_array_equal(before[0, 0], after[0, 0])


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_a_known_label_can_be_seen_since_another_value_of_it_draws_other_pixels(style):
    factors = drawing.describe(style, 40)
    faces, labels = drawing.rows_of(factors), drawing.labels_of(style, factors)
    for (name, label), column in zip(style.labels.items(), labels.T, strict=True):
        row = np.flatnonzero(column != MISSING)[-1]
        hidden = label.hidden.get(label.factor, ())
        names = [x for x in drawing.names_of(style, label.factor) if x not in hidden]
        if isinstance(label, Binary):
            others = [x for x in names if (x in label.variants) != column[row]]
        else:
            own = list(label.classes.values())[column[row]]
            others = [x for x in names if x not in own]
        again = drawing.changed(style, faces[row], {label.factor: others[-1]})
        before, after = (drawing.draw(face, 64, style.name).astype(int) for face in (faces[row], again))
        assert (np.abs(before - after).max(-1) > 30).sum() >= 5, name


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_a_part_that_covers_what_a_label_is_about_leaves_the_label_open(style):
    face = drawing.describe(style, 1)
    for number, label in enumerate(style.labels.values()):
        for factor, names in label.hidden.items():
            for name in names:
                covered = {**face, factor: np.array([drawing.names_of(style, factor).index(name)])}
                assert drawing.labels_of(style, covered)[0, number] == MISSING


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_every_label_of_a_face_can_be_set_to_every_other_value_and_carried_over_from_a_donor(style):
    factors = drawing.describe(style, 150)
    values = drawing.labels_of(style, factors)
    renderer = StyleRedrawing(style, {"test": factors})
    for i, name in enumerate(style.labels):
        for value in np.unique(values[values[:, i] != MISSING, i]):
            rows = np.flatnonzero((values[:, i] != value) & (values[:, i] != MISSING))[:8]
            donors = np.resize(np.flatnonzero(values[:, i] == value), len(rows))
            of, changed = renderer.setting("test", rows, name, value)
            assert len(of), name  # no mouth of some styles smiles and keeps the teeth, so that not every face has one
            carried = renderer.carrying("test", rows, donors, name)
            for chosen, new in ((of, changed), carried):
                assert (drawing.labels_of(style, new)[:, i] == value).all(), name
                for kept in ("background_color", "shift", "scale"):
                    np.testing.assert_array_equal(new[kept], factors[kept][rows][chosen])


def test_a_style_draws_its_own_rows_again_and_the_exact_color_of_a_donor(tmp_path):
    style = STYLES["toon-head"]  # its hair's shade is that of three parts, of which one is always there
    dataset = data.dataset("toon-head", 20, cache_dir=tmp_path, processes=1)
    renderer = dataset.renderer
    again = renderer.draw(renderer.described("test", np.arange(2)))
    np.testing.assert_array_equal(again, dataset.test.images)
    clothes = dataset.test.labels[:, list(style.labels).index("Clothes_Color")]
    carried = renderer.carrying("test", np.array([0]), np.array([1]), "Clothes_Color").factors
    donor = renderer.described("test", np.array([1]))
    assert carried["clothes_shade"].tolist() == [clothes[1]]
    np.testing.assert_array_equal(carried["clothes_shade_vary"], donor["clothes_shade_vary"])


def test_a_factor_that_does_not_exist_is_refused():
    style = STYLES["micah"]
    with pytest.raises(KeyError, match="no factor hat"):
        drawing.changed(style, drawing.rows_of(drawing.describe(style, 1))[0], {"hat": "cap"})


def test_pictures_are_drawn_once_and_read_from_the_cache(tmp_path, monkeypatch):
    first = drawing.load("micah", 6, cache_dir=tmp_path, processes=1, image_size=16)[0]
    monkeypatch.setattr(drawing, "draw_all", None)
    np.testing.assert_array_equal(first, drawing.load("micah", 6, cache_dir=tmp_path, image_size=16)[0])


def test_every_style_names_its_licence_and_the_styles_to_look_at_exist():
    assert all(style.licence.startswith(("CC BY 4.0: ", "CC0 1.0: ")) for style in STYLES.values())
    assert set(LOOKED_AT) <= set(STYLES)
