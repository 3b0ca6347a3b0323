"""Draws the contact sheet of the drawn faces: each label with five test faces that have it and three that do not.

python -m benchmarks.avatars_contact_sheet docs/images/avatars.png
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tf_ccvae.data import avatars
from tf_ccvae.data.dataset import Split

WITH, WITHOUT, COLUMNS, CAPTION, GAP = 5, 3, 2, 16, 12  # faces, faces, labels side by side, pixels, pixels


def contact_sheet(split: Split, names: tuple[str, ...]) -> Image.Image:
    """A palette image of 256 colours; per label the first faces of `split` with it, a gap, the first without it."""
    size = split.images.shape[1]
    width, height = (WITH + WITHOUT) * size + 2 * GAP, size + CAPTION
    sheet = Image.new("RGB", (COLUMNS * width - GAP, -(-len(names) // COLUMNS) * height), "white")
    for i, name in enumerate(names):
        left, top = (i % COLUMNS) * width, (i // COLUMNS) * height
        pen = ImageDraw.Draw(sheet)
        pen.text((left + 2, top + 3), name, fill="black")
        pen.text((left + WITH * size + GAP + 2, top + 3), "without", fill="black")
        for value, count, start in ((1, WITH, left), (0, WITHOUT, left + WITH * size + GAP)):
            for k, row in enumerate(np.flatnonzero(split.labels[:, i] == value)[i : i + count]):
                sheet.paste(Image.fromarray(np.asarray(split.images[row])), (start + k * size, top + CAPTION))
    return sheet.quantize(256, dither=Image.Dither.NONE)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Draws the contact sheet of the drawn faces.")
    parser.add_argument("output", type=Path)
    parser.add_argument("--examples", type=int, default=12000, help="how many faces; fewer only to try it out")
    options = parser.parse_args(arguments)
    data = avatars.load(examples=options.examples, progress=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(data.test, data.labels.names).save(options.output, optimize=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
