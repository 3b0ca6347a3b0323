"""Runs whose data are elsewhere now, or gone: what a run keeps, and the options that say where the data are."""

import json
import shutil

import numpy as np
import pytest

from export.run import Options, export_run
from tf_ccvae import evaluate, intervene
from tf_ccvae.programs import run_inputs
from tf_ccvae.settings import Config, ConfigError
from tf_ccvae.training import run_directory


@pytest.fixture
def moved(tiny_run, tiny_folder, tmp_path):
    """A copy of the tiny run whose settings name a folder that is not there; returns (run, data folder)."""
    run = shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("judge", "interventions"))
    settings = run_directory.Run(run).config
    config = Config.from_yaml(settings)
    gone = config.data.model_copy(update={"images": tmp_path / "gone"})
    config.model_copy(update={"data": gone}).to_yaml(settings)
    return run, tiny_folder[0]


def set_top(run, index, out, *arguments):
    return intervene.main(
        [str(run), "set", index, "--label", "Top=1", "--out", str(out), "--npz", *map(str, arguments)]
    )


def test_a_run_keeps_the_first_test_pictures_and_their_labels(tiny_run, tiny):
    kept = run_directory.Run(tiny_run).read_examples()
    np.testing.assert_array_equal(kept.images, tiny.test.images[:64])
    np.testing.assert_array_equal(kept.labels, tiny.test.labels[:64])


def test_test_pictures_by_index_need_no_data(moved, tiny, tmp_path):
    out = tmp_path / "set.png"
    assert set_top(moved[0], "63", out) == 0
    with np.load(out.with_suffix(".npz")) as arrays:
        np.testing.assert_allclose(arrays["images"][0, 0] * 255, tiny.test.images[63], atol=0.01)


def test_what_the_run_does_not_keep_is_read_from_the_place_that_is_named(moved, tiny, tmp_path, capsys):
    run, data = moved
    kept = run_directory.Run(run).read_examples()
    with run_directory.Run(run).examples.open("wb") as file:
        np.savez(file, images=kept.images[:2], labels=kept.labels[:2])
    with pytest.raises(SystemExit, match="2"):
        set_top(run, "5", tmp_path / "no.png")
    line = capsys.readouterr().err
    assert f"{run / 'config.yaml'}: data.images: {tmp_path / 'gone'}: no such folder" in line
    assert "if it is elsewhere now, say where by --data.images" in line and line.count("\n") == 1
    places = ("--data.images", data, "--data.labels", data / "labels.csv")
    assert set_top(run, "5", tmp_path / "set.png", *places) == 0
    with np.load(tmp_path / "set.npz") as arrays:
        np.testing.assert_allclose(arrays["images"][0, 0] * 255, tiny.test.images[5], atol=0.01)


def test_a_place_that_is_not_there_is_named_as_it_was_given(moved, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        set_top(moved[0], "0", tmp_path / "set.png", "--data.images", tmp_path / "neither")
    assert f"error: --data.images: {tmp_path / 'neither'}: no such folder" in capsys.readouterr().err


def test_evaluate_takes_the_places_of_data(moved, monkeypatch):
    run, data = moved
    seen = {}

    class Stop(Exception):
        pass

    def judge(dataset, folder):
        seen["images"] = dataset.test.images
        raise Stop

    monkeypatch.setattr("tf_ccvae.evaluation.judge.cached", judge)
    with pytest.raises(Stop):
        evaluate.main([str(run), "--data.images", str(data), "--data.labels", str(data / "labels.csv")])
    np.testing.assert_array_equal(seen["images"], run_directory.Run(run).read_examples().images)


def test_an_export_needs_no_data(moved, tiny, tmp_path):
    export_run(moved[0], tmp_path / "export", Options(("litert",)))
    assert json.loads((tmp_path / "export" / "manifest.json").read_text())["labels"] == ["Top", "Bright"]
    with np.load(tmp_path / "export" / "reference.npz") as arrays:
        np.testing.assert_allclose(arrays["input/image"] * 255, tiny.test.images[:64], atol=0.01)


def test_int8_needs_the_data_and_takes_their_places(moved, tmp_path):
    run, data = moved
    loaded = run_directory.Run(run)
    with pytest.raises(ConfigError, match="no such folder"):
        run_inputs.load_data(run_inputs.settings_of_run(loaded))
    dataset = run_inputs.load_data(run_inputs.settings_of_run(loaded, {"images": data, "labels": data / "labels.csv"}))
    assert len(dataset.train) == 256


def test_a_damaged_file_of_examples_is_named(moved, tmp_path, capsys):
    run_directory.Run(moved[0]).examples.write_bytes(b"PK damaged")
    with pytest.raises(SystemExit, match="2"):
        set_top(moved[0], "0", tmp_path / "set.png")
    line = capsys.readouterr().err
    assert "examples.npz: not readable" in line and line.count("\n") == 1
