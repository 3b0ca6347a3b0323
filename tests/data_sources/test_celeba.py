import shutil

import numpy as np
import pytest
from PIL import Image

from tf_ccvae.data import celeba
from tf_ccvae.data.dataset import SPLITS, DataError


@pytest.fixture
def copy(tmp_path, celeba_folder):
    """A copy of the made-up CelebA to spoil, and a function that changes a line of one of its files."""
    place = tmp_path / "celeba"
    shutil.copytree(celeba_folder, place)

    def change(name, line, text):
        lines = (place / name).read_text().splitlines()
        lines[line - 1 : line] = [] if text is None else [text]
        (place / name).write_text("\n".join(lines) + "\n")

    place_and_change = place, change
    return place_and_change


@pytest.fixture(scope="session")
def loaded(tmp_path_factory, celeba_folder):
    return celeba.load(celeba_folder, cache_dir=tmp_path_factory.mktemp("cache"))


def test_paper_has_18_labels_of_the_40():
    assert len(celeba.ATTRIBUTES) == 40 and len(celeba.PAPER_LABELS) == 18
    assert set(celeba.PAPER_LABELS) < set(celeba.ATTRIBUTES)
    assert list(celeba.ATTRIBUTES) == sorted(celeba.ATTRIBUTES)


@pytest.mark.programs
def test_names_are_those_of_tensorflow_datasets():
    import tensorflow_datasets as tfds

    assert set(tfds.builder("celeb_a").info.features["attributes"]) == set(celeba.ATTRIBUTES)


def test_folder_gives_the_official_splits(loaded):
    assert [len(loaded.split(name)) for name in SPLITS] == [24, 8, 8]
    assert loaded.labels.names == celeba.PAPER_LABELS
    assert loaded.image_shape == (64, 64, 3)
    assert isinstance(loaded.train.images, np.memmap)


def test_picture_and_labels_belong_together(loaded, celeba_folder):
    lines = (celeba_folder / "list_attr_celeba.txt").read_text().splitlines()
    for split, number in (("train", 3), ("validation", 25), ("test", 40)):
        name, *cells = lines[number + 1].split()
        row = {"train": 2, "validation": 0, "test": 7}[split]
        with Image.open(celeba_folder / "img_align_celeba" / name) as image:
            pixels = np.asarray(image.resize((64, 64), Image.Resampling.BILINEAR))
        assert np.array_equal(loaded.split(split).images[row], pixels)
        wanted = [int(cells[celeba.ATTRIBUTES.index(label)] == "1") for label in celeba.PAPER_LABELS]
        assert loaded.split(split).labels[row].tolist() == wanted


def test_any_of_the_40_labels_in_any_order_from_the_same_cache(tmp_path, celeba_folder):
    both = celeba.load(celeba_folder, 28, 1, ("Young", "Bald"), tmp_path)
    assert both.labels.names == ("Young", "Bald") and both.image_shape == (28, 28, 1)
    bald = celeba.load(celeba_folder, 28, 1, ("Bald",), tmp_path)
    assert np.array_equal(bald.test.labels[:, 0], both.test.labels[:, 1])
    assert len(list(tmp_path.glob("celeba-*/about.json"))) == 1


def test_columns_are_found_by_name(copy, tmp_path, loaded):
    place, _ = copy
    lines = [line.split() for line in (place / "list_attr_celeba.txt").read_text().splitlines()]
    swapped = [lines[0], lines[1][::-1], *([line[0], *line[:0:-1]] for line in lines[2:])]
    (place / "list_attr_celeba.txt").write_text("\n".join(" ".join(line) for line in swapped))
    assert np.array_equal(celeba.load(place, cache_dir=tmp_path / "cache").train.labels, loaded.train.labels)


def test_folders_of_the_original_download_are_found(copy, tmp_path, loaded):
    place, _ = copy
    for folder, name in (("Img", "img_align_celeba"), ("Anno", celeba.LIST), ("Eval", celeba.PARTITION)):
        (place / folder).mkdir()
        (place / name).rename(place / folder / name)
    assert np.array_equal(celeba.load(place, cache_dir=tmp_path / "cache").test.images, loaded.test.images)


def test_edition_of_kaggle_is_read(copy, tmp_path, loaded):
    place, _ = copy
    (place / "inner").mkdir()
    (place / celeba.IMAGES).rename(place / "inner" / celeba.IMAGES)
    (place / "inner").rename(place / celeba.IMAGES)
    lines = (place / celeba.LIST).read_text().splitlines()[1:]
    rows = ["image_id," + ",".join(lines[0].split()), *(",".join(line.split()) for line in lines[1:])]
    (place / "list_attr_celeba.csv").write_text("\n".join(rows) + "\n")
    parts = [",".join(line.split()) for line in (place / celeba.PARTITION).read_text().splitlines()]
    (place / "list_eval_partition.csv").write_text("\n".join(["image_id,partition", *parts]) + "\n")
    (place / celeba.LIST).unlink()
    (place / celeba.PARTITION).unlink()
    found = celeba.load(place, cache_dir=tmp_path / "cache")
    for name in SPLITS:
        assert np.array_equal(found.split(name).images, loaded.split(name).images)
        assert np.array_equal(found.split(name).labels, loaded.split(name).labels)
    (place / "list_attr_celeba.csv").write_text("\n".join([*rows[:4], rows[4].replace("1", "7"), *rows[5:]]))
    with pytest.raises(DataError, match=r"list_attr_celeba\.csv, line 5: '-?7' is neither 1 nor -1"):
        celeba.load(place, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize("above", ["", "datasets", "data/datasets"])
def test_tree_of_the_official_program_is_read(copy, tmp_path, loaded, above):
    """Its programs read data/datasets/celeba/celeba/img_align_celeba."""
    place, _ = copy
    inner = tmp_path / "root" / above / "celeba"
    inner.parent.mkdir(parents=True)
    place.rename(inner)
    found = celeba.load(tmp_path / "root", cache_dir=tmp_path / "cache")
    assert np.array_equal(found.test.images, loaded.test.images)
    assert np.array_equal(found.train.labels, loaded.train.labels)


def test_all_damaged_and_missing_pictures_are_named_at_once(copy, tmp_path):
    place, _ = copy
    for i in range(3, 16):
        (place / celeba.IMAGES / f"{i:06}.jpg").unlink()
    with pytest.raises(DataError) as caught:
        celeba.load(place, cache_dir=tmp_path / "cache")
    assert str(caught.value).startswith("13 images cannot be used: ")
    assert "000012.jpg: no such image" in str(caught.value) and str(caught.value).endswith("; and 3 more")


def test_pictures_are_not_needed_once_they_are_decoded(copy, tmp_path):
    place, _ = copy
    celeba.load(place, cache_dir=tmp_path / "cache")
    for file in (place / "img_align_celeba").iterdir():
        file.unlink()
    assert len(celeba.load(place, cache_dir=tmp_path / "cache").train) == 24


def test_touched_lists_are_decoded_anew(copy, tmp_path):
    place, change = copy
    celeba.load(place, cache_dir=tmp_path / "cache")
    change(celeba.PARTITION, 1, "000001.jpg 2")
    assert len(celeba.load(place, cache_dir=tmp_path / "cache").test) == 9


@pytest.mark.parametrize(
    ("name", "line", "text", "message"),
    [
        (celeba.LIST, 1, "x", "line 1: must hold the number of pictures"),
        (celeba.LIST, 1, "41", "40 pictures where line 1 says 41"),
        (celeba.LIST, 2, "Bald Young", "line 2: must name CelebA's 40 labels once each"),
        (celeba.LIST, 2, " ".join([*celeba.ATTRIBUTES[:-1], "Old"]), "line 2: .*see Old"),
        (celeba.LIST, 5, "000003.jpg 1 -1", "line 5: 2 values for 40 labels"),
        (celeba.LIST, 5, "000003.jpg" + " 1" * 39 + " 0", "line 5: '0' is neither 1 nor -1"),
        (celeba.LIST, 5, "000002.jpg" + " 1" * 40, "line 5: 000002.jpg is there twice"),
        (celeba.LIST, 5, "", "line 5: 0 values for 40 labels"),
        (celeba.LIST, 42, None, "39 pictures where line 1 says 40"),
        (celeba.PARTITION, 3, "000003.jpg", "line 3: must hold a picture's name and 0, 1 or 2"),
        (celeba.PARTITION, 3, "000003.jpg 3", "line 3: must hold a picture's name and 0, 1 or 2"),
        (celeba.PARTITION, 3, "000099.jpg 0", "line 3: 000099.jpg is not in list_attr_celeba.txt"),
        (celeba.PARTITION, 3, "000002.jpg 0", "line 3: 000002.jpg is there twice"),
        (celeba.PARTITION, 3, None, "39 pictures, 40 in list_attr_celeba.txt"),
    ],
)
def test_malformed_list_is_refused_with_its_line(copy, tmp_path, name, line, text, message):
    place, change = copy
    change(name, line, text)
    with pytest.raises(DataError, match=f"{place / name}.*{message}"):
        celeba.load(place, cache_dir=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_empty_split_is_refused(copy):
    place, _ = copy
    text = (place / celeba.PARTITION).read_text()
    (place / celeba.PARTITION).write_text(text.replace("jpg 1", "jpg 0"))
    with pytest.raises(DataError, match=r"no picture with 1 \(validation\)"):
        celeba.load(place)


def test_list_that_is_not_text_is_refused(copy):
    place, _ = copy
    (place / celeba.LIST).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="is not a text file"):
        celeba.load(place)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (celeba.LIST, "no file list_attr_celeba.txt or list_attr_celeba.csv in it; put it there"),
        (celeba.PARTITION, "no file list_eval_partition.txt or list_eval_partition.csv in it; put it there"),
        (celeba.IMAGES, "no folder img_align_celeba in it; put it there"),
    ],
)
def test_missing_part_is_named(copy, name, message):
    place, _ = copy
    (place / name).rename(place / "elsewhere")
    with pytest.raises(DataError, match=f"{place}: {message}"):
        celeba.load(place)


def test_hints_at_an_archive(copy):
    place, _ = copy
    (place / celeba.IMAGES).rename(place / "elsewhere")
    (place / "img_align_celeba.zip").touch()
    with pytest.raises(DataError, match=r"unpack .*img_align_celeba\.zip"):
        celeba.load(place)


def test_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="gone: no such folder"):
        celeba.load(tmp_path / "gone")


def test_damaged_and_missing_pictures_are_named(copy, tmp_path):
    place, _ = copy
    picture = place / "img_align_celeba" / "000030.jpg"
    picture.write_bytes(picture.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"000030\.jpg: cannot be read"):
        celeba.load(place, cache_dir=tmp_path / "cache")
    picture.unlink()
    with pytest.raises(DataError, match=r"000030\.jpg: no such image"):
        celeba.load(place, cache_dir=tmp_path / "cache")


def test_unknown_label_names_the_nearest(celeba_folder):
    with pytest.raises(DataError, match=r"no label 'Smile'; did you mean 'Smiling'\?"):
        celeba.load(celeba_folder, labels=("Smile",))
    with pytest.raises(DataError, match="'Bald' is given twice"):
        celeba.load(celeba_folder, labels=("Bald", "Bald"))
