"""Every example that shows how to run an export runs, and computes what Keras does."""

import json
import os
import runpy
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from export.uses import Uses, as_float32
from serving.description import meaning
from serving.values import setting_of

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture(scope="module")
def picture(tmp_path_factory, tiny):
    path = tmp_path_factory.mktemp("picture") / "picture.png"
    Image.fromarray(tiny.test.images[0, ..., 0]).save(path)
    return path


def edited_by_keras(exported, model):
    """The first test image with Top set, as uint8."""
    edited = Uses(as_float32(model)).set_labels(
        exported.arrays["input/image"][:1], np.array([[1, 0]], np.int32), np.array([[True, False]])
    )
    return np.round(np.asarray(edited["edited"])[0] * 255).astype(np.uint8)


def test_every_example_has_a_test_here():
    # in tests/training, test_pretrained.py, test_smoke.py and test_notebook.py
    of_other_tests = {"clusters", "pretrained", "sweep.yaml", "notebook.ipynb"}
    there = set(os.listdir(os.path.join(ROOT, "examples"))) - of_other_tests
    assert there == {"onnx_python.py", "onnx_node", "saved_model_c"}


def test_python_example_runs_without_tensorflow(exported, model, picture, tmp_path):
    code = (
        "import sys, runpy\n"
        "for name in ('tensorflow', 'keras', 'tf_ccvae', 'PIL'): sys.modules[name] = None\n"
        "runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    )
    example = os.path.join(ROOT, "examples", "onnx_python.py")
    done = subprocess.run(
        [sys.executable, "-c", code, example, exported.folder, picture, tmp_path / "edited.png", "Top=1"],
        capture_output=True,
        text=True,
        check=True,
    )
    on = exported.arrays["output/encoder/probabilities"][0, :, 1]
    shown = [float(line.rpartition("on=")[2]) for line in done.stdout.splitlines()]
    np.testing.assert_allclose(shown, on, atol=1e-5)
    image = np.asarray(Image.open(tmp_path / "edited.png"))[..., None]
    assert np.abs(image.astype(int) - edited_by_keras(exported, model)).max() <= 1


MISTAKES = [
    (["{picture}", "{to}", "Top=5"], "Top=5: no such value; there are off, on"),
    (["{picture}", "{to}", "Top=on", "Bright=on", "Top=off"], "Top=off: Top is given twice"),
    (["{picture}", "{to}", "Tap=on"], "Tap=on: write LABEL=VALUE with a label of Top, Bright"),
    (["{picture}", "{to}", "Top"], "Top: write LABEL=VALUE with a label of Top, Bright"),
    (["{to}", "{to}", "Top=1"], "edited.png: "),
    (["{picture}"], "write "),
]


def mistake_of(program, exported, picture, folder, arguments, **settings):
    """What a program says of a mistake, in one line with exit code 2, when it has written nothing."""
    names = {"picture": picture, "to": folder / "edited.png"}
    done = subprocess.run(
        [*program, exported.folder, *(x.format_map(names) for x in arguments)],
        capture_output=True,
        text=True,
        check=False,
        **settings,
    )
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    assert not list(folder.glob("*edited.png*"))
    return done.stderr


@pytest.mark.parametrize(("arguments", "message"), MISTAKES)
def test_python_example_says_a_mistake_in_one_line(exported, picture, tmp_path, arguments, message):
    program = [sys.executable, os.path.join(ROOT, "examples", "onnx_python.py")]
    assert message in mistake_of(program, exported, picture, tmp_path, arguments)


@pytest.mark.parametrize("damage", [lambda x: x[:60], lambda x: b"P6" + x, lambda x: x[:8]])
def test_python_example_says_which_picture_is_damaged(exported, picture, tmp_path, damage):
    bad = tmp_path / "bad.png"
    bad.write_bytes(damage(picture.read_bytes()))
    program = [sys.executable, os.path.join(ROOT, "examples", "onnx_python.py")]
    assert "bad.png: " in mistake_of(program, exported, bad, tmp_path, ["{picture}", "{to}", "Top=1"])


LABELS = [
    {"name": "smile", "kind": "binary", "values": ["off", "on"]},
    {"name": "age", "kind": "categorical", "values": ["1", "2", "3"]},
    {"name": "hair", "kind": "categorical", "values": ["Red", "red", "Ärmel", "grey"]},
    {"name": "dose", "kind": "categorical", "values": ["1e0", "2e0", "Straße"]},
    {"name": "found", "kind": "categorical", "values": ["nan", "inf", "one"]},
    {"name": "years", "kind": "number", "scale": {"mean": 0.0, "deviation": 1.0, "low": -1e9, "high": 1e9}},
]
TEXTS = [
    "0",
    "1",
    "2",
    "5",
    "-1",
    "",
    "on",
    "ON",
    "Yes",
    "true",
    "no",
    "Red",
    "red",
    "RED",
    "GREY",
    "ärmel",
    "1.0",
    " 60.5 ",
    "-2e1",
    "1e999",
    "6,5",
    "NaN",
    "STRASSE",
]


def value_by_rule(text, label):
    try:
        return meaning(text, label)
    except ValueError:
        return None


@pytest.mark.parametrize("label", LABELS, ids=lambda x: x["name"])
def test_python_example_takes_values_by_the_rule_of_the_client(label):
    example = runpy.run_path(os.path.join(ROOT, "examples", "onnx_python.py"), run_name="example")

    def value(text):
        try:
            return example["value_of"](text, label)
        except example["Mistake"]:
            return None

    assert [value(text) for text in TEXTS] == [value_by_rule(text, label) for text in TEXTS]


EQUALS = [
    {"name": "a", "kind": "binary", "values": ["off", "on"]},
    {"name": "a=b", "kind": "binary", "values": ["off", "on"]},
    {"name": "kind", "kind": "categorical", "values": ["x=1", "y"]},
]
PARTED = {"a=on": [0, 1], "a=b=1": [1, 1], "kind=x=1": [2, 0], "kind=z=1": None, "none=1": None, "a": None, "=1": None}


def test_names_that_hold_equals_signs_are_told_apart_by_the_client_and_the_python_example():
    example = runpy.run_path(os.path.join(ROOT, "examples", "onnx_python.py"), run_name="example")
    for text, expected in PARTED.items():
        try:
            values, mask = example["asked"]([text], EQUALS)
        except example["Mistake"]:
            assert expected is None, text
        else:
            assert [int(mask.argmax()), int(values[mask][0])] == expected, text
        if expected:
            name, value = setting_of(text, lambda: EQUALS)
            assert (name, value_by_rule(value, EQUALS[expected[0]])) == (EQUALS[expected[0]]["name"], expected[1])


@pytest.mark.system
def test_node_example_tells_names_that_hold_equals_signs_apart():
    code = """
        const { asked } = await import(process.argv[1]);
        const [labels, texts] = JSON.parse(process.argv[2]);
        const found = (text) => {
            try { const { values, mask } = asked([text], labels); const at = mask.indexOf(1); return [at, values[at]]; }
            catch { return null; }
        };
        console.log(JSON.stringify(texts.map(found)));
    """
    module = os.path.join(ROOT, "examples", "onnx_node", "values.mjs")
    done = subprocess.run(
        ["node", "--input-type=module", "-e", code, module, json.dumps([EQUALS, list(PARTED)])],
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout) == list(PARTED.values())


@pytest.mark.system
def test_node_example_takes_values_by_the_rule_of_the_client():
    code = """
        const { meaning } = await import(process.argv[1]);
        const [labels, texts] = JSON.parse(process.argv[2]);
        const value = (text, label) => { try { return meaning(text, label); } catch { return null; } };
        console.log(JSON.stringify(labels.map((label) => texts.map((text) => value(text, label)))));
    """
    module = os.path.join(ROOT, "examples", "onnx_node", "values.mjs")
    done = subprocess.run(
        ["node", "--input-type=module", "-e", code, module, json.dumps([LABELS, TEXTS])],
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout) == [[value_by_rule(text, label) for text in TEXTS] for label in LABELS]


@pytest.fixture
def examples(tmp_path):
    """A repository of its own that holds the examples, and a function that lists what is untracked in it."""
    place = tmp_path / "repository"
    shutil.copytree(
        os.path.join(ROOT, "examples"),
        place / "examples",
        ignore=shutil.ignore_patterns("node_modules", "build", "pretrained"),
    )
    shutil.copy(os.path.join(ROOT, ".gitignore"), place)

    def git(*arguments):
        done = subprocess.run(["git", "-C", place, *arguments], check=True, capture_output=True, text=True)
        return done.stdout.splitlines()

    git("init")
    git("add", ".")
    return place / "examples", lambda: git("ls-files", "--others", "--exclude-standard")


@pytest.mark.system
def test_node_example_runs_on_onnxruntime_web(exported, model, picture, tmp_path, examples):
    folder, untracked = examples
    place = folder / "onnx_node"
    subprocess.run(
        ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=place, check=True, capture_output=True
    )
    done = subprocess.run(
        ["node", "ccvae.mjs", exported.folder, picture, tmp_path / "edited.png", "Top=1"],
        cwd=place,
        capture_output=True,
        text=True,
        check=True,
    )
    assert untracked() == []
    said = json.loads(done.stdout)
    arrays = exported.arrays
    np.testing.assert_allclose(said["loc"], arrays["output/encoder/loc"][0], atol=1e-5)
    shown = [said["probabilities"][x] for x in ("Top", "Bright")]
    np.testing.assert_allclose(shown, arrays["output/encoder/probabilities"][0], atol=1e-5)
    image = np.asarray(Image.open(tmp_path / "edited.png").convert("L"))[..., None]
    assert np.abs(image.astype(int) - edited_by_keras(exported, model)).max() <= 1
    (tmp_path / "edited.png").unlink()
    for arguments, message in MISTAKES:
        assert message in mistake_of(["node", "ccvae.mjs"], exported, picture, tmp_path, arguments, cwd=place)


@pytest.mark.system
def test_c_example_runs_every_signature_without_python(exported, model, picture, tiny, tmp_path, examples):
    folder, untracked = examples
    place = folder / "saved_model_c"
    subprocess.run(["make", "-C", place, f"PYTHON={sys.executable}"], check=True, capture_output=True)
    assert untracked() == []
    pictures = [tmp_path / "first.pgm", tmp_path / "second.pgm"]
    for path, image in zip(pictures, tiny.test.images, strict=False):
        Image.fromarray(image[..., 0]).save(path)
    out = tmp_path / "out"
    out.mkdir()
    saved_model = exported.folder / "saved_model" / "1"
    done = subprocess.run(
        [place / "build" / "ccvae", saved_model, out, *pictures, picture], check=True, capture_output=True, text=True
    )
    assert "Bright" in done.stdout
    image = exported.arrays["input/image"][:2]
    labels, mask = np.ones((2, 2), np.int32), np.array([[True, False]] * 2)
    seed, latents = np.arange(4, dtype=np.int32).reshape(2, 2), np.outer([0.1, 0.2], np.ones(6)).astype(np.float32)
    uses = Uses(as_float32(model))
    expected = {
        "classify": uses.classify(image),
        "serving_default": uses.classify(image),
        "encode": uses.encode(image),
        "decode": uses.decode(latents),
        "reconstruct": uses.reconstruct(image),
        "generate": uses.generate(labels, mask, seed),
        "set_labels": uses.set_labels(image, labels, mask),
        "swap": uses.swap(image, image[::-1], mask),
        "classify_bytes": uses.classify(image[[0, 0]]),
    }
    for signature, outputs in expected.items():
        for name, values in outputs.items():
            result = np.fromfile(out / f"{signature}.{name}", np.float32).reshape(values.shape)
            np.testing.assert_allclose(result, values, atol=1e-5, rtol=1e-5, err_msg=f"{signature} {name}")
    assert np.fromfile(out / "describe.image_shape", np.int32).tolist() == [28, 28, 1]
