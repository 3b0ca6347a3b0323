"""Training refuses all that is wrong with a source in one line; inspect lists the same and goes on without it."""

import json
import shutil
import struct

import numpy as np
import pytest
from PIL import Image

from tf_ccvae.data import celeba, chexpert, huggingface, idx
from tf_ccvae.data.__main__ import main
from tf_ccvae.data.dataset import SPLITS, DataError


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "hub"))


def inspected(tmp_path, *arguments):
    """What `inspect` writes."""
    assert main(["inspect", *arguments, "--data.image-size", "28", "--to", str(tmp_path / "out")]) == 0
    return json.loads((tmp_path / "out" / "inspection.json").read_text())


def refused(load, *arguments):
    with pytest.raises(DataError) as caught:
        load(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def examples(results):
    return sum(results["splits"][name]["examples"] for name in SPLITS)


def change(file, edits):
    """Replaces lines of a text file, counted from 1."""
    lines = file.read_text().splitlines()
    for number, text in edits.items():
        lines[number - 1] = text
    file.write_text("\n".join(lines) + "\n")


@pytest.fixture
def spoilt_celeba(tmp_path, celeba_folder):
    place = tmp_path / "celeba"
    shutil.copytree(celeba_folder, place)
    change(place / celeba.LIST, {5: "000003.jpg 1 -1", 7: "000005.jpg" + " 1" * 39 + " 7"})
    change(place / celeba.PARTITION, {8: "000008.JPG 0", 9: "000009.jpg 5"})
    return place


def test_all_lines_of_celebas_lists_are_refused_at_once_each_with_the_near_miss(spoilt_celeba, tmp_path):
    said = refused(celeba.load, spoilt_celeba)
    lists = spoilt_celeba / celeba.LIST, spoilt_celeba / celeba.PARTITION
    assert said.startswith(f"4 things to correct: {lists[0]}, line 5: 2 values for 40 labels; take the original file; ")
    assert f"{lists[0]}, line 7: '7' is neither 1 nor -1" in said
    assert f"{lists[1]}, line 8: 000008.JPG is not in list_attr_celeba.txt; 000008.jpg is there, write that" in said
    assert f"{lists[1]}, line 9: must hold a picture's name and 0, 1 or 2" in said
    assert not (tmp_path / "cache").exists()


def test_inspect_lists_them_and_the_pictures_of_celeba_and_goes_on(spoilt_celeba, tmp_path):
    images = spoilt_celeba / celeba.IMAGES
    (images / "000010.jpg").rename(images / "000010.jpeg")
    (images / "000040.jpg").write_bytes(b"no picture")
    results = inspected(tmp_path, "configs/celeba.yaml", "--data.path", str(spoilt_celeba))
    assert len(results["problems"]) == 6 and examples(results) == 40 - 6
    assert any("000010.jpg: no such image" in x and "000010.jpeg is there" in x for x in results["problems"])
    assert any("000040.jpg: is not a PNG, JPEG" in x for x in results["problems"])
    assert results["meaning"] == ["every label: 1 is on and -1 is off in list_attr_celeba.txt"]


def test_pictures_that_are_left_out_take_their_labels_with_them(celeba_folder, tmp_path):
    place = tmp_path / "celeba"
    shutil.copytree(celeba_folder, place)
    whole = celeba.load(place, 28)
    (place / celeba.IMAGES / "000003.jpg").unlink()
    (place / celeba.PARTITION).touch()
    found = celeba.load(place, 28, left_out=[])
    kept = np.arange(24) != 2
    np.testing.assert_array_equal(found.train.images, whole.train.images[kept])
    np.testing.assert_array_equal(found.train.labels, whole.train.labels[kept])
    np.testing.assert_array_equal(found.test.images, whole.test.images)


def test_a_split_of_which_nothing_can_be_used_is_refused_by_inspect_too(celeba_folder, tmp_path, capsys):
    place = tmp_path / "celeba"
    shutil.copytree(celeba_folder, place)
    for i in range(33, 41):
        (place / celeba.IMAGES / f"{i:06}.jpg").unlink()
    with pytest.raises(SystemExit, match="2"):
        main(["inspect", "configs/celeba.yaml", "--data.path", str(place), "--to", str(tmp_path / "out")])
    assert capsys.readouterr().err.startswith("error: 8 images cannot be used: ")
    assert not (tmp_path / "out").exists()


def test_all_parts_of_celeba_that_are_missing_are_named_at_once(celeba_folder, tmp_path):
    place = tmp_path / "celeba"
    shutil.copytree(celeba_folder, place)
    (place / celeba.LIST).rename(place / "list_attr_celeba.txt.txt")
    (place / celeba.PARTITION).unlink()
    said = refused(celeba.load, place)
    assert said.startswith(
        f"{place}: 2 parts are missing: no file list_attr_celeba.txt or list_attr_celeba.csv in it; "
    )
    assert "list_attr_celeba.txt.txt is there, rename it" in said and "no file list_eval_partition.txt" in said


@pytest.fixture
def spoilt_chexpert(tmp_path, chexpert_folder):
    place = tmp_path / "chexpert"
    shutil.copytree(chexpert_folder, place)
    for name, edits in {"train": {2: ("1.0", "yes"), 8: ("Frontal", "Side")}, "valid": {3: ("view1", "view9")}}.items():
        lines = (place / f"{name}.csv").read_text().splitlines()
        for number, (old, new) in edits.items():
            head, _, cells = lines[number - 1].partition("AP,")
            lines[number - 1] = (
                f"{head}AP,{','.join([new] * 14)}" if old == "1.0" else head.replace(old, new) + "AP," + cells
            )
        (place / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return place


def test_all_lines_of_chexpert_are_refused_at_once(spoilt_chexpert):
    said = refused(chexpert.load, spoilt_chexpert, 28)
    table = spoilt_chexpert / "train.csv"
    assert said.startswith(
        f"2 things to correct: {table}, line 2: column 'Atelectasis': 'yes' is not 1, 0, -1 or empty"
    )
    assert "column 'Pleural Effusion': 'yes'" in said
    assert f"{table}, line 8: column 'Frontal/Lateral': 'Side' is neither Frontal nor Lateral" in said


def test_inspect_lists_them_and_the_pictures_of_chexpert_and_goes_on(spoilt_chexpert, tmp_path):
    results = inspected(tmp_path, "configs/chexpert.yaml", "--data.path", str(spoilt_chexpert))
    assert len(results["problems"]) == 3 and examples(results) == 46 - 3
    (missing,) = (x for x in results["problems"] if "no such image" in x)
    assert "view9_frontal.jpg: no such image" in missing
    assert "view1_frontal.jpg is there, was that meant?" in missing and missing.endswith("valid.csv, line 3)")
    edema = next(x for x in results["meaning"] if x.startswith("Edema: "))
    for text in ("'1.0' is on", "'0.0' is off", "'-1.0'", "empty", "are unknown"):
        assert text in edema


def test_label_of_chexpert_that_is_never_off_is_refused_unless_the_settings_say_what_empty_means(
    chexpert_folder, tmp_path
):
    """`No Finding` is 1 or empty in the original."""
    place = tmp_path / "chexpert"
    shutil.copytree(chexpert_folder, place)
    lines = (place / "train.csv").read_text().splitlines()
    column = lines[0].split(",").index("No Finding")
    for i, line in enumerate(lines[1:], 1):
        cells = line.split(",")
        cells[column] = "1.0" if i % 2 else ""
        lines[i] = ",".join(cells)
    (place / "train.csv").write_text("\n".join(lines) + "\n")
    assert "column 'No Finding': has no 0 in the whole file, so an empty cell may mean off or unknown; set " in refused(
        lambda: chexpert.load(place, 28, labels=("No Finding",))
    )
    found = chexpert.load(place, 28, labels=("No Finding",), unmentioned="negative")
    assert set(found.train.labels[:, 0].tolist()) == {0, 1}


def test_inspect_lists_images_beside_folders_of_classes_and_damaged_ones_and_goes_on(tmp_path):
    for i, name in enumerate([*(f"{('cat', 'dog')[i % 2]}/{i}.png" for i in range(12)), "a.png", "cat/deep/b.png"]):
        file = tmp_path / "photos" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (28, 28), 10 * i).save(file)
    (tmp_path / "photos" / "dog" / "3.png").write_bytes(b"no picture")
    assert "2 images lie beside or below" in refused(huggingface.load, str(tmp_path / "photos"))
    name = f"huggingface:{tmp_path / 'photos'}"
    results = inspected(tmp_path, "configs/huggingface.yaml", "--data.name", name)
    assert len(results["problems"]) == 3 and examples(results) == 11
    assert results["meaning"] == ["label: 2 classes (cat, dog), one for each folder"]
    assert [row["value"] for row in results["labels"]] == ["label=cat", "label=dog"]


def test_inspect_lists_images_that_metadata_names_wrongly_or_not_at_all_and_goes_on(tmp_path):
    place = tmp_path / "photos"
    place.mkdir()
    for i in range(14):
        Image.new("L", (28, 28), 10 * i).save(place / f"{i:04}.png")
    lines = [f"{i:04}.png,{i % 2}" for i in range(10)] + ["0010.PNG,0"]
    (place / "metadata.csv").write_text("\n".join(["file_name,smile", *lines]) + "\n")
    said = refused(lambda: huggingface.load("made", place))
    assert "11 of 14 images are read (train 11), but not 0010.png, 0011.png, 0012.png, 0013.png; name all" in said
    said = refused(lambda: huggingface.load("made", place, label_names=("Smiling",)))
    assert said == "huggingface:made: no column for data.label_names (Smiling); its columns are smile"
    settings = ("--data.name", "huggingface:made", "--data.path", str(place), "--data.label-names", "[]")
    results = inspected(tmp_path, "configs/huggingface.yaml", *settings)
    assert examples(results) == 10 and len(results["problems"]) == 5
    assert any("0010.PNG: no such image" in x and "0010.png is there" in x for x in results["problems"])


def test_labels_and_pictures_stay_together_where_some_of_a_hugging_face_data_set_are_left_out(tmp_path):
    for i in range(24):
        file = tmp_path / ("train", "test")[i % 3 == 0] / ("cat", "dog")[i % 2] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (28, 28), 10 * i).save(file)
    for i in (4, 9):
        next(tmp_path.rglob(f"{i}.png")).write_bytes(b"no picture")
    problems = []
    found = huggingface.load("made", tmp_path, 28, 1, left_out=problems)
    pairs = {
        int(image[0, 0, 0]): labels.tolist()
        for name in SPLITS
        for image, labels in zip(found.split(name).images, found.split(name).labels, strict=True)
    }
    assert len(problems) == 2 and pairs == {10 * i: [i % 2] for i in range(24) if i not in (4, 9)}


def test_unmarked_is_off_in_columns_of_hugging_face_data_too(tmp_path):
    place = tmp_path / "photos"
    place.mkdir()
    for i in range(12):
        Image.new("L", (28, 28), 10 * i).save(place / f"{i}.png")
    lines = ["file_name,hat", *(f"{i}.png,{1 if i % 2 else -1}" for i in range(12))]
    (place / "metadata.csv").write_text("\n".join(lines) + "\n")
    found = huggingface.load("made", place, 28, 1, unmarked="off")
    assert found.about["meaning"] == ["hat: '1' is on, '-1' is off"]
    assert set(found.train.labels[:, 0].tolist()) == {0, 1}


@pytest.fixture
def digits(tmp_path):
    """The four files of MNIST with three labels that are none."""
    place = tmp_path / "digits"
    place.mkdir()
    for (images, labels), count in zip(idx.FILES.values(), (20, 6), strict=True):
        pixels, values = np.zeros((count, 28, 28), np.uint8), (np.arange(count) % 10).astype(np.uint8)
        values[[0, 4]] = [11, 12] if count == 20 else [0, 10]
        for name, array in ((images, pixels), (labels, values)):
            header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            (place / name).write_bytes(header + array.tobytes())
    return place


def test_labels_of_idx_files_that_are_none_are_listed_and_left_out(digits, tmp_path):
    said = refused(idx.load, digits, "mnist")
    assert said.startswith(f"{digits}: 3 labels are none: train-labels-idx1-ubyte: label 0 is 11, not 0 to 9; ")
    results = inspected(tmp_path, "configs/mnist.yaml", "--data.path", str(digits))
    assert len(results["problems"]) == 3 and examples(results) == 26 - 3
    assert results["meaning"] == ["Digit: 10 classes (0, 1, 2, 3, ...), numbered from 0"]


def test_idx_files_that_are_missing_are_named_at_once_with_the_near_miss(digits):
    images, labels = idx.FILES["train"]
    (digits / images).rename(digits / "train-images.idx3-ubyte")
    (digits / labels).unlink()
    said = refused(idx.load, digits, "mnist")
    assert said.startswith(f"{digits}: 2 files are missing: neither {images} nor {images}.gz is there; ")
    assert "train-images.idx3-ubyte is there, rename it" in said
    assert said.endswith(f"neither {labels} nor {labels}.gz is there; copy it into this folder")


def test_several_names_of_labels_that_are_none_are_said_at_once(celeba_folder):
    said = refused(celeba.load, celeba_folder, 28, 3, ("Smile", "Young", "Balt"))
    assert said == (
        "data.label_names: 2 things to correct: no label 'Smile'; did you mean 'Smiling'?; no label 'Balt'; did you "
        "mean 'Bald'?"
    )
