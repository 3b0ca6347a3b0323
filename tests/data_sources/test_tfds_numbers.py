"""Numbers of tensorflow-datasets as labels, of the kind that the settings say."""

import numpy as np
import pytest
from tensorflow_datasets import features as kinds

from tf_ccvae.data import sources, tfds
from tf_ccvae.data.dataset import SPLITS, DataError
from tf_ccvae.settings import checks
from tf_ccvae.settings.schema import Config

FEATURES = {
    "image": kinds.Image(shape=(8, 8, 1)),
    "age": kinds.Scalar(np.float32),
    "stage": kinds.Scalar(np.int64),
    "depth": kinds.ClassLabel(names=["b", "c", "a"]),
    "hat": kinds.Scalar(np.bool_),
    "size": {"width": kinds.Scalar(np.uint8)},
}


def rows(count, first=0):
    """Of example i, a picture of level i, an age of 20.5 + i (unknown every fourth), stage i % 4, and so on."""
    return [
        {
            "image": np.full((8, 8, 1), i, np.uint8),
            "age": np.nan if i % 4 == 0 else 20.5 + i,
            "stage": i % 4,
            "depth": -1 if i == 5 else i % 3,
            "hat": i % 2 == 0,
            "size": {"width": i % 2},
        }
        for i in range(first, first + count)
    ]


def by_level(found):
    """From the level of each picture to its labels."""
    return {
        int(image[0, 0, 0]): labels.tolist()
        for split in map(found.split, SPLITS)
        for image, labels in zip(split.images, split.labels, strict=True)
    }


def test_decimal_numbers_are_number_labels_and_whole_numbers_are_left_out(store, tmp_path):
    found = tfds.load("made", store(FEATURES, {"train": rows(12)}), 8, 1, cache_dir=tmp_path / "cache")
    assert [(label.name, label.kind) for label in found.labels] == [
        ("age", "number"),
        ("depth", "class"),
        ("hat", "binary"),
    ]
    known = found.train.labels[:, 0][found.train.observed[:, 0]]
    assert found.labels.items[0].scale.mean == pytest.approx(known.mean())
    expected = {i: [np.nan if i % 4 == 0 else 20.5 + i, np.nan if i == 5 else i % 3, i % 2 == 0] for i in range(12)}
    for level, labels in by_level(found).items():
        np.testing.assert_array_equal(labels, expected[level])
    said = found.about["meaning"]
    assert "age: a number, 21.5 to 31.5, with unknown ones" in said
    assert "stage: left out; data.label_kinds: {stage: number}, or class, grade or binary takes it" in said


def test_settings_say_what_whole_numbers_and_class_labels_are(store, tmp_path):
    wanted = {"stage": "grade", "width": "binary", "depth": ["a", "b", "c"], "age": "number"}
    place = store(FEATURES, {"train": rows(24), "test": rows(6, 24)})
    found = tfds.load("made", place, 8, 1, cache_dir=tmp_path / "cache", label_kinds=wanted)
    assert found.labels.names == ("age", "depth", "hat", "width", "stage")
    assert [label.kind for label in found.labels] == ["number", "grade", "binary", "binary", "grade"]
    assert found.labels.items[1].classes == ("a", "b", "c") and found.labels.items[4].classes == ("0", "1", "2", "3")
    for i, labels in by_level(found).items():
        depth = np.nan if i == 5 else (i + 1) % 3
        age = np.nan if i % 4 == 0 else 20.5 + i
        np.testing.assert_array_equal(labels, [age, depth, i % 2 == 0, i % 2, i % 4])
    assert sorted(found.test.images[:, 0, 0, 0]) == list(range(24, 30))
    assert any("stage: 4 grades in order (0 < 1 < 2 < 3)" in text for text in found.about["meaning"])


def test_another_kind_of_the_same_feature_is_read_from_the_same_cache(store, tmp_path):
    place = store(FEATURES, {"train": rows(12)})
    kinds_of = [
        tfds.load("made", place, 8, 1, cache_dir=tmp_path / "cache", label_kinds={"stage": kind}).labels.items[-1].kind
        for kind in ("number", "class", "grade")
    ]
    assert kinds_of == ["number", "class", "grade"]
    assert len(list(tmp_path.glob("cache/tfds-*/about.json"))) == 1


def test_without_a_number_label_values_are_integers(store, tmp_path):
    asked = {"age": "class", "stage": "class"}
    features = {name: FEATURES[name] for name in ("image", "age", "stage")}
    place = store(features, {"train": [{**{k: x[k] for k in features}, "age": 1.5 + x["stage"]} for x in rows(12)]})
    found = tfds.load("made", place, 8, 1, cache_dir=tmp_path / "cache", label_kinds=asked)
    assert found.train.labels.dtype == np.int16
    assert found.labels.items[0].classes == ("1.5", "2.5", "3.5", "4.5")
    assert by_level(found) == {i: [i % 4, i % 4] for i in range(12)}


def test_numbers_of_an_unlabelled_split_are_unknown(store, tmp_path):
    features = {name: FEATURES[name] for name in ("image", "age")}
    made = [{name: x[name] for name in features} for x in rows(30)]
    place = store(features, {"train": made[:20], "unlabelled": made[20:]})
    found = tfds.load("made", place, 8, 1, cache_dir=tmp_path / "cache")
    for level, (age,) in by_level(found).items():
        assert np.isnan(age) == (level >= 20 or level % 4 == 0)


@pytest.mark.parametrize(
    ("asked", "label_names", "message"),
    [
        ({"aeg": "number"}, (), r"data\.label_kinds: no label 'aeg'; did you mean 'age'\?"),
        ({"depth": "number"}, (), "'depth' is one of classes, which cannot be a number; leave it out there"),
        ({"hat": "grade"}, (), "'hat' is a boolean, which cannot be a grade"),
        ({"image": "class"}, (), "'image' is of the type Image, which cannot be a class"),
        ({"stage": "binary"}, (), r"feature 'stage': '[23]' and '[23]' \(example \d+ of split train\) are not labels"),
        ({"depth": "grade"}, (), "feature 'depth': holds words, of which a grade has to know the order"),
        ({"stage": [0, 1, 2]}, (), r"feature 'stage': '3' \(example \d+ of split train\) is not one of the grades"),
        ({}, ("stage",), r"'stage' holds whole numbers; say of which kind the label is, such as data\.label_kinds"),
    ],
)
def test_feature_that_cannot_be_what_the_settings_say_is_refused(store, tmp_path, asked, label_names, message):
    place = store(FEATURES, {"train": rows(12)})
    with pytest.raises(DataError, match=message) as caught:
        tfds.load("made", place, 8, 1, cache_dir=tmp_path / "c", label_kinds=asked, label_names=label_names)
    assert "\n" not in str(caught.value) and " line " not in str(caught.value)


def test_number_that_is_the_same_everywhere_is_left_out_and_refused_where_it_is_asked_for(store, tmp_path):
    place = store(FEATURES, {"train": [{**x, "age": 3.5} for x in rows(12)]})
    found = tfds.load("made", place, 8, 1, cache_dir=tmp_path / "cache")
    assert found.labels.names == ("depth", "hat")
    (said,) = (text for text in found.about["meaning"] if text.startswith("age: "))
    assert said.startswith("age: left out, for it is 3.5 in the whole data set, so there is nothing to learn")
    with pytest.raises(DataError, match=r"feature 'age': is 3\.5 in the whole data set"):
        tfds.load("made", place, 8, 1, cache_dir=tmp_path / "cache", label_names=["age"])


def test_settings_reach_the_data_set(store, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place = store(FEATURES, {"train": rows(12)})
    data = {"name": "tfds:made", "path": place, "image_size": 28, "label_kinds": {"stage": "number"}}
    config = Config.model_validate({"data": {**data, "label_names": ["stage"]}})
    checks.check_data(config)
    found = sources.load(config.data, 0)
    assert [(label.name, label.kind) for label in found.labels] == [("stage", "number")]
