import sys

import datasets
import numpy as np
import pytest
from PIL import Image

from tf_ccvae.data import huggingface, huggingface_source
from tf_ccvae.data.celeba import PAPER_LABELS
from tf_ccvae.data.dataset import SPLITS, DataError
from tf_ccvae.data.huggingface_columns import image_column
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
    line = "data.name huggingface:a/b: needs the package datasets; pip install -r requirements-huggingface.txt"
    assert str(caught.value).startswith(line) and "the extra huggingface" in str(caught.value)


def test_hub_that_cannot_be_reached_is_one_line(monkeypatch):
    monkeypatch.setattr(huggingface_source, "reachable", lambda url: False)
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
        (
            {"a": datasets.Image(), "b": datasets.Image(), "on": datasets.Value("bool")},
            "here: has 2 columns of images, none called image",
        ),
    ],
)
def test_data_set_without_what_is_needed_is_refused(features, message):
    with pytest.raises(DataError, match=message):
        image_column(datasets.Features(features), "here")


def test_damaged_picture_is_named(tmp_path):
    columns = {"image": [{"bytes": b"no picture", "path": None}] * 6, "on": [True, False] * 3}
    features = {"image": datasets.Image(), "on": datasets.Value("bool")}
    place = saved(tmp_path / "made", columns, features)
    with pytest.raises(DataError, match="huggingface:made: picture 0 of split train: is not a"):
        huggingface.load("made", place, 8, cache_dir=tmp_path / "cache")


def pairs(dataset):
    """From the level of each picture to its labels."""
    return {
        int(image[0, 0, 0]): labels.tolist()
        for name in SPLITS
        for image, labels in zip(dataset.split(name).images, dataset.split(name).labels, strict=True)
    }


def test_names_of_files_and_of_classes_say_nothing_about_splits(tmp_path):
    """Of these 40 pictures 6 were read when `test 1.png` and the class `train` counted as splits."""
    for i in range(40):
        place = tmp_path / "photos" / ("bus", "car", "plane", "train")[i % 4]
        place.mkdir(parents=True, exist_ok=True)
        picture(6 * i).save(place / (f"test {i}.png" if i < 12 else f"{i}.png"))
    found = huggingface.load("photos", tmp_path / "photos", 8, 1, cache_dir=tmp_path / "cache")
    assert found.labels.items == (Label("label", ("bus", "car", "plane", "train")),)
    assert pairs(found) == {6 * i: [i % 4] for i in range(40)}


def test_folders_that_are_all_called_like_splits_are_splits_and_unlabelled_ones_train(tmp_path):
    for i in range(24):
        place = tmp_path / "photos" / ("train", "val", "test")[i % 3] / ("cat", "dog")[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        picture(10 * i).save(place / f"{i}.png")
    (tmp_path / "photos" / "unlabelled").mkdir()
    picture(255).save(tmp_path / "photos" / "unlabelled" / "x.png")
    found = huggingface.load("photos", tmp_path / "photos", 8, 1, cache_dir=tmp_path / "cache")
    assert [len(found.split(name)) for name in SPLITS] == [9, 8, 8]
    assert pairs(found) == {10 * i: [i % 2] for i in range(24)} | {255: [MISSING]}
    assert "split 'unlabelled' (1 examples) is trained on without labels" in found.about["warnings"]


def test_picture_beside_the_folders_of_classes_is_named(tmp_path):
    for i, name in enumerate(("cat/1.png", "cat/2.png", "dog/1.png", "astray.png")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        picture(i).save(tmp_path / name)
    with pytest.raises(DataError, match=r"huggingface:made: astray\.png; put every image into the folder of its class"):
        huggingface.load("made", tmp_path, 8)


def with_metadata(place, lines, names=None):
    place.mkdir()
    for i in range(len(lines) - 1):
        picture(10 * i).save(place / (names[i] if names else f"{i}.png"))
    (place / "metadata.csv").write_text("\n".join(lines) + "\n")
    return place


def test_columns_of_metadata_csv_are_looked_at_as_a_whole(tmp_path):
    names = [f"test {i}.png" if i < 5 else f"{i}.png" for i in range(12)]
    lines = ["file_name,smile,seen,mood,age"]
    lines += [f"{names[i]},{i % 2},{'' if i == 3 else float(i % 3 == 0)},{('glad', 'sad', 'cross')[i % 3]},{20 + i}"
              for i in range(12)]  # fmt: skip
    found = huggingface.load("made", with_metadata(tmp_path / "m", lines, names), 8, 1, cache_dir=tmp_path / "c")
    assert found.labels.items == (Label("smile"), Label("seen"), Label("mood", ("cross", "glad", "sad")))
    assert pairs(found) == {
        10 * i: [i % 2, MISSING if i == 3 else int(i % 3 == 0), (1, 2, 0)[i % 3]] for i in range(12)
    }
    meaning = found.about["meaning"]
    assert "mood: 3 classes (cross, glad, sad)" in meaning
    assert any(text.startswith("age: left out, for it holds other numbers than 1 and 0") for text in meaning)


def test_a_column_is_a_number_label_where_the_settings_say_so(tmp_path):
    ages = [20.5 + i if i % 4 else None for i in range(12)]
    columns = {"image": [picture(10 * i) for i in range(12)], "age": ages, "hat": [i % 3 == 0 for i in range(12)]}
    features = {"image": datasets.Image(), "age": datasets.Value("float32"), "hat": datasets.Value("bool")}
    place = saved(tmp_path / "made", columns, features)
    found = huggingface.load("made", place, 8, 1, cache_dir=tmp_path / "c", label_kinds={"age": "number"})
    assert [label.kind for label in found.labels] == ["number", "binary"]
    for image, (age, hat) in zip(found.train.images, found.train.labels, strict=True):
        i = int(image[0, 0, 0]) // 10
        assert hat == (i % 3 == 0) and (np.isnan(age) if i % 4 == 0 else age == 20.5 + i)
    there = found.train.labels[:, 0][found.train.observed[:, 0]]
    assert found.labels.items[0].scale.mean == pytest.approx(there.mean())
    assert huggingface.load("made", place, 8, 1, cache_dir=tmp_path / "c").labels.names == ("hat",)
    with pytest.raises(DataError, match=r"data\.label_kinds: no label 'aeg'; did you mean 'age'"):
        huggingface.load("made", place, 8, 1, cache_dir=tmp_path / "c", label_kinds={"aeg": "number"})


def test_columns_and_class_labels_are_grades_where_the_settings_say_so(tmp_path):
    columns = {"image": [picture(10 * i) for i in range(12)], "harm": ["none", "mild", "severe"] * 4}
    columns |= {"stage": [i % 4 for i in range(12)], "depth": [None if i == 5 else i % 3 for i in range(12)]}
    features = {"image": datasets.Image(), "harm": datasets.Value("string"), "stage": datasets.Value("int64")}
    place = saved(tmp_path / "made", columns, features | {"depth": datasets.ClassLabel(names=["b", "c", "a"])})
    kinds = {"harm": ["none", "mild", "severe"], "stage": "grade", "depth": ["a", "b", "c"]}
    found = huggingface.load("made", place, 8, 1, cache_dir=tmp_path / "c", label_kinds=kinds)
    assert [(label.kind, len(label.classes)) for label in found.labels] == [("grade", 3), ("grade", 4), ("grade", 3)]
    for split in map(found.split, SPLITS):
        numbers = np.asarray(split.images)[:, 0, 0, 0].astype(int) // 10
        expected = [[i % 3, i % 4, MISSING if i == 5 else (i + 1) % 3] for i in numbers]
        np.testing.assert_array_equal(split.labels, expected)
    with pytest.raises(DataError, match=r"column 'depth': holds words, of which a grade has to know the order"):
        huggingface.load("made", place, 8, 1, cache_dir=tmp_path / "c", label_kinds={"depth": "grade"})


def test_column_without_a_zero_is_left_out_and_said(tmp_path):
    lines = ["file_name,smile,hat", *(f"{i}.png,{i % 2},{1 if i % 2 else -1}" for i in range(12))]
    place = with_metadata(tmp_path / "m", lines)
    found = huggingface.load("made", place, 8, 1, cache_dir=tmp_path / "c")
    assert found.labels.names == ("smile",)
    assert any(text.startswith("hat: left out, for it has no 0") for text in found.about["meaning"])


def test_booleans_of_which_none_is_false_are_left_out_or_read_as_the_settings_say(tmp_path):
    columns = {"image": [picture(10 * i) for i in range(12)], "hat": [True if i % 2 else None for i in range(12)]}
    columns["smile"] = [i % 3 == 0 for i in range(12)]
    features = {"image": datasets.Image(), "hat": datasets.Value("bool"), "smile": datasets.Value("bool")}
    place = saved(tmp_path / "made", columns, features)
    found = huggingface.load("made", place, 8, 1, cache_dir=tmp_path / "c")
    assert found.labels.names == ("smile",)
    assert "smile: 'true' is on, 'false' is off" in found.about["meaning"]
    assert any(text.startswith("hat: left out, for it has no 0") for text in found.about["meaning"])
    found = huggingface.load("made", place, 8, 1, cache_dir=tmp_path / "c", unmarked="off")
    assert pairs(found) == {10 * i: [i % 2, int(i % 3 == 0)] for i in range(12)}


def test_integers_are_classes_if_they_are_asked_for(tmp_path):
    columns = {"image": [picture(10 * i) for i in range(12)], "digit": [i % 3 + 7 for i in range(12)]}
    features = {"image": datasets.Image(), "digit": datasets.Value("int64")}
    place = saved(tmp_path / "made", columns, features)
    with pytest.raises(DataError, match="no column holds labels"):
        huggingface.load("made", place, 8, 1, cache_dir=tmp_path / "c")
    found = huggingface.load("made", place, 8, 1, cache_dir=tmp_path / "c", label_names=("digit",))
    assert found.labels.items == (Label("digit", ("7", "8", "9")),)
    assert pairs(found) == {10 * i: [i % 3] for i in range(12)}


@pytest.mark.parametrize("kind", [datasets.Value("string"), datasets.ClassLabel(names=["hat", "smile"])])
def test_lists_of_classes_are_a_label_for_each_class(kind, tmp_path):
    lists = [["hat"], ["smile", "hat"], [], None] * 3
    columns = {"image": [picture(10 * i) for i in range(12)], "tags": lists}
    place = saved(tmp_path / "made", columns, {"image": datasets.Image(), "tags": datasets.List(kind)})
    found = huggingface.load("made", place, 8, 1, cache_dir=tmp_path / "c")
    assert found.labels.names == ("hat", "smile")
    assert pairs(found) == {10 * i: ([1, 0], [1, 1], [0, 0], [MISSING] * 2)[i % 4] for i in range(12)}


def test_more_pictures_than_are_read_is_refused_with_both_numbers(tmp_path):
    place = with_metadata(tmp_path / "m", ["file_name,smile", *(f"{i}.png,{i % 2}" for i in range(12))])
    (place / "metadata.csv").write_text("file_name,smile\n" + "".join(f"{i}.png,{i % 2}\n" for i in range(8)))
    with pytest.raises(
        DataError,
        match=r"8 of 12 images are read \(train 8\), but not 10\.png, 11\.png, 8\.png, 9\.png; name|cannot be read",
    ):
        huggingface.load("made", place, 8, 1, cache_dir=tmp_path / "c")
