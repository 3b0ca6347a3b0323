"""What labels are and where their latents lie."""

import numpy as np
import pytest

from tf_ccvae.labels import Label, Labels, latent_owners, owner_matrix

MIXED = Labels((Label("a"), Label("b", ("x", "y", "z"), latents=2), Label("c", latents=3)))


def test_characteristic_latents_lie_label_after_label():
    assert MIXED.slices == (slice(0, 1), slice(1, 3), slice(3, 6))
    assert MIXED.characteristic == 6


def test_values_kinds_and_positions():
    assert [label.values for label in MIXED] == [2, 3, 2]
    assert (MIXED.values, MIXED.binary, MIXED.categorical) == (3, (0, 2), (1,))


def test_no_labels_are_labels_too():
    empty = Labels(())
    assert (len(empty), empty.characteristic, empty.values, empty.slices) == (0, 0, 2, ())


def test_config_round_trips():
    assert Labels.from_config(MIXED.get_config()) == MIXED


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Label("a", latents=0), "at least 1"),
        (lambda: Label("a", ("only",)), "at least two"),
        (lambda: Label("a", ("x", "x")), "different"),
        (lambda: Labels.of_binary(["a", "b", "a"]), "found twice: a"),
    ],
)
def test_impossible_labels_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_every_latent_has_one_owner():
    np.testing.assert_array_equal(latent_owners(MIXED), [0, 1, 1, 2, 2, 2])
    np.testing.assert_array_equal(owner_matrix(MIXED), np.eye(3)[[0, 1, 1, 2, 2, 2]])
    assert latent_owners(Labels(())).shape == (0,)


BINARY = Label("smile")
ANIMALS = Label("animal", ("Cat", "dog", "CAT", "no"))
NUMBERS = Label("emotion", ("1", "2", "3", "4", "5", "6", "7"))
DEGREES = Label("turn", ("0", "90", "180", "270"))
PARTLY = Label("size", ("1.5", "large", "huge"))


@pytest.mark.parametrize(
    ("label", "values", "expected"),
    [
        (BINARY, (0, 1, True, False, np.True_, np.int8(1)), (0, 1, 1, 0, 1, 1)),
        (BINARY, ("off", "ON", "Yes", "no", "TRUE", "false", "1", "0"), (0, 1, 1, 0, 1, 0, 1, 0)),
        (ANIMALS, ("Cat", "CAT", "Dog", "NO", "3", 3), (0, 2, 1, 3, 3, 3)),
        (NUMBERS, range(7), range(7)),
        (NUMBERS, "1234567", range(7)),
        (DEGREES, ("0", "90", "180", "270", 0, 3), (0, 1, 2, 3, 0, 3)),
        (PARTLY, ("1.5", "Huge", 1), (0, 2, 1)),
        (Label("found", ("nan", "inf", "one")), ("0", "NaN", "2"), (0, 0, 2)),  # words, not numbers
    ],
)
def test_a_number_is_an_index_and_a_text_is_a_name_before_it_is_anything_else(label, values, expected):
    assert [label.value_of(value) for value in values] == list(expected)


@pytest.mark.parametrize(
    ("label", "value", "message"),
    [
        (BINARY, 2, "label 'smile': 2 is not one of off, on, or 0 to 1"),
        (BINARY, -1, "label 'smile': -1 is not one of"),
        (BINARY, "2", "'2' is not one of off, on"),
        (BINARY, "", "'' is not one of off, on"),
        (BINARY, 1.0, "1.0 is not one of off, on"),
        (ANIMALS, "cat", "'cat' is not one of Cat, dog, CAT, no, or 0 to 3"),  # Cat or CAT
        (ANIMALS, "yes", "'yes' is not one of"),
        (ANIMALS, True, "True is not one of"),
        (ANIMALS, "4", "'4' is not one of"),
        (ANIMALS, "\u0662", "is not one of"),  # a digit, but not of ours
        (NUMBERS, "0", "'0' is not one of 1, 2, 3, 4, 5, 6, 7$"),
        (NUMBERS, 7, "7 is not one of 1, 2, 3, 4, 5, 6, 7$"),
        (DEGREES, "1", "'1' is not one of 0, 90, 180, 270$"),
        (PARTLY, "1", "'1' is not one of 1.5, large, huge$"),
        (Label("dose", ("1e-3", "1e-2")), "1", "'1' is not one of 1e-3, 1e-2$"),
    ],
)
def test_what_means_no_value_or_two_is_refused_with_the_names(label, value, message):
    with pytest.raises(ValueError, match=message):
        label.value_of(value)
