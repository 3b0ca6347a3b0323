"""The settings of what training maximises: the bound's estimator, and the weights of terms beside the bound."""

from typing import Annotated, Literal

from pydantic import Field

from tf_ccvae.settings.base import Settings


class Objective(Settings):
    """The bound that training maximises."""

    estimator: Literal["exact", "pytorch", "pyro"] = Field(
        default="exact", description="how the bound is estimated: exact, or as either official program does"
    )
    label_weight: Annotated[float, Field(ge=0)] | Literal["auto"] = Field(
        default="auto",
        description="adds this times log q(y | x) to what is maximised, at least 0; auto is 0 for the official "
        "estimators, whose gradient holds a hidden weight of its own, else 250 where model.likelihood_scale is auto "
        "and 1000 where it is not",
    )
    independence_weight: Annotated[float, Field(ge=0)] | Literal["auto"] = Field(
        default="auto",
        description="weight of the penalty on what other latents tell about a label, at least 0; auto is 0 for the "
        "official estimators, else 150 where model.likelihood_scale is auto and 30 where it is not",
    )
    consistency_weight: Annotated[float, Field(ge=0)] | Literal["auto"] = Field(
        default="auto",
        description="weight of a term, outside the bound, that trains the decoder on pictures with one label changed: "
        "the encoder has to read the change; at least 0; auto is 250 for exact where model.likelihood_scale is auto, "
        "else 0",
    )
    hiding_weight: float = Field(
        default=0.0,
        ge=0,
        description="weight of a term, outside the bound, by which a label's own latents come to hold how it shows, so "
        "that swaps carry it: images are made again after what labels show has been painted over; at least 0, such as "
        "1, which costs sharpness and half as much time again; docs/results.md has the numbers",
    )
    unlabelled_weight: float = Field(
        default=0.0,
        ge=0,
        description="weight of a term, outside the bound, by which images with missing labels teach the classifier of "
        "ccvae: what it is sure of has to hold for a changed image too; at least 0, such as label_weight; left out "
        "where no label is missing",
    )
    nodes: int = Field(
        default=64, ge=8, le=1024, description="nodes of the one-dimensional integrals in exact; 8 to 1024"
    )
    samples: int = Field(default=100, ge=1, description="draws for q(y | x) in pytorch and pyro; at least 1")
    proposals: int = Field(
        default=16, ge=1, description="draws per categorical label with more than one latent in exact; at least 1"
    )
