"""Draws one face from its description: dicebear writes the SVG, resvg turns it into pixels.

The style is Pablo Stanley's avataaars, changed for the sake of small pictures: the lines of eyes, brows and mouth are
darker, so that they show on every skin; the mouth is a fifth larger; brows sit a little higher and glasses a little
lower, so that frames do not hide brows; hats and fringes that cover the brows, and moustaches, are lifted.
"""

import io
import json
import multiprocessing
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tf_ccvae.data.dataset import DataError
from tf_ccvae.support.files import Json

if TYPE_CHECKING:
    from dicebear import Style

Face: TypeAlias = Mapping[str, Any]  # what an artist needs of one face, by name; `svg` says what that is here

HEAD = (57.0, 22.0, 166.0)  # left, top and side of the square around the head, on the style's 280 x 280 canvas

_LINE_OPACITY = ".85"
_MOVED = {
    "eyebrows": "translate(91.86 79)",
    "accessories": "translate(75.77 50)",
    "mouth": "translate(140 158) scale(1.2) translate(-46 -19)",
}
_LIFTED = {
    "top": {
        "winterHat02": 7,
        "winterHat03": 16,
        "winterHat04": 16,
        "winterHat1": 13,
        "hat": 4,
        "curvy": 8,
        "miaWallace": 12,
    },
    "facialHair": {"moustacheFancy": 4, "moustacheMagnum": 4},
}
_FACES_PER_TASK = 125


@cache
def _style() -> "Style":
    from dicebear import Style

    definition = json.loads((files("dicebear_styles") / "avataaars.json").read_text(encoding="utf-8"))
    for element in definition["canvas"]["elements"]:
        if element["name"] in _MOVED:
            element["attributes"]["transform"] = _MOVED[element["name"]]
    for part in ("eyes", "eyebrows", "mouth"):
        _darken(definition["components"][part]["variants"])
    for part, variants in _LIFTED.items():
        for name, units in variants.items():
            variant = definition["components"][part]["variants"][name]
            group = {"name": "g", "type": "element", "attributes": {"transform": f"translate(0 {-units})"}}
            variant["elements"] = [{**group, "children": variant["elements"]}]
    return Style(definition)


def _darken(node: Json) -> None:
    if isinstance(node, list):
        for child in node:
            _darken(child)
    elif isinstance(node, dict):
        if node.get("fill") == "black" and node.get("fill-opacity") in (".6", ".7"):
            node["fill-opacity"] = _LINE_OPACITY
        for child in node.values():
            _darken(child)


def hex_of(color: np.ndarray) -> str:
    """A colour, RGB in [0, 1], as SVG writes it."""
    return "#" + "".join(f"{round(float(c) * 255):02x}" for c in color)


def svg(face: Face) -> str:
    """The SVG of one face, its view box set by the face's shift and scale.

    Args:
      face: `parts`, a mapping from the style's part names to a variant's name, None where the part is absent;
        `colors`, from its colour names to RGB in [0, 1]; `shift`, (x, y) as fractions of the picture's side, positive
        to the right and down; `scale`, above 1 for a larger head.
    """
    from dicebear import Avatar

    options: dict[str, Any] = {"seed": "face"}
    for part, variant in face["parts"].items():
        options[f"{part}Probability"] = 0 if variant is None else 100
        if variant is not None:
            options[f"{part}Variant"] = [variant]
    for name, color in face["colors"].items():
        options[f"{name}Color"] = [hex_of(color)]
    return framed(str(Avatar(_style(), options)), HEAD, face["shift"], face["scale"])


def framed(drawing: str, square: tuple[float, float, float], shift: Sequence[float], scale: float) -> str:
    """An SVG whose view box shows a square of it, shifted and scaled.

    Args:
      drawing: the SVG.
      square: left, top and side, in the units of the drawing.
      shift: (x, y) as fractions of the picture's side, positive to the right and down.
      scale: above 1 for a larger content.
    """
    left, top, side = square
    zoomed = side / scale
    x = left + (side - zoomed) / 2 - shift[0] * zoomed
    y = top + (side - zoomed) / 2 - shift[1] * zoomed
    box = f'viewBox="{x:.4f} {y:.4f} {zoomed:.4f} {zoomed:.4f}"'
    return re.sub(r'viewBox="[^"]*"', box, drawing, count=1)


def rasterised(drawing: str, background: np.ndarray, image_size: int) -> np.ndarray:
    """An SVG on a background, RGB in [0, 1], as uint8 (image_size, image_size, 3)."""
    import resvg_py
    from PIL import Image

    png = resvg_py.svg_to_bytes(
        svg_string=drawing,
        width=image_size,
        height=image_size,
        background=hex_of(background),
        skip_system_fonts=True,
    )
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def draw(face: Face, image_size: int) -> np.ndarray:
    """One face as uint8 (image_size, image_size, 3). `face` is as in `svg`, with `background`, RGB in [0, 1]."""
    return rasterised(svg(face), face["background"], image_size)


def _draw_some(faces: Sequence[Face], image_size: int, artist: Callable[[Face, int], np.ndarray] | None) -> np.ndarray:
    """uint8 (faces, image_size, image_size, 3). Runs in a worker; dicebear's own errors do not survive the way back."""
    try:
        return np.stack([(artist or draw)(face, image_size) for face in faces])
    except Exception as error:
        raise DataError(f"cannot draw a face: {error}") from None


@contextmanager
def _stand_in_main() -> Iterator[None]:
    """Hides the caller's main module from new workers, which would import it: it may be slow, or lack a guard."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def draw_all(
    faces: Sequence[Face],
    image_size: int,
    processes: int | None = None,
    progress: bool = False,
    artist: Callable[[Face, int], np.ndarray] | None = None,
) -> np.ndarray:
    """Draws `faces` in parallel; the pictures do not depend on the number of processes.

    resvg holds the interpreter's lock, so threads would not help. Processes are spawned, never forked, since the caller
    may have started TensorFlow.

    Args:
      faces: what to draw, as in `draw`.
      image_size: side of a picture, in pixels.
      processes: how many; None for one per core, 1 to draw in this process.
      progress: show a bar with the time left on the terminal.
      artist: what draws one face, if not `draw`; workers import it, so it is a module's function, or a partial of one.

    Returns:
      uint8 (faces, image_size, image_size, 3).

    Raises:
      DataError: a face cannot be drawn, or a drawing process died.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    images = np.empty((len(faces), image_size, image_size, 3), np.uint8)
    rows = [slice(start, start + _FACES_PER_TASK) for start in range(0, len(faces), _FACES_PER_TASK)]
    processes = min(os.cpu_count() or 1, len(rows)) if processes is None else processes
    columns = (TextColumn("drawing faces"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not (progress and sys.stderr.isatty())) as bar:
        task = bar.add_task("", total=len(faces))
        if processes == 1:
            for some in rows:
                images[some] = _draw_some(faces[some], image_size, artist)
                bar.advance(task, len(faces[some]))
            return images
        with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
            try:
                with _stand_in_main():
                    drawing = {pool.submit(_draw_some, faces[some], image_size, artist): some for some in rows}
                for done in as_completed(drawing):
                    images[drawing[done]] = done.result()
                    bar.advance(task, len(faces[drawing[done]]))
            except BrokenProcessPool as error:
                raise DataError(
                    "a process that drew faces died, perhaps for want of memory; try processes=1"
                ) from error
            finally:
                pool.shutdown(cancel_futures=True)
    return images
