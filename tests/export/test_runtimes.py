"""Every runtime that the README names really runs the exported files, on the same images, to the same numbers."""

import functools

import numpy as np
import pytest

from export import runtimes

LIMIT = {"float32": 1e-5, "float16": 5e-3}
SIGNED = {  # what goes in and comes out
    "encoder": (("image",), ("loc", "scale", "probabilities", "logits")),
    "decoder": (("latents",), ("image",)),
    "prior": (("labels", "mask", "noise"), ("latents",)),
    "set_labels": (("latents", "labels", "mask"), ("edited_latents",)),
    "swap": (("latents", "donor_latents", "mask"), ("swapped_latents",)),
}
FILES = [*SIGNED, "encoder.float16", "decoder.float16"]
NETWORKS = ["encoder", "decoder", "encoder.float16", "decoder.float16"]


def inputs_of(exported, name, size):
    arrays = exported.arrays
    return {x: arrays[f"input/{x}"][:size] for x in SIGNED[name.partition(".")[0]][0]}


def agrees(exported, name, results):
    """Checks results by output name against Keras."""
    graph, _, precision = name.partition(".")
    arrays = exported.arrays
    for output, result in results.items():
        expected = arrays[f"output/{graph}/{output}"][: len(result)]
        limit = LIMIT[precision or "float32"]
        np.testing.assert_allclose(result, expected, atol=limit, rtol=limit, err_msg=f"{name} {output}")


# A file is read once, and the same reader then runs batches of every size.


@functools.cache
def in_onnxruntime(file):
    return runtimes.onnx_runner(file)


@functools.cache
def in_litert(file):
    return runtimes.litert_runner(file)


@functools.cache
def in_openvino(file):
    import openvino

    return openvino.Core().compile_model(str(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


@functools.cache
def in_opencv(file):
    import cv2

    return cv2.dnn.readNetFromONNX(str(file))


@pytest.mark.parametrize("size", [1, 5, 64])
@pytest.mark.parametrize("name", FILES)
def test_onnxruntime(exported, name, size):
    run = in_onnxruntime(exported.folder / "onnx" / f"{name}.onnx")
    agrees(exported, name, run(inputs_of(exported, name, size)))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_reference_of_onnx_itself(exported, name):
    from onnx.reference import ReferenceEvaluator

    outputs = SIGNED[name.partition(".")[0]][1]
    evaluator = ReferenceEvaluator(str(exported.folder / "onnx" / f"{name}.onnx"))
    agrees(exported, name, dict(zip(outputs, evaluator.run(outputs, inputs_of(exported, name, 1)), strict=True)))


@pytest.mark.parametrize("size", [1, 64])
@pytest.mark.parametrize("name", FILES)
def test_openvino(exported, name, size):
    outputs = SIGNED[name.partition(".")[0]][1]
    results = in_openvino(exported.folder / "onnx" / f"{name}.onnx")(inputs_of(exported, name, size))
    agrees(exported, name, {x: results[x] for x in outputs})


@pytest.mark.parametrize("size", [1, 64])
@pytest.mark.parametrize("name", NETWORKS)
def test_opencv(exported, name, size):
    outputs = SIGNED[name.partition(".")[0]][1]
    network = in_opencv(exported.folder / "onnx" / f"{name}.onnx")
    for key, rows in inputs_of(exported, name, size).items():
        network.setInput(rows, key)
    agrees(exported, name, dict(zip(outputs, network.forward(outputs), strict=True)))


@pytest.mark.parametrize("size", [1, 64])
@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_litert(exported, name, size):
    run = in_litert(exported.folder / "litert" / f"{name}.tflite")
    results = run(inputs_of(exported, name, size))
    assert set(results) == set(SIGNED[name][1])
    agrees(exported, name, results)
