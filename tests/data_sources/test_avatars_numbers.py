"""The numbers of the drawn faces."""

import numpy as np
import pytest

from tf_ccvae.data import avatars_numbers
from tf_ccvae.data.avatars_drawing import draw_all
from tf_ccvae.data.avatars_labels import FACTORS, LABELS, describe, faces_of, labels_of
from tf_ccvae.data.avatars_redrawing import AvatarsRedrawing
from tf_ccvae.data.dataset import Dataset, Split


@pytest.fixture(scope="module")
def factors():
    return describe(3000)


def of_shade(factors, numbers, name, shade):
    """The known values of one number on faces whose hair has this shade."""
    column = numbers[factors["hair_shade"] == FACTORS["hair_shade"].index(shade)]
    column = column[:, avatars_numbers.NAMES.index(name)]
    return column[~np.isnan(column)]


def test_numbers_are_those_of_the_colours_that_were_drawn(factors):
    numbers = avatars_numbers.numbers_of(factors)
    black, gray = (of_shade(factors, numbers, "Hair_Lightness", shade) for shade in ("black", "gray"))
    assert black.max() < 20 and gray.min() > 60
    brown, blond, pink = (of_shade(factors, numbers, "Hair_Hue", shade) for shade in ("brown", "blond", "pink"))
    assert pink.max() < 0 < brown.min() and brown.mean() < blond.mean() < 60
    assert not len(of_shade(factors, numbers, "Hair_Hue", "gray"))
    np.testing.assert_allclose(numbers[:, 3], 100 * factors["scale"])


def test_what_a_hat_covers_is_unknown(factors):
    numbers, hat = avatars_numbers.numbers_of(factors), factors["hat"] > 0
    assert np.isnan(numbers[hat, :2]).all() and not np.isnan(numbers[:, 2:]).any()
    assert (~np.isnan(numbers[~hat, 0])).mean() > 0.8


def test_numbers_stand_behind_the_labels_in_units_of_the_training_split(factors):
    images = np.zeros((3000, 1, 1, 3), np.uint8)
    values = labels_of(factors)
    parts = [
        Split(images[some], values[some], {name: x[some] for name, x in factors.items()})
        for some in (slice(0, 2000), slice(2000, 2500), slice(2500, 3000))
    ]
    data = avatars_numbers.with_numbers(Dataset("avatars", LABELS, *parts), ["Head_Size", "Hair_Hue"])
    assert data.labels.names == (*LABELS.names, "Head_Size", "Hair_Hue")
    np.testing.assert_array_equal(data.train.observed[:, :-2], parts[0].observed)
    size = data.labels.items[-2].scale
    assert size.mean == pytest.approx(data.train.labels[:, -2].mean(), rel=1e-5)
    assert 98 <= size.low < 98.1 and 101.9 < size.high <= 102


@pytest.mark.parametrize("name", avatars_numbers.NAMES)
def test_a_changed_face_has_the_number_that_was_asked_for_and_is_the_same_otherwise(factors, name):
    column, before = avatars_numbers.NAMES.index(name), avatars_numbers.numbers_of(factors)
    rows = np.flatnonzero(~np.isnan(before[:, column]))[:300]
    some = {key: values[rows] for key, values in factors.items()}
    wanted = np.random.default_rng(0).permutation(before[rows, column])
    changed = avatars_numbers.changed(some, name, wanted)
    after = avatars_numbers.numbers_of(changed)
    np.testing.assert_allclose(after[:, column], wanted, atol=0.01)
    others = [i for i in range(len(avatars_numbers.NAMES)) if i != column and i != 1]  # black hair has no hue to see
    np.testing.assert_allclose(after[:, others], before[rows][:, others], atol=0.01)
    both = np.abs(after[:, 1] - before[rows, 1])
    assert name == "Hair_Hue" or np.nanmax(both) < 0.1
    touched = {
        key for key in factors if not np.array_equal(changed[key], some[key], equal_nan=changed[key].dtype.kind == "f")
    }
    assert touched == {"scale" if name == "Head_Size" else avatars_numbers.COLOURS[name][0]}


def test_a_face_is_drawn_again_where_the_number_is_known_and_as_it_was_by_its_own(factors, tmp_path):
    renderer = AvatarsRedrawing({"test": factors}, 24, 1, tmp_path, processes=1)
    numbers, rows = avatars_numbers.numbers_of(factors), np.arange(12)
    pictures = draw_all(faces_of({key: values[rows] for key, values in factors.items()}), 24, processes=1)
    for i, name in enumerate(renderer.numbers):
        redrawn = renderer.setting_number("test", rows, name, numbers[rows, i])
        assert redrawn.of.tolist() == np.flatnonzero(~np.isnan(numbers[rows, i])).tolist()
        difference = renderer.draw(redrawn.factors).astype(int) - pictures[redrawn.of]
        assert np.abs(difference).max() <= 1, name
