import csv
import shutil

import numpy as np
import pytest
from PIL import Image

from tf_ccvae.data import chexpert
from tf_ccvae.data.dataset import SPLITS, DataError
from tf_ccvae.labels import MISSING


def table(folder, name="train"):
    with (folder / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def write(folder, rows, name="train"):
    with (folder / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def copy(tmp_path, chexpert_folder):
    place = tmp_path / "copy"
    shutil.copytree(chexpert_folder, place)
    return place


@pytest.fixture(scope="session")
def loaded(tmp_path_factory, chexpert_folder):
    return chexpert.load(chexpert_folder, 32, cache_dir=tmp_path_factory.mktemp("cache"))


def test_frontal_views_are_read_in_grey_with_the_labels_of_the_competition(loaded):
    assert [len(loaded.split(name)) for name in SPLITS] == [36, 4, 6]
    assert loaded.labels.names == ("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Pleural Effusion")
    assert loaded.image_shape == (32, 32, 1)
    assert isinstance(loaded.train.images, np.memmap)
    assert (loaded.test.labels != MISSING).all()


def test_picture_and_labels_belong_together(loaded, chexpert_folder):
    """Every picture is noise of its own, so that a picture tells its row."""
    rows = [row for row in table(chexpert_folder) if row["Frontal/Lateral"] == "Frontal"]
    meaning = {"1.0": 1, "0.0": 0, "-1.0": MISSING, "": MISSING}
    wanted = {}
    for row in rows:
        with Image.open(chexpert_folder.parent / row["Path"]) as image:
            pixels = np.asarray(image.crop((0, 4, 32, 36)))
        wanted[pixels.tobytes()] = [meaning[row[name]] for name in chexpert.COMPETITION_LABELS]
    assert len(wanted) == 40
    for split in (loaded.train, loaded.validation):
        for image, labels in zip(split.images, split.labels, strict=True):
            assert wanted.pop(image.tobytes()) == labels.tolist()
    assert not wanted


def test_no_patient_is_in_two_splits(chexpert_folder):
    rows = chexpert._read_table(chexpert_folder / "train.csv", (), {}).rows
    for fraction in (0.01, 0.1, 0.3, 0.5):
        ordered, start = chexpert._by_patient(rows, fraction, chexpert_folder / "train.csv")
        train, validation = ({row.patient for row in part} for part in (ordered[:start], ordered[start:]))
        assert not train & validation
        assert len(validation) == max(1, round(20 * fraction))


@pytest.mark.parametrize(
    ("settings", "uncertain", "unmentioned"),
    [
        ({}, MISSING, MISSING),
        ({"uncertain": "positive"}, 1, MISSING),
        ({"uncertain": "negative", "unmentioned": "negative"}, 0, 0),
    ],
)
def test_policies_for_what_a_report_leaves_open(chexpert_folder, tmp_path, settings, uncertain, unmentioned):
    found = chexpert.load(chexpert_folder, 28, labels=("Edema",), cache_dir=tmp_path, **settings)
    texts = [row["Edema"] for row in table(chexpert_folder) if row["Frontal/Lateral"] == "Frontal"]
    meaning = {"1.0": 1, "0.0": 0, "-1.0": uncertain, "": unmentioned}
    wanted = sorted(meaning[text] for text in texts)
    assert sorted(np.concatenate([found.train.labels, found.validation.labels])[:, 0].tolist()) == wanted


def test_policies_and_labels_share_the_decoded_pictures(chexpert_folder, tmp_path):
    chexpert.load(chexpert_folder, 28, cache_dir=tmp_path)
    chexpert.load(chexpert_folder, 28, labels=("Edema", "Fracture"), uncertain="positive", cache_dir=tmp_path)
    assert len(list(tmp_path.glob("chexpert-*/about.json"))) == 1


def test_paths_without_the_name_of_the_data_set_are_found(copy, loaded, tmp_path):
    for name in ("train", "valid"):
        rows = table(copy, name)
        write(copy, [row | {"Path": row["Path"].partition("/")[2]} for row in rows], name)
    assert np.array_equal(chexpert.load(copy, 32, cache_dir=tmp_path / "cache").train.images, loaded.train.images)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Edema": "2.0"}, r"line 3: column 'Edema': '2' is not 1, 0, -1 or empty"),
        ({"Edema": "yes"}, r"line 3: column 'Edema': 'yes' is not 1, 0, -1 or empty"),
        ({"Frontal/Lateral": "Side"}, r"line 3: column 'Frontal/Lateral': 'Side' is neither Frontal nor Lateral"),
        ({"Path": ""}, r"line 3: column 'Path': '' is not like"),
        ({"Path": "a/train/b.jpg"}, r"line 3: column 'Path': 'a/train/b.jpg' is not like"),
        ({"Path": "a/train/patient1/../../x.jpg"}, r"line 3: column 'Path': .* is not like"),
        ({"Path": "a/train/patient1/gone.jpg"}, r"patient1/gone\.jpg: no such image"),
    ],
)
def test_malformed_line_is_refused_with_its_place(copy, tmp_path, change, message):
    rows = table(copy)
    rows[1] |= change
    write(copy, rows)
    with pytest.raises(DataError, match=message):
        chexpert.load(copy, 32, cache_dir=tmp_path / "cache")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"train\.csv: no such file; give CheXpert's train\.csv"),
        ("", r"train\.csv: \d+ columns to correct: .*column 'Path' is not there"),
        ("Path,Sex\na,b\n", r"train\.csv: \d+ columns to correct: .*column 'Frontal/Lateral' is not there"),
        (
            "Path,Frontal/Lateral,Atelectasis\n",
            r"train\.csv: \d+ columns to correct: .*column 'Cardiomegaly' is not there",
        ),
        ("Path,Path\n", r"train\.csv: \d+ columns to correct: .*column 'Path' is there twice"),
    ],
)
def test_malformed_table_is_refused(copy, text, message):
    (copy / "train.csv").unlink()
    if text is not None:
        (copy / "train.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        chexpert.load(copy)


def test_line_of_another_length_is_refused(copy):
    with (copy / "valid.csv").open("a") as file:
        file.write("CheXpert-v1.0-small/valid/patient1/a.jpg,Male\n")
    with pytest.raises(DataError, match=r"valid\.csv, line 8: 2 values for 19 columns"):
        chexpert.load(copy)


def test_table_without_frontal_views_is_refused(copy):
    write(copy, [row | {"Frontal/Lateral": "Lateral"} for row in table(copy, "valid")], "valid")
    with pytest.raises(DataError, match=r"valid\.csv: holds no frontal view"):
        chexpert.load(copy)


def test_one_patient_is_too_few(copy):
    write(copy, [row for row in table(copy) if "patient00001" in row["Path"]])
    with pytest.raises(DataError, match="1 patients are too few"):
        chexpert.load(copy)


def test_label_that_no_training_picture_knows_is_refused(copy, tmp_path):
    write(copy, [row | {"Edema": "-1.0"} for row in table(copy)])
    with pytest.raises(DataError, match="column 'Edema': not known for any training example"):
        chexpert.load(copy, cache_dir=tmp_path / "cache")


def test_unknown_label_names_the_nearest(chexpert_folder):
    with pytest.raises(DataError, match=r"no label 'Pleural effusion'; did you mean 'Pleural Effusion'\?"):
        chexpert.load(chexpert_folder, labels=("Pleural effusion",))
