"""Picture files are read by the export as the client reads them."""

import functools
import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from export import pictures
from serving import images
from tf_ccvae.data.images import fitted, peak_of, read_image, white_of


def file_of(image, kind, **settings):
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


@functools.cache
def reader(*shape):
    """`pictures.read` as a graph, which is made once in place of once for every file."""
    files = tf.TensorSpec([None], tf.string)
    return tf.function(lambda contents: pictures.read(contents, *shape), input_signature=[files])


def read_one(content, *shape):
    """float32 (height, width, channels) of one file, and whether it was read."""
    pixels, read = reader(*shape)(tf.constant([content]))
    return pixels[0], read[0]


@pytest.fixture
def colourful():
    noise = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    return Image.fromarray(noise).resize((70, 90), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_picture_files_are_classified_as_their_pixels(uses, tiny, kind):
    contents, decoded = [], []
    for image in tiny.test.images[:3]:
        file = io.BytesIO()
        Image.fromarray(image[..., 0]).save(file, kind)
        contents.append(file.getvalue())
        decoded.append(np.asarray(Image.open(file))[..., None])
    outputs = uses.classify_bytes(tf.constant(contents))
    exact = uses.classify(tf.constant(np.stack(decoded).astype(np.float32) / 255))
    np.testing.assert_allclose(outputs["logits"], exact["logits"], atol=1e-4 if kind == "PNG" else 0.2)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_picture_files_stored_turned_are_read_upright_as_the_client_reads_them(kind, orientation, colourful):
    exif = Image.Exif()
    exif[0x112] = orientation
    content = file_of(colourful, kind, exif=exif)
    for channels in (1, 3):
        pixels, read = read_one(content, 28, 24, channels)
        assert read
        np.testing.assert_allclose(pixels, images.read(content, 28, 24, channels), atol=2.5 / 255)


def transparent(image):
    alpha = Image.linear_gradient("L").resize(image.size)
    image.putalpha(alpha)
    return image


def png_of_bits(image, bits):
    """A PNG file of grey with less than 8 bits a pixel, which Pillow reads but does not write."""
    values = np.asarray(image.convert("L")) >> (8 - bits)
    each = 8 // bits
    values = np.pad(values, ((0, 0), (0, -values.shape[1] % each)))
    packed = sum(values[:, i::each] << (8 - bits * (i + 1)) for i in range(each)).astype(np.uint8)

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", *image.size, bits, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in packed))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


MODES = {
    "grey": lambda image: file_of(image.convert("L"), "PNG"),
    "grey with a transparent value": lambda image: file_of(image.convert("L"), "PNG", transparency=90),
    "grey with alpha": lambda image: file_of(transparent(image.convert("LA")), "PNG"),
    "grey of 16 bits": lambda image: file_of(Image.fromarray(np.asarray(image.convert("L")) * np.uint16(257)), "PNG"),
    "grey of 4 bits": lambda image: png_of_bits(image, 4),
    "grey of 2 bits": lambda image: png_of_bits(image, 2),
    "black and white": lambda image: file_of(image.convert("1"), "PNG"),
    "colour": lambda image: file_of(image, "PNG"),
    "colour with a transparent value": lambda image: file_of(image, "PNG", transparency=image.getpixel((9, 9))),
    "colour with alpha": lambda image: file_of(transparent(image.convert("RGBA")), "PNG"),
    "palette": lambda image: file_of(image.convert("P"), "PNG"),
    "palette with alpha": lambda image: file_of(image.convert("P"), "PNG", transparency=bytes(range(256))),
    "palette of 4 bits": lambda image: file_of(image.quantize(16), "PNG", bits=4),
    "palette of 2 bits": lambda image: file_of(image.quantize(4), "PNG", bits=2),
    "palette of 2 bits with a transparent value": lambda image: file_of(
        image.quantize(4), "PNG", bits=2, transparency=1
    ),
    "palette of 1 bit": lambda image: file_of(image.quantize(2), "PNG", bits=1),
    "JPEG": lambda image: file_of(image, "JPEG"),
    "JPEG, grey": lambda image: file_of(image.convert("L"), "JPEG"),
    "JPEG, CMYK": lambda image: file_of(image.convert("CMYK"), "JPEG"),
    "JPEG, progressive": lambda image: file_of(image, "JPEG", progressive=True),
}


def test_picture_files_of_every_mode_are_read_as_the_client_reads_them(colourful):
    contents = [make(colourful.copy()) for make in MODES.values()]
    pixels, read = pictures.read(tf.constant(contents), 28, 24, 3)
    assert dict(zip(MODES, read.numpy().tolist(), strict=True)) == dict.fromkeys(MODES, True)
    apart = np.abs(pixels - images.array(contents, 28, 24, 3)).max((1, 2, 3)) * 255
    assert {mode: levels for mode, levels in zip(MODES, apart, strict=True) if levels > 2.5} == {}


def test_hard_edges_are_scaled_as_the_client_scales_them():
    random = np.random.default_rng(0)
    sizes = [(9, 7), (28, 24), (24, 28), (131, 40), (40, 131)]
    contents = [file_of(Image.fromarray(random.integers(0, 2, x).astype(bool)), "PNG") for x in sizes]
    pixels, _ = pictures.read(tf.constant(contents), 28, 24, 1)
    np.testing.assert_allclose(pixels, images.array(contents, 28, 24, 1), atol=2.5 / 255)


@pytest.mark.parametrize("peak", [0, 200, 1000, 4000, 65535])
def test_grey_of_16_bits_is_white_where_the_bits_that_it_uses_end(peak):
    values = np.linspace(0, peak, 28 * 24).reshape(28, 24).astype(np.uint16)
    image = Image.fromarray(values)
    pixels, read = read_one(file_of(image, "PNG"), 28, 24, 1)
    expected = fitted(image, 28, 24, 1, white_of(peak_of(image)))
    assert read and round(255 * pixels.numpy().max()) == {0: 0, 200: 200, 1000: 249, 4000: 249, 65535: 255}[peak]
    np.testing.assert_allclose(pixels, expected / 255, atol=1.01 / 255)


@pytest.mark.parametrize("peak", [900, 4000, 65535])
def test_grey_of_16_bits_is_scaled_by_what_training_saw_where_that_is_known(peak):
    """A dark picture of 12 bits came out four times as bright as `intervene` reads it."""
    values = np.linspace(0, peak, 28 * 28).reshape(28, 28).astype(np.uint16)
    content = file_of(Image.fromarray(values), "PNG")
    expected = read_image(content, 28, 1, 4095)
    pixels, read = read_one(content, 28, 28, 1, 4095)
    assert read and expected.max() == {900: 56, 4000: 249, 65535: 255}[peak]
    np.testing.assert_allclose(pixels, expected / 255, atol=2.5 / 255)
    np.testing.assert_array_equal(images.read(content, 28, 28, 1, lambda: 4095), np.float32(expected) / 255)


@pytest.mark.parametrize("peak", [4000, 65535])
def test_colours_of_16_bits_that_leave_the_upper_bits_unused_are_not_read(peak):
    values = np.linspace(0, peak, 28 * 24 * 3).reshape(28, 24, 3).astype(np.uint16)
    pixels, read = read_one(tf.io.encode_png(values).numpy(), 28, 24, 3)
    assert bool(read) == (peak == 65535)
    assert pixels.numpy().max() == float(peak == 65535)


def test_a_file_that_cannot_be_read_says_so_and_others_are_classified(uses, tiny):
    good = file_of(Image.fromarray(tiny.test.images[0, ..., 0]), "PNG")
    width = (60_000).to_bytes(4, "big")
    bad = [b"", b"hello", good[:-40], good[:16] + width * 2 + good[24:], file_of(Image.new("L", (9, 9)), "WEBP")]
    outputs = uses.classify_bytes(tf.constant([good, *bad, good]))
    assert outputs["decoded"].numpy().tolist() == [1, 0, 0, 0, 0, 0, 1]
    for rows in (outputs["probabilities"].numpy(), outputs["logits"].numpy()):
        assert np.isnan(rows[1:-1]).all() and np.isfinite(rows[[0, -1]]).all()


def test_larger_picture_files_are_brought_to_size(uses, tiny):
    image = Image.fromarray(tiny.test.images[0, ..., 0])
    wide = Image.new("L", (112, 84))
    wide.paste(image.resize((84, 84), Image.Resampling.BICUBIC), (14, 0))
    file = io.BytesIO()
    wide.save(file, "PNG")
    outputs = uses.classify_bytes(tf.constant([file.getvalue()]))
    exact = uses.classify(tf.constant(tiny.test.images[:1].astype(np.float32) / 255))
    np.testing.assert_allclose(outputs["probabilities"], exact["probabilities"], atol=0.1)
