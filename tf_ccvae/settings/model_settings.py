"""The settings of the model: its networks, its latents and p(x | z)."""

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from tf_ccvae.settings.base import Above0, AtLeast1, Settings


class Model(Settings):
    """The networks and distributions; `model: m2` is short for its name alone."""

    name: Literal["ccvae", "m2", "diva", "mvae", "vae_classifier"] = Field(
        default="ccvae",
        description="ccvae, or a baseline: m2 (labels enter encoder and decoder), diva (latents of labels with a prior "
        "and a classifier of their own), mvae (labels and image are experts on the same latents; no edits), "
        "vae_classifier (a classifier on all latents)",
    )
    backbone: Literal["residual", "paper", "auto"] = Field(
        default="auto",
        description="the networks between images and latents: residual (patches of pixels as channels, residual blocks "
        "on coarse grids), paper (strided convolutions, as the official programs have), or auto: paper for the "
        "official estimators, else residual",
    )
    style_latents: AtLeast1 | Literal["auto"] = Field(
        default="auto",
        description="number of style latents, beside those of the labels; at least 1, or auto: 36, or what latents "
        "leaves",
    )
    latents: AtLeast1 | None = Field(
        default=None,
        description="number of latents of labels and style together, in place of style_latents; at least 1, or null",
    )
    latents_per_label: int = Field(
        default=2, ge=1, description="number of characteristic latents per label; at least 1"
    )
    encoder_widths: tuple[AtLeast1, ...] = Field(
        default=(),
        description="channels of each stage of the encoder, mirrored in the decoder, such as [32, 64, 128]; "
        "empty for the widths that suit the backbone and the image size",
    )
    hidden: int = Field(default=256, ge=1, description="units of the dense layer next to the latents; at least 1")
    likelihood: Literal["laplace", "gaussian", "bernoulli", "continuous_bernoulli"] = Field(
        default="laplace", description="distribution of a pixel given the latents"
    )
    likelihood_scale: Above0 | Literal["learned", "auto"] = Field(
        default="auto",
        description="scale of the laplace or gaussian likelihood where a pixel is 0 to 1, above 0; learned; or auto: "
        "in proportion to the running error of training, so that weights need no change from data to data, and 1 for "
        "the official estimators",
    )

    @model_validator(mode="after")
    def _one_number_of_latents(self) -> Self:
        if self.latents is not None and self.style_latents != "auto":
            raise PydanticCustomError(
                "contradiction",
                "the number of all latents cannot be given together with model.style_latents; leave one of them out",
                {"setting": "latents"},
            )
        return self
