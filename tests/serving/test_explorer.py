"""The explorer in a real browser: built, tested by itself, and opened on exports by `explore`.

Needs Node with npm, and Chromium: CHROMIUM=/path (default: chromium on the PATH). SCREENSHOTS=FOLDER keeps pictures of
the page.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.run import Options, export_run
from tests.made_up import made_once
from tf_ccvae.data import avatars
from tf_ccvae.data.images import read_image
from tf_ccvae.training import run_directory

ROOT = Path(__file__).resolve().parents[2]
EXPLORER = ROOT / "serving" / "explorer"
PRETRAINED = ROOT / "examples" / "pretrained" / "avatars"  # what the default run left


def npm(*arguments, **environment):
    environment = {**os.environ, **environment, "NO_COLOR": "1"}
    done = subprocess.run(
        ["npm", *arguments], cwd=EXPLORER, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    """The built page; once for all test processes."""
    with made_once(tmp_path_factory, "explorer") as (_, needed):
        if needed:
            npm("ci", "--ignore-scripts", "--no-audit", "--no-fund")
            npm("run", "build")
    return EXPLORER / "dist"


@pytest.fixture(scope="session")
def numbers():
    """The program that writes the numbers that the page must repeat."""
    spec = importlib.util.spec_from_file_location("make_numbers", EXPLORER / "tests" / "make_numbers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def expectation(folder, model, place):
    """What Python computes for the first face of the gallery; see end_to_end/browser.ts."""
    from tf_ccvae import interventions

    with np.load(folder / "reference.npz") as stored:
        images, probabilities = stored["input/image"], stored["output/encoder/probabilities"][0]
    if json.loads((folder / "ccvae.json").read_text())["image"]["layout"] == "nchw":
        images = images.transpose(0, 2, 3, 1)
    latents = interventions.encode(model, images[:2])
    asked = np.arange(len(model.labels)) == 0
    flipped = 1 - int(np.asarray(model.values_of(latents))[0, 0])
    edited = interventions.set_values(model, latents[:1], np.where(asked, flipped, 0), asked)
    swapped = interventions.swap_values(model, latents[:1], latents[1:], asked)
    size, _, channels = model.image_shape
    y, x = np.mgrid[:90, :140] / 100
    picture = np.stack([255 * x / 1.4, 255 * y / 0.9, 255 * (x + y) / 2.3], axis=-1)[..., :3].astype(np.uint8)
    Image.fromarray(picture).save(place / "own.png")
    content = {
        "labels": model.labels.names,
        "latents": latents[0],
        "probabilities": [row[: x.values].tolist() for row, x in zip(probabilities, model.labels, strict=True)],
        "reconstruction": interventions.decode(model, latents[0]),
        "edited": interventions.decode(model, edited),
        "flipped": flipped,
        "swapped": interventions.decode(model, swapped),
        "file": str(place / "own.png"),
        "small": read_image(place / "own.png", size, channels) / 255,
    }
    if model.labels.numbers:
        content["number"] = number_expectation(folder, model, latents[:1])
    arrays = {key: x.ravel().tolist() if isinstance(x, np.ndarray) else x for key, x in content.items()}
    (place / "expected.json").write_text(json.dumps(arrays))
    return str(place / "expected.json")


def number_expectation(folder, model, latents):
    """What Python computes when the first number label is set to 60.5."""
    from tf_ccvae import interventions

    index, value = model.labels.numbers[0], 60.5
    asked = np.arange(len(model.labels)) == index
    edited = interventions.set_values(model, latents, np.where(asked, value, 0), asked)
    with np.load(folder / "reference.npz") as stored:
        first = stored["output/encoder/numbers"][0, 0]
    return {
        "label": index,
        "value": value,
        "first": first.tolist(),
        "read": float(np.asarray(model.values_of(edited))[0, index]),
        "edited": interventions.decode(model, edited).ravel().tolist(),
    }


@pytest.fixture
def explored():
    """Runs `explore` on an export and returns its address."""
    started = []

    def start(folder):
        code = "import sys; from serving.explore import main; sys.exit(main(sys.argv[1:]))"
        arguments = [sys.executable, "-c", code, str(folder), "--no-browser"]
        started.append(subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        return started[-1].stdout.readline().split()[1]

    yield start
    for process in started:
        process.terminate()
        process.communicate()


def end_to_end(address, expected, *arguments):
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "install Chromium (apt-get install chromium), or say by CHROMIUM=/path where it is"
    npm("run", "end-to-end", "--", *arguments, EXPLORER_URL=address, EXPLORER_EXPECTED=expected, CHROMIUM=chromium)


def test_stored_numbers_are_what_python_computes(numbers):
    def compare(stored, made, path):
        if isinstance(made, dict):
            assert list(stored) == list(made), path
        if isinstance(made, dict | list):
            assert len(stored) == len(made), path
            keys = made if isinstance(made, dict) else range(len(made))
            for key in keys:
                compare(stored[key], made[key], f"{path}/{key}")
        elif isinstance(made, float):
            assert stored == pytest.approx(made, abs=1e-5, rel=1e-5), path
        else:
            assert stored == made, path

    compare(json.loads(numbers.NUMBERS.read_text()), numbers.numbers(), "")


@pytest.mark.system
def test_unit_tests(page):
    npm("test")


@pytest.mark.system
def test_page_on_the_export_of_the_default_run(page, explored, tmp_path):
    faces = avatars.load(examples=240).train.images[:64]
    export_run(PRETRAINED, tmp_path / "export", Options(formats=("onnx",)), np.asarray(faces))
    expected = expectation(tmp_path / "export", run_directory.load(PRETRAINED)[1], tmp_path)
    end_to_end(explored(tmp_path / "export"), expected)


@pytest.mark.system
def test_page_on_colour_channels_first_classes_numbers_and_several_latents(page, numbers, explored, tiny_run, tmp_path):
    model = numbers.made_up_model(size=32, channels=3, widths=(4, 4, 4), labels=numbers.WITH_NUMBER)
    shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints", "figures"))
    model.save(tmp_path / "run" / "model.keras")
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    export_run(tmp_path / "run", tmp_path / "export", Options(formats=("onnx",), layout="nchw"), images)
    expected = expectation(tmp_path / "export", model, tmp_path)
    end_to_end(explored(tmp_path / "export"), expected, "--testNamePattern", "Python")
