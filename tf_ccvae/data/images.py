"""Pictures of any size and kind to pixels; what the sources, `intervene` and the serving client share."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tf_ccvae.data.dataset import DataError

FORMATS = ("PNG", "JPEG", "WEBP", "PPM")  # Pillow's PPM reads PGM
Made = TypeVar("Made")
Fit = Callable[[Image.Image, int, int, int], np.ndarray]  # from image, height, width and channels to pixels


def opened(path: Path, use: Callable[[Image.Image], Made]) -> Made:
    """What `use` makes of the picture in a file.

    Raises:
      DataError: it is no image of a known format, or damaged; the message does not name it.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            return use(image)
    except UnidentifiedImageError:
        raise DataError("is not a PNG, JPEG, WebP or PGM image; convert it or remove its line") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError("has too many pixels to be opened safely; make it smaller") from None
    except DataError:
        raise
    except Exception as error:  # Pillow raises many kinds for a damaged file
        reason = " ".join(str(error).split())
        raise DataError(f"cannot be read ({reason}); replace it or remove its line") from None


def decoded(paths: Sequence[Path], fit: Fit, height: int, width: int, channels: int) -> np.ndarray:
    """The pictures in files, read by as many threads as there are cores.

    Args:
      paths: the files.
      fit: brings a picture to size: `fitted` or `squeezed`.
      height, width: in pixels.
      channels: 1 for grey, 3 for colour.

    Returns:
      uint8 (paths, height, width, channels).

    Raises:
      DataError: a file is missing or cannot be read.
    """
    pixels = np.empty((len(paths), height, width, channels), np.uint8)

    def read(index: int) -> None:
        if not paths[index].is_file():
            raise DataError(f"{paths[index]}: no such image; unpack the images again, or remove its line")
        try:
            pixels[index] = opened(paths[index], lambda image: fit(image, height, width, channels))
        except DataError as error:
            raise DataError(f"{paths[index]}: {error}") from None

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        try:
            for _ in pool.map(read, range(len(paths))):
                pass
        except DataError:
            pool.shutdown(cancel_futures=True)
            raise
    return pixels


def squeezed(image: Image.Image, height: int, width: int, channels: int) -> np.ndarray:
    """A picture brought to a size as the official programs do with CelebA: all of it, whatever its proportions.

    Scaled with an antialiasing bilinear filter; otherwise as `fitted`.
    """
    plain = _eight_bit(ImageOps.exif_transpose(image)).convert("L" if channels == 1 else "RGB")
    return np.asarray(plain.resize((width, height), Image.Resampling.BILINEAR)).reshape(height, width, channels)


def fitted(image: Image.Image, height: int, width: int, channels: int) -> np.ndarray:
    """A picture brought to a size.

    Upright as its EXIF orientation says, on white where it is transparent, in grey (ITU-R 601) or RGB; scaled with an
    antialiasing Lanczos filter until it covers the size, and its centre cut out.

    Args:
      image: opened by Pillow.
      height, width: in pixels.
      channels: 1 for grey, 3 for colour.

    Returns:
      uint8 (height, width, channels).

    Raises:
      DataError: its pixels are floating-point numbers. Pillow raises errors of many kinds for a damaged file.
    """
    plain = _eight_bit(ImageOps.exif_transpose(image)).convert("L" if channels == 1 else "RGB")
    if plain.size != (width, height):
        plain = ImageOps.fit(plain, (width, height), Image.Resampling.LANCZOS)
    return np.asarray(plain).reshape(height, width, channels)


def _eight_bit(image: Image.Image) -> Image.Image:
    """The same image in RGB or 8-bit grey: 16-bit grey scaled down, transparent images laid on white."""
    if image.mode.startswith("I"):
        values = np.asarray(image, np.float64)
        return Image.fromarray(np.rint(values / 257).clip(0, 255).astype(np.uint8))
    if image.mode == "F":
        raise DataError("has floating-point pixels; convert it to PNG")
    if image.has_transparency_data:
        above = image.convert("RGBA")
        white = Image.new("RGBA", above.size, "white")
        return Image.alpha_composite(white, above).convert("RGB")
    return image.convert("RGB") if image.mode not in ("L", "RGB") else image
