"""The residual backbone: shapes at every size, gradients, saving, and that its parts are what they say."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_ccvae.labels import Labels
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.models.residual import Geometry, ResidualBlock, ResidualDecoder, ResidualEncoder, default_widths


def images(shape, count=2, seed=0):
    return np.random.default_rng(seed).random((count, *shape)).astype(np.float32)


def model_of(shape=(28, 28, 1), **keywords):
    keras.utils.set_random_seed(0)
    return CCVAE(shape, Labels.of_binary(["a", "b"]), 6, backbone="residual", widths=(8, 12), hidden=16, **keywords)


@pytest.mark.parametrize("size", [28, 32, 64, 128, 256])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_size_and_channel_count_goes_in_and_comes_out(size, channels):
    shape = (size, size, channels)
    widths = tuple(4 + i for i in range(len(default_widths(size))))
    assert ResidualEncoder(shape, widths, hidden=16)(images(shape)).shape == (2, 16)
    assert ResidualDecoder(shape, 5, widths, hidden=16)(np.zeros((2, 5), np.float32)).shape == (2, *shape)


def test_a_single_grid_is_enough():
    shape = (28, 28, 1)
    assert ResidualEncoder(shape, (4,), hidden=16)(images(shape)).shape == (2, 16)
    assert ResidualDecoder(shape, 5, (4,), hidden=16)(np.zeros((2, 5), np.float32)).shape == (2, *shape)


def test_the_decoder_has_a_block_on_every_grid_but_the_finest():
    decoder = ResidualDecoder((128, 128, 3), 5, (4, 6, 8), 16)
    assert [block.channels for block in decoder.blocks] == [8, 6]


@pytest.mark.parametrize(
    ("size", "grids", "expected"),
    [
        (28, 2, Geometry(2, 0, 0, 7)),
        (64, 2, Geometry(4, 0, 0, 8)),
        (128, 3, Geometry(4, 0, 0, 8)),
        (30, 2, Geometry(2, 1, 1, 8)),
    ],
)
def test_patches_divide_the_padded_image(size, grids, expected):
    assert Geometry.of(size, grids) == expected


def test_a_block_is_the_formula_of_the_module():
    block = ResidualBlock(3)
    x = np.random.default_rng(0).normal(size=(1, 2, 2, 3)).astype(np.float32)
    result = np.asarray(block(x))
    kernel, bias, mix, mix_bias = (np.asarray(weight) for weight in block.weights)
    normalised = np.pad(x / np.sqrt(np.square(x).mean(-1, keepdims=True)), [(0, 0), (1, 1), (1, 1), (0, 0)])
    expected = np.zeros_like(x)
    for i in range(2):
        for j in range(2):
            hidden = np.einsum("hwc,hwcd->d", normalised[0, i : i + 3, j : j + 3], kernel) + bias
            expected[0, i, j] = x[0, i, j] + (hidden / (1 + np.exp(-hidden))) @ mix + mix_bias
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


def test_every_weight_has_a_gradient():
    shape = (32, 32, 3)
    encoder, decoder = ResidualEncoder(shape, (4, 6), 16), ResidualDecoder(shape, 16, (4, 6), 16)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(decoder(encoder(images(shape, 8))) - images(shape, 8)))
    weights = [*encoder.trainable_weights, *decoder.trainable_weights]
    assert len(weights) == (2 * 2 + 2 * 4 + 2) + (2 + 2 + 4 + 2 + 2)
    assert all(np.abs(gradient).max() > 0 for gradient in tape.gradient(loss, weights))


def test_pixels_on_both_sides_of_a_patch_border_depend_on_the_same_places():
    shape = (32, 32, 1)  # patches of 2x2 pixels on 16x16 places
    decoder = ResidualDecoder(shape, 5, (4, 6), 16)
    decoder(np.zeros((1, 5), np.float32))
    places = tf.Variable(np.random.default_rng(0).normal(size=(1, 16, 16, 4)).astype(np.float32))
    for pixel in ((15, 15), (16, 16)):
        with tf.GradientTape() as tape:
            value = tf.nn.depth_to_space(decoder.to_pixels(places), 2)[0, pixel[0], pixel[1], 0]
        seen = np.abs(tape.gradient(value, places)).sum((0, 3)) > 0
        assert seen[7:9, 7:9].all()


@pytest.mark.programs
def test_a_saved_model_says_the_same_when_it_is_loaded(tmp_path):
    model = model_of()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.backbone == "residual"
    inputs = images((28, 28, 1))
    np.testing.assert_array_equal(model(inputs).posterior.loc, again(inputs).posterior.loc)
    np.testing.assert_array_equal(model(inputs).reconstruction.mean(), again(inputs).reconstruction.mean())


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_stays_finite_and_near_float32(precision):
    encoder = ResidualEncoder((32, 32, 3), (4, 6), 16)
    half = ResidualEncoder((32, 32, 3), (4, 6), 16, dtype=precision)
    inputs = images((32, 32, 3))
    encoder(inputs), half(inputs)
    half.set_weights(encoder.get_weights())
    result = half(inputs)
    assert result.dtype == keras.DTypePolicy(precision).compute_dtype
    np.testing.assert_allclose(tf.cast(result, tf.float32), encoder(inputs), atol=0.05)


@pytest.mark.programs
def test_onnx_computes_the_same():
    import onnxruntime
    import tf2onnx

    model = model_of((32, 32, 3))
    for layer, inputs in ((model.encoder, images((32, 32, 3))), (model.decoder, np.eye(6, dtype=np.float32))):
        signature = [tf.TensorSpec((None, *inputs.shape[1:]), name="inputs")]
        traced = tf.function(layer, input_signature=signature)
        converted, _ = tf2onnx.convert.from_function(traced, input_signature=signature, opset=18)
        session = onnxruntime.InferenceSession(converted.SerializeToString())
        np.testing.assert_allclose(session.run(None, {"inputs": inputs})[0], layer(inputs), atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "widths", "message"),
    [((64, 32, 3), (8, 8), "square"), ((64, 64, 3), (), "widths needs"), ((28, 28, 1), (4,) * 9, "widths needs 1 to")],
)
def test_impossible_networks_are_refused_by_name(shape, widths, message):
    with pytest.raises(ValueError, match=message):
        ResidualEncoder(shape, widths)


def test_an_unknown_backbone_is_refused():
    with pytest.raises(ValueError, match="backbone must be one of paper, residual, got 'resnet'"):
        CCVAE((28, 28, 1), Labels.of_binary(["a"]), 3, backbone="resnet")
