"""Smaller ONNX files: weights in float16, and the encoder in int8."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.errors import ExportError
from export.onnx import check, drop_unused_domains

SMALLEST = 256  # numbers in a weight that is worth storing in float16,
SHARE = 1 / 16  # and how many of the largest weight's; of the default encoder, 5 % of the file for a sixth of the error
LARGEST = float(np.finfo(np.float16).max)


def float16_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model with its larger weights stored in float16 and cast to float32 where they are used.

    Raises:
      ExportError: a weight is too large for float16.
    """
    small = onnx.ModelProto.FromString(model.SerializeToString())
    weights = [(x, numpy_helper.to_array(x)) for x in small.graph.initializer]
    largest = max((values.size for _, values in weights), default=0)
    casts = []
    for weight, values in weights:
        if values.dtype != np.float32 or values.size < max(SMALLEST, SHARE * largest):
            continue
        if np.abs(values).max() > LARGEST:
            raise ExportError(f"--float16: a weight of {np.abs(values).max():g} does not fit; leave out --float16")
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}:float16"))
        casts.append(helper.make_node("Cast", [f"{name}:float16"], [name], f"{name}:cast", to=TensorProto.FLOAT))
    nodes = [*casts, *small.graph.node]
    del small.graph.node[:]
    small.graph.node.extend(nodes)
    check(small)
    return small


def int8_encoder(encoder: Path, images: np.ndarray, to: Path) -> None:
    """Quantises the encoder's convolutions and matrix products, with activations calibrated on real images.

    Static, with QuantizeLinear and DequantizeLinear nodes: activations uint8, weights int8 per channel in a range of 7
    bits, so that no CPU's int16 accumulators overflow.

    Args:
      encoder: the ONNX file in float32.
      images: float32 training images in the file's layout.
      to: where to write.
    """
    from onnxruntime import quantization

    class Images(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.left: Iterator[dict[str, np.ndarray]] = iter([{"image": part} for part in np.array_split(images, 8)])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.left, None)

    model = onnx.load(encoder)
    prepared = to.with_suffix(".prepared")
    quantization.quant_pre_process(str(encoder), str(prepared), skip_symbolic_shape=True)
    quantization.quantize_static(
        str(prepared),
        str(to),
        Images(),
        quant_format=quantization.QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "MatMul", "Gemm"],
        nodes_to_exclude=_of_posterior(model),
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
    )
    prepared.unlink()
    quantised = onnx.load(to)
    helper.set_model_props(quantised, {x.key: x.value for x in model.metadata_props})
    drop_unused_domains(quantised)
    quantised.doc_string = f"{model.doc_string}; int8"
    check(quantised)
    onnx.save(quantised, to)


def _of_posterior(model: onnx.ModelProto) -> list[str]:
    """Names of the matrix products behind the features: they are small, and their results, the latents, stay exact."""
    return [x.name for x in model.graph.node if x.op_type in ("MatMul", "Gemm") and not x.name.startswith("encoder")]
