"""What comes with a picture beside its pixels: its orientation is used, and nothing of it makes a picture unreadable.

Viewers show a picture whose EXIF block is cut or whose comment is damaged; Pillow refuses some of them. So a picture
that cannot be read is tried once more without anything that is not needed for its pixels.
"""

import contextlib
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

_ORIENTATION = 0x0112  # the EXIF tag
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_WEBP_PIXELS = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF")
_WEBP_PROMISES = 0b00101100  # flags of VP8X: a colour profile, EXIF and XMP follow
_JPEG_PIXELS = (0xE0, 0xEE)  # of the markers APP0 to APP15: JFIF, and Adobe's, which says what the channels are


def upright(image: Image.Image) -> Image.Image:
    """The picture as its EXIF orientation says; as it is stored where that cannot be read."""
    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # Pillow raises many kinds for damaged metadata
        turn = None
    return image if turn is None else image.transpose(turn)


def stripped(content: bytes) -> tuple[bytes, bytes | None]:
    """A PNG, JPEG or WebP file without its metadata, and its EXIF block, which may be damaged; None if it has none.

    Other files are returned as they are.
    """
    with contextlib.suppress(struct.error, IndexError):  # the file ends inside a block
        if content.startswith(_PNG):
            return _png(content)
        if content.startswith(b"\xff\xd8"):
            return _jpeg(content)
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return _webp(content)
    return content, None


def _png(content: bytes) -> tuple[bytes, bytes | None]:
    kept, exif, place, pixels = [_PNG], None, len(_PNG), False
    while place + 8 <= len(content):
        (length,), kind = struct.unpack(">I", content[place : place + 4]), content[place + 4 : place + 8]
        end = place + 12 + length
        if kind == b"eXIf":
            exif = content[place + 8 : end - 4]
        if kind in _PNG_PIXELS and kind != b"IEND":
            kept.append(content[place:end])
            pixels = kind == b"IDAT"
        if kind == b"IEND" or end > len(content):
            break
        place = end
    if pixels and kept[-1][-4:] == struct.pack(">I", zlib.crc32(kept[-1][4:-4])):
        kept.append(struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND")))
    return b"".join(kept), exif


def _jpeg(content: bytes) -> tuple[bytes, bytes | None]:
    kept, exif, place = [content[:2]], None, 2
    while place < len(content):
        marker = content[place + 1]
        if content[place] != 0xFF:  # the length of the block before is wrong: go on where the next table begins
            place = content.index(b"\xff\xdb", place) if b"\xff\xdb" in content[place:] else len(content)
            continue
        if marker == 0xFF:  # padding
            place += 1
            continue
        if marker == 0xDA:  # the pixels follow
            kept.append(content[place:])
            break
        (length,) = struct.unpack(">H", content[place + 2 : place + 4])
        block = content[place : place + 2 + length]
        if marker == 0xE1 and block[4:10] == b"Exif\0\0":
            exif = block[4:]
        if marker in _JPEG_PIXELS or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept.append(block)
        place += 2 + length
    return b"".join(kept), exif


def _webp(content: bytes) -> tuple[bytes, bytes | None]:
    kept, exif = [b"WEBP"], None
    for kind, block in _riff(content):
        if kind == b"EXIF":
            exif = block
        if kind == b"VP8X":
            block = bytes([block[0] & ~_WEBP_PROMISES]) + block[1:]
        if kind in _WEBP_PIXELS:
            kept.append(kind + struct.pack("<I", len(block)) + block + b"\0" * (len(block) % 2))
    body = b"".join(kept)
    return b"RIFF" + struct.pack("<I", len(body)) + body, exif


def _riff(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 12
    while place + 8 <= len(content):
        kind, (length,) = content[place : place + 4], struct.unpack("<I", content[place + 4 : place + 8])
        yield kind, content[place + 8 : place + 8 + length]
        place += 8 + length + length % 2
