"""The table's functions do what the model and the interventions do, row by row."""

import functools
import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from export import onnx as onnx_format
from export import pictures
from export.signatures import of_format, table
from export.uses import Uses, as_float32
from serving import images
from tf_ccvae import interventions
from tf_ccvae.data.images import fitted, peak_of, white_of
from tf_ccvae.labels import MISSING, Label, Labels
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.objective.exclusions import exclusion_table

ON_AND_OFF = np.array([[1, 0]] * 64, np.int32)
FIRST = np.array([[True, False]] * 64)


@pytest.fixture(scope="module")
def uses(model):
    return Uses(as_float32(model))


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


@pytest.fixture(scope="module")
def mixed_labels():
    """An untrained model with a binary label, a categorical one and one of several latents, p(y) skewed."""
    labels = Labels((Label("a"), Label("b", ("x", "y", "z")), Label("c", ("p", "q", "r"), latents=2)))
    made = CCVAE((28, 28, 1), labels, latents=7, widths=(4, 4, 4), hidden=8)
    made.label_statistics.set_label_prior(np.array([[0.9, 0.1, 0], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8]]))
    return made


def test_every_input_is_a_batch_and_every_output_float32(model):
    for signature in table(as_float32(model)):
        assert all(x.shape.rank >= 1 and x.shape[0] is None for x in signature.inputs)
        concrete = signature.traced().get_concrete_function()
        outputs = concrete.structured_outputs
        assert set(outputs) == set(signature.outputs)
        assert all(x.dtype == tf.float32 and x.shape[0] is None for x in outputs.values())
        assert signature.documentation


def test_classify_gives_the_models_exact_probabilities(uses, model, pixels):
    outputs = uses.classify(tf.constant(pixels))
    np.testing.assert_allclose(outputs["probabilities"], model(pixels).label_probabilities, atol=1e-6)
    np.testing.assert_allclose(tf.nn.softmax(outputs["logits"]), outputs["probabilities"], atol=1e-6)


def test_encode_gives_the_posterior(uses, model, pixels):
    outputs, posterior = uses.encode(tf.constant(pixels)), model.encode(pixels)
    np.testing.assert_allclose(outputs["loc"], posterior.loc, atol=1e-6)
    np.testing.assert_allclose(outputs["scale"], posterior.scale, atol=1e-6)


def test_reconstruct_set_labels_and_swap_are_those_of_interventions(uses, model, pixels):
    image = tf.constant(pixels)
    rebuilt = interventions.reconstruct(model, pixels)
    np.testing.assert_allclose(uses.reconstruct(image)["reconstruction"], rebuilt, atol=1e-6)
    edited = uses.set_labels(image, tf.constant(ON_AND_OFF), tf.constant(FIRST))["edited"]
    np.testing.assert_allclose(edited, interventions.set_labels(model, pixels, {"Top": 1}), atol=1e-6)
    swapped = uses.swap(image[:1], image[1:2], tf.constant(FIRST[:1]))["swapped"]
    np.testing.assert_allclose(
        swapped, interventions.swap_matrix(model, pixels[:1], pixels[1:2], ["Top"])[0], atol=1e-6
    )


def test_values_that_exclude_each_other_change_together(model, pixels):
    changed = as_float32(model)
    excluding = exclusion_table([((0, 1), (1, 0))], changed.labels)  # Top excludes not Bright
    changed.label_statistics.incompatible.assign(excluding)
    uses, latents = Uses(changed), changed.latents_of(pixels)
    dark = np.asarray(changed.values_of(latents))[:, 1] == 0
    edited = uses.set_labels_of_latents(latents, ON_AND_OFF, tf.constant(FIRST))["edited_latents"]
    np.testing.assert_array_equal(np.any(edited[:, 2:4] != latents[:, 2:4], axis=1), dark)
    top = np.flatnonzero(np.asarray(changed.values_of(latents))[:, 0])[:1]
    donors = tf.repeat(tf.gather(latents, top), 64, axis=0)
    swapped = uses.swap_latents(latents, donors, tf.constant(FIRST))["swapped_latents"]
    np.testing.assert_array_equal(swapped[:, :2], donors[:, :2])
    np.testing.assert_array_equal(np.any(swapped[:, 2:4] != latents[:, 2:4], axis=1), dark)


def test_a_row_is_a_function_of_its_own_seed(uses):
    labels, mask = ON_AND_OFF[:3], np.zeros((3, 2), bool)
    seeds = np.array([[1, 2], [3, 4], [1, 2]], np.int32)
    together = uses.generate(labels, tf.constant(mask), seeds)
    np.testing.assert_array_equal(together["latents"][0], together["latents"][2])
    assert np.abs(together["latents"][0] - together["latents"][1]).max() > 0.1
    for row in range(3):
        alone = uses.generate(labels[row : row + 1], tf.constant(mask[:1]), seeds[row : row + 1])
        np.testing.assert_array_equal(alone["latents"][0], together["latents"][row])
        np.testing.assert_allclose(alone["image"][0], together["image"][row], atol=1e-6)


def test_generated_latents_follow_the_conditional_prior_and_p_of_y(mixed_labels):
    count = 20000
    values = np.full((count, 3), 1, np.int32)
    noise = np.random.default_rng(0).normal(size=(count, 10)).astype(np.float32)
    mask = np.array([[False, True, True]] * count)
    prior = mixed_labels.label_distributions.prior
    latents = np.asarray(Uses(mixed_labels).prior(values, tf.constant(mask), noise)["latents"])
    np.testing.assert_allclose(latents[:, 1:4].mean(0), prior.loc[1, 1:4], atol=0.05)
    np.testing.assert_allclose(latents[:, 4:].std(0), 1, atol=0.03)
    np.testing.assert_allclose(latents[:, 0].mean(), 0.9 * prior.loc[0, 0] + 0.1 * prior.loc[1, 0], atol=0.05)


def test_a_value_that_a_label_does_not_have_counts_as_not_asked_for(mixed_labels):
    uses = Uses(mixed_labels)
    latents = np.random.default_rng(0).normal(size=(4, 7)).astype(np.float32)
    mask = tf.constant(np.array([[True, False, False]] * 4))
    for value in (MISSING, 2, 99):
        values = np.full((4, 3), value, np.int32)
        np.testing.assert_array_equal(uses.set_labels_of_latents(latents, values, mask)["edited_latents"], latents)


def test_categorical_labels_have_a_column_per_class_and_rows_do_not_depend_on_the_batch(mixed_labels, pixels):
    uses = Uses(mixed_labels)
    outputs = uses.classify(tf.constant(pixels[:5]))
    probabilities = np.asarray(outputs["probabilities"])
    assert probabilities.shape == (5, 3, 3)
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)
    assert (probabilities[:, 0, 2] == 0).all() and np.isfinite(outputs["logits"]).all()
    np.testing.assert_allclose(uses.classify(tf.constant(pixels[3:4]))["probabilities"][0], probabilities[3], atol=1e-6)


def test_layout_nchw_only_moves_the_axes_of_images(model, pixels):
    ours, theirs = (Uses(as_float32(model), layout) for layout in ("nhwc", "nchw"))
    image, moved = tf.constant(pixels[:2]), tf.constant(pixels[:2].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(ours.encoder(image)["loc"], theirs.encoder(moved)["loc"])
    np.testing.assert_array_equal(
        np.transpose(ours.reconstruct(image)["reconstruction"], (0, 3, 1, 2)),
        theirs.reconstruct(moved)["reconstruction"],
    )
    shapes = {x.name: x.inputs[0].shape.as_list() for x in table(as_float32(model), "nchw")}
    assert shapes["encoder"] == [None, 1, 28, 28]


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


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli", "continuous_bernoulli"])
def test_decoders_of_every_likelihood_convert_and_give_the_mean(likelihood):
    from onnxruntime import InferenceSession

    made = CCVAE((28, 28, 1), Labels.of_binary(["a"]), latents=3, widths=(4, 4, 4), hidden=8, likelihood=likelihood)
    decoder = next(x for x in of_format(table(made), "onnx") if x.name == "decoder")
    description = {
        "labels": [],
        "style": [1, 3],
        "image": {"range": [0, 1], "layout": "nhwc"},
        "run": {"sha256": ""},
        "version": 1,
    }
    converted = onnx_format.convert(decoder, description).SerializeToString()
    latents = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    (image,) = InferenceSession(converted).run(["image"], {"latents": latents})
    np.testing.assert_allclose(image, made.decode(latents).mean(), atol=1e-5)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_a_model_of_mixed_precision_is_exported_in_float32(model, pixels, precision):
    by_hand = as_float32(model)
    mixed = CCVAE.from_config({**model.get_config(), "dtype": precision})
    mixed.set_weights(model.get_weights())
    rebuilt = as_float32(mixed)
    for ours, theirs in zip(rebuilt.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    exact, same = (Uses(x).encoder(tf.constant(pixels)) for x in (by_hand, rebuilt))
    np.testing.assert_array_equal(exact["loc"], same["loc"])
    assert np.abs(mixed.latents_of(pixels) - exact["loc"]).max() > 1e-5
