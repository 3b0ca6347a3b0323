import sys

import datasets
import numpy as np
import pytest
from PIL import Image

from tf_ccvae.data import huggingface
from tf_ccvae.data.celeba import PAPER_LABELS
from tf_ccvae.data.dataset import SPLITS, DataError
from tf_ccvae.labels import MISSING, Label


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub")
    datasets.disable_progress_bars()


def picture(level, width=9, height=8):
    return Image.new("L", (width, height), level)


def saved(place, columns, features):
    datasets.Dataset.from_dict(columns, features=datasets.Features(features)).save_to_disk(place)
    return place


def test_saved_data_set_gives_its_booleans_as_binary_labels(huggingface_folder, tmp_path):
    found = huggingface.load("flwrlabs/celeba", huggingface_folder, 28, cache_dir=tmp_path)
    assert [len(found.split(name)) for name in SPLITS] == [24, 8, 8]
    assert found.labels.names == (*PAPER_LABELS, "Bald")
    assert found.image_shape == (28, 28, 3) and isinstance(found.train.images, np.memmap)
    valid = datasets.load_from_disk(str(huggingface_folder))["valid"]
    assert found.validation.labels[:, 0].tolist() == [int(x) for x in valid[PAPER_LABELS[0]]]


def test_every_example_comes_once_with_its_labels(tmp_path):
    columns = {"img": [picture(10 * i) for i in range(10)], "kind": [i % 3 for i in range(10)]}
    columns |= {"on": [None if i == 4 else i < 4 for i in range(10)], "weight": [0.5] * 10}
    features = {"img": datasets.Image(), "kind": datasets.ClassLabel(names=["a", "b", "c"])}
    features |= {"on": datasets.Value("bool"), "weight": datasets.Value("float32")}
    found = huggingface.load("made", saved(tmp_path / "made", columns, features), 8, 1, cache_dir=tmp_path / "cache")
    assert found.labels.items == (Label("kind", ("a", "b", "c")), Label("on"))
    assert [len(found.split(name)) for name in SPLITS] == [8, 1, 1]
    pairs = {
        int(image[0, 0, 0]): labels.tolist()
        for name in SPLITS
        for image, labels in zip(found.split(name).images, found.split(name).labels, strict=True)
    }
    assert pairs == {10 * i: [i % 3, MISSING if i == 4 else int(i < 4)] for i in range(10)}


def test_folder_of_images_for_each_class_is_read(tmp_path):
    for i in range(12):
        place = tmp_path / "photos" / "train" / ("cat", "dog")[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        picture(20 * i).save(place / f"{i}.png")
    found = huggingface.load(str(tmp_path / "photos"), None, 8, 1, cache_dir=tmp_path / "cache")
    assert found.labels.items == (Label("label", ("cat", "dog")),)
    assert sum(len(found.split(name)) for name in SPLITS) == 12
    for name in SPLITS:
        for image, labels in zip(found.split(name).images, found.split(name).labels, strict=True):
            assert labels[0] == image[0, 0, 0] // 20 % 2


def test_second_load_reads_the_cache(huggingface_folder, tmp_path, monkeypatch):
    first = huggingface.load("celeba", huggingface_folder, 28, cache_dir=tmp_path)
    monkeypatch.setattr(huggingface, "fitted", None)
    second = huggingface.load("celeba", huggingface_folder, 28, cache_dir=tmp_path)
    assert np.array_equal(first.test.images, second.test.images)


def test_missing_package_is_named_with_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError) as caught:
        huggingface.load("a/b")
    assert str(caught.value) == (
        "data.name huggingface:a/b: needs the package datasets; run 'pip install -r requirements-huggingface.txt'"
    )


def test_hub_that_cannot_be_reached_is_one_line(monkeypatch):
    monkeypatch.setattr(huggingface, "reachable", lambda url: False)
    with pytest.raises(DataError, match=r"data\.name huggingface:nobody/nothing: cannot be read") as caught:
        huggingface.load("nobody/nothing")
    assert "\n" not in str(caught.value)


def test_folder_that_holds_no_data_set_is_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"cannot be read \(folder: ") as caught:
        huggingface.load("made", tmp_path / "empty")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ({"label": datasets.ClassLabel(names=["a", "b"])}, r"here: has no column of images \(label\)"),
        ({"image": datasets.Image(), "n": datasets.Value("int64")}, "here: has neither class labels nor booleans"),
        (
            {"a": datasets.Image(), "b": datasets.Image(), "on": datasets.Value("bool")},
            "here: has 2 columns of images, none called image",
        ),
    ],
)
def test_data_set_without_what_is_needed_is_refused(features, message):
    with pytest.raises(DataError, match=message):
        huggingface.columns_of(datasets.Features(features), "here")


def test_damaged_picture_is_named(tmp_path):
    columns = {"image": [{"bytes": b"no picture", "path": None}] * 6, "on": [True, False] * 3}
    features = {"image": datasets.Image(), "on": datasets.Value("bool")}
    place = saved(tmp_path / "made", columns, features)
    with pytest.raises(DataError, match="huggingface:made: picture 0 of split train cannot be read"):
        huggingface.load("made", place, 8, cache_dir=tmp_path / "cache")
