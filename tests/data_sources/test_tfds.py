import numpy as np
import pytest
import tensorflow_datasets
from tensorflow_datasets import features as kinds

from tf_ccvae.data import tfds
from tf_ccvae.data.dataset import SPLITS, DataError
from tf_ccvae.data.images import fitted
from tf_ccvae.labels import MISSING, Label


def grey(level, height=8, width=8, channels=1):
    return np.full((height, width, channels), level, np.uint8)


def test_class_label_becomes_a_categorical_label_and_validation_is_drawn(tfds_folder, tmp_path):
    found = tfds.load("cifar10", tfds_folder, 32, cache_dir=tmp_path, validation_fraction=0.25)
    assert found.name == "cifar10"
    assert [len(found.split(name)) for name in SPLITS] == [36, 12, 12]
    (label,) = found.labels
    assert label.name == "label" and label.classes[:2] == ("airplane", "automobile")
    assert isinstance(found.train.images, np.memmap) and found.image_shape == (32, 32, 3)


def test_every_example_comes_once_with_its_label(tfds_folder, tmp_path):
    found = tfds.load("cifar10", tfds_folder, 32, cache_dir=tmp_path)
    builder = tensorflow_datasets.builder("cifar10", data_dir=tfds_folder)
    wanted = {
        example["image"].tobytes(): int(example["label"])
        for split in ("train", "test")
        for example in tensorflow_datasets.as_numpy(builder.as_dataset(split=split))
    }
    assert len(wanted) == 60
    for name in SPLITS:
        for image, labels in zip(found.split(name).images, found.split(name).labels, strict=True):
            assert wanted.pop(image.tobytes()) == labels[0]
    assert not wanted


def test_other_fractions_read_the_same_cache(tfds_folder, tmp_path):
    small = tfds.load("cifar10", tfds_folder, 28, cache_dir=tmp_path, validation_fraction=0.1)
    large = tfds.load("cifar10", tfds_folder, 28, cache_dir=tmp_path, validation_fraction=0.5)
    assert len(list(tmp_path.glob("tfds-*/about.json"))) == 1
    assert np.array_equal(large.validation.images[-len(small.validation) :], small.validation.images)


def test_dictionary_of_booleans_becomes_binary_labels():
    features = tfds.features_of(tensorflow_datasets.builder("celeb_a").info.features, "here")
    labels = list(features.labels.values())
    assert features.image == ("image",)
    assert len(labels) == 40 and Label("Smiling") in labels and all(label.binary for label in labels)


def test_pictures_of_any_size_and_kind_with_missing_labels(store, tmp_path):
    features = {
        "image": kinds.Image(shape=(None, None, 1)),
        "kind": kinds.ClassLabel(names=["cat", "dog"]),
        "seen": kinds.Scalar(np.bool_),
        "weight": kinds.Scalar(np.float32),
    }
    rows = [
        {"image": grey(10 * i, 8 + i, 9), "kind": -1 if i == 5 else i % 2, "seen": i < 3, "weight": 1.0}
        for i in range(10)
    ]
    found = tfds.load("made", store(features, {"train": rows}), 8, cache_dir=tmp_path / "cache")
    assert found.labels.items == (Label("kind", ("cat", "dog")), Label("seen"))
    pairs = {
        int(image[0, 0, 0]): labels.tolist()
        for name in SPLITS
        for image, labels in zip(found.split(name).images, found.split(name).labels, strict=True)
    }
    assert pairs == {10 * i: [MISSING if i == 5 else i % 2, int(i < 3)] for i in range(10)}


def test_equal_names_in_two_dictionaries_are_told_apart():
    features = kinds.FeaturesDict(
        {
            "image": kinds.Image(),
            "left": {"on": kinds.Scalar(np.bool_)},
            "right": {"on": kinds.Scalar(np.bool_), "up": kinds.Scalar(np.bool_)},
        }
    )
    labels = tfds.features_of(features, "here").labels.values()
    assert [label.name for label in labels] == ["left_on", "right_on", "up"]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"label": kinds.ClassLabel(num_classes=3)}, r"here: has no image among its features \(label\)"),
        ({"image": kinds.Image(), "text": kinds.Text()}, "here: has neither class labels nor booleans"),
        ({"image": kinds.Image(), "label": kinds.ClassLabel(num_classes=1)}, "here: has neither class labels"),
        (
            {"a": kinds.Image(), "b": kinds.Image(), "label": kinds.ClassLabel(num_classes=3)},
            "here: has 2 images in an example and none called image",
        ),
    ],
)
def test_data_set_without_what_is_needed_is_refused(features, message):
    with pytest.raises(DataError, match=message):
        tfds.features_of(kinds.FeaturesDict(features), "here")


def test_image_is_preferred_among_several():
    features = {"a": kinds.Image(), "image": kinds.Image(), "label": kinds.ClassLabel(num_classes=3)}
    assert tfds.features_of(kinds.FeaturesDict(features), "here").image == ("image",)


def test_pictures_of_16_bits_are_refused(store, tmp_path):
    features = {"image": kinds.Image(shape=(8, 8, 1), dtype=np.uint16), "label": kinds.ClassLabel(num_classes=2)}
    rows = [{"image": grey(1).astype(np.uint16), "label": i % 2} for i in range(6)]
    with pytest.raises(DataError, match="tfds:made: its images hold uint16, not bytes"):
        tfds.load("made", store(features, {"train": rows}), 8, cache_dir=tmp_path / "cache")


def test_unknown_data_set_names_the_nearest(tmp_path):
    with pytest.raises(DataError, match=r"tfds:cifar1000: .* no such data set; did you mean tfds:cifar100\?"):
        tfds.load("cifar1000", tmp_path)


def test_unknown_version_is_refused_in_one_line(tmp_path):
    with pytest.raises(DataError, match=r"data\.name tfds:cifar10:9\.9\.9: ") as caught:
        tfds.load("cifar10:9.9.9", tmp_path)
    assert "\n" not in str(caught.value)


def test_data_set_that_cannot_be_downloaded_is_refused_with_the_way_out(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(tfds, "reachable", lambda url: bool(asked.append(url)))
    with pytest.raises(DataError, match=r"the host of its files cannot be reached; prepare it by 'tfds build cifar10'"):
        tfds.load("cifar10", tmp_path)
    assert asked and asked[0].startswith("https://")


def test_damaged_files_are_refused_in_one_line(store, tmp_path):
    features = {"image": kinds.Image(shape=(8, 8, 1)), "label": kinds.ClassLabel(num_classes=2)}
    place = store(features, {"train": [{"image": grey(i), "label": i % 2} for i in range(6)]})
    (file,) = place.rglob("*.tfrecord*")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"tfds:made: cannot be read \(.*\); prepare it again") as caught:
        tfds.load("made", place, 8, fit=fitted, cache_dir=tmp_path / "cache")
    assert "\n" not in str(caught.value)


def test_unlabelled_split_trains_without_labels(store, tmp_path):
    features = {"image": kinds.Image(shape=(8, 8, 1)), "label": kinds.ClassLabel(num_classes=2)}
    splits = {
        "train": [{"image": grey(i), "label": i % 2} for i in range(10)],
        "unlabelled": [{"image": grey(100 + i), "label": 0} for i in range(50)],
        "test": [{"image": grey(200 + i), "label": i % 2} for i in range(4)],
    }
    found = tfds.load("made", store(features, splits), 8, 1, cache_dir=tmp_path / "cache")
    assert [len(found.split(name)) for name in SPLITS] == [59, 1, 4]
    levels, known = found.train.images[:, 0, 0, 0], found.train.observed[:, 0]
    assert sorted(levels[~known]) == list(range(100, 150))
    assert (found.train.labels[known, 0] == levels[known] % 2).all() and known.sum() == 9
    assert found.about["warnings"] == ["split 'unlabelled' (50 examples) is trained on without labels"]
