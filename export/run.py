"""`export_run`: a run directory in, verified artefacts out, all of them or none."""

import contextlib
import hashlib
import importlib.metadata
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from export import FORMATS, LAYOUTS, verify
from export.errors import ExportError
from tf_ccvae import __version__
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.support.errors import failed_write, reason
from tf_ccvae.support.files import write_json
from tf_ccvae.support.packages import is_missing, missing_package
from tf_ccvae.training import run_directory

NEEDED = {  # modules that write and check a format
    "saved_model": ("tensorflow",),
    "onnx": ("onnx", "tf2onnx", "onnxruntime"),
    "litert": ("tensorflow", "ai_edge_litert"),
}
PACKAGES = ("tensorflow", "keras", "numpy", "onnx", "tf2onnx", "onnxruntime", "ai-edge-litert")
PARTIAL = ".partial"  # folder in which an export stands until all of it is verified


@dataclass(frozen=True)
class Options:
    """What to export.

    Args:
      formats: some of `FORMATS`.
      layout: of images, 'nhwc' or 'nchw'.
      float16: also ONNX encoder and decoder with weights in float16.
      int8_encoder: also the ONNX encoder in int8.
      version: number of the SavedModel's folder; None for the next free one.

    Raises:
      ExportError: a format is unknown or cannot be written here, or an option lacks its format.
    """

    formats: tuple[str, ...] = FORMATS
    layout: str = "nhwc"
    float16: bool = False
    int8_encoder: bool = False
    version: int | None = None

    def __post_init__(self) -> None:
        if not self.formats or set(self.formats) - set(FORMATS):
            raise ExportError(f"--formats: must be some of {', '.join(FORMATS)}, got {', '.join(self.formats)}")
        if self.layout not in LAYOUTS:
            raise ExportError(f"--layout: must be nhwc or nchw, got {self.layout}")
        if self.version is not None and self.version < 1:
            raise ExportError(f"--version: must be at least 1, got {self.version}")
        for option, given in (("--float16", self.float16), ("--int8-encoder", self.int8_encoder)):
            if given and "onnx" not in self.formats:
                raise ExportError(f"{option}: makes ONNX files; add onnx to --formats")
        for name in self.formats:
            for module in filter(is_missing, NEEDED[name]):
                raise ExportError(f"--formats: {name} {missing_package(module)}")


def export_run(
    run: Path,
    to: Path,
    options: Options | None = None,
    images: Any = None,
    report: Callable[[str], None] = lambda line: None,
    places: Mapping[str, Path] | None = None,
) -> dict[str, Any]:
    """Exports the model of a run and verifies every file against Keras.

    Args:
      run: run directory of tf_ccvae.fit.
      to: folder for the artefacts; SavedModels of earlier versions in it stay, other files of an export are replaced.
      options: what to export.
      images: real images (n, height, width, channels), uint8 or float in [0, 1], to verify with and to calibrate int8
        on; by default those that the run keeps, and for int8 those of the run's data.
      report: called with one line per artefact.
      places: where the run's data are now, by `images`, `labels` and `path`, if they are elsewhere than when it ran.

    Returns:
      The content of manifest.json.

    Raises:
      ExportError: an argument cannot be used, or `to` cannot be written, as where the disk is full; nothing is left
        behind.
      CheckError: an artefact is not near enough to Keras; nothing is left behind.
      RunError, ConfigError, DataError: the run or its data cannot be read.
    """
    from export import signatures

    options = options or Options()
    to = Path(to)
    loaded, model = load(Path(run))
    version = _version(to, options.version)
    verifying, calibrating = _images(loaded, model, images, options.int8_encoder, places)
    job = _Job(
        signatures.as_float32(model),
        options,
        version,
        {
            "name": loaded.path.resolve().name,
            "sha256": hashlib.sha256(loaded.model.read_bytes()).hexdigest(),
            "tf_ccvae": __version__,
        },
        verify.checked_images(verifying, model.image_shape),
        calibrating,
        report,
    )
    try:
        with _partial(to) as folder:
            manifest = job.write(folder)
            _publish(folder, to, manifest)
    except (OSError, tf.errors.OpError) as error:
        cause = error if isinstance(error, OSError) else failed_write(error)
        if cause is None:
            raise
        why = reason(cause)
        raise ExportError(f"--to: {to} cannot be written ({why}); make room, or choose another") from error
    return manifest


def load(run: Path) -> tuple[run_directory.Run, CCVAE]:
    """A run and its model.

    Raises:
      ExportError: the model is a baseline, or its file is damaged.
      RunError: there is no run or no model.
    """
    try:
        loaded, model = run_directory.load(run)
    except (ValueError, OSError) as error:
        raise ExportError(f"{run / 'model.keras'}: not readable ({error}); train again") from error
    if not isinstance(model, CCVAE):
        raise ExportError(f"{run}: holds a {type(model).__name__}, a baseline; only CCVAE models are exported")
    return loaded, model


def _images(
    run: run_directory.Run, model: CCVAE, images: Any, calibrate: bool, places: Mapping[str, Path] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Real images to verify with, and training images to calibrate on (none unless `calibrate`)."""
    from tf_ccvae.programs.run_inputs import first_test_images, load_data, settings_of_run

    if images is not None:
        return images, verify.checked_images(images, model.image_shape)
    settings = settings_of_run(run, places)
    count = max(verify.BATCHES)
    if not calibrate:
        verifying = first_test_images(settings, count)
        return verifying, verifying[:0]
    dataset = load_data(settings)
    return np.asarray(dataset.test.images[:count]), np.asarray(dataset.train.images[: 4 * count])


def _version(to: Path, wanted: int | None) -> int:
    """The wanted version, or the next free one.

    Raises:
      ExportError: the wanted version is there already.
    """
    folder = to / "saved_model"
    there = {int(x.name) for x in folder.iterdir() if x.name.isdigit()} if folder.is_dir() else set()
    if (to / verify.MANIFEST).is_file():
        there.add(int(verify.read_manifest(to)["version"]))
    if wanted in there:
        raise ExportError(f"--version: {to} holds version {wanted} already; choose another, or leave it out")
    return max(there, default=0) + 1 if wanted is None else wanted


@contextlib.contextmanager
def _partial(to: Path) -> Iterator[Path]:
    """A folder to write in, below `to`; when the block ends it goes, and if the block fails so does what held it.

    Raises:
      ExportError: it cannot be made, or another export has left it there or is at work.
    """
    made = next((x for x in (*reversed(to.parents), to) if not x.exists()), None)
    folder = to / PARTIAL
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        if folder.is_dir():
            raise ExportError(f"{folder}: a half-written export; wait if one is at work, else remove it") from None
        raise ExportError(f"--to: {to} is not a folder; choose another") from None
    except OSError as error:
        raise ExportError(f"--to: {to} cannot be written ({error.strerror}); choose another") from error
    try:
        yield folder
    except BaseException:
        shutil.rmtree(made or folder, ignore_errors=True)
        raise
    shutil.rmtree(folder)


def _publish(folder: Path, to: Path, manifest: dict[str, Any]) -> None:
    """Moves a verified export to its place; the manifest goes last, so that without it the export is half-written."""
    (to / verify.MANIFEST).unlink(missing_ok=True)
    for name in ("onnx", "litert"):
        shutil.rmtree(to / name, ignore_errors=True)
    if (folder / "saved_model").is_dir():
        (to / "saved_model").mkdir(exist_ok=True)
        version = str(manifest["version"])
        os.rename(folder / "saved_model" / version, to / "saved_model" / version)
        (folder / "saved_model").rmdir()
    for path in sorted(folder.iterdir()):
        os.replace(path, to / path.name)
    write_json(to / verify.MANIFEST, manifest)


@dataclass(frozen=True)
class _Job:
    """One export: `write` makes all artefacts in a folder and verifies them."""

    model: CCVAE
    options: Options
    version: int
    run: dict[str, Any]
    verifying: np.ndarray
    calibrating: np.ndarray
    report: Callable[[str], None]

    def write(self, folder: Path) -> dict[str, Any]:
        """Writes and verifies all artefacts; returns the manifest."""
        from export import sidecar, signatures

        table = tuple(
            x for x in signatures.table(self.model, self.options.layout) if set(x.formats) & set(self.options.formats)
        )
        description = sidecar.describe(
            self.model, table, self.options.layout, self.version, self.run, self.files(table)
        )
        write_json(folder / verify.SIDECAR, description)
        inputs = verify.reference_inputs(self.model, self.verifying, self.options.layout)
        outputs = {x: verify.reference_outputs(x, inputs) for x in table}
        artefacts = []
        if "saved_model" in self.options.formats:
            artefacts.append(self._saved_model(folder, table, description, inputs, outputs))
        if "onnx" in self.options.formats:
            (folder / "onnx").mkdir()
            for signature in signatures.of_format(table, "onnx"):
                artefacts += self._onnx(folder, signature, description, inputs, outputs[signature])
        if "litert" in self.options.formats:
            (folder / "litert").mkdir()
            for signature in signatures.of_format(table, "litert"):
                artefacts.append(self._litert(folder, signature, inputs, outputs[signature]))
        _save_reference(folder / verify.REFERENCE, signatures.of_format(table, "onnx"), inputs, outputs)
        return self._manifest(folder, description, artefacts)

    def files(self, table: tuple[Any, ...]) -> dict[str, str]:
        """Path of each artefact by `format/name`, and `onnx/name.precision` for the smaller ones."""
        files = {"saved_model": f"saved_model/{self.version}"} if "saved_model" in self.options.formats else {}
        for name, suffix in (("onnx", "onnx"), ("litert", "tflite")):
            if name in self.options.formats:
                files |= {f"{name}/{x.name}": f"{name}/{x.name}.{suffix}" for x in table if name in x.formats}
        for graph, precision in self._smaller():
            files[f"onnx/{graph}.{precision}"] = f"onnx/{graph}.{precision}.onnx"
        return files

    def _smaller(self) -> list[tuple[str, str]]:
        float16 = [("encoder", "float16"), ("decoder", "float16")] if self.options.float16 else []
        return float16 + ([("encoder", "int8")] if self.options.int8_encoder else [])

    def _saved_model(
        self, folder: Path, table: tuple[Any, ...], description: Any, inputs: verify.Arrays, outputs: Any
    ) -> dict[str, Any]:
        from export import saved_model, signatures

        path = f"saved_model/{self.version}"
        saved_model.write(table, description, folder / path)
        runners = verify.saved_model_runners(folder / path)
        checks = {
            x.name: verify.judged(f"{path} {x.name}", "float32", runners[x.name], _of(x, inputs), outputs[x])
            for x in signatures.of_format(table, "saved_model")
        }
        worst = max(verify.largest_error(x) for x in checks.values())
        size = sum(x.stat().st_size for x in (folder / path).rglob("*") if x.is_file())
        self.report(f"{path:30} {size / 1e6:8.2f} MB   error {worst:.1e}")
        return {"path": path, "format": "saved_model", "precision": "float32", "checks": checks}

    def _onnx(
        self, folder: Path, signature: Any, description: Any, inputs: verify.Arrays, outputs: verify.Arrays
    ) -> list[dict[str, Any]]:
        import onnx

        from export import compress
        from export import onnx as writer

        made = [("float32", folder / "onnx" / f"{signature.name}.onnx")]
        model = writer.convert(signature, description)
        onnx.save(model, made[0][1])
        for _, precision in (x for x in self._smaller() if x[0] == signature.name):
            made.append((precision, folder / "onnx" / f"{signature.name}.{precision}.onnx"))
            if precision == "float16":
                onnx.save(compress.float16_weights(model), made[-1][1])
            else:
                compress.int8_encoder(made[0][1], verify.arranged(self.calibrating, self.options.layout), made[-1][1])
        return [
            self._checked(path, folder, "onnx", precision, signature, verify.onnx_runner(path), inputs, outputs)
            for precision, path in made
        ]

    def _litert(self, folder: Path, signature: Any, inputs: verify.Arrays, outputs: verify.Arrays) -> dict[str, Any]:
        from export import litert

        path = folder / "litert" / f"{signature.name}.tflite"
        path.write_bytes(litert.convert(signature))
        runner = verify.litert_runner(path)
        return self._checked(path, folder, "litert", "float32", signature, runner, inputs, outputs)

    def _checked(
        self,
        path: Path,
        folder: Path,
        kind: str,
        precision: str,
        signature: Any,
        runner: verify.Runner,
        inputs: verify.Arrays,
        outputs: verify.Arrays,
    ) -> dict[str, Any]:
        name = path.relative_to(folder).as_posix()
        check = verify.judged(name, precision, runner, _of(signature, inputs), outputs)
        labels = f", {check['equal_labels']:.1%} equal labels" if "equal_labels" in check else ""
        self.report(f"{name:30} {path.stat().st_size / 1e6:8.2f} MB   error {verify.largest_error(check):.1e}{labels}")
        return {
            "path": name,
            "format": kind,
            "precision": precision,
            "name": signature.name,
            "inputs": [x.name for x in signature.inputs],
            "outputs": list(signature.outputs),
            "checks": {signature.name: check},
        }

    def _manifest(self, folder: Path, description: Any, artefacts: list[dict[str, Any]]) -> dict[str, Any]:
        files = sorted(x for x in folder.rglob("*") if x.is_file())
        return {
            "format": 1,
            "version": self.version,
            "run": self.run,
            "labels": [x["name"] for x in description["labels"]],
            "label_latents": [x["latents"] for x in description["labels"]],
            "style_latents": description["style"],
            "image": description["image"],
            "versions": {x: importlib.metadata.version(x) for x in PACKAGES if _installed(x)},
            "limits": {**verify.LIMITS, "int8_equal_labels": verify.AGREEMENT},
            "artefacts": artefacts,
            "files": {x.relative_to(folder).as_posix(): verify.file_entry(x) for x in files},
        }


def _of(signature: Any, inputs: verify.Arrays) -> dict[str, np.ndarray]:
    return {x.name: inputs[x.name] for x in signature.inputs}


def _save_reference(path: Path, graphs: tuple[Any, ...], inputs: verify.Arrays, outputs: Any) -> None:
    """reference.npz: `input/NAME` and `output/GRAPH/NAME` of every ONNX file, one row per image."""
    arrays: Any = {f"input/{x.name}": inputs[x.name] for graph in graphs for x in graph.inputs}
    arrays |= {f"output/{graph.name}/{name}": rows for graph in graphs for name, rows in outputs[graph].items()}
    np.savez_compressed(path, **arrays)


def _installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
