"""The examples print the numbers that a model predicts, and set number labels in their own units."""

import json
import os
import runpy
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from export.uses import Uses
from tf_ccvae.training import run_directory

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LABELS, MASK = np.array([[0.003, 0, 60.5, 0]], np.float32), np.array([[True, False, True, False]])
SETTINGS = ["age=60.5", "size=3e-3"]


@pytest.fixture(scope="module")
def arrays(numbers_exported):
    with np.load(numbers_exported.folder / "reference.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def uses(numbers_exported):
    return Uses(run_directory.load(numbers_exported.run)[1])


@pytest.fixture(scope="module")
def picture(tmp_path_factory, tiny):
    path = tmp_path_factory.mktemp("picture") / "picture.png"
    Image.fromarray(tiny.test.images[0, ..., 0]).save(path)
    return path


@pytest.fixture
def python_example():
    return runpy.run_path(os.path.join(ROOT, "examples", "onnx_python.py"), run_name="example")


def is_edited(path, uses, arrays):
    """Whether a picture is the first test image with the numbers set, up to one level."""
    edited = np.asarray(uses.set_labels(arrays["input/image"][:1], LABELS, MASK)["edited"])[0] * 255
    return np.abs(np.asarray(Image.open(path).convert("L"))[..., None] - edited).max() <= 1


def test_python_example_prints_numbers_and_sets_them(
    python_example, numbers_exported, uses, arrays, picture, tmp_path, capsys
):
    python_example["main"]([str(numbers_exported.folder), str(picture), str(tmp_path / "edited.png"), *SETTINGS])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["size", "bright", "age", "kind"]
    mean, deviation = arrays["output/encoder/numbers"][0, 1]
    shown = [float(x.strip("():%,")) for x in lines[2].split()[1:] if x.strip("():%").replace(".", "").isdigit()]
    np.testing.assert_allclose(shown, [mean, 90, mean - 1.6449 * deviation, mean + 1.6449 * deviation], rtol=1e-4)
    assert is_edited(tmp_path / "edited.png", uses, arrays)


def test_python_example_says_what_is_no_number_and_what_is_of_a_later_version(
    python_example, numbers_exported, picture, tmp_path
):
    arguments = [str(picture), str(tmp_path / "edited.png"), "age=old"]
    with pytest.raises(python_example["Mistake"], match="age=old: is not a number; training values were 20 to 70"):
        python_example["main"]([str(numbers_exported.folder), *arguments])
    (tmp_path / "ccvae.json").write_text('{"format": 4}')
    with pytest.raises(python_example["Mistake"], match="has format 4; this program reads 1, 2 and 3"):
        python_example["main"]([str(tmp_path), *arguments])


@pytest.mark.system
def test_node_example_prints_numbers_and_sets_them(numbers_exported, uses, arrays, picture, tmp_path):
    place = tmp_path / "onnx_node"
    shutil.copytree(os.path.join(ROOT, "examples", "onnx_node"), place, ignore=shutil.ignore_patterns("node_modules"))
    subprocess.run(
        ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=place, check=True, capture_output=True
    )

    def run(folder, *arguments):
        program = ["node", "ccvae.mjs", folder, picture, tmp_path / "edited.png", *arguments]
        return subprocess.run(program, cwd=place, capture_output=True, text=True, check=False)

    done = run(numbers_exported.folder, *SETTINGS)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert set(said["probabilities"]) == {"bright", "kind"}
    for name, (mean, deviation) in zip(("size", "age"), arrays["output/encoder/numbers"][0], strict=True):
        assert said["numbers"][name]["mean"] == pytest.approx(mean, rel=1e-5)
        assert said["numbers"][name]["deviation"] == pytest.approx(deviation, rel=1e-5)
        interval = [mean - 1.6449 * deviation, mean + 1.6449 * deviation]
        assert said["numbers"][name]["interval"] == pytest.approx(interval, rel=1e-4)
    assert is_edited(tmp_path / "edited.png", uses, arrays)
    assert "age=old: is not a number; training values were 20 to 70" in run(numbers_exported.folder, "age=old").stderr
    (tmp_path / "ccvae.json").write_text('{"format": 4}')
    assert "has format 4; this program reads 1, 2 and 3" in run(tmp_path, "age=60.5").stderr


@pytest.mark.system
def test_c_example_sets_a_number(numbers_exported, uses, arrays, picture, tiny, tmp_path):
    place = tmp_path / "saved_model_c"
    shutil.copytree(os.path.join(ROOT, "examples", "saved_model_c"), place, ignore=shutil.ignore_patterns("build"))
    subprocess.run(["make", "-C", place, f"PYTHON={sys.executable}"], check=True, capture_output=True)
    pictures = [tmp_path / "first.pgm", tmp_path / "second.pgm"]
    for path, image in zip(pictures, tiny.test.images, strict=False):
        Image.fromarray(image[..., 0]).save(path)
    (tmp_path / "out").mkdir()
    program = [place / "build" / "ccvae", numbers_exported.folder / "saved_model" / "1", tmp_path / "out"]
    subprocess.run([*program, *pictures, picture, "0.003"], check=True, capture_output=True)
    image, mask = arrays["input/image"][:2], np.array([[True, False, False, False]] * 2)
    labels = np.array([[0.003, 1, 1, 1]] * 2, np.float32)
    for name, expected in (
        ("set_labels.edited", uses.set_labels(image, labels, mask)["edited"]),
        ("classify.numbers", uses.classify(image)["numbers"]),
    ):
        result = np.fromfile(tmp_path / "out" / name, np.float32).reshape(expected.shape)
        np.testing.assert_allclose(result, expected, atol=1e-5, rtol=1e-5)
    done = subprocess.run([*program, *pictures, picture, "much"], check=False, capture_output=True, text=True)
    assert done.returncode == 2 and "error: much: not a number" in done.stderr
