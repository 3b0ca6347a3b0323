"""Each artefact against Keras, on batches of 1, 2, 3 and 64 real images.

`python -m export verify DIR` repeats it later and elsewhere: reference.npz holds what went into Keras and came out, so
that numpy and onnxruntime are enough. Nothing here imports TensorFlow unless a SavedModel or LiteRT file is checked.

An error is the largest |value - reference| / scale of an output, where the scale of each number of a row is its largest
|reference| among all images, and at least 1: float32 rounds the large terms of a sum, also where they cancel to little.
Predicted numbers, `numbers`, are in the user's units, which may be tiny or huge. Their scale is the largest |reference|
as well, but for a mean at least the largest deviation that is predicted for the same label, in place of 1.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from export.errors import CheckError, ExportError
from export.manifest import REFERENCE, file_entry, read_manifest
from export.runtimes import Arrays, Runner, onnx_runner
from tf_ccvae.support.files import JsonObject

if TYPE_CHECKING:
    from export.signatures import Signature
    from tf_ccvae.labels import Labels
    from tf_ccvae.models.ccvae import CCVAE

BATCHES = (1, 2, 3, 64)
LIMITS = {"float32": 1e-5, "float16": 5e-3}  # largest error
AGREEMENT = 0.98  # smallest share of equal labels in int8


# Real images and what Keras makes of them -----------------------------------------------------------------------------


def checked_images(images: ArrayLike, image_shape: tuple[int, int, int]) -> np.ndarray:
    """As many images as the largest batch has, from those that are given, over again if there are fewer.

    Args:
      images: (n, height, width, channels), uint8 or float in [0, 1].
      image_shape: (height, width, channels) of the model.

    Returns:
      uint8 (64, height, width, channels).

    Raises:
      ExportError: there are none, or they have another shape or range.
    """
    images = np.asarray(images)
    if images.shape[1:] != tuple(image_shape) or not len(images):
        wanted = ", ".join(map(str, image_shape))
        raise ExportError(f"images: must be (n, {wanted}) with n at least 1, got shape {images.shape}")
    if images.dtype != np.uint8:
        if images.dtype.kind != "f" or not (images.min() >= 0 and images.max() <= 1):
            raise ExportError(
                f"images: must be uint8, or float in [0, 1]; got {images.dtype} {images.min():g} to {images.max():g}"
            )
        images = np.round(images * 255).astype(np.uint8)
    return np.resize(images, (max(BATCHES), *image_shape))


def reference_inputs(model: "CCVAE", images: np.ndarray, layout: str) -> dict[str, np.ndarray]:
    """Something for every input of the table, by name, one row per image.

    Args:
      model: a CCVAE in float32.
      images: uint8 (n, height, width, channels).
      layout: 'nhwc' or 'nchw'.
    """
    import tensorflow as tf

    count, labels = len(images), model.labels
    random = np.random.default_rng(0)
    image = arranged(images, layout)
    latents = np.asarray(model.latents_of(images))
    return {
        "image": image,
        "donor_image": image[::-1],
        "latents": latents,
        "donor_latents": latents[::-1],
        "labels": _some_values(labels, count, random),
        "mask": random.random((count, len(labels))) < 0.5,
        "noise": random.normal(size=(count, model.decoder_inputs + len(labels))).astype(np.float32),
        "seed": random.integers(0, 2**31, (count, 2)).astype(np.int32),
        "image_bytes": np.array([tf.io.encode_png(image).numpy() for image in images], object),
    }


def _some_values(labels: "Labels", count: int, random: np.random.Generator) -> np.ndarray:
    """Random values, int32 (count, labels); with number labels float32, theirs inside the training range."""
    values = random.integers(0, np.array([max(x.values, 1) for x in labels]), (count, len(labels)))
    if not labels.numbers:
        return values.astype(np.int32)
    ranges = [(x.scale.low, x.scale.high) if x.scale else (0.0, 0.0) for x in labels]
    low, high = np.array(ranges).T
    return (values + np.random.default_rng(1).uniform(low, high, values.shape)).astype(np.float32)


def reference_outputs(signature: "Signature", inputs: Arrays) -> dict[str, np.ndarray]:
    """What Keras gives for all rows, by output name."""
    import tensorflow as tf

    results = signature.function(*(tf.constant(inputs[x.name]) for x in signature.inputs))
    return {name: np.asarray(results[name]) for name in signature.outputs}


# Comparing ------------------------------------------------------------------------------------------------------------


def measure(run: Runner, inputs: Arrays, outputs: Arrays) -> dict[str, dict[str, float]]:
    """Error of each output for each batch size, such as `{"64": {"loc": 2e-7}}`.

    Args:
      run: arrays by input name -> arrays by output name.
      inputs: all rows of each input.
      outputs: all rows of each output, as they should be.

    Raises:
      CheckError: an output has another name, type or shape, or numbers that are not finite.
    """
    errors: dict[str, dict[str, float]] = {}
    for size in BATCHES:
        results = run({name: rows[:size] for name, rows in inputs.items()})
        if set(results) != set(outputs):
            raise CheckError(f"outputs are {', '.join(results)} instead of {', '.join(outputs)}")
        errors[str(size)] = {name: _error(name, results[name], rows, size) for name, rows in outputs.items()}
    return errors


def _error(name: str, result: np.ndarray, rows: np.ndarray, size: int) -> float:
    """Error, as the module's docstring defines it, of a result for the first `size` of the rows."""
    reference, scale = rows[:size], _scale(name, rows)
    if result.shape != reference.shape or result.dtype != reference.dtype:
        raise CheckError(f"{name} is {result.dtype} {result.shape} instead of {reference.dtype} {reference.shape}")
    if not np.isfinite(result).all():
        raise CheckError(f"{name} holds numbers that are not finite")
    return float(np.max(np.abs(result - reference) / scale, initial=0.0))


def _scale(name: str, rows: np.ndarray) -> np.ndarray:
    """What errors of the numbers of a row are measured in, as the module's docstring defines it."""
    if name != "numbers":
        return np.max(np.abs(rows), axis=0, initial=1.0)
    mean, deviation = np.moveaxis(np.max(np.abs(rows), axis=0), -1, 0)  # (number labels,) each
    return np.stack([np.maximum(mean, deviation), deviation], axis=-1)


def agreement(run: Runner, inputs: Arrays, outputs: Arrays) -> float:
    """Share of labels of which the same is predicted, over all batches.

    That is the most probable value; and for a number label a mean that is no farther from the reference's than one
    deviation of the reference's q(y given x).
    """
    equal = []
    for size in BATCHES:
        results = run({name: rows[:size] for name, rows in inputs.items()})
        reference = outputs["probabilities"][:size]
        listed = reference.any(-1)  # not those of number labels
        equal.append((results["probabilities"].argmax(-1) == reference.argmax(-1))[listed])
        if "numbers" in outputs:
            mean, deviation = np.moveaxis(outputs["numbers"][:size], -1, 0)
            equal.append((np.abs(results["numbers"][..., 0] - mean) <= deviation).ravel())
    return float(np.concatenate(equal).mean())


def judged(path: str, precision: str, run: Runner, inputs: Arrays, outputs: Arrays) -> JsonObject:
    """Measures one function of an artefact against what its precision promises.

    Returns:
      `errors` as `measure` gives them, and for int8 `equal_labels`.

    Raises:
      CheckError: it is not near enough; the message starts with `path`.
    """
    try:
        result: JsonObject = {"errors": measure(run, inputs, outputs)}
        if precision == "int8":
            result["equal_labels"] = agreement(run, inputs, outputs)
            if result["equal_labels"] < AGREEMENT:
                raise CheckError(f"{result['equal_labels']:.1%} equal labels; at least {AGREEMENT:.0%} are asked for")
            return result
        for size, errors in result["errors"].items():
            for name, error in errors.items():
                if error > LIMITS[precision]:
                    raise CheckError(f"{name} is off by {error:.2g} at batch {size}; limit {LIMITS[precision]:g}")
    except CheckError as error:
        raise CheckError(f"{path}: {error}") from None
    return result


# Later and elsewhere --------------------------------------------------------------------------------------------------


def verify(folder: Path, images: ArrayLike | None = None) -> JsonObject:
    """Checks an export again: every file by its SHA-256, every ONNX file by running it on the stored images.

    Other images, if they are given, are run too: encoders and decoders must agree with those in float32 on the largest
    batch, in every precision and for every batch size.

    Args:
      folder: what `python -m export RUN --to` was given.
      images: (n, height, width, channels), uint8 or float in [0, 1].

    Returns:
      path of each ONNX file -> what `judged` says; with ` on images` behind the path for the other images.

    Raises:
      ExportError: there is no complete export in the folder, or the images have another shape or range.
      CheckError: a file was changed, or does not compute what it did.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    about = manifest["image"]
    pixels = None if images is None else checked_images(images, (about["height"], about["width"], about["channels"]))
    for name, entry in manifest["files"].items():
        if not (folder / name).is_file():
            raise ExportError(f"{folder / name}: missing; the export is not complete, make it again")
        if file_entry(folder / name) != entry:
            raise CheckError(f"{folder / name}: not the file that was exported (its SHA-256 differs)")
    with np.load(folder / REFERENCE) as stored:
        arrays = dict(stored)
    results = {}
    for artefact in manifest["artefacts"]:
        if artefact["format"] == "onnx":
            path, name = artefact["path"], artefact["name"]
            inputs = {x: arrays[f"input/{x}"] for x in artefact["inputs"]}
            outputs = {x: arrays[f"output/{name}/{x}"] for x in artefact["outputs"]}
            results[path] = judged(path, artefact["precision"], onnx_runner(folder / path), inputs, outputs)
    return results if pixels is None else results | _on_images(folder, manifest, arranged(pixels, about["layout"]))


def _on_images(folder: Path, manifest: JsonObject, image: np.ndarray) -> JsonObject:
    """Encoders on images float32 (64, ...) in the layout, decoders on their latents; see `verify`."""
    if "onnx/encoder.onnx" not in manifest["files"]:
        raise ExportError(f"{folder}: no ONNX files to run images through; export with --formats onnx")
    results = {}
    rows: dict[str, np.ndarray] = {"image": image}
    for name in ("encoder", "decoder"):
        outputs = onnx_runner(folder / "onnx" / f"{name}.onnx")(rows)
        for artefact in (x for x in manifest["artefacts"] if x["format"] == "onnx" and x["name"] == name):
            path = f"{artefact['path']} on images"
            runner = onnx_runner(folder / artefact["path"])
            results[path] = judged(path, artefact["precision"], runner, rows, outputs)
        if name == "encoder":
            rows = {"latents": outputs["loc"]}
    return results


def arranged(images: np.ndarray, layout: str) -> np.ndarray:
    """uint8 (n, height, width, channels) to float32 in [0, 1], in the layout."""
    pixels = images.astype(np.float32) / 255
    return pixels if layout == "nhwc" else pixels.transpose(0, 3, 1, 2)


def largest_error(result: JsonObject) -> float:
    """Over all batches and outputs of what `judged` says."""
    return max(error for errors in result["errors"].values() for error in errors.values())
