"""Every source, asked by its settings."""

import numpy as np
import pytest

from tf_ccvae.data import sources
from tf_ccvae.data.dataset import SPLITS, DataError, Dataset, Split
from tf_ccvae.labels import Labels
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
