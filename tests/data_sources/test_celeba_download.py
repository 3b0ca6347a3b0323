"""CelebA through tensorflow-datasets, and what is said when it cannot be downloaded."""

import time
from pathlib import Path

import numpy as np
import pytest

from tf_ccvae.data import celeba
from tf_ccvae.data.dataset import SPLITS, DataError


def test_tensorflow_datasets_gives_the_same_data_set(tfds_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tfds_folder))
    found = celeba.load(None, 28, cache_dir=tmp_path)
    assert found.name == "celeba" and found.labels.names == celeba.PAPER_LABELS
    assert [len(found.split(name)) for name in SPLITS] == [24, 8, 8]
    assert found.image_shape == (28, 28, 3)
    assert set(np.unique(found.train.labels)) == {0, 1}


def test_message_names_two_ways_out_within_a_second_when_it_cannot_be_downloaded(tmp_path, monkeypatch):
    import tensorflow_datasets

    from tf_ccvae.data import tfds

    tensorflow_datasets.builder("celeb_a")  # the import of its catalogue is not timed
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path))
    monkeypatch.setattr(tfds, "reachable", lambda url: False)
    started = time.monotonic()
    with pytest.raises(DataError) as caught:
        celeba.load(None)
    assert time.monotonic() - started < 1
    message = str(caught.value)
    assert "set data.path to a folder with img_align_celeba/, list_attr_celeba.txt" in message
    assert f"identity_CelebA.txt into {tmp_path / 'downloads' / 'manual'} and start again" in message
    assert "\n" not in message


@pytest.fixture
def out_of_reach(tmp_path, monkeypatch):
    """No host answers, and tensorflow-datasets has nothing."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setattr(celeba, "reachable", lambda url: False)
    return tmp_path / "tfds"


def test_fit_says_so_before_tensorflow_is_imported(out_of_reach, tmp_path, monkeypatch, capsys):
    from tf_ccvae.programs import fit

    monkeypatch.setattr(fit, "prepare", lambda **_: pytest.fail("TensorFlow was started"))
    config = Path(__file__).resolve().parents[2] / "configs" / "celeba.yaml"
    with pytest.raises(SystemExit, match="2"):
        fit.main(["--config", str(config), "--run-dir", str(tmp_path / "run")])
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and f"not in {out_of_reach}" in message
    assert "set data.path to a folder with img_align_celeba/, list_attr_celeba.txt" in message
    assert f"identity_CelebA.txt into {out_of_reach / 'downloads' / 'manual'} and start again" in message
    assert not (tmp_path / "run").exists()


def test_what_is_prepared_put_there_by_hand_or_can_be_downloaded_is_at_hand(out_of_reach, monkeypatch):
    manual, prepared = out_of_reach / "downloads" / "manual", out_of_reach / "celeb_a" / "2.1.0"
    manual.mkdir(parents=True)
    for name in celeba.BY_HAND:
        with pytest.raises(DataError):
            celeba.check_at_hand()
        (manual / name).touch()
    celeba.check_at_hand()
    (manual / celeba.BY_HAND[0]).unlink()
    prepared.mkdir(parents=True)
    (prepared / "dataset_info.json").touch()
    celeba.check_at_hand()
    (prepared / "dataset_info.json").unlink()
    monkeypatch.setattr(celeba, "reachable", lambda url: True)
    celeba.check_at_hand()


def test_message_names_two_ways_out_when_the_host_refuses(tmp_path, monkeypatch):
    import tensorflow_datasets as real

    from tf_ccvae.data import tfds

    def refuse(self, **_):
        raise real.download.DownloadError("quota exceeded\nfor this file")

    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path))
    monkeypatch.setattr(tfds, "reachable", lambda url: True)
    monkeypatch.setattr(real.core.DatasetBuilder, "download_and_prepare", refuse)
    with pytest.raises(DataError, match=r"cannot prepare it \(quota exceeded for this file\); either set data\.path"):
        celeba.load(None)


def test_files_put_there_by_hand_are_prepared_without_asking_the_host(tmp_path, monkeypatch):
    import tensorflow_datasets as real

    from tf_ccvae.data import tfds

    (tmp_path / "downloads" / "manual").mkdir(parents=True)
    for info in real.builder("celeb_a").url_infos.values():
        (tmp_path / "downloads" / "manual" / info.filename).touch()

    def asked(url):
        raise AssertionError("asked the host")

    def prepare(self, **_):
        raise RuntimeError("preparing")

    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path))
    monkeypatch.setattr(tfds, "reachable", asked)
    monkeypatch.setattr(real.core.DatasetBuilder, "download_and_prepare", prepare)
    with pytest.raises(DataError, match="preparing"):
        celeba.load(None)
