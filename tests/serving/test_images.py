"""Pictures as the client takes them: files, their limits and their metadata, and arrays."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from serving import errors, images


def png_header(width, height):
    """A PNG that promises a size and holds next to nothing."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [7_000, 60_000])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decompressed(side):
    with pytest.raises(errors.BadInput, match="pixels"):
        images.read(png_header(side, side), 28, 28, 1)
    with pytest.raises(errors.BadInput, match="pixels"):
        images.check(png_header(side, side))


def test_a_file_of_too_many_bytes_is_refused(tmp_path):
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(images.MAX_BYTES + 1)
    with pytest.raises(errors.BadInput, match="bytes"):
        images.read(path, 28, 28, 1)
    with pytest.raises(errors.BadInput, match="bytes"):
        images.read(bytes(images.MAX_BYTES + 1), 28, 28, 1)


@pytest.mark.parametrize("content", [b"", b"hello", b"GIF89a" + bytes(20), png_header(28, 28)])
def test_what_is_no_picture_is_refused_by_name(tmp_path, content):
    path = tmp_path / "odd.png"
    path.write_bytes(content)
    with pytest.raises(errors.BadInput, match=r"odd\.png"):
        images.read(path, 28, 28, 1)


def test_a_picture_of_any_size_and_mode_is_brought_to_the_model(tmp_path):
    for mode, color in (("RGBA", (255, 255, 255, 0)), ("L", 255), ("RGB", (255, 255, 255)), ("P", 255)):
        file = io.BytesIO()
        Image.new(mode, (90, 40), color).save(file, format="PNG")
        for channels in (1, 3):
            read = images.read(file.getvalue(), 16, 24, channels)
            assert read.shape == (16, 24, channels) and read.dtype == np.float32
    assert read.min() >= 0 and read.max() <= 1


@pytest.mark.parametrize(
    "given", [np.zeros((1, 5, 5, 1)), np.full((1, 28, 28, 1), 2.0), np.full((1, 28, 28, 1), np.nan), [], [3]]
)
def test_arrays_of_another_shape_or_range_are_refused(given):
    with pytest.raises(errors.BadInput, match="images"):
        images.array(given, 28, 28, 1)


def jpeg_and_png(**settings):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 20, 3), np.uint8))
    for kind in ("JPEG", "PNG"):
        file = io.BytesIO()
        image.save(file, kind, **settings)
        yield file.getvalue()


@pytest.mark.parametrize("length", range(6, 48, 3))
def test_broken_metadata_never_make_a_picture_unreadable(length):
    exif = Image.Exif()
    exif[0x11A] = 72.0
    exif[0x132] = "2020:01:01 00:00:00"
    for whole, cut in zip(jpeg_and_png(), jpeg_and_png(exif=exif.tobytes()[:length], dpi=(72, 72)), strict=True):
        np.testing.assert_array_equal(images.read(cut, 15, 10, 3), images.read(whole, 15, 10, 3))
        assert images.check(cut) == cut


@pytest.mark.parametrize("key", ["exif", "Raw profile type exif", "xmp"])
def test_a_text_with_the_name_of_metadata_does_not_make_a_picture_unreadable(key):
    text = PngInfo()
    text.add_text(key, "hello")
    (_, whole), (_, odd) = jpeg_and_png(), jpeg_and_png(pnginfo=text)
    np.testing.assert_array_equal(images.read(odd, 15, 10, 3), images.read(whole, 15, 10, 3))
