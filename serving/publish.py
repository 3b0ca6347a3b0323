"""Publishing an export for TensorFlow Serving: `prepare`, and `set_label` to go forward and back between versions.

MODEL_BASE/
  models.config          which models, versions and labels the server offers
  ccvae/1/ ccvae/2/      versions, each complete from the moment it has its name
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow_serving.apis import model_pb2, predict_pb2, prediction_log_pb2
from tensorflow_serving.config import file_system_storage_path_source_pb2, model_server_config_pb2

from export.errors import CheckError, ExportError
from export.manifest import file_entry, read_manifest
from serving.errors import PublishError
from tf_ccvae.support.errors import failed_write, reason
from tf_ccvae.support.files import write_text

CONFIG = "models.config"
WARM_UP = Path("assets.extra") / "tf_serving_warmup_requests"
NAME = "ccvae"
MOUNT = PurePosixPath("/models")  # where the server's container sees MODEL_BASE
HEADER = "# Written by python -m serving prepare and label; the server reads it again while it runs.\n"
Policy = file_system_storage_path_source_pb2.FileSystemStoragePathSourceConfig.ServableVersionPolicy


def prepare(
    export: Path,
    base: Path,
    label: tuple[str, int] | None = None,
    name: str = NAME,
    force: bool = False,
    mount: PurePosixPath = MOUNT,
) -> Path:
    """Publishes the SavedModel of an export.

    Args:
      export: folder that `python -m export` has made.
      base: folder of all models of the server; made if it is not there.
      label: a version label and the version that it then names.
      name: of the model.
      force: publish a version that is older than a published one, or is published already, too.
      mount: where the server sees `base`.

    Returns:
      The folder of the published version.

    Raises:
      PublishError: the export is incomplete or damaged, its version is not new, the label names a version that is not
        there, or the folder cannot be written. Nothing is published then.
    """
    version, source = _source(export)
    if not name or name.startswith(".") or "/" in name or ":" in name:
        raise PublishError(f"--name: must be a plain name, got {name!r}")
    model = base / name
    newest = max(versions(model), default=0)
    if version <= newest and not force:
        raise PublishError(f"{model}: holds version {newest} already, the export is {version}; --force publishes it")
    config = _read_config(base)
    if label is not None:
        _check_label(label, versions(model) | {version}, model)
    try:
        with _partial(model, version) as folder:
            shutil.copytree(source, folder, dirs_exist_ok=True)
            write_warm_up(folder, name)
            _put(folder, model / str(version))
        _write_config(base, _with_model(config, model, mount, label))
    except (OSError, tf.errors.OpError) as error:
        raise _not_written(error, base) from error
    return model / str(version)


def set_label(base: Path, label: tuple[str, int], name: str = NAME, mount: PurePosixPath = MOUNT) -> None:
    """Lets a version label name another published version: a roll-back, or the way forward again.

    Args:
      base: folder of all models of the server.
      label: the label and the version.
      name: of the model.
      mount: where the server sees `base`.

    Raises:
      PublishError: the version is not published, or the configuration cannot be read or written.
    """
    _check_label(label, versions(base / name), base / name)
    try:
        _write_config(base, _with_model(_read_config(base), base / name, mount, label))
    except OSError as error:
        raise _not_written(error, base) from error


def versions(model: Path) -> set[int]:
    """Numbers of the versions in the folder of a model."""
    return {int(x.name) for x in model.iterdir() if x.name.isdigit()} if model.is_dir() else set()


# Warm-up --------------------------------------------------------------------------------------------------------------


def write_warm_up(folder: Path, name: str) -> None:
    """Writes one request per signature that takes inputs, after each has been answered by the signature.

    A signature without inputs gets none: a server with batching cannot run it, and would refuse the whole version.

    Args:
      folder: of the SavedModel.
      name: of the model.

    Raises:
      PublishError: a signature does not answer, or with numbers that are not finite.
    """
    logs = [
        prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
        for request in warm_up_requests(folder, name)
    ]
    replay(folder, [x.predict_log.request for x in logs])
    path = folder / WARM_UP
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())


def warm_up_requests(folder: Path, name: str) -> list[predict_pb2.PredictRequest]:
    """One request of one row for each signature of a SavedModel that takes inputs."""
    graph = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs[0]
    requests = []
    for key, signature in sorted(graph.signature_def.items()):
        if signature.inputs:
            request = predict_pb2.PredictRequest(model_spec=model_pb2.ModelSpec(name=name, signature_name=key))
            for alias, info in signature.inputs.items():
                request.inputs[alias].CopyFrom(tf.make_tensor_proto(_row(info)))
            requests.append(request)
    return requests


def replay(folder: Path, requests: list[predict_pb2.PredictRequest]) -> None:
    """Answers requests with the signatures of a SavedModel.

    Raises:
      PublishError: a signature does not answer, or with numbers that are not finite.
    """
    loaded = tf.saved_model.load(str(folder))
    for request in requests:
        key = request.model_spec.signature_name
        inputs = {alias: tf.constant(tf.make_ndarray(proto)) for alias, proto in request.inputs.items()}
        try:
            outputs = loaded.signatures[key](**inputs)
        except (tf.errors.OpError, TypeError, ValueError) as error:
            raise PublishError(f"{folder.name}: signature {key} does not answer: {error}") from error
        if not all(bool(tf.reduce_all(tf.math.is_finite(x))) for x in outputs.values() if x.dtype.is_floating):
            raise PublishError(f"{folder.name}: signature {key} answers numbers that are not finite")


def _row(info: meta_graph_pb2.TensorInfo) -> np.ndarray:
    """One row for an input: zeros, or a black picture in the place of a file."""
    dtype = tf.as_dtype(info.dtype)
    if dtype == tf.string:
        return np.array([tf.io.encode_png(np.zeros((8, 8, 1), np.uint8)).numpy()], object)
    return np.zeros([1, *(x.size for x in info.tensor_shape.dim[1:])], dtype.as_numpy_dtype)


# Files ----------------------------------------------------------------------------------------------------------------


def _source(export: Path) -> tuple[int, Path]:
    """Version and folder of the SavedModel in an export whose files are as they were written."""
    try:
        manifest = read_manifest(export)
    except (ExportError, CheckError) as error:
        raise PublishError(str(error)) from error
    version = int(manifest["version"])
    files = {name: entry for name, entry in manifest["files"].items() if name.startswith(f"saved_model/{version}/")}
    if not files:
        raise PublishError(f"{export}: holds no SavedModel; export with --formats saved_model")
    for name, entry in files.items():
        if not (export / name).is_file() or file_entry(export / name) != entry:
            raise PublishError(f"{export / name}: missing, or not the file that was exported; export again")
    return version, export / "saved_model" / str(version)


@contextlib.contextmanager
def _partial(model: Path, version: int) -> Iterator[Path]:
    """A folder beside the versions, with a name that the server takes for none."""
    model.mkdir(parents=True, exist_ok=True)
    folder = model / f".{version}.partial"
    try:
        folder.mkdir()
    except FileExistsError:
        raise PublishError(f"{folder}: half-published; wait if somebody is at work, else remove it") from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _put(folder: Path, place: Path) -> None:
    """Gives a finished version its name, in one step; one that is there already goes first."""
    if place.exists():
        old = place.with_name(f".{place.name}.old")
        os.rename(place, old)
        os.rename(folder, place)
        shutil.rmtree(old)
    else:
        os.rename(folder, place)


def _not_written(error: Exception, base: Path) -> PublishError:
    """What went wrong, in the words of the operating system, also of errors of TensorFlow's writers."""
    system = error if isinstance(error, OSError) else failed_write(error)
    if system is None:
        return PublishError(f"{base}: cannot be written ({error})")
    return PublishError(f"{system.filename or base}: {reason(system)}")


# Configuration --------------------------------------------------------------------------------------------------------


def _check_label(label: tuple[str, int], there: set[int], model: Path) -> None:
    if label[1] not in there:
        listed = ", ".join(map(str, sorted(there))) or "none"
        raise PublishError(f"--label: {label[0]}={label[1]}: {model} has no such version; published: {listed}")


def _read_config(base: Path) -> model_server_config_pb2.ModelServerConfig:
    path = base / CONFIG
    config = model_server_config_pb2.ModelServerConfig()
    if path.is_file():
        try:
            text_format.Parse(path.read_text(encoding="utf-8"), config)
        except text_format.ParseError as error:
            raise PublishError(f"{path}: not a model server configuration ({error})") from error
    return config


def _with_model(
    config: model_server_config_pb2.ModelServerConfig,
    model: Path,
    mount: PurePosixPath,
    label: tuple[str, int] | None,
) -> model_server_config_pb2.ModelServerConfig:
    """The configuration with the model in it and every version of its folder loaded.

    The server refuses a configuration that moves a label to a version that is not AVAILABLE, and applies nothing of it.
    With all versions loaded, whatever the configuration, it finds a new one by itself, and applies the move afterwards.

    Raises:
      PublishError: a label moves, but a server that has read the file up to now may not load its new version. The file
        then says that all are to be loaded, and nothing else of it is changed.
    """
    models = config.model_config_list.config
    entry = next((x for x in models if x.name == model.name), None) or models.add(name=model.name)
    all_loaded = entry.model_version_policy.WhichOneof("policy_choice") == "all"
    entry.base_path = str(mount / model.name)
    entry.model_platform = "tensorflow"
    entry.model_version_policy.CopyFrom(Policy(all=Policy.All()))
    moves = label is not None and entry.version_labels.get(label[0], label[1]) != label[1]
    if label is not None and moves and not all_loaded:
        _write_config(model.parent, config)
        raise PublishError(
            f"{model.parent / CONFIG}: lets the server load all versions now; once its status says that version "
            f"{label[1]} is AVAILABLE, do this again: python -m serving label {model.parent} {label[0]}={label[1]}"
        )
    if label is not None:
        entry.version_labels[label[0]] = label[1]
    there = versions(model)
    for key in [key for key, version in entry.version_labels.items() if version not in there]:
        del entry.version_labels[key]  # somebody removed the version
    return config


def _write_config(base: Path, config: model_server_config_pb2.ModelServerConfig) -> None:
    write_text(base / CONFIG, HEADER + text_format.MessageToString(config))
