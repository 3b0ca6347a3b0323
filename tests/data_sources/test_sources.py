"""Every source, asked by its settings."""

import numpy as np
import pytest
from PIL import Image

from tf_ccvae.data import inspection, sources
from tf_ccvae.data.dataset import SPLITS, DataError, Dataset, Split
from tf_ccvae.data.unseen_values import unseen_values
from tf_ccvae.labels import Label, Labels
from tf_ccvae.settings import Config


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def load(**data):
    return sources.load(Config.model_validate({"data": data}).data, seed=0)


def test_every_name_has_a_loader_that_returns_its_data(
    celeba_folder, chexpert_folder, tfds_folder, huggingface_folder, tmp_path
):
    found = {
        "celeba": load(name="celeba", path=celeba_folder, image_size=28),
        "chexpert": load(name="chexpert", path=chexpert_folder, image_size=28, channels=1),
        "tfds": load(name="tfds:cifar10", path=tfds_folder, image_size=28),
        "huggingface": load(name="huggingface:flwrlabs/celeba", path=huggingface_folder, image_size=28),
    }
    assert set(found) | {"avatars", "folder", "mnist", "fashion_mnist"} == set(sources.LOADERS)
    for dataset in found.values():
        assert all(len(dataset.split(name)) for name in SPLITS)
        assert dataset.image_shape[:2] == (28, 28)
    assert {path.name.split("-v1-")[0] for path in (tmp_path / "cache" / "tf_ccvae").iterdir() if path.is_dir()} == {
        "celeba",
        "chexpert",
        "tfds-cifar10",
        "huggingface",
    }


@pytest.mark.parametrize("name", ["celeba", "huggingface:flwrlabs/celeba"])
def test_any_labels_can_be_named(name, celeba_folder, huggingface_folder):
    path = celeba_folder if name == "celeba" else huggingface_folder
    found = load(name=name, path=path, image_size=28, label_names=["Young", "Bald"])
    assert found.labels.names == ("Young", "Bald")
    assert found.train.labels.shape == (24, 2)


def test_policies_reach_chexpert(chexpert_folder):
    open_ = load(name="chexpert", path=chexpert_folder, image_size=28, channels=1)
    closed = load(
        name="chexpert", path=chexpert_folder, image_size=28, channels=1, uncertain="positive", unmentioned="negative"
    )
    assert (open_.train.labels == -1).any() and not (closed.train.labels == -1).any()


def test_labels_of_a_data_set_are_chosen_by_name():
    split = Split(np.zeros((2, 1, 1, 1), np.uint8), np.array([[0, 1, -1], [1, 0, 1]], np.int8))
    dataset = Dataset("made", Labels.of_binary("abc"), split, split, split)
    chosen = dataset.with_labels(["c", "a"])
    assert chosen.labels.names == ("c", "a")
    assert chosen.test.labels.tolist() == [[-1, 0], [1, 1]]
    assert dataset.with_labels(["a", "b", "c"]) is dataset
    with pytest.raises(DataError, match=r"data\.label_names: no label 'd'; choose from a, b, c"):
        dataset.with_labels(["d"])
    with pytest.raises(DataError, match=r"data\.label_names: 'a' is given twice"):
        dataset.with_labels(["a", "a"])


def test_a_class_that_only_a_later_split_has_is_said_once(tmp_path):
    lines = ["file,breed,age,split"]
    for i in range(12):
        Image.fromarray(np.full((28, 28), 20 * i, np.uint8)).save(tmp_path / f"{i}.png")
        split = ("train", "train", "validation", "test")[i % 4]
        breed = "husky" if split == "test" and i > 3 else ("collie", "spaniel")[i % 2]
        lines.append(f"{i}.png,{breed},{i}.5,{split}")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    folder = {"name": "folder", "images": tmp_path, "labels": tmp_path / "labels.csv", "image_size": 28, "channels": 1}
    found = load(**folder, label_kinds={"age": "number"})
    said = [x for x in found.about["warnings"] if "breed" in x]
    assert said == [
        "label 'breed' is 'husky' in no training example (2 in test), so it will never be predicted; move some to the "
        "training split"
    ]
    assert [x for x in inspection.inspect(found, found.train)["warnings"] if "husky" in x] == said
    assert not load(**folder, label_names=["age"], label_kinds={"age": "number"}).about["warnings"]


def test_missing_values_and_binary_labels_are_no_unseen_values():
    labels = Labels((Label("a"), Label("b", ("x", "y", "z"))))
    splits = {"train": np.array([[0, 0], [0, -1]]), "test": np.array([[1, -1], [1, 0]])}
    assert not unseen_values(labels, splits)
    (note,) = unseen_values(labels, {**splits, "validation": np.array([[0.0, 2.0], [np.nan, np.nan]])})
    assert "'b' is 'z' in no training example (1 in validation)" in note
