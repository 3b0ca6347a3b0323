"""What is wrong is found, when an export is written and later, by onnxruntime alone."""

import builtins
import errno
import io
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from export import __main__ as program
from export import onnx as onnx_format
from export import verify
from export.errors import CheckError, ExportError
from export.manifest import file_entry
from export.run import Options, export_run

SHAPE = (28, 28, 1)


@pytest.fixture
def copy(exported, tmp_path):
    """A copy of the export that a test may spoil."""
    return shutil.copytree(exported.folder, tmp_path / "copy")


def refusal(capsys, *argv):
    """The one line on standard error, and the exit code."""
    code = program.main([str(x) for x in argv])
    printed = capsys.readouterr().err
    assert printed.startswith("error: ") and printed.count("\n") == 1
    return printed, code


def test_manifest_holds_results_sizes_hashes_versions_and_labels(exported):
    manifest = json.loads((exported.folder / "manifest.json").read_text())
    assert manifest["labels"] == ["Top", "Bright"] and manifest["label_latents"] == [[0, 2], [2, 4]]
    assert manifest["style_latents"] == [4, 6] and manifest["version"] == 1
    assert {"tensorflow", "keras", "onnx", "onnxruntime"} <= set(manifest["versions"])
    files = {x.relative_to(exported.folder).as_posix() for x in exported.folder.rglob("*") if x.is_file()} - {
        "manifest.json"
    }
    assert set(manifest["files"]) == files
    for name, entry in manifest["files"].items():
        assert entry == file_entry(exported.folder / name)
    limits = {"float32": 1e-5, "float16": 5e-3}
    for artefact in manifest["artefacts"]:
        for check in artefact["checks"].values():
            assert set(check["errors"]) == {"1", "2", "3", "64"}
            if artefact["precision"] in limits:
                assert verify.largest_error(check) <= limits[artefact["precision"]]
            else:
                assert check["equal_labels"] >= 0.98
    kinds = [(x["format"], x["precision"]) for x in manifest["artefacts"]]
    assert {("saved_model", "float32"), ("litert", "float32"), ("onnx", "float16"), ("onnx", "int8")} <= set(kinds)


def test_verify_needs_numpy_and_onnxruntime_only(exported, pixels, tmp_path):
    np.save(tmp_path / "images.npy", pixels[:5])
    absent = ("tensorflow", "keras", "onnx", "jsonschema", "yaml", "pydantic", "wrapt")
    code = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {absent}:\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "from export.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "verify", exported.folder, "--images", tmp_path / "images.npy"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name in ("onnx/encoder.int8.onnx", "onnx/decoder.float16.onnx on images", "as exported"):
        assert name in done.stdout


def test_a_changed_file_is_found(copy, capsys):
    path = copy / "onnx" / "decoder.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    line, code = refusal(capsys, "verify", copy)
    assert "decoder.onnx: not the file that was exported" in line and code == 1


def test_another_model_is_found_even_if_the_manifest_agrees(copy, capsys):
    shutil.copy(copy / "onnx" / "encoder.int8.onnx", copy / "onnx" / "encoder.onnx")
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["onnx/encoder.onnx"] = file_entry(copy / "onnx" / "encoder.onnx")
    (copy / "manifest.json").write_text(json.dumps(manifest))
    line, code = refusal(capsys, "verify", copy)
    assert "onnx/encoder.onnx: " in line and "is off by" in line and code == 1


@pytest.mark.parametrize("missing", ["manifest.json", "onnx/prior.onnx", "reference.npz"])
def test_half_an_export_is_refused(copy, capsys, missing):
    (copy / missing).unlink()
    line, code = refusal(capsys, "verify", copy)
    assert missing in line and "again" in line and code == 2


def test_a_folder_that_is_no_export_is_refused(tmp_path, capsys):
    assert refusal(capsys, "verify", tmp_path / "nowhere") == (f"error: {tmp_path / 'nowhere'}: no such folder\n", 2)
    (tmp_path / "manifest.json").write_text("{")
    assert "manifest.json: not readable" in refusal(capsys, "verify", tmp_path)[0]


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 28, 28, 3), np.uint8), "must be (n, 28, 28, 1) with n at least 1, got shape (2, 28, 28, 3)"),
        (np.zeros((0, *SHAPE), np.uint8), "got shape (0, 28, 28, 1)"),
        (np.full((2, *SHAPE), 255.0), "must be uint8, or float in [0, 1]; got float64 255 to 255"),
        (np.full((2, *SHAPE), np.nan), "got float64 nan to nan"),
        (np.full((2, *SHAPE), 3, np.int64), "got int64 3 to 3"),
    ],
)
def test_images_of_another_shape_or_range_are_refused(exported, tmp_path, capsys, images, message):
    np.save(tmp_path / "images.npy", images)
    line, code = refusal(capsys, "verify", exported.folder, "--images", tmp_path / "images.npy")
    assert message in line and code == 2


def test_errors_names_shapes_and_infinities_are_measured():
    inputs = {"x": np.linspace(0, 0.5, 64, dtype=np.float32)}
    outputs = {"y": inputs["x"] * 2}
    errors = verify.measure(lambda x: {"y": x["x"] * 2 + 1e-3}, inputs, outputs)
    assert errors["1"]["y"] == pytest.approx(1e-3, rel=1e-3) and errors["64"]["y"] == pytest.approx(1e-3, rel=1e-3)
    for wrong, message in (
        (lambda x: {"z": x["x"]}, "outputs are z instead of y"),
        (lambda x: {"y": x["x"][:1]}, r"y is float32 \(1,\) instead of float32 \(2,\)"),
        (lambda x: {"y": np.resize(x["x"], 64)}, r"y is float32 \(64,\) instead of float32 \(1,\)"),
        (lambda x: {"y": x["x"].astype(np.float64)}, "y is float64"),
        (lambda x: {"y": x["x"] / 0 * 0}, "not finite"),
    ):
        with pytest.raises(CheckError, match=message), np.errstate(all="ignore"):
            verify.measure(wrong, inputs, outputs)


def test_an_error_is_relative_to_the_largest_value_of_its_own_number_of_a_row():
    rows = np.zeros((64, 2), np.float32)
    rows[63] = 16, 0.5
    errors = verify.measure(lambda x: {"y": x["x"] + np.float32([8e-3, 1e-3])}, {"x": rows}, {"y": rows})
    assert [errors[x]["y"] for x in ("1", "2", "3", "64")] == pytest.approx([1e-3] * 4, rel=1e-3)
    errors = verify.measure(lambda x: {"y": x["x"] + np.float32([8e-3, 0])}, {"x": rows}, {"y": rows})
    assert [errors[x]["y"] for x in ("1", "64")] == pytest.approx([5e-4] * 2, rel=1e-2)


def test_int8_that_changes_too_many_labels_is_refused():
    probabilities = np.tile(np.array([[[0.8, 0.2]]], np.float32), (64, 1, 1))
    wrong = probabilities.copy()
    wrong[:3] = 0.5, 0.6  # the first three rows of every batch

    def run(inputs):
        return {"probabilities": wrong[: len(inputs["image"])]}

    with pytest.raises(CheckError, match=r"file: 87\.1% equal labels; at least 98% are asked for"):
        verify.judged("file", "int8", run, {"image": np.zeros((64, 1))}, {"probabilities": probabilities})


def test_a_failed_check_leaves_nothing_and_exits_with_1(exported, tiny, tmp_path, capsys, monkeypatch):
    converted = onnx_format.convert

    def spoilt(signature, description):
        model = converted(signature, description)
        large = max(model.graph.initializer, key=lambda x: len(x.raw_data))
        large.raw_data = (np.frombuffer(large.raw_data, np.float32) * np.float32(1.01)).tobytes()
        return model

    monkeypatch.setattr(onnx_format, "convert", spoilt)
    to = tmp_path / "new" / "export"
    line, code = refusal(capsys, exported.run, "--to", to, "--formats", "onnx")
    assert "onnx/encoder.onnx: " in line and "limit 1e-05" in line and code == 1
    assert not (tmp_path / "new").exists()


def test_a_failed_check_keeps_the_export_before_it(exported, copy, monkeypatch):
    before = (copy / "manifest.json").read_text()
    monkeypatch.setitem(verify.LIMITS, "float32", 0.0)
    with pytest.raises(CheckError):
        export_run(exported.run, copy, Options(("litert",)))
    assert (copy / "manifest.json").read_text() == before and not (copy / ".partial").exists()
    monkeypatch.undo()
    assert verify.verify(copy)


@pytest.mark.parametrize("file", ["encoder.tflite", "reference.npz", "manifest.json"])
def test_a_disk_that_is_full_keeps_the_export_before_it(exported, copy, pixels, tmp_path, capsys, monkeypatch, file):
    opened = io.open

    def full(path, mode="r", *settings, **keywords):
        if "w" in mode and file in str(path):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return opened(path, mode, *settings, **keywords)

    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    np.save(tmp_path / "images.npy", pixels)
    for module in (io, builtins):
        monkeypatch.setattr(module, "open", full)
    arguments = ("--to", copy, "--formats", "litert", "--images", tmp_path / "images.npy")
    line, code = refusal(capsys, exported.run, *arguments)
    monkeypatch.undo()
    assert f"--to: {copy} cannot be written (No space left on device); make room" in line and code == 2
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_fewer_images_than_the_largest_batch_are_taken_again():
    images = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1)
    assert verify.checked_images(images, (1, 1, 1)).ravel()[:6].tolist() == [0, 1, 2, 0, 1, 2]
    with pytest.raises(ExportError):
        verify.checked_images(images, (1, 2, 1))
