"""Writes the files of an export into a folder and verifies each of them against Keras."""

import importlib.metadata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from export import runtimes, sidecar, signatures, verify
from export.manifest import REFERENCE, SIDECAR, file_entry
from export.options import Options
from tf_ccvae import interventions
from tf_ccvae.data.images import distinct
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.support.files import JsonObject, write_json

Outputs: TypeAlias = Mapping[signatures.Signature, runtimes.Arrays]  # what Keras gives for each, by output
PACKAGES = ("tensorflow", "keras", "numpy", "onnx", "tf2onnx", "onnxruntime", "ai-edge-litert")


@dataclass(frozen=True)
class Job:
    """One export.

    Args:
      model: in float32.
      options: what to export.
      version: number of the SavedModel's folder.
      run: name, SHA-256 and version of tf_ccvae of the run that the model is from.
      verifying: uint8 (64, height, width, channels), images to verify with.
      calibrating: uint8 (n, height, width, channels), images to calibrate int8 on; none without int8.
      report: called with one line per artefact.
      white: the value that was white in the 16-bit pictures that the model was trained on; None if there were none.
    """

    model: CCVAE
    options: Options
    version: int
    run: JsonObject
    verifying: np.ndarray
    calibrating: np.ndarray
    report: Callable[[str], None]
    white: int | None = None

    def write(self, folder: Path) -> JsonObject:
        """Writes and verifies all artefacts; returns the manifest."""
        whole = signatures.table(self.model, self.options.layout, self.white)
        table = tuple(x for x in whole if set(x.formats) & set(self.options.formats))
        shown = self.verifying[distinct(self.verifying)]
        description = sidecar.describe(
            self.model,
            table,
            self.options.layout,
            self.version,
            self.run,
            self.files(table),
            interventions.visibility(self.model, shown),
            self.white,
        )
        write_json(folder / SIDECAR, description)
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
        _save_reference(folder / REFERENCE, signatures.of_format(table, "onnx"), inputs, outputs)
        return self._manifest(folder, description, artefacts)

    def files(self, table: tuple[signatures.Signature, ...]) -> dict[str, str]:
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
        self,
        folder: Path,
        table: tuple[signatures.Signature, ...],
        description: JsonObject,
        inputs: runtimes.Arrays,
        outputs: Outputs,
    ) -> JsonObject:
        from export import saved_model

        path = f"saved_model/{self.version}"
        saved_model.write(table, description, folder / path)
        runners = runtimes.saved_model_runners(folder / path)
        checks = {
            x.name: verify.judged(f"{path} {x.name}", "float32", runners[x.name], _of(x, inputs), outputs[x])
            for x in signatures.of_format(table, "saved_model")
        }
        worst = max(verify.largest_error(x) for x in checks.values())
        size = sum(x.stat().st_size for x in (folder / path).rglob("*") if x.is_file())
        self.report(f"{path:30} {size / 1e6:8.2f} MB   error {worst:.1e}")
        return {"path": path, "format": "saved_model", "precision": "float32", "checks": checks}

    def _onnx(
        self,
        folder: Path,
        signature: signatures.Signature,
        description: JsonObject,
        inputs: runtimes.Arrays,
        outputs: runtimes.Arrays,
    ) -> list[JsonObject]:
        import onnx

        from export import compress
        from export import onnx as writer

        files = [("float32", folder / "onnx" / f"{signature.name}.onnx")]
        model = writer.convert(signature, description)
        onnx.save(model, files[0][1])
        for _, precision in (x for x in self._smaller() if x[0] == signature.name):
            files.append((precision, folder / "onnx" / f"{signature.name}.{precision}.onnx"))
            if precision == "float16":
                onnx.save(compress.float16_weights(model), files[-1][1])
            else:
                compress.int8_encoder(files[0][1], verify.arranged(self.calibrating, self.options.layout), files[-1][1])
        return [
            self._checked(path, folder, "onnx", precision, signature, runtimes.onnx_runner(path), inputs, outputs)
            for precision, path in files
        ]

    def _litert(
        self, folder: Path, signature: signatures.Signature, inputs: runtimes.Arrays, outputs: runtimes.Arrays
    ) -> JsonObject:
        from export import litert

        path = folder / "litert" / f"{signature.name}.tflite"
        path.write_bytes(litert.convert(signature))
        runner = runtimes.litert_runner(path)
        return self._checked(path, folder, "litert", "float32", signature, runner, inputs, outputs)

    def _checked(
        self,
        path: Path,
        folder: Path,
        kind: str,
        precision: str,
        signature: signatures.Signature,
        runner: runtimes.Runner,
        inputs: runtimes.Arrays,
        outputs: runtimes.Arrays,
    ) -> JsonObject:
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

    def _manifest(self, folder: Path, description: JsonObject, artefacts: list[JsonObject]) -> JsonObject:
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
            "files": {x.relative_to(folder).as_posix(): file_entry(x) for x in files},
        }


def _of(signature: signatures.Signature, inputs: runtimes.Arrays) -> dict[str, np.ndarray]:
    return {x.name: inputs[x.name] for x in signature.inputs}


def _save_reference(
    path: Path, graphs: tuple[signatures.Signature, ...], inputs: runtimes.Arrays, outputs: Outputs
) -> None:
    """reference.npz: `input/NAME` and `output/GRAPH/NAME` of every ONNX file, one row per image."""
    arrays: dict[str, Any] = {f"input/{x.name}": inputs[x.name] for graph in graphs for x in graph.inputs}
    arrays |= {f"output/{graph.name}/{name}": rows for graph in graphs for name, rows in outputs[graph].items()}
    np.savez_compressed(path, **arrays)


def _installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
