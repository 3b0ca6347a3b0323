"""Classifies a picture, sets labels in it and saves the result, with onnxruntime and numpy alone.

    python examples/onnx_python.py DIR PICTURE.png RESULT.png Smiling=on [Age=60.5 ...]

DIR is an export with ONNX files, PICTURE an 8-bit PNG of the model's size without interlacing. Labels that are numbers
are printed with the interval that holds 90 % of q(y given x), in their own units. A mistake ends in one line and exit
code 2.
"""

import json
import math
import os
import re
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import onnxruntime

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by PNG colour type: grey, RGB, and both with transparency
WORDS = {"off": 0, "no": 0, "false": 0, "0": 0, "on": 1, "yes": 1, "true": 1, "1": 1}  # values of binary labels
FORMATS = (1, 2, 3)  # of ccvae.json that are read here
WITHIN = 1.6448536  # standard deviations to either side of a normal's mean hold 90 % of it
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


class Mistake(Exception):
    """What the user can mend, as one line."""


def read_png(path: Path) -> np.ndarray:
    """uint8 (height, width, channels)."""
    content = path.read_bytes()
    if not content.startswith(SIGNATURE):
        raise Mistake(f"{path}: not a PNG file")
    try:
        return pixels_of(content, path)
    except (struct.error, zlib.error, ValueError) as error:
        raise Mistake(f"{path}: damaged ({error})") from None


def pixels_of(content: bytes, path: Path) -> np.ndarray:
    """uint8 (height, width, channels) of the bytes of a PNG file."""
    at, data, header = len(SIGNATURE), b"", ()
    while at < len(content):
        size, kind = struct.unpack(">I4s", content[at : at + 8])
        chunk = content[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            header = struct.unpack(">IIBBBBB", chunk)
        elif kind == b"IDAT":
            data += chunk
        at += size + 12
    width, height, depth, colour, _, _, interlaced = header
    if depth != 8 or colour not in CHANNELS or interlaced:
        raise Mistake(f"{path}: must be an 8-bit grey or RGB PNG without interlacing")
    channels = CHANNELS[colour]
    lines = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + width * channels)
    return unfiltered(lines, channels).reshape(height, width, channels)


def unfiltered(lines: np.ndarray, step: int) -> np.ndarray:
    """Undoes PNG's filters: each line starts with the number of its own."""
    above = [0] * (lines.shape[1] - 1)
    result = []
    for kind, *line in lines.tolist():
        for i, value in enumerate(line):
            left, corner = (line[i - step], above[i - step]) if i >= step else (0, 0)
            paeth = min((left, above[i], corner), key=lambda x, i=i, a=left, c=corner: abs(a + above[i] - c - x))
            line[i] = (value + (0, left, above[i], (left + above[i]) // 2, paeth)[kind]) & 255
        result.append(line)
        above = line
    return np.array(result, np.uint8)


def write_png(path: Path, image: np.ndarray) -> None:
    """uint8 (height, width, 1 or 3)."""
    height, width, channels = image.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    lines = np.pad(image.reshape(height, -1), [(0, 0), (1, 0)])  # each line starts with 0: no filter
    compressed = zlib.compress(lines.tobytes())
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", compressed) + chunk(b"IEND", b""))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def run(folder: Path, name: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Runs DIR/onnx/NAME.onnx."""
    path = folder / "onnx" / f"{name}.onnx"
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    names = [x.name for x in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def value_of(text: str, label: dict) -> float:
    """The index of the value that a text means, or the number, as `Label.meant` of tf_ccvae/labels.py says."""
    if label["kind"] == "number":
        return number_of(text, label)
    values, binary = label["values"], label["kind"] == "binary"
    if text in values:
        return values.index(text)
    alike = [i for i, value in enumerate(values) if value.lower() == text.lower()]
    if len(alike) == 1:
        return alike[0]
    if binary and text.lower() in WORDS:
        return WORDS[text.lower()]
    numbered = binary or any(NUMBER.fullmatch(value) for value in values)
    if not numbered and re.fullmatch("[0-9]+", text) and int(text) < len(values):
        return int(text)
    raise Mistake(f"{label['name']}={text}: no such value; there are {', '.join(values)}")


def number_of(text: str, label: dict) -> float:
    """The value of a number label, in its units."""
    number = float(text) if NUMBER.fullmatch(text.strip()) else math.nan
    if not math.isfinite(number):
        between = f"{label['scale']['low']:g} to {label['scale']['high']:g}"
        raise Mistake(f"{label['name']}={text}: is not a number; training values were {between}")
    return number


def parted(setting: str, labels: list[dict]) -> tuple[str, str]:
    """`Smiling=on` as its two parts: of the longest name of a label that has the value, since names may hold =."""
    places = [i for i in range(len(setting), 0, -1) if setting[i - 1 : i] == "="]
    parts = [(setting[: i - 1], setting[i:]) for i in places]
    known = [(label, value) for name, value in parts for label in labels if label["name"] == name]
    for label, value in known:
        try:
            value_of(value, label)
        except Mistake:
            continue
        return label["name"], value
    return (known[0][0]["name"], known[0][1]) if known else ("", "")


def asked(settings: list[str], labels: list[dict]) -> tuple[np.ndarray, np.ndarray]:
    """`["Smiling=on"]` as values (1, labels), int32 or with number labels float32, and mask bool (1, labels)."""
    names = [x["name"] for x in labels]
    dtype = np.float32 if any(x["kind"] == "number" for x in labels) else np.int32
    values, mask = np.zeros((1, len(names)), dtype), np.zeros((1, len(names)), bool)
    for setting in settings:
        name, value = parted(setting, labels)
        if name not in names:
            raise Mistake(f"{setting}: write LABEL=VALUE with a label of {', '.join(names)}")
        index = names.index(name)
        if mask[0, index]:
            raise Mistake(f"{setting}: {name} is given twice")
        values[0, index], mask[0, index] = value_of(value, labels[index]), True
    return values, mask


def predictions(encoded: dict[str, np.ndarray], labels: list[dict]) -> list[str]:
    """A line for each label: the probability of each value, or the mean of a number and its interval."""
    numbers = iter(encoded["numbers"][0] if "numbers" in encoded else ())
    lines = []
    for label, probabilities in zip(labels, encoded["probabilities"][0], strict=True):
        if label["kind"] == "number":
            mean, deviation = next(numbers)
            low, high = mean - WITHIN * deviation, mean + WITHIN * deviation
            lines.append(f"{label['name']} {mean:.6g} (90 %: {low:.6g} to {high:.6g})")
        else:
            shown = [f"{x}={p:.6f}" for x, p in zip(label["values"], probabilities, strict=False)]
            lines.append(" ".join([label["name"], *shown]))
    return lines


def main(arguments: list[str]) -> None:
    if len(arguments) < 3:
        raise Mistake(f"write {__doc__.splitlines()[2].strip()}")
    folder, picture, result = map(Path, arguments[:3])
    about = json.loads((folder / "ccvae.json").read_text(encoding="utf-8"))
    if about.get("format") not in FORMATS:
        raise Mistake(f"{folder / 'ccvae.json'}: has format {about.get('format')}; this program reads 1, 2 and 3")
    image, labels = about["image"], about["labels"]
    values, mask = asked(arguments[3:], labels)
    pixels = read_png(picture)[..., : image["channels"]]
    if pixels.shape != (image["height"], image["width"], image["channels"]):
        wanted = (image["height"], image["width"], image["channels"])
        raise Mistake(f"{picture}: has height, width and channels {pixels.shape}, the model's images {wanted}")
    batch = pixels[None].astype(np.float32) / 255
    if image["layout"] == "nchw":
        batch = batch.transpose(0, 3, 1, 2)
    encoded = run(folder, "encoder", image=batch)
    print("\n".join(predictions(encoded, labels)))
    edited = run(folder, "set_labels", latents=encoded["loc"], labels=values, mask=mask)
    decoded = run(folder, "decoder", latents=edited["edited_latents"])["image"]
    if image["layout"] == "nchw":
        decoded = decoded.transpose(0, 2, 3, 1)
    write_png(result, np.round(decoded[0] * 255).astype(np.uint8))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (Mistake, OSError) as error:
        what = error if isinstance(error, Mistake) else f"{error.filename}: {error.strerror}"
        print(f"error: {what}", file=sys.stderr)
        sys.exit(2)
