"""A model repository for Triton Inference Server, and for KServe on top of it, of the ONNX files of an export.

DIR/ccvae_encoder/{config.pbtxt, 1/model.onnx}, and the same for decoder, prior, set_labels and swap.
"""

import os
import shutil
from pathlib import Path

import onnx

from export.errors import CheckError, ExportError
from export.manifest import file_entry, read_manifest
from serving.errors import PublishError
from tf_ccvae.support.errors import reason

MAX_BATCH = 64
DELAY = 2000  # microseconds that a request waits for others


def write(export: Path, to: Path, prefix: str = "ccvae") -> list[Path]:
    """Writes the repository: the ONNX models in float32, in the version of the export.

    Args:
      export: folder that `python -m export` has made.
      to: the repository; made if it is not there.
      prefix: what the names of the models start with.

    Returns:
      The folders of the models.

    Raises:
      PublishError: the export is damaged or has no ONNX files, the version is there already, or `to` cannot be written.
    """
    try:
        manifest = read_manifest(export)
    except (ExportError, CheckError) as error:
        raise PublishError(str(error)) from error
    artefacts = [x for x in manifest["artefacts"] if x["format"] == "onnx" and x["precision"] == "float32"]
    if not artefacts:
        raise PublishError(f"{export}: holds no ONNX files; export with --formats onnx")
    folders = []
    for artefact in artefacts:
        source = export / artefact["path"]
        if not source.is_file() or file_entry(source) != manifest["files"][artefact["path"]]:
            raise PublishError(f"{source}: missing, or not the file that was exported; export again")
        folder = to / f"{prefix}_{artefact['name']}"
        try:
            _put(source, folder, str(manifest["version"]))
        except OSError as error:
            raise PublishError(f"{error.filename or to}: {reason(error)}") from error
        folders.append(folder)
    return folders


def configuration(name: str, model: onnx.ModelProto) -> str:
    """config.pbtxt of a model; the first dimension, the batch, is Triton's own."""
    inputs = ",\n".join(_value(x) for x in model.graph.input)
    outputs = ",\n".join(_value(x) for x in model.graph.output)
    return "\n".join(
        [
            f'name: "{name}"',
            'backend: "onnxruntime"',
            f"max_batch_size: {MAX_BATCH}",
            f"input [\n{inputs}\n]",
            f"output [\n{outputs}\n]",
            f"dynamic_batching {{ max_queue_delay_microseconds: {DELAY} }}",
            "instance_group [ { count: 1, kind: KIND_AUTO } ]",
            "",
        ]
    )


def _put(source: Path, folder: Path, version: str) -> None:
    if (folder / version).exists():
        raise PublishError(f"{folder}: holds version {version} already; choose another folder, or remove it")
    partial = folder / f".{version}.partial"
    partial.mkdir(parents=True)
    shutil.copyfile(source, partial / "model.onnx")
    (folder / "config.pbtxt").write_text(configuration(folder.name, onnx.load(source)), encoding="utf-8")
    os.rename(partial, folder / version)


def _value(value: onnx.ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    dtype = onnx.TensorProto.DataType.Name(tensor.elem_type)
    kind = "TYPE_" + {"FLOAT": "FP32"}.get(dtype, dtype)
    dims = ", ".join(str(x.dim_value) for x in tensor.shape.dim[1:])
    return f'  {{ name: "{value.name}", data_type: {kind}, dims: [ {dims} ] }}'
