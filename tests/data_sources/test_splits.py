import numpy as np
import pytest

from tf_ccvae.data.dataset import DataError
from tf_ccvae.data.splits import class_names, plan


def test_own_splits_are_taken_as_they_are():
    found = plan({"test": 3, "train": 10, "valid": 2, "extra": 99}, 0.1, 0.1, "here")
    assert found.parts == (("train", 10), ("valid", 2), ("test", 3))
    assert found.rows == {"train": (0, 10), "validation": (10, 12), "test": (12, 15)}
    assert np.array_equal(found.order, np.arange(15)) and not found.shuffled


@pytest.mark.parametrize("name", ["train", "all"])
def test_what_is_missing_is_drawn_from_the_only_split(name):
    found = plan({name: 20}, 0.1, 0.2, "here")
    assert found.parts == ((name, 20),)
    assert found.rows == {"train": (0, 14), "validation": (14, 16), "test": (16, 20)}
    assert sorted(found.order) == list(range(20)) and found.shuffled


def test_validation_is_drawn_where_only_the_test_is_there():
    found = plan({"train": 20, "test": 5}, 0.1, 0.2, "here")
    assert found.rows == {"train": (0, 18), "validation": (18, 20), "test": (20, 25)}
    assert sorted(found.order[:20]) == list(range(20)) and np.array_equal(found.order[20:], np.arange(20, 25))


def test_reading_is_cut_where_a_split_of_the_source_ends():
    found = plan({"train": 10, "validation": 2, "test": 3}, 0.1, 0.1, "here")
    assert found.between(8, 13) == [("train", 8, 10), ("validation", 0, 2), ("test", 0, 1)]
    assert found.between(0, 4) == [("train", 0, 4)]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"a": 3, "b": 3}, r"here: no split 'train' among its splits \(a, b\)"),
        ({}, r"here: no split 'train' among its splits \(none\)"),
        ({"train": 2}, r"here: 2 examples in split 'train' are too few to draw validation and test from"),
    ],
)
def test_splits_that_do_not_do_are_refused(sizes, message):
    with pytest.raises(DataError, match=message):
        plan(sizes, 0.1, 0.1, "here")


def test_classes_that_share_a_name_are_numbered():
    assert class_names(["crane", "crane", "dog"]) == ("0", "1", "2")
    assert class_names(["cat", "dog"]) == ("cat", "dog")


def test_unlabelled_split_is_trained_on_and_stands_before_the_training_split():
    found = plan({"unlabelled": 50, "train": 10, "test": 4}, 0.2, 0.1, "here")
    assert found.parts == (("train", 10), ("unlabelled", 50), ("test", 4))
    assert found.rows == {"train": (0, 58), "validation": (58, 60), "test": (60, 64)}
    assert sorted(found.order[:10]) == list(range(50, 60))
    assert np.array_equal(found.order[10:], [*range(50), *range(60, 64)])
    assert found.unlabelled == {"unlabelled"}
    assert found.notes == ("split 'unlabelled' (50 examples) is trained on without labels",)


def test_split_that_is_not_read_is_named():
    assert plan({"train": 10, "test": 3, "extra": 99}, 0.1, 0.1, "here").notes == (
        "split 'extra' (99 examples) is not read",
    )


@pytest.mark.parametrize("sizes", [{"a": 20, "unlabeled": 7}, {"unsupervised": 7, "train": 20}])
def test_every_row_is_filled_once_and_validation_and_test_come_from_the_labelled_split(sizes):
    found = plan(sizes, 0.1, 0.2, "here")
    assert sorted(found.order) == list(range(27))
    assert found.rows == {"train": (0, 21), "validation": (21, 23), "test": (23, 27)}
    assert set(found.order[20:]) == set(range(7))
