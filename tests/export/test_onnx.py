"""ONNX files: valid, of the promised form, and smaller where that was asked for."""

import hashlib
import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from export import compress
from export import onnx as onnx_format
from export.errors import CheckError, ExportError

FORMS = {
    "encoder": (["image"], ["loc", "scale", "probabilities", "logits"]),
    "decoder": (["latents"], ["image"]),
    "prior": (["labels", "mask", "noise"], ["latents"]),
    "set_labels": (["latents", "labels", "mask"], ["edited_latents"]),
    "swap": (["latents", "donor_latents", "mask"], ["swapped_latents"]),
    "encoder.float16": (["image"], ["loc", "scale", "probabilities", "logits"]),
    "decoder.float16": (["latents"], ["image"]),
    "encoder.int8": (["image"], ["loc", "scale", "probabilities", "logits"]),
}


def test_there_is_a_file_for_every_use_on_latents(exported):
    assert {x.stem for x in (exported.folder / "onnx").iterdir()} == set(FORMS)


@pytest.mark.parametrize("name", FORMS)
def test_files_are_valid_of_opset_18_with_named_batches(exported, name):
    model = onnx.load(exported.folder / "onnx" / f"{name}.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [(x.domain, x.version) for x in model.opset_import] == [("", 18)]
    inputs, outputs = FORMS[name]
    assert [x.name for x in model.graph.input] == inputs and [x.name for x in model.graph.output] == outputs
    for value in (*model.graph.input, *model.graph.output):
        first, *others = value.type.tensor_type.shape.dim
        assert first.dim_param == "batch" and all(x.dim_value for x in others)
    assert all(x.type.tensor_type.elem_type == TensorProto.FLOAT for x in model.graph.output)


@pytest.mark.parametrize("name", FORMS)
def test_metadata_say_what_the_file_is(exported, name):
    model = onnx.load(exported.folder / "onnx" / f"{name}.onnx")
    said = {x.key: x.value for x in model.metadata_props}
    assert json.loads(said["label_names"]) == ["Top", "Bright"]
    assert json.loads(said["label_latents"]) == [[0, 2], [2, 4]] and json.loads(said["style_latents"]) == [4, 6]
    assert json.loads(said["image_range"]) == [0, 1] and said["image_layout"] == "nhwc" and said["version"] == "1"
    assert said["run_sha256"] == hashlib.sha256((exported.run / "model.keras").read_bytes()).hexdigest()
    assert json.loads(said["ccvae"]) == json.loads((exported.folder / "ccvae.json").read_text())
    assert model.doc_string


def test_float16_files_hold_their_large_weights_in_float16(exported):
    for name in ("encoder", "decoder"):
        whole = onnx.load(exported.folder / "onnx" / f"{name}.onnx")
        half = onnx.load(exported.folder / "onnx" / f"{name}.float16.onnx")
        weights = [x for x in whole.graph.initializer if x.data_type == TensorProto.FLOAT]
        least = max(compress.SMALLEST, compress.SHARE * max(np.prod(x.dims) for x in weights))
        large = [x for x in weights if np.prod(x.dims) >= least]
        stored = {tuple(x.dims) for x in half.graph.initializer if x.data_type == TensorProto.FLOAT16}
        assert large and stored == {tuple(x.dims) for x in large}
        assert not [x for x in half.graph.initializer if np.prod(x.dims) >= least and x.data_type == TensorProto.FLOAT]


def test_int8_encoder_holds_convolutions_in_int8(exported):
    model = onnx.load(exported.folder / "onnx" / "encoder.int8.onnx")
    weights = [x for x in model.graph.initializer if x.data_type == TensorProto.INT8 and len(x.dims) == 4]
    assert len(weights) == 3
    assert max(np.abs(numpy_helper.to_array(x)).max() for x in weights) <= 64  # 7 bits


def one_node(operation, weight):
    node = helper.make_node(operation, ["x", "w"], ["y"])
    shape = [helper.make_tensor_value_info(x, TensorProto.FLOAT, ["batch", len(weight)]) for x in "xy"]
    graph = helper.make_graph([node], "graph", shape[:1], shape[1:], [numpy_helper.from_array(weight, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def test_a_weight_beyond_float16_is_refused():
    with pytest.raises(ExportError, match="--float16: a weight of 1e"):
        compress.float16_weights(one_node("MatMul", np.full((16, 16), 1e6, np.float32)))


def test_an_operation_that_onnx_lacks_is_found():
    with pytest.raises(CheckError, match="graph: not valid ONNX: No Op registered for BroadcastArgs"):
        onnx_format.check(one_node("BroadcastArgs", np.ones((2, 2), np.float32)))
