"""Folders with a folder of images for each class: all images that are there are read, or the folders are refused."""

import os

import pytest
from PIL import Image

from tf_ccvae.data import class_folders
from tf_ccvae.data.dataset import DataError


def made(place, names, kind="PNG"):
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(place / name, kind)
    return place


def test_class_folder_that_is_a_link_is_read_and_a_link_to_a_folder_above_is_not_followed(tmp_path):
    photos = made(tmp_path / "photos", ["cat/1.png", "dog/1.png"])
    (photos / "bird").symlink_to(made(tmp_path / "elsewhere", ["1.png", "2.png"]))
    (photos / "cat" / "again").symlink_to(photos)
    (photos / "dog" / "gone.png").symlink_to(tmp_path / "nowhere")
    found = class_folders.read(photos, "here")
    assert found.classes == ("bird", "cat", "dog")
    assert [str(path.relative_to(photos)) for path in found.files["train"]] == [
        *("bird/1.png", "bird/2.png", "cat/1.png", "dog/1.png", "dog/gone.png")
    ]


def test_images_in_formats_of_cameras_and_without_an_ending_are_seen(tmp_path):
    made(tmp_path, ["cat/1.HEIC", "cat/2.avif", "cat/3", "dog/1.png"])
    (tmp_path / "cat" / "README").write_text("no image")
    (tmp_path / "cat" / ".4.png").write_bytes(b"")
    assert [str(path) for path in class_folders.images_in(tmp_path)] == [
        "cat/1.HEIC",
        "cat/2.avif",
        "cat/3",
        "dog/1.png",
    ]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["cat/2019/1.png", "dog/2019/1.png", "dog/2020/1.png"],
            r"cat/2019/1\.png lies in 2019 and in cat, and it",
        ),
        (["train/cat/a/1.png", "train/dog/b/1.png"], r"train/cat/a/1\.png lies in a and in cat, and it is not clear"),
        (["train/1.png", "test/2.png"], r"called like splits \(test, train\) and hold no folders of classes"),
    ],
)
def test_folders_whose_classes_are_not_clear_are_refused(names, message, tmp_path):
    with pytest.raises(DataError, match=message):
        class_folders.read(made(tmp_path, names), "here")


@pytest.mark.parametrize("above", ["images/", "train/images/"])
def test_one_folder_around_all_classes_does_not_matter(above, tmp_path):
    found = class_folders.read(made(tmp_path, [f"{above}cat/1.png", f"{above}dog/2.png"]), "here")
    assert found.classes == ("cat", "dog") and found.labels == {"train": [0, 1]}


def test_class_folder_whose_name_is_no_text_is_refused(tmp_path):
    made(tmp_path, ["cat/1.png", "dog/2.png"])
    os.rename(tmp_path / "dog", os.fsencode(tmp_path) + b"/d\xfc")
    with pytest.raises(DataError, match=r"the name of folder d\\udcfc is not UTF-8; rename the folder"):
        class_folders.read(tmp_path, "here")


def test_tables_of_other_things_beside_the_classes_do_not_matter(tmp_path):
    made(tmp_path, ["cat/1.png", "dog/2.png"])
    (tmp_path / "notes.csv").write_text("who,when\nI,today\n")
    assert list(class_folders.data_files(tmp_path)) == []
