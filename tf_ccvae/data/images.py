"""Pictures of any size and kind to pixels; what the sources, `intervene` and the serving client share."""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from tf_ccvae.data.dataset import DataError
from tf_ccvae.data.metadata import stripped, upright

FORMATS = ("PNG", "JPEG", "WEBP", "PPM")  # Pillow's PPM reads PGM
MAX_PIXELS = 89_478_485  # of a picture once it is decompressed: Pillow's own limit
WHITE = 65535  # of a 16-bit picture that uses all of its range
DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras and scanners write into 16-bit pictures
Used = TypeVar("Used")


class Fit(Protocol):
    """Brings a picture to a size: from image, height, width, channels and white to pixels, as `fitted` does."""

    __name__: str

    def __call__(self, image: Image.Image, height: int, width: int, channels: int, white: int = WHITE) -> np.ndarray:
        pass


def opened(source: Path | bytes, use: Callable[[Image.Image], Used], formats: tuple[str, ...] | None = FORMATS) -> Used:
    """What `use` makes of a picture; metadata that is damaged is left aside.

    Args:
      source: a file, or the content of one.
      use: called with the picture, whose pixels may not be decompressed yet; twice if its metadata is damaged.
      formats: what the picture may be, as Pillow calls it; None for anything that Pillow reads.

    Raises:
      DataError: it is no image of a known format, or damaged; the message does not name it.
    """
    try:
        content = source if isinstance(source, bytes) else source.read_bytes()
    except FileNotFoundError:
        raise DataError("no such image; unpack the images again") from None
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror}); replace it") from None
    try:
        return _with_picture(content, None, use, formats)
    except Exception as error:
        pixels, exif = stripped(content)
        if isinstance(error, DataError) or pixels == content:
            raise _refusal(error) from None
        try:
            return _with_picture(pixels, exif, use, formats)
        except Exception:
            raise _refusal(error) from None


def _with_picture(
    content: bytes, exif: bytes | None, use: Callable[[Image.Image], Used], formats: tuple[str, ...] | None
) -> Used:
    with Image.open(io.BytesIO(content), formats=formats) as image:
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        if exif is not None:
            image.info["exif"] = exif
        return use(image)


def _refusal(error: Exception) -> DataError:
    if isinstance(error, DataError):
        return error
    if isinstance(error, UnidentifiedImageError):
        return DataError("is not a PNG, JPEG, WebP or PGM image; convert it")
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return DataError("has too many pixels to be opened safely; make it smaller")
    reason = " ".join(str(error).split()) or type(error).__name__  # Pillow raises many kinds for a damaged file
    return DataError(f"cannot be read ({reason}); replace it")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps Pillow's warnings about metadata out of the terminal; not for use in several threads at once."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def read_image(source: Path | bytes, size: int, channels: int, white: int | None = None) -> np.ndarray:
    """One image as uint8 (size, size, channels), brought to size by `fitted`.

    Args:
      source: a file, or the content of one.
      size: height and width, in pixels.
      channels: 1 for grey, 3 for colour.
      white: the value that is white in a 16-bit picture; None for the largest of 8, 10, 12, 14 or 16 bits, whichever
        are the fewest that hold its values.

    Raises:
      DataError: it is no image of a known format, or damaged; the message does not name it.
    """
    with quiet():
        return opened(source, lambda image: fitted(image, size, size, channels, white or white_of(peak_of(image))))


def squeezed(image: Image.Image, height: int, width: int, channels: int, white: int = WHITE) -> np.ndarray:
    """A picture brought to a size as the official programs do with CelebA: all of it, whatever its proportions.

    Scaled with an antialiasing bilinear filter; otherwise as `fitted`.
    """
    plain = _eight_bit(image, white).convert("L" if channels == 1 else "RGB")
    return np.asarray(plain.resize((width, height), Image.Resampling.BILINEAR)).reshape(height, width, channels)


def fitted(image: Image.Image, height: int, width: int, channels: int, white: int = WHITE) -> np.ndarray:
    """A picture brought to a size.

    Upright as its EXIF orientation says, on white where it is transparent, in grey (ITU-R 601) or RGB; scaled with an
    antialiasing Lanczos filter until it covers the size, and its centre cut out.

    Args:
      image: opened by Pillow.
      height, width: in pixels.
      channels: 1 for grey, 3 for colour.
      white: the value that is white in a 16-bit picture; greater ones are white too.

    Returns:
      uint8 (height, width, channels).

    Raises:
      DataError: its pixels are floating-point numbers, or 16-bit colours that use less than 15 bits. Pillow raises
        errors of many kinds for a damaged file.
    """
    plain = _eight_bit(image, white).convert("L" if channels == 1 else "RGB")
    if plain.size != (width, height):
        plain = _covering(plain, height, width)
    return np.asarray(plain).reshape(height, width, channels)


def _covering(image: Image.Image, height: int, width: int) -> Image.Image:
    """Scaled until it covers the size, and its centre cut out: first across, then down.

    Pillow rounds and clips between the two, which shows in hard edges, and its versions differ in which they do first.
    """
    scale = min(image.width / width, image.height / height)
    left, top = (max(0.0, (have - want * scale) / 2) for have, want in zip(image.size, (width, height), strict=True))
    columns, rows = (left, 0, image.width - left, image.height), (0, top, width, image.height - top)
    across = image.resize((width, image.height), Image.Resampling.LANCZOS, box=columns)
    return across.resize((width, height), Image.Resampling.LANCZOS, box=rows)


def distinct(images: np.ndarray) -> np.ndarray:
    """int64 (m,): where in images (n, ...) each different one stands first, in order."""
    _, first = np.unique(images.reshape(len(images), -1), axis=0, return_index=True)
    return np.sort(first)


def peak_of(image: Image.Image) -> int:
    """The largest value of a picture in 16-bit grey, `WHITE` if its file says what white is; 0 for other pictures."""
    if not image.mode.startswith("I"):
        return 0
    says_so = image.format == "PPM" and any(isinstance(tile[3], tuple) for tile in getattr(image, "tile", ()))
    return WHITE if says_so else max(0, int(np.asarray(image).max()))


def white_of(peak: int) -> int:
    """The largest value of the fewest bits, of `DEPTHS`, that hold `peak`; `WHITE` if that is 0 or too large."""
    return next((2**bits - 1 for bits in DEPTHS if 0 < peak < 2**bits), WHITE)


def _eight_bit(image: Image.Image, white: int) -> Image.Image:
    """The same image upright, in RGB or 8-bit grey: 16-bit grey scaled down, transparent images laid on white."""
    wide_colour = image.mode.startswith("RGB") and any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
    image.load()
    if wide_colour and np.asarray(image)[..., :3].max() < 64:  # Pillow keeps the upper eight bits alone
        raise DataError("has 16-bit colours of which the upper bits are not used; save it with 8 bits")
    image = upright(image)
    if image.mode.startswith("I"):
        values = np.asarray(image, np.float64)
        return Image.fromarray(np.rint(values * (255 / white)).clip(0, 255).astype(np.uint8))
    if image.mode == "F":
        raise DataError("has floating-point pixels; convert it to PNG")
    if image.has_transparency_data:
        above = image.convert("RGBA")
        blank = Image.new("RGBA", above.size, "white")
        return Image.alpha_composite(blank, above).convert("RGB")
    return image.convert("RGB") if image.mode not in ("L", "RGB") else image
