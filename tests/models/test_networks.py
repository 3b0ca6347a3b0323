"""Shapes, depth and size of the networks."""

import keras
import numpy as np
import pytest

from tf_ccvae.labels import Labels
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.models.networks import Decoder, Encoder, WholeConv2D, WholeConv2DTranspose, default_widths


def test_parameters_at_64_pixels_are_those_of_the_paper():
    model = CCVAE((64, 64, 3), Labels.of_binary(f"label{i}" for i in range(18)), latents=45)
    assert model.encoder.count_params() + model.posterior_head.count_params() == 729_690
    assert model.decoder.count_params() == 718_083


@pytest.mark.parametrize("size", [28, 32, 64, 128, 256])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_size_and_channel_count_goes_in_and_comes_out(size, channels):
    shape = (size, size, channels)
    widths = default_widths(size)
    encoder, decoder = Encoder(shape, widths, hidden=16), Decoder(shape, 5, widths, hidden=16)
    features = encoder(np.zeros((2, *shape), np.float32))
    assert features.shape == (2, 16)
    assert decoder(np.zeros((2, 5), np.float32)).shape == (2, *shape)


def test_encoder_is_that_of_the_paper_layer_by_layer():
    encoder = Encoder((64, 64, 3), default_widths(64))
    assert [layer.filters for layer in encoder.convolutions] == [32, 32, 64, 128]
    assert {layer.kernel_size for layer in encoder.convolutions} == {(4, 4)}
    assert {layer.strides for layer in encoder.convolutions} == {(2, 2)}
    assert encoder.to_features.padding == "valid"


@pytest.mark.parametrize(
    ("shape", "widths", "message"),
    [((64, 32, 3), (8, 8, 8, 8), "square"), ((64, 64, 3), (8, 8), "widths needs 4 numbers")],
)
def test_impossible_networks_are_refused_by_name(shape, widths, message):
    with pytest.raises(ValueError, match=message):
        Encoder(shape, widths)


@pytest.mark.parametrize(
    ("layer", "base", "shape"),
    [
        (WholeConv2D, keras.layers.Conv2D, (5, 4, 4, 6)),
        (WholeConv2DTranspose, keras.layers.Conv2DTranspose, (5, 1, 1, 6)),
    ],
)
def test_matrix_products_equal_the_convolutions_that_they_stand_for(layer, base, shape):
    fast, slow = (kind(7, 4, padding="valid", activation="relu") for kind in (layer, base))
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    fast(image), slow(image)
    random = np.random.default_rng(1)
    for one, other in zip(fast.weights, slow.weights, strict=True):
        one.assign(random.normal(size=one.shape))
        other.assign(one)
    np.testing.assert_allclose(fast(image), slow(image), rtol=1e-5, atol=1e-5)


def test_sizes_without_default_widths_are_refused():
    with pytest.raises(ValueError, match="no default widths"):
        default_widths(512)
