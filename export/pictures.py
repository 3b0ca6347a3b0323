"""PNG and JPEG files to pixels inside a graph, as `serving.images` and `tf_ccvae.data.images.fitted` read them outside.

Upright as the EXIF orientation says, on white where they are transparent, in grey (ITU-R 601) or RGB, scaled with an
antialiasing Lanczos filter until they cover the size, their centre cut out. Pixels differ from Pillow's by one level
of 255 at most, for the same decoded picture.
"""

from collections.abc import Sequence
from typing import TypeAlias

import tensorflow as tf

from tf_ccvae.data.images import DEPTHS, WHITE

MAX_BYTES = 20 * 2**20  # of a file; as in serving.images
MAX_PIXELS = 40_000_000  # of a picture once it is decompressed; as in serving.images
HEAD = 2**17  # bytes in which XMP is looked for
PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
Numbers: TypeAlias = Sequence[float | tf.Tensor]
ORIENTATION = 0x0112  # tag of EXIF
GREY = (19595 / 65536, 38470 / 65536, 7471 / 65536)  # ITU-R 601, as Pillow has it


def read(
    contents: tf.Tensor, height: int, width: int, channels: int, white: int | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Files of a batch; one that cannot be read raises no error, so that it does not fail the others.

    Args:
      contents: string (batch,), the bytes of the files.
      height: in pixels.
      width: in pixels.
      channels: 1 or 3.
      white: the value that is white in grey of 16 bits; None for where the bits that a picture uses end.

    Returns:
      float32 (batch, height, width, channels) in [0, 1], and bool (batch,), whether each was read. It was not if it is
      neither PNG nor JPEG, damaged, or larger than `MAX_BYTES` or `MAX_PIXELS`; its pixels are 0 then.
    """
    count = tf.size(contents)
    nothing = (tf.zeros((count, height, width, channels)), tf.fill([count], False))
    files = tf.data.Dataset.from_tensor_slices((tf.range(count), contents))
    pictures = files.map(lambda row, content: (row, _fitted(_decoded(content, white), height, width, channels)))
    readable = pictures.ignore_errors(log_warning=False)  # a graph has no other way to go on after an error
    options = tf.data.Options()
    options.autotune.enabled = False

    def put(rows: tuple[tf.Tensor, tf.Tensor], picture: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        (pixels, known), (row, levels) = rows, picture
        return (
            tf.tensor_scatter_nd_update(pixels, [[row]], levels[None]),
            tf.tensor_scatter_nd_update(known, [[row]], [True]),
        )

    return readable.with_options(options).reduce(nothing, put)


def orientation(content: tf.Tensor) -> tf.Tensor:
    """int32 (), 1 to 8: how a picture is stored turned, by EXIF or else XMP; 1 where that is absent or broken."""
    data = tf.io.decode_raw(content, tf.uint8)
    is_png = tf.strings.substr(content, 0, 2) == PNG[:2]
    start, end = tf.cond(is_png, lambda: _chunk_of_png(data, b"eXIf"), lambda: _exif_of_jpeg(data))
    by_exif = tf.cond(end - start >= 8, lambda: _tag(tf.cast(data[start:end], tf.int64)), lambda: tf.constant(0))
    value = tf.cond(by_exif == 0, lambda: _of_xmp(content), lambda: by_exif)
    return tf.where((value >= 1) & (value <= 8), value, 1)


# Pixels ---------------------------------------------------------------------------------------------------------------


def _decoded(content: tf.Tensor, white: int | None) -> tf.Tensor:
    """uint8 (height, width, 3), upright; an error if it is no such file or too large."""
    small = tf.debugging.Assert(tf.strings.length(content) <= MAX_BYTES, ["too many bytes"])
    with tf.control_dependencies([small]):
        is_png = tf.strings.substr(content, 0, len(PNG)) == PNG
    image = tf.cond(is_png, lambda: _of_png(content, white), lambda: _of_jpeg(content))
    turned = orientation(content)
    image = tf.cond(turned >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    image = tf.cond(_among(turned, (2, 3, 6, 7)), lambda: image[:, ::-1], lambda: image)
    return tf.cond(_among(turned, (3, 4, 7, 8)), lambda: image[::-1], lambda: image)


def _of_png(content: tf.Tensor, white: int | None) -> tf.Tensor:
    size = tf.cast(tf.io.decode_raw(tf.strings.substr(content, 16, 8), tf.int32, little_endian=False), tf.int64)
    with tf.control_dependencies([_not_too_large(size)]):
        depth, kind = tf.strings.substr(content, 24, 1), tf.strings.substr(content, 25, 1)
        grey = kind == b"\x00"
        image = tf.cond(
            grey & (depth == b"\x10"),
            lambda: _of_deep_grey(content, white),
            lambda: tf.cond(
                _has_alpha(content, kind, depth),
                lambda: tf.io.decode_png(content, channels=4),
                lambda: _with_alpha(tf.io.decode_png(content, channels=3)),
            ),
        )
    image = tf.ensure_shape(image, (None, None, 4))
    colours, opaque = image[..., :3], image[..., 3:]
    used = tf.debugging.Assert((depth != b"\x10") | grey | (tf.reduce_max(colours) >= 64), ["upper bits not used"])
    with tf.control_dependencies([used]):
        colours = tf.identity(colours)

    def on_white() -> tf.Tensor:
        share = tf.cast(opaque, tf.float32) / 255
        return tf.cast(tf.round(tf.cast(colours, tf.float32) * share + 255 * (1 - share)), tf.uint8)

    return tf.cond(tf.reduce_all(opaque == 255), lambda: colours, on_white)


def _has_alpha(content: tf.Tensor, kind: tf.Tensor, depth: tf.Tensor) -> tf.Tensor:
    """bool (): whether anything may be transparent. Where nothing is, TensorFlow's own alpha is wrong below 8 bits.

    In grey of less than 8 bits transparency is left aside, as Pillow does.
    """
    start, end = _chunk_of_png(tf.io.decode_raw(content, tf.uint8), b"tRNS")
    small_grey = (kind == b"\x00") & (depth != b"\x08")
    return (kind == b"\x04") | (kind == b"\x06") | ((end > start) & ~small_grey)


def _of_deep_grey(content: tf.Tensor, white: int | None) -> tf.Tensor:
    """Grey of 16 bits; without `white` the largest number of the bits that are used is, as `images.white_of` says."""
    values = tf.cast(tf.io.decode_png(content, channels=1, dtype=tf.uint16), tf.float32)
    whites = tf.constant([2.0**bits - 1 for bits in DEPTHS])
    peak = tf.reduce_max(values)
    own = tf.where(peak > 0, tf.reduce_min(tf.where(whites >= peak, whites, float(WHITE))), float(WHITE))
    levels = tf.round(values * (255 / (own if white is None else float(white))))
    return _with_alpha(tf.repeat(tf.cast(tf.minimum(levels, 255.0), tf.uint8), 3, axis=-1))


def _with_alpha(colours: tf.Tensor) -> tf.Tensor:
    return tf.concat([colours, tf.fill(tf.shape(colours[..., :1]), tf.constant(255, tf.uint8))], axis=-1)


def _of_jpeg(content: tf.Tensor) -> tf.Tensor:
    is_jpeg = tf.debugging.Assert(tf.strings.substr(content, 0, len(JPEG)) == JPEG, ["neither PNG nor JPEG"])
    with tf.control_dependencies([is_jpeg]):
        size = tf.cast(tf.io.extract_jpeg_shape(content)[:2], tf.int64)
    with tf.control_dependencies([_not_too_large(size)]):
        return tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE")


def _not_too_large(size: tf.Tensor) -> tf.Operation:
    return tf.debugging.Assert(tf.reduce_all(size > 0) & (size[0] * size[1] <= MAX_PIXELS), ["too many pixels"])


def _fitted(image: tf.Tensor, height: int, width: int, channels: int) -> tf.Tensor:
    """Across first and then down, as Pillow does: it rounds and clips between the two, which shows in hard edges."""
    if channels == 1:
        grey = tf.add_n([tf.cast(image[..., i : i + 1], tf.float32) * GREY[i] for i in range(3)])
        image = tf.cast(tf.round(grey), tf.uint8)
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    wanted = tf.constant([height, width], tf.float32)
    scale = tf.reduce_max(wanted / size)
    offset = (wanted - size * scale) / 2
    across = _scaled(image, [tf.shape(image)[0], width], [1.0, scale], [0.0, offset[1]])
    down = _scaled(across, [height, width], [scale, 1.0], [offset[0], 0.0])
    return tf.ensure_shape(down / 255, (height, width, channels))


def _scaled(image: tf.Tensor, size: Numbers, scale: Numbers, translation: Numbers) -> tf.Tensor:
    """Whole levels, 0 to 255 in float32, of a picture (height, width, channels) that is scaled and moved."""
    scaled = tf.raw_ops.ScaleAndTranslate(
        images=image[None],
        size=tf.stack(size),
        scale=tf.stack(scale),
        translation=tf.stack(translation),
        kernel_type="lanczos3",
        antialias=True,
    )[0]
    return tf.round(tf.clip_by_value(scaled, 0, 255))


def _among(value: tf.Tensor, numbers: tuple[int, ...]) -> tf.Tensor:
    return tf.reduce_any(value == tf.constant(numbers))


# Metadata -------------------------------------------------------------------------------------------------------------


def _number(data: tf.Tensor, at: tf.Tensor, size: int, little: tf.Tensor | bool = False) -> tf.Tensor:
    """The unsigned numbers of `size` bytes at positions, int64; bytes beyond the end count as 0."""
    places = at[..., None] + tf.range(size, dtype=tf.int64)
    there = places < tf.size(data, tf.int64)
    numbers = tf.cast(tf.gather(data, tf.where(there, places, 0)), tf.int64)
    weights = tf.constant([256**i for i in range(size)], tf.int64)
    return tf.reduce_sum(tf.where(there, numbers, 0) * tf.where(little, weights, weights[::-1]), axis=-1)


def _exif_of_jpeg(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """First and one past the last byte of the EXIF block, equal if there is none."""
    size = tf.size(data, tf.int64)
    exif = int.from_bytes(b"Exif\x00\x00", "big")

    def more(at: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
        marker = _number(data, at, 2)
        pictures = (marker == 0xFFDA) | (marker == 0xFFD9)
        return (start == end) & (at + 4 <= size) & (marker >= 0xFF00) & ~pictures

    def step(at: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        marker, length = _number(data, at, 2), _number(data, at + 2, 2)
        here = (marker == 0xFFE1) & (_number(data, at + 4, 6) == exif)
        following = tf.where(marker == 0xFFFF, at + 1, at + 2 + tf.maximum(length, 2))
        return following, tf.where(here, at + 10, start), tf.where(here, tf.minimum(following, size), end)

    nowhere = tf.constant(0, tf.int64)
    _, start, end = tf.while_loop(more, step, (tf.constant(2, tf.int64), nowhere, nowhere))
    return start, end


def _chunk_of_png(data: tf.Tensor, name: bytes) -> tuple[tf.Tensor, tf.Tensor]:
    """First and one past the last byte of what the first chunk of a name holds, equal if there is none."""
    size = tf.size(data, tf.int64)
    wanted = int.from_bytes(name, "big")

    def step(at: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        length, here = _number(data, at, 4), _number(data, at + 4, 4) == wanted
        return (
            at + 12 + length,
            tf.where(here, at + 8, start),
            tf.where(here, tf.minimum(at + 8 + length, size), end),
        )

    nowhere = tf.constant(0, tf.int64)
    _, start, end = tf.while_loop(
        lambda at, start, end: (start == end) & (at + 8 <= size), step, (tf.constant(8, tf.int64), nowhere, nowhere)
    )
    return start, end


def _tag(exif: tf.Tensor) -> tf.Tensor:
    """int32 (): the orientation in a TIFF header with its first directory, 0 if it is not in there."""
    order = _number(exif, tf.constant(0, tf.int64), 2)
    little = order == int.from_bytes(b"II", "big")
    ordered = little | (order == int.from_bytes(b"MM", "big"))
    directory = _number(exif, tf.constant(4, tf.int64), 4, little)
    entries = directory + 2 + 12 * tf.range(_number(exif, directory, 2, little))
    entries = tf.boolean_mask(entries, ordered & (entries + 12 <= tf.size(exif, tf.int64)))
    kinds, counts = _number(exif, entries + 2, 2, little), _number(exif, entries + 4, 4, little)
    short, long = _number(exif, entries + 8, 2, little), _number(exif, entries + 8, 4, little)
    values = tf.where(kinds == 3, short, tf.where(kinds == 4, long, 0))
    here = (_number(exif, entries, 2, little) == ORIENTATION) & (counts == 1)
    return tf.cast(tf.reduce_sum(tf.boolean_mask(values, here)[:1]), tf.int32)


def _of_xmp(content: tf.Tensor) -> tf.Tensor:
    """int32 (): the orientation in XMP, 0 if it is not in there. `\\C` is any byte."""
    head = tf.strings.substr(content, 0, HEAD)
    pattern = r'\C*?tiff:Orientation(?:="|>)([0-9])\C*'
    there = tf.strings.regex_full_match(head, pattern)
    return tf.cond(
        there,
        lambda: tf.strings.to_number(tf.strings.regex_replace(head, pattern, r"\1", replace_global=False), tf.int32),
        lambda: tf.constant(0),
    )
