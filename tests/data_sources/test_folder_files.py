"""A folder of images as people have it: all that is wrong at once, other columns, 16 bits, the cache."""

import os

import numpy as np
import pytest
from PIL import Image

from tf_ccvae.data import pictures
from tf_ccvae.data.dataset import SPLITS, DataError
from tf_ccvae.data.folder import load
from tf_ccvae.labels import MISSING


@pytest.fixture
def folder(tmp_path):
    """Twenty images 0000.png, ... of growing brightness, and a function that loads them with a CSV file."""
    (tmp_path / "images").mkdir()
    for i in range(20):
        Image.new("L", (8, 8), 10 * i).save(tmp_path / "images" / f"{i:04}.png")

    def read(lines, **options):
        (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
        options = {"image_size": 8, "channels": 1, "cache_dir": tmp_path / "cache", **options}
        return load(tmp_path / "images", tmp_path / "labels.csv", **options)

    read.images = tmp_path / "images"
    return read


def table(name="{:04}.png", rows=20):
    return ["file,smile", *(f"{name.format(i)},{i % 2}" for i in range(rows))]


def refusal(read, *args, **options):
    with pytest.raises(DataError) as refused:
        read(*args, **options)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("name", "near"),
    [("{:04}", "0003.png"), ("{:04}.PNG", "0003.png"), ("images/{:04}.png", "0003.png"), ("{:04}.jpg", "0003.png")],
)
def test_every_missing_image_is_named_at_once_with_the_near_miss(folder, name, near):
    message = refusal(folder, table(name))
    assert "labels.csv: 20 things to correct: line 2: no image" in message
    assert f"; {near} is there, write that" in message and message.endswith("; and 10 more")


def test_backslashes_and_case_of_folders_are_near_misses(folder):
    (folder.images / "Anna").mkdir()
    (folder.images / "0000.png").rename(folder.images / "Anna" / "0000.png")
    lines = table()
    lines[1] = "anna\\0000.png,0"
    assert "Anna/0000.png is there, write that" in refusal(folder, lines)


def test_every_damaged_image_is_named_at_once(folder):
    for i in range(3, 16):
        (folder.images / f"{i:04}.png").write_bytes(b"damaged")
    message = refusal(folder, table())
    assert message.startswith("13 images cannot be used: ") and message.endswith("; and 3 more")
    assert "0012.png: is not a PNG, JPEG, WebP or PGM image; convert it" in message


def test_other_columns_do_not_matter_when_labels_are_named(folder):
    lines = ["file,id,person,age,smile,hat", *(f"{i:04}.png,{i},p{i},{20 + i},{float(i % 2)}," for i in range(20))]
    found = folder(lines, label_names=("smile",))
    assert found.labels.names == ("smile",)
    assert found.about["meaning"] == ["smile: '1.0' is on, '0.0' is off"]
    message = refusal(folder, lines)
    assert "column 'id': holds another whole number for each picture, so it is no label" in message
    assert "column 'person': holds text" in message and message.endswith(
        "data.label_names: [age, smile] leaves other columns out"
    )


def test_column_of_1_and_minus_1_is_refused_or_read_as_the_settings_say(folder):
    lines = ["file,smile", *(f"{i:04}.png,{1 if i % 2 else -1}" for i in range(20))]
    assert "column 'smile': has no 0 in the whole file, so -1 may mean off or unknown" in refusal(folder, lines)
    found = folder(lines, unmarked="off")
    for name in SPLITS:
        levels = found.split(name).images[:, 0, 0, 0] // 10
        assert found.split(name).labels[:, 0].tolist() == (levels % 2).tolist()


def test_spellings_of_pandas_are_read(folder):
    lines = ["file,smile", *(f"{i:04}.png,{('1.0', '0.0', 'nan')[i % 3]}" for i in range(20))]
    found = folder(lines)
    for name in SPLITS:
        for image, label in zip(found.split(name).images, found.split(name).labels[:, 0], strict=True):
            assert label == (1, 0, MISSING)[image[0, 0, 0] // 10 % 3]


def test_images_that_the_csv_does_not_name_are_counted(folder):
    (folder.images / "notes.txt").write_text("no image")
    assert folder(table()).about["warnings"] == []
    assert folder(table(rows=18)).about["warnings"] == [
        f"2 of 20 images in {folder.images} are not in labels.csv and are not used (0018.png, 0019.png)"
    ]


def test_images_of_16_bits_are_scaled_by_what_the_data_set_uses(folder):
    for i in range(20):
        Image.fromarray(np.full((8, 8), 200 * i, np.uint16)).save(folder.images / f"{i:04}.png")
    found = folder(table())
    assert max(found.split(name).images.max() for name in SPLITS) == round(3800 * 255 / 4095)
    assert found.about["white"] == 4095
    assert found.about["warnings"] == [
        "19 of 20 images have 16 bits, with values up to 3800: 4095 is white; data.white sets another value"
    ]
    assert max(folder(table(), white=65535).split(name).images.max() for name in SPLITS) == round(3800 * 255 / 65535)


def test_second_load_decodes_nothing_and_is_memory_mapped(folder, monkeypatch):
    first = folder(table())
    monkeypatch.setattr(pictures, "opened", None)
    second = folder(table(), seed=0)
    for name in SPLITS:
        images = second.split(name).images
        assert isinstance(images, np.memmap) and np.array_equal(images, first.split(name).images)
    assert not np.array_equal(folder(table(), seed=1).test.images, first.test.images)  # nor does another seed


def test_changed_image_is_decoded_anew(folder):
    folder(table())
    Image.new("L", (8, 8), 255).save(folder.images / "0003.png")
    os.utime(folder.images / "0003.png", (1, 1))
    found = folder(table())
    assert sum((found.split(name).images == 255).all((1, 2, 3)).sum() for name in SPLITS) == 1
