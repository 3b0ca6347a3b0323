"""ONNX: one file per line of the table, opset 18, checked in full before anybody sees it."""

import json
import logging

import onnx
import tf2onnx

from export.errors import CheckError
from export.signatures import Signature
from tf_ccvae.support.files import JsonObject

OPSET = 18
BATCH = "batch"  # name of the first dimension


def convert(signature: Signature, description: JsonObject) -> onnx.ModelProto:
    """One line of the table as an ONNX model.

    Args:
      signature: what to convert.
      description: content of ccvae.json; goes into the metadata.

    Raises:
      CheckError: the result is not valid ONNX.
    """
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    inputs = list(signature.inputs)
    model, _ = tf2onnx.convert.from_function(signature.traced(), input_signature=inputs, opset=OPSET)
    _drop_empty_unsqueezes(model)
    _name_batches(model)
    _order_outputs(model, signature.outputs)
    drop_unused_domains(model)
    model.graph.name = signature.name
    model.doc_string = signature.documentation
    onnx.helper.set_model_props(model, metadata(description))
    check(model)
    return model


def metadata(description: JsonObject) -> dict[str, str]:
    """Metadata of every file: JSON text by key, `ccvae` holds all of ccvae.json."""
    return {
        "label_names": json.dumps([x["name"] for x in description["labels"]]),
        "label_latents": json.dumps([x["latents"] for x in description["labels"]]),
        "style_latents": json.dumps(description["style"]),
        "image_range": json.dumps(description["image"]["range"]),
        "image_layout": description["image"]["layout"],
        "run_sha256": description["run"]["sha256"],
        "version": str(description["version"]),
        "ccvae": json.dumps(description),
    }


def check(model: onnx.ModelProto) -> None:
    """Checks all that the format asks for, with inferred types and shapes.

    Raises:
      CheckError: the model is not valid ONNX.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError as error:
        raise CheckError(f"{model.graph.name}: not valid ONNX: {error}") from error


def drop_unused_domains(model: onnx.ModelProto) -> None:
    """Removes sets of operators that a file declares and has no node of: a runtime may refuse what it does not know."""
    used = {"", *(node.domain for node in model.graph.node)}
    kept = [x for x in model.opset_import if x.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def _drop_empty_unsqueezes(model: onnx.ModelProto) -> None:
    """Removes Unsqueeze nodes without axes, which the converter makes of einsum, and which OpenVINO does not read."""
    empty = {x.name for x in model.graph.initializer if list(x.dims) == [0]}
    idle = [x for x in model.graph.node if x.op_type == "Unsqueeze" and x.input[1] in empty]
    source = {x.output[0]: x.input[0] for x in idle}
    for node in idle:
        model.graph.node.remove(node)
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            while name in source:
                name = source[name]
                node.input[i] = name
    used = {name for node in model.graph.node for name in node.input}
    for initializer in [x for x in model.graph.initializer if x.name in empty - used]:
        model.graph.initializer.remove(initializer)


def _name_batches(model: onnx.ModelProto) -> None:
    """Names the first dimension of inputs and outputs; the converter leaves made-up names, or none.

    Dimensions inside the graph keep none: they follow from the inputs."""
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH


def _order_outputs(model: onnx.ModelProto, names: tuple[str, ...]) -> None:
    """Puts outputs in the order of the table; the converter sorts them by name."""
    by_name = {x.name: x for x in model.graph.output}
    ordered = [onnx.ValueInfoProto.FromString(by_name[name].SerializeToString()) for name in names]
    del model.graph.output[:]
    model.graph.output.extend(ordered)
