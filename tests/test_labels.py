"""What labels are and where their latents lie."""

import numpy as np
import pytest

from tf_ccvae.label_arrays import Columns, in_units_of, known
from tf_ccvae.labels import Label, Labels, latent_owners, owner_matrix
from tf_ccvae.number_labels import Scale

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
        (lambda: Label("a", ordered=True), "label 'a': is a grade without classes; list them in order"),
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


# Number labels --------------------------------------------------------------------------------------------------------

AGE = Label("age", scale=Scale(45.0, 10.0, 20.0, 60.0))
KINDS = Labels(
    (AGE, Label("hat"), Label("breed", ("a", "b", "c"), 2), Label("size", scale=Scale(0, 1, -9, 9), latents=2))
)


def test_every_label_has_a_kind_and_a_number_label_no_values_to_list():
    assert [label.kind for label in KINDS] == ["number", "binary", "class", "number"]
    assert [label.values for label in KINDS] == [0, 2, 3, 0]
    assert (KINDS.numbers, KINDS.binary, KINDS.categorical, KINDS.values) == ((0, 3), (1,), (2,), 3)
    assert KINDS.plain.names == ("hat", "breed") and KINDS.of_numbers.names == ("age", "size")
    assert MIXED.plain is MIXED


def test_config_of_a_number_label_round_trips_and_that_of_the_others_is_what_it_was():
    assert Labels.from_config(KINDS.get_config()) == KINDS
    assert KINDS.get_config()[1] == {"name": "hat", "classes": [], "latents": 1}
    assert KINDS.get_config()[0]["kind"] == "number"


def test_a_kind_that_this_version_does_not_know_is_refused():
    with pytest.raises(ValueError, match="label 'x': is of kind 'interval', which this version"):
        Labels.from_config([{"name": "x", "classes": [], "latents": 1, "kind": "interval"}])


@pytest.mark.parametrize("value", ["60", " 6e1 ", 60, 60.0, np.float32(60), np.int8(60)])
def test_numbers_and_texts_mean_a_number(value):
    assert AGE.meant(value) == 60.0


@pytest.mark.parametrize("value", ["old", "", "nan", "inf", "1,5", "1_0", True, float("nan"), None])
def test_what_is_no_number_is_refused_with_the_training_values(value):
    with pytest.raises(ValueError, match=r"label 'age': .* is not a number; training values were 20 to 60"):
        AGE.number_of(value)


def test_ends_of_a_traversal_are_two_deviations_away_inside_the_training_values():
    assert AGE.ends == (25.0, 60.0)
    assert Label("hat").ends == (0, 1) and AGE.written(45.0) == "45" and Label("hat").written(1) == "on"


@pytest.mark.parametrize("numbers", [(0, 0, 0, 1), (0, float("nan"), 0, 1), (0, 1, 2, 1)])
def test_impossible_units_are_refused(numbers):
    with pytest.raises(ValueError, match="deviation above 0 and low <= high"):
        Scale(*numbers)


def test_columns_of_both_kinds_are_taken_apart_and_put_together_again():
    columns = Columns.of(KINDS)
    np.testing.assert_array_equal(columns.plain, [1, 2])
    np.testing.assert_array_equal(columns.number_latents, [0, 4, 5])
    labels, latents = np.arange(4), np.arange(6)
    apart = np.concatenate([labels[columns.plain], labels[columns.numbers]])
    np.testing.assert_array_equal(apart[columns.together], labels)
    apart = np.concatenate([latents[columns.plain_latents], latents[columns.number_latents]])
    np.testing.assert_array_equal(apart[columns.latents_together], latents)


def test_missing_is_minus_one_among_integers_and_nan_among_floats():
    np.testing.assert_array_equal(known([1, -1, 0]), [True, False, True])
    np.testing.assert_array_equal(known([1.0, -1.0, np.nan]), [True, True, False])


def test_units_follow_the_values_and_stay_where_no_two_differ():
    values = np.float32([[10, 0, 0, 5], [30, 1, 1, 5], [np.nan, 1, 1, np.nan]])
    made = in_units_of(values, KINDS)
    assert made.items[0].scale == Scale(20.0, 10.0, 10.0, 30.0) and made.items[3] == KINDS.items[3]


# Grades ---------------------------------------------------------------------------------------------------------------

SEVERITY = Label("severity", ("none", "mild", "severe"), ordered=True)


def test_a_grade_has_values_like_a_class_and_is_no_class():
    labels = Labels((Label("breed", ("a", "b")), SEVERITY))
    assert (SEVERITY.kind, SEVERITY.values, SEVERITY.binary, SEVERITY.ends) == ("grade", 3, False, (0, 2))
    assert (labels.grades, labels.categorical, labels.plain) == ((1,), (0,), labels)
    assert SEVERITY.value_of("Severe") == 2 and SEVERITY.written(1) == "mild"


def test_config_of_a_grade_round_trips_and_says_that_it_is_one():
    labels = Labels((SEVERITY, Label("breed", ("a", "b"))))
    assert Labels.from_config(labels.get_config()) == labels
    assert [config.get("kind") for config in labels.get_config()] == ["grade", None]


def test_a_grade_is_not_the_same_as_a_class_of_the_same_values():
    assert not Labels((SEVERITY,)).same_as(Labels((Label("severity", SEVERITY.classes),)))
