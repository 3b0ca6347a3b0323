"""Number labels in an export: what ccvae.json says of them, and what the signatures take and give."""

import json

import numpy as np
import onnx
import pytest
import tensorflow as tf
from jsonschema import ValidationError

from export import runtimes, sidecar, verify
from export.errors import CheckError
from export.run import Options, export_run
from export.uses import Uses
from tests import numbers_export
from tf_ccvae import interventions
from tf_ccvae.labels import Labels
from tf_ccvae.objective.numbers import transport_slope

NAMES = list(numbers_export.LABELS.names)


@pytest.fixture(scope="module")
def model():
    return numbers_export.made_up()


@pytest.fixture(scope="module")
def described(model):
    """Its ccvae.json."""
    run = {"name": "made up", "sha256": "0" * 64, "tf_ccvae": "0"}
    return sidecar.describe(model, (), "nhwc", 1, run, {})


def test_ccvae_json_has_units_and_distributions_of_a_number_label(model, described):
    sidecar.check(described)
    size, bright, age, kind = described["labels"]
    assert described["format"] == 2
    assert [x["kind"] for x in (size, bright, age, kind)] == ["number", "binary", "number", "categorical"]
    assert [x["latents"] for x in (size, bright, age, kind)] == [[0, 2], [2, 3], [3, 4], [4, 5]]
    assert age["scale"] == {"mean": 45.0, "deviation": 15.0, "low": 20.0, "high": 70.0}
    of = model.label_model().numbers
    for label, where, place in ((size, slice(0, 2), 0), (age, slice(2, 3), 1)):
        np.testing.assert_array_equal(np.float32(label["prior"]["slope"]), of.prior_slope[where])
        np.testing.assert_array_equal(np.float32(label["prior"]["intercept"]), of.prior_intercept[where])
        np.testing.assert_array_equal(np.float32(label["prior"]["scale"]), of.prior_scale[where])
        np.testing.assert_array_equal(np.float32(label["classifier"]["slope"]), of.slope[where])
        assert np.float32(label["classifier"]["intercept"]) == of.intercept[place]
        assert np.float32(label["classifier"]["scale"]) == of.scale[place]
        np.testing.assert_array_equal(np.float32(label["transport"]), transport_slope(of)[0, where])


def test_ccvae_json_has_the_tables_of_other_labels_beside_numbers(model, described):
    layer = model.label_distributions
    for label, position, values in ((described["labels"][1], 0, 2), (described["labels"][3], 1, 3)):
        np.testing.assert_array_equal(np.float32(label["prior"]["loc"])[:, 0], layer.prior.loc[:values, position])
        np.testing.assert_array_equal(np.float32(label["classifier"]["kernel"])[:, 0], layer.kernel[position, :values])
        np.testing.assert_array_equal(np.float32(label["classifier"]["bias"]), layer.bias[position, :values])
        assert sum(label["frequency"]) == pytest.approx(1)


@pytest.mark.parametrize("numbers", [True, False])
def test_the_format_of_ccvae_json_says_whether_there_are_numbers(described, numbers):
    labels = [x for x in described["labels"] if numbers or x["kind"] != "number"]
    right, wrong = (2, 1) if numbers else (1, 2)
    sidecar.check({**described, "labels": labels, "format": right})
    with pytest.raises(ValidationError, match=f"{right} was expected"):
        sidecar.check({**described, "labels": labels, "format": wrong})


@pytest.mark.parametrize("missing", ["scale", "prior", "classifier", "transport"])
def test_ccvae_json_refuses_a_number_label_that_lacks_something(described, missing):
    labels = [{k: x for k, x in label.items() if k != missing} for label in described["labels"]]
    with pytest.raises(ValidationError, match=f"'{missing}' is a required property"):
        sidecar.check({**described, "labels": labels})


# Signatures -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def images(tiny):
    return tiny.test.images


@pytest.fixture(scope="module")
def pixels(images):
    return tf.constant(images.astype(np.float32) / 255)


def asked(count=64, **values):
    """`labels` and `mask` that ask for some labels."""
    labels, mask = np.zeros((count, len(NAMES)), np.float32), np.zeros((count, len(NAMES)), bool)
    for name, value in values.items():
        labels[:, NAMES.index(name)], mask[:, NAMES.index(name)] = value, True
    return tf.constant(labels), tf.constant(mask)


def test_numbers_are_mean_and_deviation_in_units(model, images, pixels):
    outputs, marginals = Uses(model).classify(pixels), model(images).numbers
    np.testing.assert_allclose(outputs["numbers"][..., 0], marginals.loc, rtol=1e-5)
    np.testing.assert_allclose(outputs["numbers"][..., 1], marginals.scale, rtol=1e-5)
    of_numbers = np.array([name in ("size", "age") for name in NAMES])
    assert (np.asarray(outputs["probabilities"])[:, of_numbers] == 0).all()
    np.testing.assert_allclose(np.asarray(outputs["probabilities"])[:, ~of_numbers].sum(-1), 1, atol=1e-5)


def test_labels_are_set_to_numbers_classes_and_binary_values_at_once(model, images, pixels):
    edited = Uses(model).set_labels(pixels, *asked(age=60.5, size=0.003, kind=2, bright=1))["edited"]
    wanted = interventions.set_labels(model, images, {"age": 60.5, "size": 0.003, "kind": "z", "bright": "on"})
    np.testing.assert_allclose(edited, wanted, atol=1e-6)
    assert np.abs(edited - interventions.reconstruct(model, images)).max() > 1e-3


@pytest.mark.parametrize("value", [-1.0, 3.0, 1.5])
def test_a_class_that_is_not_there_counts_as_not_asked_for_among_floats(model, value):
    latents = np.random.default_rng(0).normal(size=(4, model.latents)).astype(np.float32)
    edited = Uses(model).set_labels_of_latents(latents, *asked(4, kind=value))["edited_latents"]
    np.testing.assert_array_equal(edited, latents)


def test_numbers_that_are_not_asked_for_are_drawn_from_p_of_y(model):
    count, of = 20000, model.label_model().numbers
    noise = np.random.default_rng(0).normal(size=(count, model.latents + len(NAMES))).astype(np.float32)
    drawn = np.asarray(Uses(model).prior(*asked(count, size=0.003), noise)["latents"])
    spread = np.sqrt(of.prior_slope[2] ** 2 + of.prior_scale[2] ** 2)
    np.testing.assert_allclose(drawn[:, 3].mean(), of.prior_intercept[2], atol=0.03 * spread)
    np.testing.assert_allclose(drawn[:, 3].std(), spread, rtol=0.03)
    t = (0.003 - numbers_export.SIZE.mean) / numbers_export.SIZE.deviation
    np.testing.assert_allclose(drawn[:, 0].mean(), of.prior_slope[0] * t + of.prior_intercept[0], atol=0.03)
    np.testing.assert_allclose(drawn[:, 0].std(), of.prior_scale[0], rtol=0.03)


# Files ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def arrays(numbers_exported):
    with np.load(numbers_exported.folder / "reference.npz") as stored:
        return dict(stored)


def test_every_format_gives_the_numbers(numbers_exported, arrays):
    image, folder = arrays["input/image"][:3], numbers_exported.folder
    saved_model = runtimes.saved_model_runners(folder / "saved_model" / "1")
    runners = [
        runtimes.onnx_runner(folder / "onnx" / "encoder.onnx"),
        runtimes.litert_runner(folder / "litert" / "encoder.tflite"),
        *(saved_model[x] for x in ("classify", "encode")),
    ]
    for run in runners:
        np.testing.assert_allclose(run({"image": image})["numbers"], arrays["output/encoder/numbers"][:3], rtol=1e-5)


def test_what_sets_labels_takes_floats_in_every_format(numbers_exported):
    folder = numbers_exported.folder
    for name in ("prior", "set_labels"):
        (labels,) = (x for x in onnx.load(folder / "onnx" / f"{name}.onnx").graph.input if x.name == "labels")
        assert labels.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    about = json.loads((folder / "ccvae.json").read_text())["signatures"]
    for name in ("saved_model/set_labels", "saved_model/generate", "onnx/set_labels", "onnx/prior"):
        assert about[name]["inputs"]["labels"] == {"dtype": "float32", "shape": ["batch", 4]}
    assert about["saved_model/classify_bytes"]["outputs"] == ["probabilities", "logits", "numbers", "decoded"]


def test_files_that_cannot_be_read_have_no_numbers(numbers_exported, pixels):
    run = tf.saved_model.load(str(numbers_exported.folder / "saved_model" / "1")).signatures["classify_bytes"]
    png = tf.io.encode_png(tf.cast(pixels[0] * 255 + 0.5, tf.uint8)).numpy()
    outputs = run(image_bytes=tf.constant([png, b"no image"]))
    assert np.isfinite(outputs["numbers"][0]).all() and np.isnan(outputs["numbers"][1]).all()


def test_a_model_whose_labels_are_all_numbers_is_exported(images, tmp_path):
    labels = Labels((numbers_export.LABELS.items[2],))
    run = numbers_export.write_run(tmp_path / "run", numbers_export.made_up(labels))
    manifest = export_run(run, tmp_path / "export", Options(("onnx", "litert")), images=images)
    assert {x["name"] for x in manifest["artefacts"]} == {"encoder", "decoder", "prior", "set_labels", "swap"}


# Verifying ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("label", [0, 1])
def test_a_wrong_number_is_noticed_whatever_its_units(arrays, label, part):
    right = {"numbers": arrays["output/encoder/numbers"]}

    def spoilt(inputs):
        rows = right["numbers"][: len(inputs["image"])].copy()
        rows[:, label, part] *= 1 + 1e-4
        return {"numbers": rows}

    verify.judged("exact", "float32", lambda inputs: {"numbers": right["numbers"][: len(inputs["image"])]},
                  {"image": arrays["input/image"]}, right)  # fmt: skip
    with pytest.raises(CheckError, match="spoilt: numbers is off by"):
        verify.judged("spoilt", "float32", spoilt, {"image": arrays["input/image"]}, right)


@pytest.mark.parametrize(("deviations", "share"), [(0.9, 1.0), (1.1, 0.75)])
def test_equal_labels_of_int8_count_numbers_within_one_deviation(arrays, deviations, share):
    right = {x: arrays[f"output/encoder/{x}"] for x in ("probabilities", "numbers")}

    def moved(inputs):
        rows = {name: x[: len(inputs["image"])].copy() for name, x in right.items()}
        rows["numbers"][:, 0, 0] += deviations * rows["numbers"][:, 0, 1]
        return rows

    assert verify.agreement(moved, {"image": arrays["input/image"]}, right) == share
