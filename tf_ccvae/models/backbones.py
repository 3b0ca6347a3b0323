"""The networks that a model can have between images and latents, by name."""

from typing import NamedTuple, Protocol

import keras

from tf_ccvae.models import networks, residual


class DefaultWidths(Protocol):
    """Image size in pixels -> channels on each grid of the encoder, the finest first."""

    def __call__(self, image_size: int) -> tuple[int, ...]: ...


class Backbone(NamedTuple):
    """Layers and their widths.

    encoder: (image_shape, widths, hidden) -> layer from images to features.
    decoder: (image_shape, latents, widths, hidden) -> layer from latents to the logits of images.
    default_widths: what suits an image size.
    """

    encoder: type[keras.layers.Layer]
    decoder: type[keras.layers.Layer]
    default_widths: DefaultWidths


BACKBONES: dict[str, Backbone] = {
    "paper": Backbone(networks.Encoder, networks.Decoder, networks.default_widths),
    "residual": Backbone(residual.ResidualEncoder, residual.ResidualDecoder, residual.default_widths),
}


def named(name: str) -> Backbone:
    """One of `BACKBONES`.

    Raises:
      ValueError: there is none of this name.
    """
    if name not in BACKBONES:
        raise ValueError(f"backbone must be one of {', '.join(BACKBONES)}, got {name!r}")
    return BACKBONES[name]
