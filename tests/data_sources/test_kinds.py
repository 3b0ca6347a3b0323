"""Which kind of label a column of a CSV file is, and what its values are."""

import numpy as np
import pytest
from PIL import Image

from tf_ccvae.data import folder
from tf_ccvae.data.columns import NotLabels
from tf_ccvae.data.dataset import DataError
from tf_ccvae.data.kinds import read
from tf_ccvae.data.pipeline import hide_labels
from tf_ccvae.label_arrays import known

NAN = np.nan
DECIMALS = [f"{x / 7:.3f}" for x in range(-20, 20)]


def column(cells, kind=None, name="x"):
    return read(name, cells, range(2, len(cells) + 2), None, kind)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "0", "", "1"], "binary"),
        (["1.0", "0.0", "True", "no"], "binary"),
        (["pug", "poodle", "pug", "poodle", "?"], "class"),
        (DECIMALS, "number"),
        (["3", "1", "4", "1", "5", "0", "2"], "number"),
        (["1", "2", "2", "1"], "number"),
        (["1e3", "-2.5", "NA", "+7"], "number"),
    ],
)
def test_kind_is_seen_from_all_cells(cells, kind):
    assert column(cells).label.kind == kind


def test_numbers_are_read_in_their_own_units_and_minus_one_is_a_number():
    made = column(["12.5", "-1", "", "nan", "3e1"])
    np.testing.assert_array_equal(made.values, np.float32([12.5, -1, NAN, NAN, 30]))
    assert made.meaning == "a number, -1 to 30, with unknown ones"
    assert (made.label.scale.low, made.label.scale.high) == (-1, 30)


def test_few_whole_numbers_are_a_number_and_the_program_says_how_to_make_classes_of_them():
    cells = ["0", "3", "1", "2", "4", "3"]
    assert column(cells, name="grade").meaning.endswith(
        "taken for a number; data.label_kinds: {grade: class} takes them for classes, {grade: grade} for grades"
    )
    made = column(["10", "9", "9.0", "10", ""], "class")
    assert made.label.classes == ("9", "10")
    np.testing.assert_array_equal(made.values, [1, 0, 0, 1, NAN])


def test_words_are_classes_by_the_alphabet():
    made = column(["pug", "beagle", "", "pug", "beagle"])
    assert made.label.classes == ("beagle", "pug")
    np.testing.assert_array_equal(made.values, [1, 0, NAN, 1, 0])


@pytest.mark.parametrize(
    ("cells", "kind", "message"),
    [
        (["1.5", "two", "3"], "number", "'two' (line 3) is no number that can be used; write a number or nothing"),
        (["1.5", "2,5", "3"], "number", "'2,5' (line 3) is no number that can be used; write a point in place of"),
        (["1.5", "inf", "3"], "number", "'inf' (line 3) is no number that can be used"),
        (["1.5", "1e39", "3"], "number", "'1e39' (line 3) is no number that can be used"),
        (["7", "7", ""], None, "is 7 in the whole file, so there is nothing to learn; remove the column"),
        (["", ""], "number", "is empty in the whole file"),
        (
            ["1", "0"] * 20 + ["11"],
            None,
            "'11' (line 42) is not a label; write 1, 0 or nothing; or set data.label_kinds",
        ),
        ([str(i) for i in range(40)], None, "holds another whole number for each picture, so it is no label"),
        (["0", "1", "2"], "binary", "'2' (line 4) is not a label"),
        (["pug"] * 3, "class", "holds 1 different words"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line_with_what_to_do(cells, kind, message):
    with pytest.raises(NotLabels) as caught:
        column(cells, kind)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


# Grades ---------------------------------------------------------------------------------------------------------------

WORDS = ["none", "mild", "severe"]


def test_numbers_that_are_said_to_be_a_grade_stand_by_their_size():
    made = column(["10", "2", "9", "2.0", "", "-1", "10"], "grade")
    assert made.label.kind == "grade" and made.label.classes == ("2", "9", "10")
    np.testing.assert_array_equal(made.values, [2, 0, 1, 0, NAN, NAN, 2])
    assert made.meaning == "3 grades in order (2 < 9 < 10); '-1': unknown"


def test_minus_one_is_a_grade_where_there_are_lower_ones_or_where_it_is_listed():
    assert column(["-2", "-1", "0", "1", "2", "-1"], "grade").label.classes == ("-2", "-1", "0", "1", "2")
    made = column(["-1", "1", "0"], ["-1", 0, 1])
    assert made.label.classes == ("-1", "0", "1")
    np.testing.assert_array_equal(made.values, [0, 2, 1])


def test_words_are_a_grade_in_the_order_of_the_settings_and_none_is_one_of_them_where_it_is_listed():
    made = column(["severe", "none", "Mild", "", "?", "none"], WORDS)
    assert made.label.kind == "grade" and made.label.classes == ("none", "mild", "severe")
    np.testing.assert_array_equal(made.values, [2, 0, 1, NAN, NAN, 0])
    assert made.meaning == "3 grades in order (none < mild < severe); '?': unknown"
    assert column(["severe", "none", "mild"], WORDS[1:]).meaning.endswith("; 'none': unknown")


def test_numbers_may_be_listed_against_their_size_and_a_grade_without_examples_too():
    made = column(["1", "3", "1.0"], [4, 3, 2, 1])
    assert made.label.classes == ("4", "3", "2", "1")
    np.testing.assert_array_equal(made.values, [3, 1, 3])


@pytest.mark.parametrize(
    ("cells", "kind", "message"),
    [
        (
            ["mild", "severe", "mild"],
            "grade",
            "holds words, of which a grade has to know the order; list all of them from the lowest on, such as "
            "data.label_kinds: {x: [mild, severe]}",
        ),
        (
            ["mild", "bad", "severe"],
            WORDS,
            "'bad' (line 3) is not one of the grades none, mild, severe; correct it, or",
        ),
        (["1", "2"], ["1", 1.0, "2"], "data.label_kinds lists 1, 1, 2; list two or more different grades in order"),
        (["1", "2"], ["1"], "data.label_kinds lists 1; list two or more"),
        (["7", "7", ""], "grade", "holds 1 different numbers, so it is no grade; 2 to 200 are"),
        ([str(i) for i in range(300)], "grade", "holds 300 different numbers, so it is no grade"),
        (["mild", "mild"], WORDS, "holds fewer than two different grades in the whole file"),
    ],
)
def test_what_is_no_grade_is_refused_in_one_line_with_what_to_do(cells, kind, message):
    with pytest.raises(NotLabels) as caught:
        column(cells, kind)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


@pytest.fixture
def ages(tmp_path):
    """A folder of 40 pictures with an age, a breed and a smile; a function that loads it with changed lines."""
    random = np.random.default_rng(0)
    lines = ["file,split,age,breed,smile"]
    for i in range(40):
        Image.new("L", (8, 8), 5 * i).save(tmp_path / f"{i}.png")
        split = "train" if i < 20 else "validation" if i < 30 else "test"
        age = "" if i % 9 == 0 else f"{random.normal(40, 9):.1f}"
        lines.append(f"{i}.png,{split},{age},{('pug', 'beagle')[i % 2]},{'' if i == 3 else i % 2}")

    def load(changes=(), **settings):
        changed = list(lines)
        for line, text in dict(changes).items():
            changed[line] = text
        (tmp_path / "labels.csv").write_text("\n".join(changed) + "\n")
        return folder.load(tmp_path, tmp_path / "labels.csv", 8, 1, cache_dir=tmp_path / "cache", **settings)

    return load


def test_folder_has_labels_of_all_kinds_in_one_array_of_floats(ages):
    data = ages()
    assert [label.kind for label in data.labels] == ["number", "class", "binary"]
    assert data.train.labels.dtype == np.float32
    assert np.isnan(data.train.labels[0, 0]) and np.isnan(data.train.labels[3, 2])
    np.testing.assert_array_equal(data.train.observed, ~np.isnan(data.train.labels))
    there = data.train.labels[:, 0][data.train.observed[:, 0]]
    scale = data.labels.items[0].scale
    assert scale.mean == pytest.approx(there.mean()) and scale.deviation == pytest.approx(there.std())
    assert (scale.low, scale.high) == (there.min(), there.max())


def test_without_its_numbers_a_data_set_has_integers_again(ages):
    data = ages().with_labels(["smile", "breed"])
    assert data.train.labels.dtype == np.int16
    np.testing.assert_array_equal(data.train.labels[:4], [[0, 1], [1, 0], [0, 1], [-1, 0]])


def test_hidden_labels_are_unknown_whatever_their_kind(ages):
    hidden = hide_labels(ages().train, 0.5, 0.0, seed=0)
    assert (~known(hidden.labels)).all(1).sum() == 10


def test_settings_decide_over_what_is_seen(ages):
    assert ages(label_kinds={"smile": "number"}).labels.items[2].kind == "number"
    with pytest.raises(DataError, match=r"data\.label_kinds: no label 'aeg'; did you mean 'age'\?"):
        ages(label_kinds={"aeg": "number"})


def test_a_folder_has_grades_beside_the_other_kinds(ages):
    data = ages(label_kinds={"breed": ["pug", "beagle"], "smile": "grade"})
    assert [label.kind for label in data.labels] == ["number", "grade", "grade"]
    assert data.labels.items[1].classes == ("pug", "beagle")
    assert "breed: 2 grades in order (pug < beagle)" in data.about["meaning"]
    np.testing.assert_array_equal(data.train.labels[:4, 1:], [[0, 0], [1, 1], [0, 0], [1, NAN]])
    with pytest.raises(
        DataError, match=r"column 'breed': holds words, of which a grade has to know the order; .*label"
    ):
        ages(label_kinds={"breed": "grade"})


def test_a_number_far_from_the_training_values_is_warned_of(ages):
    assert not any("far outside" in note for note in ages().about["warnings"])
    warnings = ages({35: "34.png,test,999,pug,0"}).about["warnings"]
    assert any("label 'age' is 999 in test, far outside the other training values" in note for note in warnings)
