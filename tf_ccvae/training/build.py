"""From settings to an untrained, compiled model."""

import math
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tf_ccvae.data.dataset import Dataset, Split
from tf_ccvae.label_arrays import in_units_of
from tf_ccvae.labels import Labels
from tf_ccvae.models import backbones
from tf_ccvae.models.baselines import DIVA, M2, MVAE, VAEClassifier
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.models.labelled_vae import LabelledVAE
from tf_ccvae.settings import Config, ConfigError, check_labels, number_of_latents
from tf_ccvae.training.muon import Muon
from tf_ccvae.training.optimizer import FusedAdam

RATES = {"adam": 1.5e-3, "muon": 2.5e-3}  # where `training.learning_rate` is 'auto'
WARMUP_OF_NUMBERS = 100  # steps, where `training.warmup_steps` is 'auto' and a label is a number
LEAST_EPOCHS = 3  # where `training.epochs` is 'auto', however many steps they are
NO_LABELS = Labels(())


def resolve_precision(precision: str) -> str:
    """'auto' to 'mixed_float16' on a GPU with tensor cores (compute capability 7 or more), else to 'float32'."""
    if precision != "auto":
        return precision
    for device in tf.config.list_physical_devices("GPU"):
        capability = tf.config.experimental.get_device_details(device).get("compute_capability", (0, 0))
        if capability[0] >= 7:
            return "mixed_float16"
    return "float32"


def check_network(config: Config, image_shape: tuple[int, int, int]) -> None:
    """Checks that the backbone can have the configured widths for these images; makes no weights.

    Raises:
      ConfigError: `model.encoder_widths` has too many or too few numbers, or none where the size has no default.
    """
    name = backbone_of(config)
    backbone = backbones.named(name)
    try:
        widths = config.model.encoder_widths or backbone.default_widths(image_shape[0])
        backbone.encoder(image_shape, widths, config.model.hidden)
    except ValueError as error:
        raise ConfigError(f"model.encoder_widths: {error} (model.backbone {name})") from error


def backbone_of(config: Config) -> str:
    """'residual' or 'paper': the networks that `model.backbone` names, or that 'auto' stands for."""
    if config.model.backbone != "auto":
        return config.model.backbone
    return "residual" if config.objective.estimator == "exact" else "paper"


class Weights(NamedTuple):
    """The weights of the loss beside the bound; None where the model itself has a default."""

    label: float | None
    independence: float | None
    consistency: float


def weights_of(config: Config) -> Weights:
    """What the weights of `objective` are, 'auto' among them.

    The likelihood's scale 'auto' keeps the reconstruction at the same number of nats on any data, so that one set of
    weights suits them all.
    """
    objective = config.objective
    relative = objective.estimator == "exact" and config.model.likelihood_scale == "auto"
    label, independence, consistency = (250.0, 150.0, 250.0) if relative else (None, None, 0.0)
    return Weights(
        label if objective.label_weight == "auto" else objective.label_weight,
        independence if objective.independence_weight == "auto" else objective.independence_weight,
        consistency if objective.consistency_weight == "auto" else objective.consistency_weight,
    )


def build_model(config: Config, dataset: Dataset, train: Split) -> LabelledVAE:
    """An untrained model that fits the data set.

    Args:
      config: settings.
      dataset: for image shape and labels.
      train: the training split with labels hidden; gives p(y), and the units of number labels.

    Raises:
      ConfigError: fewer latents than the labels need.
      LabelsRefused: a number label or a grade, and settings that allow none.
    """
    check_labels(config, dataset.labels)
    settings, objective = config.model, config.objective
    keras.utils.set_random_seed(config.seed)  # initial weights
    weights = weights_of(config)
    labels = in_units_of(train.labels, dataset.labels)
    scale = settings.likelihood_scale
    if scale == "auto" and objective.estimator != "exact":
        scale = 1.0  # as in the official programs
    shared: dict[str, Any] = {
        "image_shape": dataset.image_shape,
        "latents": number_of_latents(config, labels),
        "backbone": backbone_of(config),
        "widths": settings.encoder_widths,
        "hidden": settings.hidden,
        "likelihood": settings.likelihood,
        "likelihood_scale": scale,
        "seed": config.seed,
        "dtype": resolve_precision(config.training.precision),
    }
    if weights.label is not None:
        shared["label_weight"] = weights.label
    model: LabelledVAE
    if settings.name == "ccvae":
        model = CCVAE(
            labels=labels.with_latents(settings.latents_per_label),
            estimator=objective.estimator,
            independence_weight=weights.independence,
            consistency_weight=weights.consistency,
            hiding_weight=objective.hiding_weight,
            unlabelled_weight=0.0 if train.observed.all() else objective.unlabelled_weight,
            flips="flip" in config.data.augment and not config.data.sided,
            nodes=objective.nodes,
            samples=objective.samples,
            proposals=objective.proposals,
            **shared,
        )
    elif settings.name == "diva":
        own = labels.with_latents(settings.latents_per_label)
        model = DIVA(labels=own, nodes=objective.nodes, proposals=objective.proposals, **shared)
    else:
        kind = {"m2": M2, "mvae": MVAE, "vae_classifier": VAEClassifier}[settings.name]
        model = kind(labels=labels, **shared)
    model.label_statistics.learn(train.labels)
    return model


def steps_per_epoch(config: Config, train: Split) -> int:
    """Steps in which as many images are drawn as the training split has, to the nearest whole number."""
    return max(1, round(len(train) / config.training.batch_size))


def number_of_epochs(config: Config, train: Split) -> int:
    """`training.epochs`, or as many as it takes for `training.steps` steps, and at least 3."""
    if config.training.epochs != "auto":
        return config.training.epochs
    return max(LEAST_EPOCHS, math.ceil(config.training.steps / steps_per_epoch(config, train)))


def optimizer_of(config: Config) -> str:
    """'adam' or 'muon': what `training.optimizer` names, or what 'auto' stands for."""
    if config.training.optimizer != "auto":
        return config.training.optimizer
    return "muon" if backbone_of(config) == "residual" else "adam"


def warmup_of(config: Config, labels: Labels) -> int:
    """`training.warmup_steps`, or what 'auto' stands for with these labels."""
    if config.training.warmup_steps != "auto":
        return config.training.warmup_steps
    return WARMUP_OF_NUMBERS if labels.numbers else 0


def build_optimizer(config: Config, steps: int, labels: Labels = NO_LABELS) -> keras.optimizers.Optimizer:
    """The optimizer with its schedule over `steps` steps; loss scaling is added by Keras where the precision asks.

    Args:
      config: settings.
      steps: of the whole training.
      labels: for `warmup_of`.
    """
    training = config.training
    kind = {"adam": FusedAdam, "muon": Muon}[optimizer_of(config)]
    peak = RATES[optimizer_of(config)] if training.learning_rate == "auto" else training.learning_rate
    rate: float | keras.optimizers.schedules.LearningRateSchedule = peak
    warmup = min(warmup_of(config, labels), steps - 1)
    if training.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else peak,
            max(steps - warmup, 1),
            warmup_target=peak if warmup else None,
            warmup_steps=warmup,
        )
    elif warmup:
        rate = keras.optimizers.schedules.PolynomialDecay(0.0, warmup, peak)
    return kind(rate, global_clipnorm=training.clip_norm)


def compile_model(model: LabelledVAE, config: Config, steps: int) -> None:
    """Gives the model its optimizer, ready for weights; `training.jit` 'auto' is XLA on a GPU without a strategy."""
    model.compile(optimizer=build_optimizer(config, steps, model.labels), jit_compile=config.training.jit)
    model.optimizer.build(model.trainable_variables)
