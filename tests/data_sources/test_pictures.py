"""Pictures as people have them: damaged metadata, 16 bits, and files that were cut or changed."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tf_ccvae.data.dataset import DataError
from tf_ccvae.data.images import fitted, opened, quiet, read_image, white_of

RAMP = Image.fromarray(np.linspace(0, 255, 256).reshape(16, 16).astype(np.uint8)).convert("RGB")


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pixels(content):
    with quiet():
        return opened(content, lambda image: fitted(image, 16, 16, 3))


def exif(orientation=6, resolution=True):
    made = Image.Exif()
    made[0x0112] = orientation
    if resolution:
        made[0x011A], made[0x0128] = 72.0, 2
    return made.tobytes()


def png_chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def with_chunk(content, chunk):
    return content[:33] + chunk + content[33:]  # behind IHDR


@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"tEXt", b"exif\0not an EXIF block"),
        png_chunk(b"eXIf", exif()[6:20]),
        png_chunk(b"eXIf", b""),
        png_chunk(b"tEXt", b"Raw profile type exif\0\n\n\nzz"),
        png_chunk(b"iCCP", b"broken"),
        png_chunk(b"zTXt", b"a\0\0broken"),
        png_chunk(b"tEXt", b"comment\0text")[:-4] + b"bad!",
    ],
)
def test_png_with_damaged_metadata_is_read(chunk):
    assert np.array_equal(pixels(with_chunk(encoded(RAMP, "PNG"), chunk)), np.asarray(RAMP))


@pytest.mark.parametrize("kept", range(8, 60, 6))
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_picture_with_a_cut_exif_block_is_read(kind, kept):
    whole = encoded(RAMP, kind)
    assert np.array_equal(pixels(encoded(RAMP, kind, exif=exif(1)[:kept])), pixels(whole))


def test_orientation_is_kept_when_other_metadata_is_damaged():
    content = with_chunk(encoded(RAMP, "PNG", exif=exif(6)), png_chunk(b"tEXt", b"x\0y")[:-4] + b"bad!")
    assert np.array_equal(pixels(content), np.rot90(np.asarray(RAMP), -1))


def test_random_cuts_and_flips_are_read_or_refused_in_one_line():
    random, small = np.random.default_rng(0), RAMP.resize((6, 6))
    files = [encoded(small, "PNG", exif=exif()), encoded(small, "JPEG", exif=exif()), encoded(small, "WEBP")]
    read = 0
    for turn in range(3000):
        content = bytearray(files[turn % len(files)])
        for place in random.integers(0, len(content), random.integers(0, 4)):
            content[place] = random.integers(256)
        damaged = bytes(content[: random.integers(1, len(content) + 1)] if turn % 2 else content)
        try:
            read += pixels(damaged).shape == (16, 16, 3)
        except DataError as error:
            assert len(str(error).splitlines()) == 1
    assert 300 < read < 2900


@pytest.mark.parametrize(
    ("peak", "white"), [(255, 255), (256, 1023), (3900, 4095), (4096, 16383), (40000, 65535), (0, 65535)]
)
def test_white_is_the_largest_value_of_the_fewest_usual_bits(peak, white):
    assert white_of(peak) == white


def test_values_of_12_bits_in_a_file_of_16_are_scaled_by_what_they_use(tmp_path):
    values = np.linspace(0, 4000, 64).reshape(8, 8).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png", 8, 1)[..., 0], np.rint(values * (255 / 4095)))
    assert np.array_equal(read_image(tmp_path / "a.png", 8, 1, 65535)[..., 0], np.rint(values * (255 / 65535)))
