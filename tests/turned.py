"""Picture files that are stored turned, as cameras and phones write them."""

import io

from PIL import Image

TURNED = {  # how the pixels are stored, by the orientation in EXIF that brings them upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def picture_file(image, kind, orientation):
    """The bytes of a PNG or JPEG file that holds a picture turned; every viewer shows it upright."""
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x112] = orientation
    if orientation in TURNED:
        image = image.transpose(TURNED[orientation])
    image.save(file, kind, exif=exif, **({"quality": 100} if kind == "JPEG" else {}))
    return file.getvalue()
