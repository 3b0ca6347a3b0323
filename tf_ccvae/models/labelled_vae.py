"""What every model here shares: networks, training and test step, counting, saving.

A model's *latents* are what its decoder takes, one vector per image: for each label the latents that belong to it,
label after label as `labels.slices` says, then the others. Interventions are functions of latents, and each model says
what they are for it."""

import abc
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae import objective
from tf_ccvae.label_arrays import Columns
from tf_ccvae.labels import LabelConfig, Labels
from tf_ccvae.models import backbones, draws, replicas
from tf_ccvae.models.counting import TERMS, LabelCounts, Sum, predicted_values, summed
from tf_ccvae.models.draws import Purpose
from tf_ccvae.models.inference import Assessment, pixels
from tf_ccvae.models.keras_settings import check_keras
from tf_ccvae.models.label_statistics import LabelStatistics
from tf_ccvae.models.likelihood import Likelihood
from tf_ccvae.models.number_counting import NumberErrors
from tf_ccvae.models.posterior import PosteriorHead
from tf_ccvae.objective import characteristics
from tf_ccvae.objective.label_model import TensorLike
from tf_ccvae.support.files import JsonObject


class LabelledVAE(keras.Model, abc.ABC):
    """A variational auto-encoder of images with labels, any of which may be missing.

    A subclass implements `assess`, `call`, `latents_of`, `label_statistics` and the interventions: `values_of`,
    `set_values`, `draw`, `swap` and `characteristic_scale`.

    Args:
      image_shape: (height, width, channels), square.
      labels: what the labels are (or their config).
      latents: number of latents.
      backbone: 'paper' or 'residual', see `models.backbones`.
      widths: channels on each grid of the encoder; by default as backbone and image size ask.
      hidden: number of features between convolutions and latents.
      likelihood: 'laplace', 'gaussian', 'bernoulli' or 'continuous_bernoulli'.
      likelihood_scale: scale of laplace and gaussian, 'learned' or 'auto', see `models.likelihood`.
      label_weight: adds this times log q(y_O|x) to what is maximised.
      seed: of the training noise.
      decoder_inputs: number of latents that the decoder takes, if it is another than `latents`; a subclass computes it,
        so that no configuration holds it.
      posterior_inputs: number of features that q(z|x) is made from, if it is another than `hidden`; likewise.
      **kwargs: `name`, `dtype` and `trainable`, as for any Keras model.
    """

    estimator = "exact"
    edits: ClassVar[bool] = True  # whether `set_values`, `swap` and `with_characteristic` are defined

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        labels: Labels | list[LabelConfig],
        latents: int = 45,
        *,
        backbone: str = "paper",
        widths: tuple[int, ...] = (),
        hidden: int = 256,
        likelihood: str = "laplace",
        likelihood_scale: float | str = 1.0,
        label_weight: float = 1000.0,
        seed: int = 0,
        decoder_inputs: int | None = None,
        posterior_inputs: int | None = None,
        **kwargs: Any,
    ):
        check_keras()
        super().__init__(autocast=False, **kwargs)  # the networks cast for themselves, all else is float32
        self.image_shape = image_shape
        self.labels = labels if isinstance(labels, Labels) else Labels.from_config(labels)
        self.latents = latents
        self.backbone = backbone
        networks = backbones.named(backbone)
        self.widths = tuple(widths) or networks.default_widths(image_shape[0])
        self.hidden = hidden
        self.likelihood = likelihood
        self.likelihood_scale = likelihood_scale
        self.label_weight = label_weight
        self.seed = seed
        policy = self.dtype_policy
        self.decoder_inputs = decoder_inputs or latents
        self.encoder = networks.encoder(self.image_shape, self.widths, hidden, dtype=policy, name="encoder")
        self.posterior_head = PosteriorHead(latents, name="posterior")
        self.decoder = networks.decoder(
            self.image_shape, self.decoder_inputs, self.widths, hidden, dtype=policy, name="decoder"
        )
        self.image_likelihood = Likelihood(likelihood, likelihood_scale, name="likelihood")
        self.encoder.build()
        self.posterior_head.build((None, posterior_inputs or hidden))
        self.decoder.build()
        self.image_likelihood.build((None, *image_shape))
        self.built = True
        self.term_means = Sum(("loss", *TERMS, "mean_absolute_error"), name="terms")
        self.label_counts = LabelCounts(self.labels.plain, name="label_counts")
        some = bool(self.labels.numbers)
        self.number_errors = NumberErrors(self.labels.of_numbers, name="number_errors") if some else None

    # To be filled in --------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def assess(self, data: dict[str, tf.Tensor], noise: objective.Noise, estimator: str) -> Assessment:
        """Everything about a batch as the pipeline makes it."""

    @abc.abstractmethod
    def latents_of(self, image: TensorLike) -> tf.Tensor:
        """Images (n, height, width, channels) -> latents at the posterior mean, (n, decoder_inputs)."""

    @abc.abstractmethod
    def values_of(self, latents: TensorLike) -> tf.Tensor:
        """The most probable value of each label, int32 (n, labels); float32 with number labels, in their units."""

    @abc.abstractmethod
    def set_values(
        self,
        latents: TensorLike,
        values: TensorLike,
        mask: TensorLike,
        mode: str = "transport",
        noise: TensorLike | None = None,
        consistent: bool = True,
    ) -> tf.Tensor:
        """Latents of the same images with the labels in the mask at these values; see `characteristics.set_values`."""

    @abc.abstractmethod
    def draw(self, values: TensorLike, noise: objective.Noise) -> tf.Tensor:
        """Latents of new images with these values, from the prior: integer (n, labels) -> (n, decoder_inputs).

        `noise.normal` is used, and `noise.uniform` for the value of a label that is `MISSING`. With number labels
        values are floats, NaN where missing.
        """

    @abc.abstractmethod
    def swap(self, latents: TensorLike, donors: TensorLike, mask: TensorLike, consistent: bool = True) -> tf.Tensor:
        """The recipients' latents with the donors' characteristics of the labels in the mask, bool (n, labels)."""

    def characteristic(self, latents: TensorLike) -> tf.Tensor:
        """What the model holds about each label, label after label as `labels.slices` says: (n, characteristic)."""
        return tf.convert_to_tensor(latents)[:, : self.labels.characteristic]

    def with_characteristic(self, latents: TensorLike, characteristic: TensorLike) -> tf.Tensor:
        """Latents (n, decoder_inputs) with what the model holds about the labels replaced."""
        return tf.concat([characteristic, tf.convert_to_tensor(latents)[:, self.labels.characteristic :]], axis=1)

    def style(self, latents: TensorLike) -> tf.Tensor:
        """Everything else the model holds: (n, any)."""
        return tf.convert_to_tensor(latents)[:, self.labels.characteristic :]

    def values_table(self, latents: TensorLike) -> tf.Tensor | None:
        """q(y_i = v | z) of latents, (n, labels, values); None for a model without q(y|z)."""
        return None

    @abc.abstractmethod
    def characteristic_scale(self, index: int) -> tf.Tensor:
        """Standard deviations of one label's latents given each of its values: (values, latents of the label)."""

    # Shared -----------------------------------------------------------------------------------------------------------

    def decode(self, latents: TensorLike) -> tfd.Distribution:
        """p(x|z) of latents (batch, decoder_inputs)."""
        return self.image_likelihood(self.decoder(latents))

    def noise(self, batch: int | tf.Tensor, estimator: str, purpose: int, key: int | tf.Tensor) -> objective.Noise:
        """Stateless draws for one batch, a function of (seed, purpose, key, replica) alone; see `models.draws`."""
        seeds = [draws.fold(draws.seed_of(self.seed, purpose, key), draw) for draw in range(3)]
        return objective.Noise(
            draws.normal([batch, self.latents], seeds[0]),
            draws.uniform([batch, len(self.labels)], seeds[1]),
            self._draws(batch, estimator, seeds[2]),
        )

    def extra_loss(
        self, data: dict[str, tf.Tensor], assessed: Assessment, mean: Callable[[tf.Tensor], tf.Tensor]
    ) -> float | tf.Tensor:
        """What training minimises beside the mean of `assessed.terms.loss`.

        Args:
          data: a batch, or one replica's part of it.
          assessed: what `assess` says of it.
          mean: takes the mean over the whole batch of something per example, see `replicas.batch_mean`.
        """
        return 0.0

    def add_gradients(
        self, gradients: Sequence[tf.Tensor | None], data: dict[str, tf.Tensor], terms: objective.Terms
    ) -> Sequence[tf.Tensor | None]:
        """The gradients of the scaled loss, with those of terms that only some of `trainable_weights` learn from."""
        return gradients

    def _draws(self, batch: int | tf.Tensor, estimator: str, seed: tf.Tensor) -> tf.Tensor:
        """`Noise.draws`: none, unless a model needs them."""
        return tf.zeros([0, batch, self.labels.characteristic])

    def train_step(self, data: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        examples = tf.shape(data["image"])[0]
        noise = self.noise(examples, self.estimator, Purpose.TRAINING, self.optimizer.iterations)
        mean = replicas.batch_mean(examples)
        with tf.GradientTape() as tape:
            assessed = self.assess(data, noise, self.estimator)
            per_example = (terms := assessed.terms).loss(self.label_weight)
            loss = mean(per_example) + self.extra_loss(data, assessed, mean)
            scaled = self.optimizer.scale_loss(loss)
        gradients = self.add_gradients(tape.gradient(scaled, self.trainable_weights), data, terms)
        gradients = replicas.total_gradients(gradients, self.optimizer)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        self.image_likelihood.follow(replicas.total(mean(terms.reconstruction)))
        self._count_terms(terms, per_example, tf.zeros_like(per_example))
        return replicas.logs({"loss": self.term_means.mean("loss")})

    def test_step(self, data: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Always by the exact estimator, so that estimators can be compared; reconstructions at the posterior mean."""
        image = pixels(data["image"])
        noise = self.noise(tf.shape(image)[0], "exact", Purpose.TESTING, data["index"][0])
        assessed = self.assess(data, noise, "exact")
        error = tf.reduce_mean(tf.abs(self.decode(assessed.latents).mean() - image), axis=[1, 2, 3])
        self._count_terms(assessed.terms, assessed.terms.loss(self.label_weight), error)
        of_numbers = self._count_labels(data, assessed)
        return replicas.logs({**self.term_means.result(), **self.label_counts.result(), **of_numbers})

    def _count_labels(self, data: dict[str, tf.Tensor], assessed: Assessment) -> dict[str, tf.Tensor]:
        """Adds a batch to what is counted about labels; returns the measures of number labels."""
        values, observed = data["labels"], data["observed"]
        predicted = predicted_values(assessed.log_marginals, self.labels)
        if self.number_errors is None or assessed.numbers is None:
            self.label_counts.update_state(values, observed, predicted)
            return {}
        columns = Columns.of(self.labels)
        plain, there, read = (tf.gather(x, columns.plain, axis=1) for x in (values, observed, predicted))
        self.label_counts.update_state(characteristics.listed_values(plain), there, read)
        numbers, known = (tf.gather(x, columns.numbers, axis=1) for x in (values, observed))
        self.number_errors.update_state(numbers, known, assessed.numbers)
        return self.number_errors.result()

    def measures_of_labels(self) -> dict[str, dict[str, float | None]]:
        """For each label what was counted in the last evaluation; see `LabelCounts` and `NumberErrors`."""
        counted = self.label_counts.per_label()
        if self.number_errors is not None:
            counted |= self.number_errors.per_label()
        return {name: counted[name] for name in self.labels.names}

    def _count_terms(self, terms: objective.Terms, loss: tf.Tensor, error: tf.Tensor) -> None:
        self.term_means.update_state({**summed(terms), "loss": loss, "mean_absolute_error": error})

    def make_train_function(self, force: bool = False) -> Callable[..., object] | None:
        replicas.check_compiled(self)
        if not self.optimizer.built:  # in the first step, it would have to be traced twice
            self.optimizer.build(self.trainable_variables)
        return super().make_train_function(force)

    def _maybe_symbolic_build(self, iterator: object = None, data_batch: object = None) -> None:
        """Nothing to do: everything is built. Keras would take the mean over replicas of a batch, and fail."""

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        counted = [self.term_means, self.label_counts]
        return counted if self.number_errors is None else [*counted, self.number_errors]

    # Saving -----------------------------------------------------------------------------------------------------------

    def get_config(self) -> JsonObject:
        config = super().get_config()
        config.update(
            {
                "image_shape": self.image_shape,
                "labels": self.labels.get_config(),
                "latents": self.latents,
                "backbone": self.backbone,
                "widths": self.widths,
                "hidden": self.hidden,
                "likelihood": self.likelihood,
                "likelihood_scale": self.likelihood_scale,
                "label_weight": self.label_weight,
                "seed": self.seed,
                "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
            }
        )
        return config

    @classmethod
    def from_config(cls, config: JsonObject, custom_objects: dict[str, type] | None = None) -> Self:
        config = dict(config)
        if isinstance(config.get("dtype"), dict):
            config["dtype"] = keras.saving.deserialize_keras_object(config["dtype"])
        config["image_shape"] = tuple(config["image_shape"])
        return cls(**config)

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        """Nothing to do: the weights are made by the constructor."""

    @property
    @abc.abstractmethod
    def label_statistics(self) -> LabelStatistics:
        """p(y), and which values exclude each other."""
