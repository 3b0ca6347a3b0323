"""Avatars drawn again with one label changed: that label, and nothing else that it does not exclude."""

import numpy as np
import pytest

from tf_ccvae.data import avatars, avatars_redrawing, redrawing
from tf_ccvae.data.avatars_drawing import draw_all
from tf_ccvae.data.avatars_labels import FACTORS, LABELS, SUNGLASSES, describe, faces_of, labels_of
from tf_ccvae.data.avatars_redrawing import ABOUT, AvatarsRedrawing
from tf_ccvae.labels import MISSING

SIZE = 24
NAMES = LABELS.names
HAIR_COLOURS = [name for name, factor in ABOUT.items() if factor == "hair_shade"]
STYLE = ("clothes", "clothes_color", "background_color", "shift", "scale")


@pytest.fixture(scope="module")
def factors():
    return describe(400)


@pytest.fixture(scope="module")
def labels(factors):
    return dict(zip(NAMES, labels_of(factors).T, strict=True))


@pytest.fixture(scope="module")
def renderer(factors, tmp_path_factory):
    return AvatarsRedrawing({"test": factors}, SIZE, 1, tmp_path_factory.mktemp("drawings"), processes=1)


@pytest.fixture(scope="module")
def together():
    """bool (labels, 2, labels, 2): which values of two labels are seen in one face."""
    values = labels_of(describe(6000, seed=5))
    there = (values[:, :, None] == np.arange(2)).astype(float)
    return np.einsum("niv,njw->ivjw", there, there) > 0


def category(name, variant):
    return FACTORS[name].index(variant)


def where(condition, count=1):
    return np.flatnonzero(condition)[:count]


def test_a_face_that_is_drawn_again_unchanged_is_the_same_picture(renderer, factors):
    rows = np.array([3, 0, 3])
    again = renderer.draw(renderer.described("test", rows))
    faces = faces_of({name: values[:4] for name, values in factors.items()})
    np.testing.assert_array_equal(again, draw_all(faces, SIZE, processes=1)[rows])


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("name", NAMES)
def test_a_label_that_is_set_has_its_value_and_others_keep_theirs_unless_both_exclude_each_other(
    renderer, factors, labels, together, name, value
):
    rows = where(labels[name] == 1 - value, 12)
    of, changed = renderer.setting("test", rows, name, value)
    column = NAMES.index(name)
    before, after = labels_of(factors)[rows][of], labels_of(changed)
    assert (after[:, column] == value).all()
    hairless = factors["hair"][rows][of] == 0
    for i, other in enumerate(NAMES):
        differs = (before[:, i] != after[:, i]) & (before[:, i] != MISSING) & (after[:, i] != MISSING)
        if other in HAIR_COLOURS:
            differs &= ~hairless  # the hair is new, and so is its colour
        if i != column:
            assert not together[column, value, i, before[differs, i]].any(), other
    drawable = rows if name not in HAIR_COLOURS else rows[factors["hair"][rows] > 0]
    assert set(rows[of]) == set(drawable)
    assert np.bincount(of).max() <= redrawing.VARIANTS
    for style in STYLE:
        np.testing.assert_array_equal(changed[style], factors[style][rows][of])


@pytest.mark.parametrize(
    ("name", "carried"),
    [
        ("Wearing_Hat", ("hat", "hat_color")),
        ("Mustache", ("facial_hair", "facial_hair_color", "facial_hair_shade")),
        ("Dark_Skin", ("skin", "skin_color")),
        ("Raised_Eyebrows", ("brows",)),
    ],
)
def test_a_swap_is_the_recipient_drawn_with_the_factors_of_the_donor(renderer, factors, labels, name, carried):
    rows, donors = where(labels[name] == 0), where(labels[name] == 1)
    expected = {key: values[donors if key in carried else rows].copy() for key, values in factors.items()}
    if name == "Wearing_Hat":
        expected |= {"hair": np.zeros(1, np.int8), "hair_color": np.full((1, 3), np.nan, np.float32)}
    of, changed = renderer.carrying("test", rows, donors, name)
    assert of.tolist() == [0]
    for key, values in expected.items():
        np.testing.assert_array_equal(changed[key], values, err_msg=key)
    picture = draw_all(faces_of(expected), SIZE, processes=1)
    np.testing.assert_array_equal(renderer.draw(changed), picture)


def test_glasses_of_a_donor_are_carried_over_with_their_colour_unless_they_are_tinted(renderer, factors, labels):
    clear = where((labels["Eyeglasses"] == 1) & (labels["Sunglasses"] == 0))
    tinted, without = where(labels["Sunglasses"] == 1), where(labels["Eyeglasses"] == 0)
    of, changed = renderer.carrying("test", without, clear, "Eyeglasses")
    assert len(of) == 1
    for name in ("glasses", "glasses_color"):
        np.testing.assert_array_equal(changed[name], factors[name][clear])
    assert not len(renderer.carrying("test", without, tinted, "Eyeglasses").of)


def test_a_swap_between_two_who_have_a_label_carries_the_variant_and_one_of_equals_has_no_picture(
    renderer, factors, labels
):
    angry = np.flatnonzero(labels["Angry_Eyebrows"] == 1)
    natural = factors["brows"][angry] == category("brows", "angryNatural")
    one, other = angry[natural][:2], angry[~natural][:2]
    of, changed = renderer.carrying("test", one, other, "Angry_Eyebrows")
    assert of.tolist() == [0, 1] and (changed["brows"] == category("brows", "angry")).all()
    assert not len(renderer.carrying("test", one, one[::-1], "Angry_Eyebrows").of)


def test_long_hair_of_a_donor_has_the_colour_of_the_recipient(renderer, factors, labels):
    short = where((labels["Long_Hair"] == 0) & (labels["Bald"] == 0) & (labels["Black_Hair"] == 1))
    long = where((labels["Long_Hair"] == 1) & (labels["Blond_Hair"] == 1))
    changed = renderer.carrying("test", short, long, "Long_Hair").factors
    assert changed["hair"].tolist() == factors["hair"][long].tolist()
    np.testing.assert_array_equal(changed["hair_color"], factors["hair_color"][short])


def test_below_a_hat_that_is_taken_off_hair_may_look_in_several_ways_but_is_not_long(renderer, labels):
    changed = renderer.setting("test", where(labels["Wearing_Hat"] == 1), "Wearing_Hat", 0).factors
    assert len(set(changed["hair"].tolist())) > 5 and len(set(changed["hair_shade"].tolist())) > 3
    assert (labels_of(changed)[:, NAMES.index("Long_Hair")] == 0).all()


def test_eyes_behind_tinted_lenses_may_be_any(renderer, labels):
    rows = where(labels["Sunglasses"] == 1)
    changed = renderer.setting("test", rows, "Eyeglasses", 0).factors
    assert sorted(changed["eyes"].tolist()) == list(range(len(FACTORS["eyes"])))


def test_a_label_that_is_hidden_is_not_changed(renderer, factors, labels):
    hats, tinted = where(labels["Wearing_Hat"] == 1, 3), where(labels["Sunglasses"] == 1, 3)
    assert not len(renderer.setting("test", hats, "Bald", 1).of)
    assert not len(renderer.setting("test", tinted, "Eyes_Closed", 1).of)
    assert (factors["glasses"][tinted] >= category("glasses", SUNGLASSES[0])).all()


def test_pictures_are_drawn_once_and_equal_faces_only_once(renderer, factors, monkeypatch):
    twice = renderer.described("test", np.array([7, 7, 8]))
    first = renderer.draw(twice)
    np.testing.assert_array_equal(first[0], first[1])
    monkeypatch.setattr(avatars_redrawing, "draw_all", None)
    np.testing.assert_array_equal(renderer.draw(twice), first)
    assert renderer.draw(renderer.described("test", np.array([], int))).shape == (0, SIZE, SIZE, 3)


def test_the_data_set_draws_its_own_rows_again_also_with_fewer_labels(tmp_path):
    dataset = avatars.load(16, examples=48, cache_dir=tmp_path, processes=1)
    for name in ("train", "test"):
        again = dataset.renderer.draw(dataset.renderer.described(name, np.arange(3)))
        np.testing.assert_array_equal(again, dataset.split(name).images[:3])
    assert dataset.with_labels(("Smiling",)).renderer is dataset.renderer
    assert dataset.renderer.labels == dataset.labels.names
