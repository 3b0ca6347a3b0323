"""The SavedModel: every signature, weights once, nothing that needs Python."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from export import runtimes
from export.errors import CheckError
from export.saved_model import operations
from tests.turned import TURNED, picture_file

SIGNATURES = {
    "serving_default": ({"image"}, {"probabilities", "logits"}),
    "classify": ({"image"}, {"probabilities", "logits"}),
    "encode": ({"image"}, {"loc", "scale", "probabilities"}),
    "decode": ({"latents"}, {"image"}),
    "reconstruct": ({"image"}, {"reconstruction"}),
    "generate": ({"labels", "mask", "seed"}, {"image", "latents"}),
    "set_labels": ({"image", "labels", "mask"}, {"edited"}),
    "swap": ({"image", "donor_image", "mask"}, {"swapped"}),
    "classify_bytes": ({"image_bytes"}, {"probabilities", "logits", "decoded"}),
    "describe": (
        set(),
        {"label_names", "label_kinds", "label_latents", "image_shape", "version", "ccvae_json"},
    ),
    "describe_rows": ({"row"}, {"ccvae_json"}),
}


@pytest.fixture(scope="module")
def loaded(exported):
    return tf.saved_model.load(str(exported.folder / "saved_model" / "1"))


def test_signatures_are_those_that_are_promised(loaded):
    found = {
        name: (set(signature.structured_input_signature[1]), set(signature.structured_outputs))
        for name, signature in loaded.signatures.items()
    }
    assert found == SIGNATURES


def test_batches_of_any_size_run_and_serving_default_is_classify(loaded, pixels):
    whole = loaded.signatures["classify"](image=tf.constant(pixels))["logits"]
    for size in (1, 5, 64):
        part = loaded.signatures["serving_default"](image=tf.constant(pixels[:size]))["logits"]
        np.testing.assert_allclose(part, whole[:size], atol=1e-5)


def rows_of(signature, count):
    """Zeros, or nothing in the place of files, for every input of a signature."""
    return {
        name: tf.zeros([count, *spec.shape[1:]], spec.dtype)
        for name, spec in signature.structured_input_signature[1].items()
    }


@pytest.mark.parametrize("name", sorted(set(SIGNATURES) - {"describe"}))
def test_inputs_of_another_rank_or_size_are_refused(loaded, name):
    signature = loaded.signatures[name]
    for key, rows in (good := rows_of(signature, 2)).items():
        shape = rows.shape.as_list()
        wrong = [[], [*shape, 1], *([[2], [2, *(2 * x for x in shape[1:])]] if len(shape) > 1 else [])]
        for bad in wrong + ([[3, *shape[1:]]] if len(good) > 1 else []):
            with pytest.raises(tf.errors.InvalidArgumentError):
                signature(**{**good, key: tf.zeros(bad, rows.dtype)})


@pytest.mark.parametrize("name", sorted(set(SIGNATURES) - {"describe"}))
def test_no_rows_give_no_rows(loaded, name):
    outputs = loaded.signatures[name](**rows_of(loaded.signatures[name], 0))
    assert {len(x) for x in outputs.values()} == {0} and set(outputs) == SIGNATURES[name][1]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "file", ["saved_model/1", "onnx/encoder.onnx", "onnx/encoder.int8.onnx", "litert/encoder.tflite"]
)
def test_a_picture_with_a_pixel_that_is_no_number_gives_no_numbers_and_others_do(exported, pixels, file, bad):
    run = {
        "1": lambda path: runtimes.saved_model_runners(path)["encode"],
        "onnx": runtimes.onnx_runner,
        "tflite": runtimes.litert_runner,
    }[file.rpartition("." if "." in file else "/")[2]](exported.folder / file)
    images = pixels[:3].copy()
    images[1, 4, 4] = bad
    for output in run({"image": images}).values():
        assert [np.isnan(row).all() for row in output] == [False, True, False]


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_every_label_of_8_pictures_each_stored_turned_another_way_is_that_of_the_upright_ones(
    loaded, tiny, pixels, kind
):
    upright = loaded.signatures["classify"](image=tf.constant(pixels[:8]))["probabilities"].numpy()
    images = zip(tiny.test.images[:8], (1, *TURNED), strict=True)
    files = [picture_file(Image.fromarray(image[..., 0]), kind, orientation) for image, orientation in images]
    turned = loaded.signatures["classify_bytes"](image_bytes=tf.constant(files))["probabilities"].numpy()
    np.testing.assert_array_equal(turned.argmax(-1), upright.argmax(-1))
    np.testing.assert_allclose(turned, upright, atol=1e-5 if kind == "PNG" else 0.1)


def test_describe_says_what_the_labels_and_images_are(loaded, exported):
    said = {name: value.numpy().tolist() for name, value in loaded.signatures["describe"]().items()}
    assert said["label_names"] == [b"Top", b"Bright"] and said["label_kinds"] == [b"binary"] * 2
    assert said["label_latents"] == [[0, 2], [2, 4]] and said["image_shape"] == [28, 28, 1] and said["version"] == [1]
    assert json.loads(said["ccvae_json"][0]) == json.loads((exported.folder / "ccvae.json").read_text())
    rows = loaded.signatures["describe_rows"](row=tf.zeros(3, tf.int32))["ccvae_json"].numpy().tolist()
    assert rows == said["ccvae_json"] * 3


def test_no_matrix_is_repeated_over_a_batch_in_a_product(exported):
    """TensorFlow Serving would compute it by the kernel that overwrites memory; see `label_model.product`."""
    found = operations(exported.folder / "saved_model" / "1")
    assert "MatMul" in found and not {name for name in found if "BatchMatMul" in name}


def test_sidecar_is_among_the_extra_assets(exported):
    extra = exported.folder / "saved_model" / "1" / "assets.extra" / "ccvae.json"
    assert json.loads(extra.read_text()) == json.loads((exported.folder / "ccvae.json").read_text())


def test_weights_are_stored_once(exported, model):
    used = (model.encoder, model.posterior_head, model.decoder, model.label_distributions)
    size = sum(4 * np.size(weight) for part in used for weight in part.get_weights())
    stored = (exported.folder / "saved_model" / "1" / "variables" / "variables.data-00000-of-00001").stat().st_size
    assert size <= stored < 1.2 * size


def test_no_operation_calls_python(exported):
    found = operations(exported.folder / "saved_model" / "1")
    assert "Conv2D" in found and not found & set(runtimes.PYTHON_CALLS)


def test_a_graph_that_calls_python_is_refused(tmp_path):
    module = tf.Module()
    module.call = tf.function(
        lambda image: {"y": tf.ensure_shape(tf.py_function(lambda x: x + 1, [image], tf.float32), [None])},
        input_signature=[tf.TensorSpec((None,), name="image")],
    )
    tf.saved_model.save(module, str(tmp_path / "1"), signatures={"classify": module.call.get_concrete_function()})
    with pytest.raises(CheckError, match="calls Python: EagerPyFunc"):
        runtimes.saved_model_runners(tmp_path / "1")
