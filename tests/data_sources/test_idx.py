"""MNIST and Fashion-MNIST: IDX files of a few pictures, Debian's package, and tensorflow-datasets without a network."""

import gzip
import re
import struct
import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from tf_ccvae.data import idx
from tf_ccvae.data.dataset import SPLITS, DataError
from tf_ccvae.data.images import fitted

COUNTS = {"train": 20, "test": 6}


def idx_bytes(values: np.ndarray, kind: int = 8) -> bytes:
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, kind, values.ndim, *values.shape) + values.tobytes()


def arrays_of(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Random pictures, and labels that go 0, 1, ..., 9, 0, ..."""
    random = np.random.default_rng(len(split))
    return random.integers(0, 256, (COUNTS[split], 28, 28), np.uint8), (np.arange(COUNTS[split]) % 10).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """The four files, plain."""
    for split, names in idx.FILES.items():
        for name, values in zip(names, arrays_of(split), strict=True):
            (tmp_path / name).write_bytes(idx_bytes(values))
    return tmp_path


def compress(path):
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


# What is read.


@pytest.mark.parametrize("compressed", [(), ("train", "test"), ("test",)])
def test_plain_and_compressed_files_are_read(folder, compressed):
    for name in (name for split in compressed for name in idx.FILES[split]):
        compress(folder / name)
    data = idx.load(folder, "mnist", validation_fraction=0.2)
    assert [len(data.split(name)) for name in SPLITS] == [16, 4, 6]
    assert data.image_shape == (28, 28, 1)
    images, values = arrays_of("test")
    np.testing.assert_array_equal(data.test.images[..., 0], images)
    np.testing.assert_array_equal(data.test.labels[:, 0], values)
    assert data.test.labels.dtype == np.int8 and data.about["warnings"] == []


def test_validation_is_drawn_from_the_training_files_by_the_seed(folder):
    images, values = arrays_of("train")
    seen = []
    for seed in (0, 0, 1):
        data = idx.load(folder, "mnist", validation_fraction=0.25, seed=seed)
        both = np.concatenate([data.train.images, data.validation.images])[..., 0]
        labels = np.concatenate([data.train.labels, data.validation.labels])[:, 0]
        place = [int(np.flatnonzero((images == image).all((1, 2)))[0]) for image in both]
        assert sorted(place) == list(range(20))
        np.testing.assert_array_equal(labels, values[place])
        seen.append(place[-5:])
    assert seen[0] == seen[1] != seen[2]


@pytest.mark.parametrize(("size", "channels"), [(28, 3), (32, 1), (64, 3)])
def test_images_come_to_size_as_those_of_every_other_source(folder, size, channels):
    data = idx.load(folder, "mnist", image_size=size, channels=channels)
    image = fitted(Image.fromarray(arrays_of("test")[0][3]), size, size, channels)
    np.testing.assert_array_equal(data.test.images[3], image)
    larger = [f"images of 28x28 pixels were enlarged to {size}x{size}"]
    assert data.about["warnings"] == (larger if size > 28 else [])


@pytest.mark.parametrize(("name", "first", "last"), [("mnist", "0", "9"), ("fashion_mnist", "T-shirt", "Ankle_boot")])
def test_there_is_one_label_with_ten_classes(folder, name, first, last):
    (label,) = idx.load(folder, name).labels
    assert len(label.classes) == 10 and label.classes[0] == first and label.classes[-1] == last


@pytest.mark.system
def test_the_package_of_debian_holds_all_of_fashion_mnist():
    data = idx.load(None, "fashion_mnist", validation_fraction=0.1)
    assert data.about["source"] == "/usr/share/datasets/fashion-mnist" and data.about["licence"] == "MIT"
    assert [len(data.split(name)) for name in SPLITS] == [54000, 6000, 10000]
    both = np.concatenate([data.train.labels, data.validation.labels])
    assert (
        np.bincount(both[:, 0]).tolist() == [6000] * 10 and np.bincount(data.test.labels[:, 0]).tolist() == [1000] * 10
    )
    trousers, bags = (data.test.images[data.test.labels[:, 0] == k].mean((0, 3)) for k in (1, 8))
    assert trousers[:, 6:22].mean() > 3 * trousers[:, :6].mean()  # trousers are narrow, bags are not
    assert bags[14:24, :6].mean() > trousers[14:24, :6].mean() + 50


# What is refused, with one line.

IMAGES, LABELS = idx.FILES["train"]
MALFORMED = {
    "missing": (IMAGES, None, f"neither {IMAGES} nor {IMAGES}.gz is there; copy it into this folder"),
    "empty": (IMAGES, b"", f"{IMAGES}: is not an IDX file; download it again"),
    "a web page": (IMAGES, b"<html>not found</html>", "is not an IDX file; download it again"),
    "compressed without .gz": (LABELS, gzip.compress(b"1"), "is compressed by gzip, put .gz behind its name"),
    "labels in place of images": (
        IMAGES,
        idx_bytes(arrays_of("train")[1]),
        "holds unsigned bytes with 1 dimensions where unsigned bytes with 3 belong; put the file in its place",
    ),
    "images in place of labels": (LABELS, idx_bytes(arrays_of("train")[0]), "with 3 dimensions where"),
    "another type": (
        LABELS,
        idx_bytes(arrays_of("train")[1], kind=0x0D),
        "holds values of type 0x0d with 1 dimensions where unsigned bytes with 1 belong",
    ),
    "header cut off": (IMAGES, idx_bytes(arrays_of("train")[0])[:10], "ends inside its header; download it again"),
    "pixels cut off": (
        IMAGES,
        idx_bytes(arrays_of("train")[0])[:-100],
        "holds 15580 bytes where its header says 15680 (20x28x28); download it again",
    ),
    "too long": (IMAGES, idx_bytes(arrays_of("train")[0]) + b"x", "holds more bytes where its header says 15680"),
    "fewer labels": (LABELS, idx_bytes(arrays_of("train")[1][:19]), f"19 labels for the 20 images in {IMAGES}; take"),
    "a label too large": (
        LABELS,
        idx_bytes(arrays_of("train")[1] + np.uint8(3)),
        "6 labels are none: train-labels-idx1-ubyte: label 7 is 10, not 0 to 9; train-labels-idx1-ubyte: label 8 is 11",
    ),
    "images of another size": (
        IMAGES,
        idx_bytes(arrays_of("train")[0][:, 2:]),
        "training and test images have 26x28 and 28x28 pixels; take all files from the same place",
    ),
}


def refusal(*args, **kwargs) -> str:
    with pytest.raises(DataError) as refused:
        idx.load(*args, **kwargs)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_files_are_refused(folder, kind):
    name, content, message = MALFORMED[kind]
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    said = refusal(folder, "mnist")
    assert message in said and said.startswith(str(folder))


@pytest.mark.parametrize(
    "damage", [lambda whole: whole[:-6], lambda whole: whole[:40] + bytes(10) + whole[50:], lambda whole: b"no gzip"]
)
def test_damaged_compressed_files_are_refused(folder, damage):
    compress(folder / IMAGES)
    path = folder / f"{IMAGES}.gz"
    path.write_bytes(damage(path.read_bytes()))
    assert re.match(rf"{re.escape(str(path))}: cannot be read \(.+\); download it again$", refusal(folder, "mnist"))


def test_files_without_examples_are_refused(folder):
    (folder / IMAGES).write_bytes(idx_bytes(np.zeros((0, 28, 28), np.uint8)))
    (folder / LABELS).write_bytes(idx_bytes(np.zeros(0, np.uint8)))
    assert refusal(folder, "mnist") == f"{folder / IMAGES}: holds no images; download it again"


def test_an_unpacking_bomb_is_read_no_further_than_its_header_says(folder):
    whole = (folder / IMAGES).read_bytes() + bytes(30_000_000)
    (folder / IMAGES).unlink()
    (folder / f"{IMAGES}.gz").write_bytes(gzip.compress(whole, 1))
    tracemalloc.start()
    try:
        assert "holds more bytes" in refusal(folder, "mnist")
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_a_folder_that_is_not_there_and_a_fraction_that_leaves_nothing_are_refused(folder):
    missing = folder / "none"
    assert refusal(missing, "mnist").startswith(f"{missing}: no such folder; give the folder that holds {IMAGES}")
    said = refusal(folder, "mnist", validation_fraction=0.99)
    assert said == f"{folder}: 20 training images are too few for validation_fraction 0.99"


# tensorflow-datasets.


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """Neither a package of Debian nor anything that tensorflow-datasets has prepared."""
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path / "data"))
    for name, source in idx.SOURCES.items():
        monkeypatch.setitem(idx.SOURCES, name, replace(source, installed=None, host="http://127.0.0.1:1/"))


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_tensorflow_datasets_is_the_source_where_there_are_no_files(name, nowhere):
    with tfds.testing.mock_data(num_examples=30):
        data = idx.load(None, name, validation_fraction=0.2, image_size=32)
    assert [len(data.split(part)) for part in SPLITS] == [24, 6, 30]
    assert data.about["source"] == "tensorflow-datasets" and data.image_shape == (32, 32, 1)
    assert set(np.unique(data.train.labels)) <= set(range(10)) and data.train.labels.dtype == np.int8


def test_without_a_network_the_ways_out_are_told_within_a_second(nowhere):
    seconds = []
    for name in ("mnist", "fashion_mnist", "mnist"):
        started = time.monotonic()
        said = refusal(None, name)
        seconds.append(time.monotonic() - started)
        assert said.startswith(f"{name}: not on this machine, and its host cannot be reached; ")
        assert f"run 'tfds build {name}' where there is a network" in said and "set data.path" in said
    assert min(seconds) < 1  # the first includes what tensorflow-datasets imports when it is asked for the first time


def test_the_package_of_debian_is_a_way_out_for_fashion_mnist(tmp_path, monkeypatch):
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path))
    monkeypatch.setattr(idx, "reachable", lambda url: False)
    fashion = replace(idx.SOURCES["fashion_mnist"], installed=tmp_path / "none")
    monkeypatch.setitem(idx.SOURCES, "fashion_mnist", fashion)
    assert "; run 'apt install dataset-fashion-mnist' (Debian, Ubuntu), run 'tfds" in refusal(None, "fashion_mnist")
    assert "apt install" not in refusal(None, "mnist")


def test_a_download_that_fails_and_damaged_data_are_refused(nowhere, monkeypatch):
    def load(name, download, **kwargs):
        raise OSError("no space") if download else error

    monkeypatch.setattr(tfds, "load", load)
    monkeypatch.setattr(idx, "reachable", lambda url: True)
    error = AssertionError("could not find data")
    assert refusal(None, "mnist").startswith(
        "mnist: tensorflow-datasets cannot download it (no space); run 'tfds build"
    )
    error = ValueError("damaged\nrecord")
    assert refusal(None, "mnist").startswith("mnist: tensorflow-datasets cannot read it (damaged record); run 'tfds")
