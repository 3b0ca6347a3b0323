"""Writes numbers.json, what tf_ccvae and Pillow compute and the page's own mathematics must repeat.

PYTHONPATH=. python serving/explorer/tests/make_numbers.py    (from the root of the project)
"""

import io
import json
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

from tf_ccvae.support.startup import prepare

prepare()

from export import sidecar, signatures, uses  # noqa: E402  after TensorFlow's environment is set
from tf_ccvae import interventions  # noqa: E402
from tf_ccvae.data.images import read_image  # noqa: E402
from tf_ccvae.interventions import traversal, values_by_name  # noqa: E402
from tf_ccvae.labels import Label, Labels, Scale, Value  # noqa: E402
from tf_ccvae.models.ccvae import CCVAE  # noqa: E402
from tf_ccvae.models.grade_distributions import GradeDistributions  # noqa: E402
from tf_ccvae.models.number_distributions import NumberDistributions  # noqa: E402
from tf_ccvae.objective import Noise  # noqa: E402
from tf_ccvae.objective.classifier import label_logits, masked  # noqa: E402
from tf_ccvae.objective.exclusions import exclusion_table  # noqa: E402
from tf_ccvae.support.files import JsonObject  # noqa: E402

NUMBERS = Path(__file__).with_name("numbers.json")
LABELS = Labels((Label("Hat"), Label("Hair_Colour", ("black", "blond", "red"), 2), Label("Smile", latents=2)))
AGE = Label("Age", latents=2, scale=Scale(45.0, 15.0, 20.0, 70.0))
WITH_NUMBER = Labels((LABELS.items[0], AGE, LABELS.items[1]))
BEARD = Label("Beard", ("none", "short", "long", "huge"), 3, ordered=True)
WITH_GRADE = Labels((LABELS.items[0], BEARD, LABELS.items[1], Label("Tired", ("no", "a bit", "very"), ordered=True)))
LATENTS = 8
FILES = {"onnx/encoder": "onnx/encoder.onnx", "onnx/decoder": "onnx/decoder.onnx"}


def made_up_model(
    size: int = 16, channels: int = 3, widths: tuple[int, ...] = (4, 4), labels: Labels = LABELS
) -> CCVAE:
    """An untrained model with one and several latents to a label, and values that exclude others."""
    model = CCVAE((size, size, channels), labels, latents=LATENTS, widths=widths, hidden=8)
    model.build()
    random = np.random.default_rng(0)
    layer = model.label_distributions
    shape = (labels.values, layer.free.characteristic)
    loc, kernel = random.normal(size=shape), random.normal(size=layer.free_kernel.shape)
    loc[:2, 0], kernel[0, 0] = (-2, 2), 3  # the classifier sees a hat where the prior puts it
    layer.set_prior(loc, random.uniform(0.3, 1.0, shape))
    layer.free_kernel.assign(kernel)
    layer.free_bias.assign(random.normal(size=layer.free_bias.shape))
    if layer.grades is not None:
        give_grades(layer.grades, random)
        return model
    if layer.numbers is not None:
        give_numbers(layer.numbers, random)
        return model
    layer.set_label_prior(np.array([[0.8, 0.2, 0], [0.5, 0.2, 0.3], [0.45, 0.55, 0]]))
    pairs = (((0, 1), (1, 0)), ((0, 1), (1, 1)), ((1, 2), (2, 1)))
    layer.incompatible.assign(exclusion_table(pairs, labels))
    return model


def give_numbers(layer: NumberDistributions, random: np.random.Generator) -> None:
    """Random distributions of number labels, in which a step of the prior is read as 0.8 of one."""
    slope = random.uniform(0.5, 1.0, layer.slope.shape)
    layer.slope.assign(slope / np.sum(slope**2))
    layer.paced_prior_slope.assign(0.8 * slope / layer.pace)
    layer.intercept.assign(random.normal(size=layer.intercept.shape))
    layer.paced_prior_intercept.assign(random.normal(size=layer.paced_prior_intercept.shape) / layer.pace)
    layer.paced_prior_raw_scale.assign(random.normal(size=layer.paced_prior_raw_scale.shape) / layer.pace)


def give_grades(layer: GradeDistributions, random: np.random.Generator) -> None:
    """Random distributions of grades, whose means do not lie on a straight line."""
    for weight in layer.weights:
        weight.assign(random.normal(size=weight.shape))
    layer.paced_free.assign(random.normal(size=layer.paced_free.shape) / layer.pace)
    layer.paced_first_threshold.assign(random.normal(size=layer.paced_first_threshold.shape) / layer.pace)
    layer.paced_first_place.assign(-1.5 * np.ones(layer.paced_first_place.shape) / layer.pace)
    layer.paced_raw_gap.assign(random.uniform(0, 2, layer.paced_raw_gap.shape) / layer.pace)
    layer.paced_raw_step.assign(random.uniform(0, 1, layer.paced_raw_step.shape) / layer.pace)
    layer.paced_raw_scale.assign(random.normal(size=layer.paced_raw_scale.shape) / layer.pace)


def description(model: CCVAE, layout: str = "nhwc") -> JsonObject:
    """Its ccvae.json."""
    table = signatures.of_format(signatures.table(uses.as_float32(model), layout), "onnx")
    run = {"name": "made up", "sha256": "0" * 64, "tf_ccvae": "0"}
    return sidecar.describe(model, table, layout, 1, run, FILES)


def numbers() -> JsonObject:
    """All that is stored."""
    model = made_up_model()
    random = np.random.default_rng(1)
    latents = random.normal(size=(12, LATENTS)).astype(np.float32) * 1.5
    return {
        "sidecar": description(model),
        "latents": latents.tolist(),
        "values": np.asarray(model.values_of(latents)).tolist(),
        "probabilities": probabilities(model, latents),
        "set": [set_case(model, latents, random) for _ in range(8)],
        "swap": [swap_case(model, latents, asked) for asked in ([0], [1], [0, 2], [0, 1, 2])],
        "choose": [choose_case(model, settings) for settings in ({}, {"Hat": 1}, {"Hair_Colour": "red"})],
        "draw": draw_case(model, random),
        "traverse": traverse_case(model, latents[:1], ("Hair_Colour", "Smile"), (0, 0), (2, 1)),
        "number": number_cases(),
        "grade": grade_cases(),
        "resample": [resample_case(*case, random) for case in ((30, 50, 16, 3), (64, 33, 16, 1), (7, 9, 16, 3))],
    }


def number_cases() -> JsonObject:
    """What the page must do with a label that is a number, beside a binary one and classes."""
    model = made_up_model(labels=WITH_NUMBER)
    random = np.random.default_rng(2)
    latents = random.normal(size=(6, LATENTS)).astype(np.float32) * 1.5
    of = model.label_model().numbers
    assert of is not None
    return {
        "sidecar": description(model),
        "latents": latents.tolist(),
        "values": np.asarray(model.values_of(latents)).tolist(),
        "deviation": float(of.scale[0]) * AGE.units.deviation,
        "set": [set_case(model, latents, random) for _ in range(6)],
        "swap": [swap_case(model, latents, asked) for asked in ([1], [0, 1])],
        "draw": draw_case(model, random),
        "traverse": traverse_case(model, latents[:1], ("Age", "Hat"), (30.5, 0), (60, 1)),
    }


def grade_cases() -> JsonObject:
    """What the page must do with grades, beside a binary label and classes."""
    model = made_up_model(labels=WITH_GRADE)
    random = np.random.default_rng(3)
    latents = random.normal(size=(8, LATENTS)).astype(np.float32) * 1.5
    latents[0] = 40.0  # far beyond the last threshold
    table = np.asarray(model.values_table(latents), np.float64)
    return {
        "sidecar": description(model),
        "latents": latents.tolist(),
        "values": np.asarray(model.values_of(latents)).tolist(),
        "probabilities": [
            [row[: x.values].tolist() for row, x in zip(rows, WITH_GRADE, strict=True)] for rows in table
        ],
        "set": [set_case(model, latents, random) for _ in range(8)],
        "traverse": traverse_case(model, latents[1:2], ("Beard", "Tired"), ("none", "very"), ("huge", "no")),
    }


def some_values(labels: Labels, random: np.random.Generator, *count: int) -> np.ndarray:
    """Random values, integers (*count, labels), or floats with number labels."""
    if not labels.numbers:
        return random.integers(0, [x.values for x in labels], (*count, len(labels)))
    rows = [
        random.uniform(x.scale.low, x.scale.high, count) if x.scale else random.integers(0, x.values, count)
        for x in labels
    ]
    return np.stack(rows, axis=-1).astype(np.float32)


def probabilities(model: CCVAE, latents: np.ndarray) -> list[list[list[float]]]:
    logits = np.asarray(masked(label_logits(latents, model.label_model()), LABELS), np.float64)
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    table = powers / powers.sum(-1, keepdims=True)
    return [[row[: x.values].tolist() for row, x in zip(rows, LABELS, strict=True)] for rows in table]


def set_case(model: CCVAE, latents: np.ndarray, random: np.random.Generator) -> JsonObject:
    values = some_values(model.labels, random)
    asked = random.random(len(model.labels)) < 0.5
    result = interventions.set_values(model, latents, values, asked)
    wanted = [v if a else None for v, a in zip(values.tolist(), asked, strict=True)]
    return {"asked": wanted, "latents": result.tolist()}


def swap_case(model: CCVAE, latents: np.ndarray, labels: list[int]) -> JsonObject:
    asked = np.isin(np.arange(len(model.labels)), labels)
    result = interventions.swap_values(model, latents, latents[::-1], asked)
    return {"labels": labels, "latents": result.tolist()}


def choose_case(model: CCVAE, settings: JsonObject) -> JsonObject:
    """Values that are drawn, with the uniform numbers they were drawn by."""
    count, seed = 20, 5
    values = values_by_name.choose_values(model, settings, count, seed)
    given, asked = values_by_name.label_values(model, settings)
    random = np.random.default_rng(seed)
    uniform = np.concatenate([random.random((count, 1)) for _ in range(int((~asked).sum()))], axis=1)
    wanted = [int(v) if a else None for v, a in zip(given, asked, strict=True)]
    return {"asked": wanted, "uniform": uniform.tolist(), "values": values.tolist()}


def draw_case(model: CCVAE, random: np.random.Generator) -> JsonObject:
    values = some_values(model.labels, random, 5)
    normal = random.normal(size=(5, LATENTS)).astype(np.float32)
    noise = Noise(normal, np.full(values.shape, 0.5, np.float32), np.zeros((0, 5, model.labels.characteristic)))
    latents = np.asarray(model.draw(values if model.labels.numbers else values.astype(np.int32), noise))
    return {"values": values.tolist(), "normal": normal.tolist(), "latents": latents.tolist()}


def traverse_case(
    model: CCVAE,
    latents: np.ndarray,
    labels: tuple[str, str],
    starts: tuple[Value | None, Value | None],
    ends: tuple[Value | None, Value | None],
) -> JsonObject:
    """Latents of a grid, the first label down and the second across."""
    with (
        mock.patch.object(traversal, "encode", lambda model, images: images),
        mock.patch.object(traversal, "decode", lambda model, latents: latents),
    ):
        grid = interventions.traverse_grid(model, latents, labels, starts, ends, steps=4)
    return {"latents": grid.reshape(-1, LATENTS).tolist()}


def resample_case(width: int, height: int, size: int, channels: int, random: np.random.Generator) -> JsonObject:
    shape = (height, width) if channels == 1 else (height, width, channels)
    pixels = random.integers(0, 256, shape, np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    small = read_image(file.getvalue(), size, channels)
    about = {"width": width, "height": height, "size": size, "channels": channels}
    return {**about, "pixels": pixels.ravel().tolist(), "small": small.ravel().tolist()}


if __name__ == "__main__":
    NUMBERS.write_text(json.dumps(numbers()) + "\n", encoding="utf-8")
