"""Grades in an export: what ccvae.json says of them, the same answers in every format, and who reads them."""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf
from jsonschema import ValidationError
from PIL import Image

from export import runtimes, sidecar
from export.run import Options, export_run
from export.uses import Uses
from serving import description, values
from tests import made_up, numbers_export
from tests.made_up import made_once
from tf_ccvae import interventions
from tf_ccvae.labels import Label, Labels
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.objective import characteristics
from tf_ccvae.training import run_directory

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STAGE = Label("stage", ("none", "mild", "bad", "severe"), 2, ordered=True)
LABELS = Labels((Label("bright"), STAGE, Label("age", scale=numbers_export.AGE), Label("kind", ("x", "y", "z"))))


def random_model(labels=LABELS):
    """A model whose distributions of labels are random, of grey pictures of 28x28."""
    model = CCVAE((28, 28, 1), labels, latents=labels.characteristic + 3, widths=(4, 4, 4), hidden=16)
    layer, random = model.label_distributions, np.random.default_rng(0)
    layers = (layer.grades,) if layer.numbers is None else (layer.grades, layer.numbers)
    for weight in (layer.free_kernel, layer.free_bias, *(x for part in layers for x in part.weights)):
        weight.assign(0.3 * random.normal(size=weight.shape))
    return model


@pytest.fixture(scope="module")
def model():
    return random_model()


@pytest.fixture(scope="module")
def described(model):
    """Its ccvae.json."""
    run = {"name": "made up", "sha256": "0" * 64, "tf_ccvae": "0"}
    return sidecar.describe(model, (), "nhwc", 1, run, {})


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """One export of everything, verified with the tiny test images, and its model."""
    with made_once(tmp_path_factory, "grades_exported") as (path, needed):
        if needed:
            numbers_export.write_run(path / "run", random_model())
            export_run(path / "run", path / "export", Options(), images=made_up.tiny().test.images[:16])
    return path / "export", run_directory.load(path / "run")[1]


def test_ccvae_json_says_that_the_values_of_a_grade_stand_in_order(model, described):
    sidecar.check(described)
    assert described["format"] == 3
    assert [(x["kind"], x.get("ordered")) for x in described["labels"]] == [
        ("binary", None), ("categorical", True), ("number", None), ("categorical", None),
    ]  # fmt: skip
    stage = described["labels"][1]
    assert stage["values"] == list(STAGE.classes) and stage["latents"] == [1, 3]
    tables = model.label_distributions
    np.testing.assert_array_equal(np.float32(stage["prior"]["loc"]), np.array(tables.prior.loc)[:, 1:3])
    np.testing.assert_array_equal(np.float32(stage["classifier"]["bias"]), np.array(tables.bias)[1])


def test_what_ccvae_json_says_of_a_grade_gives_its_probabilities(model, described):
    """q(y >= v | z) = sigmoid(kernel[v] . z + bias[v]), as the schema says."""
    latents = np.random.default_rng(0).normal(size=(5, model.latents)).astype(np.float32)
    own = described["labels"][1]["classifier"]
    logits = latents[:, 1:3] @ np.array(own["kernel"]).T + own["bias"]
    beyond = np.concatenate([np.ones((5, 1)), 1 / (1 + np.exp(-logits[:, 1:])), np.zeros((5, 1))], axis=1)
    table = np.array(characteristics.values_table(latents, model.label_model()))[:, 1]
    np.testing.assert_allclose(beyond[:, :-1] - beyond[:, 1:], table, atol=1e-6)


@pytest.mark.parametrize(("left_out", "right"), [([], 3), (["age"], 3), (["stage"], 2), (["stage", "age"], 1)])
def test_the_format_of_ccvae_json_says_whether_there_are_grades(described, left_out, right):
    labels = [x for x in described["labels"] if x["name"] not in left_out]
    for number in (1, 2, 3):
        content = {**described, "labels": labels, "format": number}
        if number == right:
            sidecar.check(content)
            assert description.checked(content, "here") == content
        else:
            with pytest.raises(ValidationError):
                sidecar.check(content)


def test_the_client_takes_a_grade_as_it_takes_a_class(described):
    stage = described["labels"][1]
    assert [description.meaning(x, stage) for x in ("none", "SEVERE", "1", 2)] == [0, 3, 1, 2]
    with pytest.raises(ValueError, match="there are none, mild, bad, severe"):
        description.meaning("worst", stage)
    assert values.setting_of("stage=bad", lambda: described["labels"]) == ("stage", "bad")
    rows = {"probabilities": np.full((1, 4, 4), 0.25), "numbers": np.zeros((1, 1, 2))}
    said = description.readable(rows, described)[0]["probabilities"]["stage"]
    assert list(said) == list(STAGE.classes)


def test_a_grade_needs_no_draws_and_no_numbers_beside_it():
    labels = Labels((STAGE, Label("bright")))
    uses = Uses(random_model(labels))
    assert uses.draws.shape[0] == 0
    outputs = uses.classify(np.random.default_rng(0).uniform(size=(2, 28, 28, 1)).astype(np.float32))
    np.testing.assert_allclose(np.array(outputs["probabilities"]).sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(tf.nn.softmax(outputs["logits"]), outputs["probabilities"], atol=1e-6)


def test_every_format_reads_and_sets_labels_of_every_kind_alike(exported):
    folder, model = exported
    with np.load(folder / "reference.npz") as stored:
        image, expected = stored["input/image"][:3], stored["output/encoder/probabilities"][:3]
    np.testing.assert_allclose(model(image).label_probabilities, expected, atol=1e-5)
    saved_model = runtimes.saved_model_runners(folder / "saved_model" / "1")
    encoders = [
        runtimes.onnx_runner(folder / "onnx" / "encoder.onnx"),
        runtimes.litert_runner(folder / "litert" / "encoder.tflite"),
        saved_model["classify"],
    ]
    for run in encoders:
        np.testing.assert_allclose(run({"image": image})["probabilities"], expected, atol=1e-5)
    latents = interventions.encode(model, image)
    asked = {"labels": np.tile(np.float32([0, 3, 30, 0]), (3, 1)), "mask": np.tile([False, True, True, False], (3, 1))}
    wanted = interventions.set_values(model, latents, asked["labels"], asked["mask"])
    edited = runtimes.onnx_runner(folder / "onnx" / "set_labels.onnx")({"latents": latents, **asked})["edited_latents"]
    np.testing.assert_allclose(edited, wanted, atol=1e-5)
    pictures = saved_model["set_labels"]({"image": image, **asked})["edited"]
    np.testing.assert_allclose(pictures, interventions.decode(model, wanted), atol=1e-5)


@pytest.mark.system
def test_node_example_moves_a_grade_by_what_ccvae_json_says(exported, tmp_path):
    """It stops with an error where its own transport and set_labels.onnx do not agree."""
    folder, _ = exported
    with np.load(folder / "reference.npz") as stored:
        picture = stored["input/image"][0, ..., 0]
    Image.fromarray(np.round(picture * 255).astype(np.uint8)).save(tmp_path / "picture.png")
    place = tmp_path / "onnx_node"
    shutil.copytree(os.path.join(ROOT, "examples", "onnx_node"), place, ignore=shutil.ignore_patterns("node_modules"))
    install = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(install, cwd=place, check=True, capture_output=True)
    for stage in STAGE.classes:
        program = ["node", "ccvae.mjs", folder, tmp_path / "picture.png", tmp_path / "out.png", f"stage={stage}"]
        done = subprocess.run(program, cwd=place, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert len(json.loads(done.stdout)["probabilities"]["stage"]) == 4
