"""Configurations: every class that is saved says all that it was made of, and is made again from that."""

import inspect

import keras
import pytest

from tf_ccvae.labels import Label, Labels, Scale
from tf_ccvae.models import networks, residual
from tf_ccvae.models.baselines import DIVA, M2, MVAE, VAEClassifier
from tf_ccvae.models.baselines.mvae import LabelExperts
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.models.conditional_prior import LabelDistributions
from tf_ccvae.models.counting import LabelCounts, Sum
from tf_ccvae.models.grade_distributions import GradeDistributions
from tf_ccvae.models.independence import Critic
from tf_ccvae.models.label_statistics import LabelStatistics
from tf_ccvae.models.likelihood import Likelihood
from tf_ccvae.models.number_counting import NumberErrors
from tf_ccvae.models.number_distributions import NumberDistributions
from tf_ccvae.models.posterior import PosteriorHead
from tf_ccvae.models.unlabelled import Targets
from tf_ccvae.training.muon import Muon
from tf_ccvae.training.optimizer import FusedAdam

LABELS = Labels((Label("glasses"), Label("colour", ("red", "green", "blue")), Label("smile", latents=2)))
GRADES = Labels((Label("stage", ("a", "b", "c"), 2, ordered=True),))
NUMBERS = Labels((Label("age", latents=2, scale=Scale(45.0, 15.0, 20.0, 70.0)),))
IMAGE, SMALL = (28, 28, 1), {"latents": 9, "widths": (4, 4, 8), "hidden": 16}
MADE = {
    "ccvae": lambda: CCVAE(
        IMAGE, LABELS, **SMALL, consistency_weight=3.0, hiding_weight=0.5, unlabelled_weight=2.0, flips=True
    ),
    "diva": lambda: DIVA(IMAGE, LABELS, **SMALL),
    "m2": lambda: M2(IMAGE, LABELS, **SMALL),
    "mvae": lambda: MVAE(IMAGE, LABELS, **SMALL),
    "experts": lambda: LabelExperts(LABELS, 5),
    "vae_classifier": lambda: VAEClassifier(IMAGE, LABELS, **SMALL),
    "targets": lambda: Targets(LABELS),
    "critic": lambda: Critic(LABELS, 7),
    "statistics": lambda: LabelStatistics(LABELS),
    "labels": lambda: LabelDistributions(LABELS, separation=3.0, pace=2.0),
    "posterior": lambda: PosteriorHead(5, name="posterior"),
    "gaussian": lambda: Likelihood("gaussian", scale=0.3),
    "learned": lambda: Likelihood("laplace", scale="learned"),
    "encoder": lambda: networks.Encoder(IMAGE, (4, 4, 8), 16),
    "decoder": lambda: networks.Decoder(IMAGE, 9, (4, 4, 8), 16),
    "whole": lambda: networks.WholeConv2D(8, 4, padding="valid"),
    "whole_transpose": lambda: networks.WholeConv2DTranspose(8, 4, padding="valid"),
    "image_transpose": lambda: networks.ImageConv2DTranspose(3, 4, strides=2),
    "block": lambda: residual.ResidualBlock(6),
    "residual_encoder": lambda: residual.ResidualEncoder(IMAGE, (4, 8), 16),
    "residual_decoder": lambda: residual.ResidualDecoder(IMAGE, 9, (4, 8), 16),
    "sum": lambda: Sum(("first", "second")),
    "counts": lambda: LabelCounts(LABELS),
    "grades": lambda: GradeDistributions(GRADES, separation=3.0, pace=2.0),
    "numbers": lambda: NumberDistributions(NUMBERS, 10.0),
    "number_errors": lambda: NumberErrors(NUMBERS),
    "adam": lambda: FusedAdam(0.003, beta_2=0.98, global_clipnorm=2.0),
    "muon": lambda: Muon(0.003, momentum=0.9, global_clipnorm=2.0),
}
OF_ANY = {keras.layers.Layer: {"name", "dtype", "trainable"}, keras.metrics.Metric: {"name", "dtype"}}


def arguments(kind):
    """Names of the constructor's arguments, with those that Keras gives every layer or metric."""
    own = {name for name in inspect.signature(kind).parameters if name != "kwargs"}
    return own.union(*(names for base, names in OF_ANY.items() if issubclass(kind, base)))


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_configuration_holds_exactly_the_arguments_of_the_constructor(made):
    item = made()
    assert set(item.get_config()) == arguments(type(item))


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_configuration_gives_the_same_again(made):
    item = made()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(item))
    assert type(again) is type(item) and again is not item
    assert again.get_config() == item.get_config()


def test_every_class_that_is_registered_is_among_these():
    registered = {kind for name, kind in keras.saving.get_custom_objects().items() if name.startswith("tf_ccvae>")}
    assert registered == {type(made()) for made in MADE.values()}


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_docstring_names_every_argument_that_the_class_adds_to_keras(made):
    kind = type(made())
    own = inspect.signature(kind.__init__).parameters.keys() - {"self"} if "__init__" in vars(kind) else set()
    documented = {name.replace("kwargs", "**kwargs") for name in own}
    assert not [name for name in documented if f"      {name}: " not in kind.__doc__]
