"""Image files and bytes to arrays of a model's size, within limits that hold before anything is decompressed."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from serving.errors import BadInput
from tf_ccvae.data.dataset import DataError
from tf_ccvae.data.images import fitted, peak_of, quiet, white_of
from tf_ccvae.data.images import opened as opened_picture
from tf_ccvae.support.errors import reason

MAX_BYTES = 20 * 2**20  # of a file
MAX_PIXELS = 40_000_000  # of a picture once it is decompressed
Source = str | Path | bytes
Images = np.ndarray | Source | Iterable[Source]
White = Callable[[], int | None]


def no_white() -> int | None:
    """Says that nobody knows what is white in 16-bit pictures."""
    return None


def read(source: Source, height: int, width: int, channels: int, white: White = no_white) -> np.ndarray:
    """One image, brought to the size as `tf_ccvae.data.images.fitted` does.

    Args:
      source: path of a PNG, JPEG, WebP or PGM file, or the bytes of one.
      height: in pixels.
      width: in pixels.
      channels: 1 or 3.
      white: called for a 16-bit picture: the value that is white in it, None for where the bits that it uses end.

    Returns:
      float32 (height, width, channels) in [0, 1].

    Raises:
      BadInput: it is no such image, damaged, or larger than `MAX_BYTES` or `MAX_PIXELS`; the message names it.
    """

    def sized_peak(opened: Image.Image) -> int:
        _check_size(opened)
        return peak_of(opened)

    whole = content(source)
    try:
        with quiet():
            peak = opened_picture(whole, sized_peak)
            brightest = (white() if peak else None) or white_of(peak)
            pixels = opened_picture(whole, lambda opened: fitted(opened, height, width, channels, brightest))
            return pixels.astype(np.float32) / 255
    except DataError as error:
        raise BadInput(f"{_name(source)}: {error}") from None


def content(source: Source) -> bytes:
    """The bytes of an image file, at most `MAX_BYTES`.

    Raises:
      BadInput: there is no such file, or it is larger.
    """
    if isinstance(source, bytes):
        if len(source) > MAX_BYTES:
            raise BadInput(f"image: has {len(source)} bytes, at most {MAX_BYTES} are read")
        return source
    path = Path(source)
    try:
        with path.open("rb") as file:
            read_bytes = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(f"{path}: {reason(error)}") from None
    if len(read_bytes) > MAX_BYTES:
        raise BadInput(f"{path}: has more than {MAX_BYTES} bytes, which is the limit")
    return read_bytes


def check(source: Source) -> bytes:
    """The bytes of an image file whose header promises no more than `MAX_PIXELS`.

    Raises:
      BadInput: as `read`.
    """
    whole = content(source)
    try:
        with quiet():
            opened_picture(whole, _check_size)
    except DataError as error:
        raise BadInput(f"{_name(source)}: {error}") from None
    return whole


def array(images: Images, height: int, width: int, channels: int, white: White = no_white) -> np.ndarray:
    """Images in any form as one array.

    Args:
      images: (n, height, width, channels), uint8 or float in [0, 1]; or a file or bytes; or a list of these.
      height: in pixels.
      width: in pixels.
      channels: 1 or 3.
      white: as `read` takes it.

    Returns:
      float32 (n, height, width, channels) in [0, 1].

    Raises:
      BadInput: none are given, or something cannot be used.
    """
    if isinstance(images, str | Path | bytes):
        images = [images]
    if not isinstance(images, np.ndarray):
        images = _stacked(images, height, width, channels, white)
    if images.shape[1:] != (height, width, channels) or not len(images):
        raise BadInput(f"images: must be (n, {height}, {width}, {channels}) with n at least 1, got {images.shape}")
    if images.dtype == np.uint8:
        return images.astype(np.float32) / 255
    if images.dtype.kind != "f" or not (images.min() >= 0 and images.max() <= 1):
        raise BadInput(f"images: must be uint8, or float in [0, 1]; got {images.dtype} outside of it")
    return images.astype(np.float32)


def save(path: Path, image: np.ndarray) -> None:
    """Writes an image, float (height, width, 1 or 3) in [0, 1], as PNG.

    Raises:
      BadInput: the file cannot be written.
    """
    pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    try:
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path, format="PNG")
    except OSError as error:
        raise BadInput(f"{path}: {reason(error)}") from None


def _stacked(images: Iterable[Source], height: int, width: int, channels: int, white: White) -> np.ndarray:
    listed = list(images)
    if not listed:
        raise BadInput("images: name at least one")
    if not all(isinstance(x, str | Path | bytes) for x in listed):
        raise BadInput("images: must be an array, or files or bytes of files")
    return np.stack([read(x, height, width, channels, white) for x in listed])


def _name(source: Source) -> str:
    return "image" if isinstance(source, bytes) else str(source)


def _check_size(opened: Image.Image) -> None:
    if opened.width * opened.height > MAX_PIXELS:
        raise DataError(f"has {opened.width} x {opened.height} pixels; at most {MAX_PIXELS} are read")
