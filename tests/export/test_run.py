"""`python -m export`: what it writes where, and one line for every mistake."""

import importlib.util
import json
import shutil

import numpy as np
import pytest
from jsonschema import ValidationError

from export import __main__ as program
from export import sidecar, verify
from export.errors import ExportError
from export.run import Options, export_run
from tf_ccvae import fit, interventions, settings
from tf_ccvae.labels import Labels
from tf_ccvae.models.baselines import DIVA, M2, MVAE, VAEClassifier
from tf_ccvae.training import run_directory


def call(*argv):
    return program.main([str(x) for x in argv])


def refused(capsys, *argv):
    assert call(*argv) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ") and printed.count("\n") == 1
    return printed


def test_fit_exports_when_the_config_says_so(exported):
    assert {x.name for x in exported.by_fit.iterdir()} == {"litert", "manifest.json", "ccvae.json", "reference.npz"}
    assert {x.name for x in (exported.by_fit / "litert").iterdir()} == {"encoder.tflite", "decoder.tflite"}


def test_sidecar_follows_its_schema_and_holds_the_model(exported, model):
    content = json.loads((exported.folder / "ccvae.json").read_text())
    sidecar.check(content)
    assert content["image"]["layout"] == "nhwc" and content["latents"] == 6 and content["style"] == [4, 6]
    layer = model.label_distributions
    for index, label in enumerate(content["labels"]):
        assert label["kind"] == "binary" and label["values"] == ["off", "on"]
        where = slice(*label["latents"])
        np.testing.assert_allclose(label["prior"]["loc"], np.asarray(layer.prior.loc)[:, where], rtol=1e-6)
        np.testing.assert_allclose(label["prior"]["scale"], np.asarray(layer.prior.scale)[:, where], rtol=1e-6)
        np.testing.assert_allclose(label["classifier"]["kernel"], np.asarray(layer.kernel)[where].T, rtol=1e-6)
        np.testing.assert_allclose(np.log(label["frequency"]), np.asarray(layer.log_label_prior)[index], rtol=1e-5)
    for path in content["files"].values():
        assert (exported.folder / path).exists()
    assert set(content["files"]) >= {"onnx/encoder", "onnx/encoder.int8", "litert/decoder", "saved_model"}
    content["labels"][0].pop("prior")
    with pytest.raises(ValidationError, match="'prior' is a required property"):
        sidecar.check(content)


def test_ccvae_json_says_of_each_different_image_which_label_changes_it_most(exported, model, tiny, tmp_path):
    images = tiny.test.images[[3, 0, 3, 1, 0, 2]]
    export_run(exported.run, tmp_path / "export", Options(("onnx",)), images=images)
    said = json.loads((tmp_path / "export" / "ccvae.json").read_text())["visible"]
    change = interventions.visibility(model, tiny.test.images[[3, 0, 1, 2]])
    assert [x["label"] for x in said] == change.argmax(1).tolist()
    np.testing.assert_allclose([x["change"] for x in said], change.max(1), atol=1e-5)


def test_next_version_stands_beside_the_first_and_other_files_are_replaced(exported, pixels, tmp_path, capsys):
    to = shutil.copytree(exported.folder, tmp_path / "copy")
    np.save(tmp_path / "images.npy", pixels)
    arguments = (exported.run, "--to", to, "--images", tmp_path / "images.npy")
    assert call(*arguments, "--formats", "saved_model", "--layout", "nchw") == 0
    assert {x.name for x in (to / "saved_model").iterdir()} == {"1", "2"}
    assert not (to / "onnx").exists() and not (to / "litert").exists()
    about = json.loads((to / "ccvae.json").read_text())
    assert about["version"] == 2 and about["image"]["layout"] == "nchw"
    assert about["signatures"]["saved_model/classify"]["inputs"]["image"]["shape"] == ["batch", 1, 28, 28]
    assert verify.verify(to) == {}
    capsys.readouterr()
    for version in ("1", "2"):
        assert f"holds version {version} already" in refused(capsys, *arguments, "--version", version)


def test_onnx_files_of_layout_nchw_agree_and_are_verified(exported, pixels, tmp_path):
    to = tmp_path / "nchw"
    export_run(exported.run, to, Options(("onnx",), "nchw", version=7), images=pixels)
    with np.load(to / "reference.npz") as moved:
        assert moved["input/image"].shape == (64, 1, 28, 28)
        np.testing.assert_allclose(
            moved["output/decoder/image"].transpose(0, 2, 3, 1), exported.arrays["output/decoder/image"], atol=1e-5
        )
    assert set(verify.verify(to)) == {f"onnx/{x}.onnx" for x in ("encoder", "decoder", "prior", "set_labels", "swap")}
    assert json.loads((to / "manifest.json").read_text())["version"] == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--formats", "onxx"), "--formats: invalid choice: 'onxx'"),
        (("--layout", "chwn"), "--layout: invalid choice: 'chwn'"),
        (("--version", "0"), "--version: must be at least 1, got 0"),
        (("--version", "new"), "--version: invalid int value: 'new'"),
        (("--formats", "saved_model", "--float16"), "--float16: makes ONNX files; add onnx to --formats"),
        (("--formats", "litert", "--int8-encoder"), "--int8-encoder: makes ONNX files"),
        (("--images", "nowhere.npy"), "--images: nowhere.npy: not an array that numpy.save wrote"),
        (("--frmats", "onnx"), "unrecognized arguments: --frmats"),
    ],
)
def test_mistakes_end_in_one_line_and_leave_nothing(exported, tmp_path, capsys, arguments, message):
    assert message in refused(capsys, exported.run, "--to", tmp_path / "new" / "export", *arguments)
    assert not (tmp_path / "new").exists()


def test_runs_that_cannot_be_used_are_named(exported, tmp_path, capsys):
    to = ("--to", tmp_path / "to")
    assert "no such run directory" in refused(capsys, tmp_path / "nowhere", *to)
    (tmp_path / "empty").mkdir()
    assert "not a run directory" in refused(capsys, tmp_path / "empty", *to)
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    shutil.copy(exported.run / "config.yaml", damaged)
    assert "no model.keras yet" in refused(capsys, damaged, *to)
    (damaged / "model.keras").write_bytes((exported.run / "model.keras").read_bytes()[:1000])
    assert "model.keras: not readable" in refused(capsys, damaged, *to)
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize("kind", [DIVA, M2, MVAE, VAEClassifier])
def test_baselines_are_refused(exported, tmp_path, capsys, kind):
    run = run_directory.create(tmp_path / "run", "x")
    shutil.copy(exported.run / "config.yaml", run.config)
    run.save_model(kind((28, 28, 1), labels=Labels.of_binary(["a"]), latents=3, widths=(4, 4, 4), hidden=8))
    line = refused(capsys, run.path, "--to", tmp_path / "to")
    assert f"holds a {kind.__name__}, a baseline; only CCVAE models are exported" in line
    assert not (tmp_path / "to").exists()


def test_fit_refuses_to_export_a_baseline_before_it_trains(capsys, tiny_arguments, tmp_path):
    with pytest.raises(SystemExit) as stopped:
        fit.main([*tiny_arguments, "--model", "m2", "--export.formats", "onnx", "--run-dir", str(tmp_path / "run")])
    assert stopped.value.code == 2
    assert "export.formats: only ccvae is exported, not m2" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_unknown_export_format_in_a_config_lists_the_known_ones():
    with pytest.raises(settings.ConfigError, match=r"'\[onx\]' is not a list of saved_model, onnx, litert"):
        settings.parse(["--export.formats", "[onx]"])


def test_a_missing_converter_is_named(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "litert" in name else find(name))
    with pytest.raises(ExportError, match=r"needs the package ai-edge-litert; pip install -r requirements\.txt$"):
        Options()
    assert Options(("onnx",)).formats == ("onnx",)


def test_a_folder_that_cannot_be_written_is_named(exported, pixels, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    np.save(tmp_path / "images.npy", pixels)
    images = ("--images", tmp_path / "images.npy")
    for to in (tmp_path / "file", tmp_path / "file" / "below"):
        assert f"--to: {to}" in refused(capsys, exported.run, "--to", to, *images)
    assert (tmp_path / "file").read_text() == ""


def test_a_half_written_export_is_named_and_left_alone(exported, pixels, tmp_path, capsys):
    (tmp_path / "to" / ".partial").mkdir(parents=True)
    np.save(tmp_path / "images.npy", pixels)
    line = refused(capsys, exported.run, "--to", tmp_path / "to", "--images", tmp_path / "images.npy")
    assert ".partial: a half-written export" in line
    assert (tmp_path / "to" / ".partial").is_dir()
