"""From settings to an untrained, compiled model."""

from typing import Any

import keras
import tensorflow as tf

from tf_ccvae.data.dataset import Dataset, Split
from tf_ccvae.models import backbones
from tf_ccvae.models.baselines import M2, VAEClassifier
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.models.labelled_vae import LabelledVAE
from tf_ccvae.settings import Config, ConfigError, number_of_latents
from tf_ccvae.training.optimizer import FusedAdam


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
    backbone = backbones.named(config.model.backbone)
    try:
        widths = config.model.encoder_widths or backbone.default_widths(image_shape[0])
        backbone.encoder(image_shape, widths, config.model.hidden)
    except ValueError as error:
        raise ConfigError(f"model.encoder_widths: {error} (model.backbone {config.model.backbone})") from error


def build_model(config: Config, dataset: Dataset, train: Split) -> LabelledVAE:
    """An untrained model that fits the data set.

    Args:
      config: settings.
      dataset: for image shape and labels.
      train: the training split with labels hidden; gives p(y).

    Raises:
      ConfigError: fewer latents than the labels need.
    """
    settings, objective = config.model, config.objective
    keras.utils.set_random_seed(config.seed)  # initial weights
    shared: dict[str, Any] = {
        "image_shape": dataset.image_shape,
        "latents": number_of_latents(config, dataset.labels),
        "backbone": settings.backbone,
        "widths": settings.encoder_widths,
        "hidden": settings.hidden,
        "likelihood": settings.likelihood,
        "likelihood_scale": settings.likelihood_scale,
        "seed": config.seed,
        "dtype": resolve_precision(config.training.precision),
    }
    if objective.label_weight != "auto":
        shared["label_weight"] = objective.label_weight
    model: LabelledVAE
    if settings.name == "ccvae":
        model = CCVAE(
            labels=dataset.labels.with_latents(settings.latents_per_label),
            estimator=objective.estimator,
            independence_weight=None if objective.independence_weight == "auto" else objective.independence_weight,
            consistency_weight=objective.consistency_weight,
            nodes=objective.nodes,
            samples=objective.samples,
            proposals=objective.proposals,
            **shared,
        )
    else:
        model = (M2 if settings.name == "m2" else VAEClassifier)(labels=dataset.labels, **shared)
    model.label_statistics.learn(train.labels)
    return model


def steps_per_epoch(config: Config, train: Split) -> int:
    """Steps in which as many images are drawn as the training split has, to the nearest whole number."""
    return max(1, round(len(train) / config.training.batch_size))


def build_optimizer(config: Config, steps: int) -> keras.optimizers.Optimizer:
    """Adam with the configured schedule over `steps` steps; loss scaling is added by Keras where the precision asks."""
    training = config.training
    rate: float | keras.optimizers.schedules.LearningRateSchedule = training.learning_rate
    warmup = min(training.warmup_steps, steps - 1)
    if training.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else training.learning_rate,
            max(steps - warmup, 1),
            warmup_target=training.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    elif warmup:
        rate = keras.optimizers.schedules.PolynomialDecay(0.0, warmup, training.learning_rate)
    return FusedAdam(rate, global_clipnorm=training.clip_norm)


def compile_model(model: LabelledVAE, config: Config, steps: int) -> None:
    """Gives the model its optimizer, ready for weights; `training.jit` 'auto' is XLA on a GPU without a strategy."""
    model.compile(optimizer=build_optimizer(config, steps), jit_compile=config.training.jit)
    model.optimizer.build(model.trainable_variables)
