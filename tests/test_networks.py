"""Shapes, depth and size of the networks."""

import numpy as np
import pytest

from tf_ccvae.labels import Labels
from tf_ccvae.model import CCVAE
from tf_ccvae.networks import Decoder, Encoder, default_widths


def test_parameters_at_64_pixels_are_those_of_the_paper():
    model = CCVAE((64, 64, 3), Labels.of_binary(f"label{i}" for i in range(18)), latents=45)
    assert model.encoder.count_params() + model.posterior_head.count_params() == 729_690
    assert model.decoder.count_params() == 718_083


@pytest.mark.parametrize("size", [28, 32, 64, 128])
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


def test_sizes_without_default_widths_are_refused():
    with pytest.raises(ValueError, match="no default widths"):
        default_widths(512)
