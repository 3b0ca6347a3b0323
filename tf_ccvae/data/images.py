"""Pictures of any size and kind to pixels; what `folder`, `intervene` and the serving client share."""

import numpy as np
from PIL import Image, ImageOps

from tf_ccvae.data.dataset import DataError

FORMATS = ("PNG", "JPEG", "WEBP", "PPM")  # Pillow's PPM reads PGM


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
