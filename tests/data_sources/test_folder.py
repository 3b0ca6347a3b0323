import io
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from tf_ccvae.data.dataset import DataError
from tf_ccvae.data.folder import load
from tf_ccvae.labels import MISSING

pytestmark = pytest.mark.usefixtures("own_cache")

GOOD = "file,split,smile\na.png,train,1\nb.png,validation,0\nc.png,test,\nd.png,train,0\n"


@pytest.fixture
def folder(tmp_path):
    """Four grey 8x8 images a.png, ... and a function that writes the CSV file and loads both."""
    (tmp_path / "images").mkdir()
    for level, name in enumerate("abcd"):
        Image.new("L", (8, 8), 10 * level).save(tmp_path / "images" / f"{name}.png")

    def read(text=GOOD, **kwargs):
        kwargs.setdefault("cache_dir", tmp_path / "cache")
        (tmp_path / "labels.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(tmp_path / "images", tmp_path / "labels.csv", **{"image_size": 8, "channels": 1, **kwargs})

    read.images = tmp_path / "images"
    return read


def one_image(read, image, name="a.png", **kwargs):
    """The pixels of `image` after it went through a file."""
    image.save(read.images / name, **kwargs)
    return lambda **load_kwargs: read(GOOD.replace("a.png", name), **load_kwargs).train.images[0]


# What the CSV file means.


def test_split_column_and_missing_labels_are_read(folder):
    data = folder("split,glasses,file,smile\ntrain,,a.png,1\ntest,1,b.png,-1\nvalidation,0,c.png,0\ntrain,1,d.png,0\n")
    assert data.labels.names == ("glasses", "smile")
    np.testing.assert_array_equal(data.train.labels, [[MISSING, 1], [1, 0]])
    np.testing.assert_array_equal(data.test.labels, [[1, MISSING]])
    np.testing.assert_array_equal(data.train.images[:, 0, 0, 0], [0, 30])


def test_byte_order_mark_windows_line_ends_quotes_and_blank_lines_are_accepted(folder):
    text = '\n\n"file", split ,smile\n a.png,train,1\n\nb.png,validation,0\n"c.png",test,1\nd.png,train, 0\n'
    data = folder(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    np.testing.assert_array_equal(data.train.labels, [[1], [0]])


def test_constant_training_label_is_a_warning(folder):
    data = folder(GOOD.replace("d.png,train,0", "d.png,train,1"))
    assert data.about["warnings"] == ["label 'smile' is 1 in every training example, so nothing can be learned from it"]


def test_small_images_are_a_warning(folder):
    data = folder(image_size=28)
    assert data.about["warnings"] == ["4 of 4 images are smaller than 28 pixels and were enlarged"]
    assert data.image_shape == (28, 28, 1)


@pytest.mark.parametrize(("asked", "terminal"), [(True, True), (True, False), (False, True)])
def test_progress_bar_is_drawn_on_a_terminal_only_and_on_standard_error(folder, capsys, monkeypatch, asked, terminal):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    folder(progress=asked)
    printed = capsys.readouterr()
    assert ("folder: decoding" in printed.err) == (asked and terminal)
    assert printed.out == ""


# What becomes of an image.


@pytest.mark.parametrize(
    ("name", "options"),
    [("x.png", {}), ("x.jpg", {"quality": 95}), ("x.webp", {"lossless": True}), ("x.pgm", {})],
)
def test_formats(folder, name, options):
    ramp = Image.fromarray(np.linspace(0, 255, 64).reshape(8, 8).astype(np.uint8))
    pixels = one_image(folder, ramp, name, **options)()
    np.testing.assert_allclose(pixels[..., 0], np.asarray(ramp), atol=3)


def test_shorter_side_is_scaled_and_the_centre_is_cut_out(folder):
    wide = np.zeros((16, 48), np.uint8)
    wide[:, 16:32] = 200
    pixels = one_image(folder, Image.fromarray(wide))()
    assert pixels.shape == (8, 8, 1)
    np.testing.assert_allclose(pixels[:, 2:-2], 200, atol=10)
    tall = one_image(folder, Image.fromarray(wide.T))()
    np.testing.assert_array_equal(tall, pixels.swapaxes(0, 1))


def test_scaling_equals_scaling_the_whole_image_and_cutting(folder):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 80), np.uint8))
    whole = np.asarray(image.resize((16, 8), Image.Resampling.LANCZOS))
    np.testing.assert_allclose(one_image(folder, image)()[..., 0].astype(int), whole[:, 4:12], atol=1)


def test_scaling_down_is_antialiased(folder):
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    pixels = one_image(folder, Image.fromarray(stripes))()
    np.testing.assert_allclose(pixels[:, 1:-1], 127.5, atol=2)


def test_exif_orientation_is_applied(folder):
    upright = np.zeros((8, 8), np.uint8)
    upright[:4] = 255  # light above dark
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side: turn by 90 degrees clockwise to see it upright
    pixels = one_image(folder, Image.fromarray(np.rot90(upright)), exif=exif)()
    np.testing.assert_array_equal(pixels[..., 0], upright)


@pytest.mark.parametrize(
    ("mode", "colour", "grey", "rgb"),
    [
        ("L", 100, 100, (100, 100, 100)),
        ("1", 1, 255, (255, 255, 255)),
        ("RGB", (255, 0, 0), 76, (255, 0, 0)),
        ("RGBA", (255, 0, 0, 0), 255, (255, 255, 255)),
        ("LA", (0, 255), 0, (0, 0, 0)),
        ("I;16", 25700, 100, (100, 100, 100)),
    ],
)
def test_colours_are_converted_to_the_channels_asked_for(folder, mode, colour, grey, rgb):
    pixels = one_image(folder, Image.new(mode, (8, 8), colour))
    assert tuple(pixels(channels=1)[0, 0]) == (grey,)
    assert tuple(pixels(channels=3)[0, 0]) == rgb


def test_palette_with_a_transparent_entry_is_laid_on_white(folder):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 0, 0, 255])
    assert tuple(one_image(folder, image, transparency=1)(channels=3)[0, 0]) == (255, 255, 255)
    assert tuple(one_image(folder, image, transparency=0)(channels=3)[0, 0]) == (0, 0, 255)


# What is refused, with one line.


def refusal(read, *args, **kwargs):
    with pytest.raises(DataError) as refused:
        read(*args, **kwargs)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "labels.csv: is empty"),
        ("\n \n", "labels.csv: is empty"),
        ("file,smile\n", "labels.csv: has no examples"),
        ("smile,picture\n1,a.png\n", "labels.csv, line 1: no column 'file'; add one"),
        ("File,smile\na.png,1\n", "labels.csv, line 1: no column 'file'; rename 'File'"),
        ("filename,smile\na.png,1\n", "labels.csv, line 1: no column 'file'; rename 'filename'"),
        ("x;smile\na.png;1\n", "labels.csv, line 1: no column 'file'; put commas between the columns"),
        ("file,split\na.png,train\n", "labels.csv, line 1: no column of labels"),
        ("file,smile,\na.png,1,\n", "labels.csv, line 1: column 3 has no name"),
        ("file,smile,smile\na.png,1,1\n", "labels.csv, line 1: column 'smile' is there twice"),
        ("file,smile\na.png,1\nb.png\nc.png,0\n", "labels.csv, line 3: 1 values for 2 columns"),
        (
            "file,smile\na.png,1\n\nb.png,maybe\nc.png,0\n",
            "column 'smile': 'maybe' (line 4) is not a label",
        ),
        ("file,smile\na.png,2\n", "labels.csv: column 'smile': is 2 in the whole file, so there is nothing to learn"),
        ("file,smile\n,1\nb.png,0\n", "labels.csv, line 2: column 'file' is empty"),
        ("file,smile\na.png,1\nb.png,1\n./a.png,0\n", "labels.csv, line 4: a.png is on line 2 too"),
        ("file,smile\na.png,0\nz.png,1\n", "labels.csv, line 3: no image z.png"),
        (f"file,smile\n{'z' * 5000}.png,1\nb.png,0\n", "labels.csv, line 2: no image zzz"),
        ("file,smile\n../labels.csv,1\nb.png,0\n", "labels.csv, line 2: ../labels.csv is outside"),
        ("file,smile\na/../../labels.csv,1\nb.png,0\n", "labels.csv, line 2: a/../../labels.csv is outside"),
        ("file,smile\n/etc/hosts,1\nb.png,0\n", "labels.csv, line 2: /etc/hosts is outside"),
        (GOOD.replace("validation", "valid"), "column 'split': 'valid' is not one of train, validation, test; did you"),
        (GOOD.replace("test", ""), "labels.csv, line 4: column 'split': '' is not one of train, validation, test"),
        (GOOD.replace("test", "train"), "labels.csv: no example in split test"),
        ("file,smile\na.png,1\nb.png,0\n", "labels.csv: 2 examples are too few for three splits"),
        ("file,split,smile\na.png,train,\nb.png,test,1\nc.png,validation,0\n", "column 'smile': not known for any"),
        ('file,smile\n"a.png,1\n', "is not CSV"),
        (b"file,smile\na.png,1\n\xe4.png,1\n", "labels.csv: is not UTF-8"),
    ],
)
def test_wrong_csv_is_refused_with_its_line(folder, text, message):
    assert message in refusal(folder, text)


def test_missing_folder_and_missing_csv_are_refused(tmp_path):
    assert refusal(load, tmp_path / "no", tmp_path / "labels.csv").startswith(f"{tmp_path / 'no'}: no such folder")
    assert refusal(load, tmp_path, tmp_path / "labels.csv").startswith(f"{tmp_path / 'labels.csv'}: no such file")
    assert "cannot be read" in refusal(load, tmp_path, tmp_path)


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.0, 0.1), (float("nan"), 0.1)])
def test_impossible_fractions_are_refused(folder, fractions):
    text = "file,smile\na.png,1\nb.png,0\nc.png,1\n"
    message = refusal(folder, text, validation_fraction=fractions[0], test_fraction=fractions[1])
    assert "must be above 0 and together below 1" in message


def bomb(side):
    """A small PNG file that says it has `side` x `side` pixels."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def saved(image, kind):
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a PNG, JPEG, WebP or PGM image"),
        (b"hello", "is not a PNG, JPEG, WebP or PGM image"),
        (saved(NOISE, "GIF"), "is not a PNG, JPEG, WebP or PGM image"),
        (saved(NOISE, "PNG")[:2000], "cannot be read"),
        (saved(NOISE, "JPEG")[:1000], "cannot be read"),
        (saved(NOISE, "WEBP")[:1000], "cannot be read"),
        (saved(NOISE, "PPM")[:1000], "cannot be read"),
        (saved(NOISE, "PNG").replace(b"IDAT", b"IDAX"), "is not a PNG, JPEG, WebP or PGM image"),
        (bomb(10_000), "has too many pixels"),
        (bomb(30_000), "has too many pixels"),
        (b"Pf\n1 1\n-1.0\n" + struct.pack("<f", 0.5), "has floating-point pixels"),
    ],
)
def test_unusable_image_is_refused_with_its_name_and_line(folder, content, message):
    (folder.images / "b.png").write_bytes(content)
    text = refusal(folder)
    assert text.startswith(f"{folder.images / 'b.png'}: {message}")
    assert text.endswith("labels.csv, line 3)")
