"""The files that `intervene` writes and reads: sheets of pictures, arrays, latents."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tf_ccvae.settings import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from tf_ccvae.labels import Label


PREDICTED = " (predicted)"  # behind the name of a label in a table of latents; such columns are no latents


def write_sheet(
    arguments: argparse.Namespace,
    out: Path,
    images: "np.ndarray",
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    **more: "np.ndarray | Sequence[str]",
) -> None:
    """A grid (rows, columns, height, width, channels) as PNG, and the files that `--separate` and `--npz` ask for."""
    import numpy as np
    from PIL import Image

    from tf_ccvae.support import figures
    from tf_ccvae.support.files import replacing

    figures.save(figures.grid(images, rows, columns, title), out)
    written = [str(out)]
    if arguments.separate:
        folder = out.with_suffix("")
        folder.mkdir(exist_ok=True)
        whole = (np.clip(images, 0, 1) * 255).round().astype(np.uint8) if images.dtype != np.uint8 else images
        for i, row in enumerate(whole):
            for j, picture in enumerate(row):
                with replacing(folder / f"{i:03d}-{j:03d}.png") as beside:
                    Image.fromarray(picture.squeeze(-1) if picture.shape[-1] == 1 else picture).save(beside, "PNG")
        written.append(f"{folder}/")
    if arguments.npz:
        path = out.with_suffix(".npz")
        save_arrays(path, images=images, rows=np.array(rows, str), columns=np.array(columns, str), **more)
        written.append(str(path))
    print("\n".join(written))


def save_arrays(path: Path, **arrays: Any) -> None:
    import numpy as np

    from tf_ccvae.support.files import replacing

    with replacing(path) as beside, beside.open("wb") as file:
        np.savez_compressed(file, **arrays)


def cell_of(label: "Label", value: float) -> str:
    """A value as a table of labels holds it: 0 or 1, the name of a class or a grade, or the number in full."""
    if label.scale:
        return repr(float(value))
    return label.written(value) if label.classes else str(int(value))


def read_latents(path: Path) -> tuple["np.ndarray", list[str]]:
    """Latents and their names from a file that `encode` has written.

    Raises:
      ConfigError: it is missing, or holds something else.
    """
    import csv

    import numpy as np

    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                latents = np.asarray(arrays["latents"], np.float32)
                names = [str(x) for x in arrays["names"]] if "names" in arrays else []
        elif path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                header, *rows = list(csv.reader(file)) or [[]]
            own = [i for i, name in enumerate(header) if i and not name.endswith(PREDICTED)]
            if any(len(row) != len(header) for row in rows):
                raise ValueError("rows of different lengths")
            latents = np.array([[float(row[i]) for i in own] for row in rows], np.float32)
            names = [row[0] for row in rows]
        else:
            raise ConfigError(f"{path}: must be .npz or .csv, as encode writes them")
    except (KeyError, IndexError, ValueError, OSError) as error:
        raise ConfigError(f"{path}: holds no latents ({' '.join(str(error).split())})") from None
    if not np.isfinite(latents).all():
        raise ConfigError(f"{path}: holds numbers that are not finite")
    return latents, names
