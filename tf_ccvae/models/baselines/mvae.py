"""MVAE: images and labels are modalities whose experts are multiplied to one posterior."""

from typing import Any, ClassVar, NoReturn

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.labels import LabelConfig, Labels
from tf_ccvae.models.baselines.shared import JointTerms, standard_divergence
from tf_ccvae.models.baselines.vae_classifier import VAEClassifier
from tf_ccvae.models.inference import Assessment, pixels
from tf_ccvae.models.not_defined import NotDefinedError
from tf_ccvae.models.posterior import MIN_SCALE, positive
from tf_ccvae.objective import Noise
from tf_ccvae.objective.label_model import TensorLike


@keras.saving.register_keras_serializable("tf_ccvae")
class LabelExperts(keras.layers.Layer):
    """q(z|y_i = v): a Gaussian over all latents for each value of each label.

    Args:
      labels: what the labels are (or their config).
      latents: number of latents.
      **kwargs: `name` and `trainable`, as for any Keras layer; `dtype` is float32 whatever is passed.

    Call: values, integer (n, labels), and which of them are known, bool (n, labels) -> the precision of the product of
      the experts, and its mean times that precision: float32 (n, latents) each. Both are 0 where no label is known.
    """

    def __init__(self, labels: Labels | list[LabelConfig], latents: int, **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.labels = labels if isinstance(labels, Labels) else Labels.from_config(labels)
        self.latents = latents

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        shape = (len(self.labels), self.labels.values, self.latents)
        near = keras.initializers.RandomNormal(stddev=0.1)
        self.loc = self.add_weight(shape=shape, initializer=near, autocast=False, name="loc")
        wide = keras.initializers.Constant(1.5)  # at first an expert says less than the prior does
        self.raw_scale = self.add_weight(shape=shape, initializer=wide, autocast=False, name="raw_scale")
        self.built = True

    def call(self, values: TensorLike, observed: TensorLike) -> tuple[tf.Tensor, tf.Tensor]:
        chosen = tf.one_hot(tf.where(observed, tf.cast(values, tf.int32), -1), self.labels.values)  # 0 where missing
        precision = 1 / tf.square(positive(tf.convert_to_tensor(self.raw_scale)))
        total = tf.einsum("blv,lvd->bd", chosen, precision)
        return total, tf.einsum("blv,lvd->bd", chosen, precision * tf.convert_to_tensor(self.loc))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "labels": self.labels.get_config(), "latents": self.latents}


@keras.saving.register_keras_serializable("tf_ccvae")
class MVAE(VAEClassifier):
    """An image and each of its labels are modalities of one latent: p(z) p(x|z) prod_i p(y_i|z).

    The posterior given any of them is the product of their experts and of the prior,

        q(z|x, y_O)  ~  N(z; 0, I) q(z|x) prod_{i in O} q(z|y_i),

    with O the labels that are known: all experts are diagonal Gaussians, so the product is one, whose precision is the
    sum of theirs. A missing label is absent from it. p(y_i|z) is linear in z, q(z|y_i) has a mean and a scale for every
    value. What is maximised is the sum of three bounds, the first of which is the one that is reported, on
    log p(x, y_O):

        joint         E_{q(z|x, y_O)} (log p(x|z) + sum_{i in O} log p(y_i|z)) - KL(q(z|x, y_O) || N(0, I))
        image alone   E_{q(z|x)} log p(x|z) - KL(q(z|x) || N(0, I))
        labels alone  E_{q(z|y_O)} sum_{i in O} log p(y_i|z) - KL(q(z|y_O) || N(0, I))

    where q(z|x) and q(z|y_O) are products with the prior too; for an image without labels the first alone, which is
    the second then. label_weight * log q(y_O|x), with q(y_i|x) = E_{q(z|x)} p(y_i|z), comes on top.

    New images with chosen labels are drawn from q(z|y_O), and one that is `MISSING` is absent. The model does not say
    what a label's part of an image is: `set_values`, `swap` and `with_characteristic` raise `NotDefinedError`.

    Deviations from the paper: the weight of the labels' likelihood is label_weight * log q(y_O|x), as for the other
    models here, in place of factors in the bounds; of the subsets that the paper draws at random, all labels without
    the image is the one that is taken, at every step; divergences have weight 1 throughout.

    Args:
      image_shape: (height, width, channels), square.
      labels: what the labels are (or their config).
      latents: number of latents, at least the number of logits.
      backbone: 'paper' or 'residual', see `models.backbones`.
      widths: channels on each grid of the encoder; by default as backbone and image size ask.
      hidden: number of features between convolutions and latents.
      likelihood: 'laplace', 'gaussian', 'bernoulli' or 'continuous_bernoulli'.
      likelihood_scale: scale of laplace and gaussian, 'learned' or 'auto', see `models.likelihood`.
      label_weight: adds this times log q(y_O|x) to what is maximised.
      seed: of the training noise.
      **kwargs: `name`, `dtype` and `trainable`, as for any Keras model.

    Call: images, uint8 or float in [0, 1], (batch, height, width, channels) -> `Inference`, given the image alone.

    Raises:
      ValueError: fewer latents than logits.

    References:
      Wu, Goodman, "Multimodal generative models for scalable weakly-supervised learning", NeurIPS 2018, sections 2.2
      and 2.3.
    """

    edits: ClassVar[bool] = False

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
        **kwargs: Any,
    ):
        super().__init__(
            image_shape,
            labels,
            latents,
            backbone=backbone,
            widths=widths,
            hidden=hidden,
            likelihood=likelihood,
            likelihood_scale=likelihood_scale,
            label_weight=label_weight,
            seed=seed,
            **kwargs,
        )
        self.experts = LabelExperts(self.labels, latents, name="experts")
        self.experts.build()

    def product(
        self, expert: tfd.Normal | None, values: TensorLike | None = None, observed: TensorLike | None = None
    ) -> tfd.Normal:
        """The prior times the expert of an image times those of the labels that are known; all but the prior optional.

        Args:
          expert: the encoder's Gaussian, batch shape (n, latents).
          values: integer (n, labels).
          observed: bool (n, labels).

        Returns:
          The Gaussian of batch shape (n, latents) whose density is in proportion to the product.
        """
        precision, weighted = tf.constant(1.0), tf.constant(0.0)  # the prior's
        if expert is not None:
            precision += 1 / tf.square(expert.scale)
            weighted += expert.loc / tf.square(expert.scale)
        if values is not None:
            more = self.experts(values, observed)
            precision, weighted = precision + more[0], weighted + more[1]
        return tfd.Normal(weighted / precision, tf.maximum(tf.math.rsqrt(precision), MIN_SCALE))

    def encode(self, image: TensorLike) -> tfd.Normal:
        """q(z|x), of the image alone."""
        return self.product(super().encode(image))

    def assess(self, data: dict[str, tf.Tensor], noise: Noise, estimator: str) -> Assessment:
        image, observed = pixels(data["image"]), data["observed"]
        expert = self.posterior_head(self.encoder(image))
        alone = self.product(expert)
        joint = self.product(expert, data["labels"], observed)
        labels = self.product(None, data["labels"], observed)
        latents, of_image, of_labels = (q.loc + q.scale * noise.normal for q in (joint, alone, labels))
        decoded = self.decode(tf.concat([latents, of_image], axis=0))
        reconstruction, reconstruction_alone = tf.split(decoded.log_prob(tf.concat([image, image], axis=0)), 2)
        chosen = tf.one_hot(tf.where(observed, tf.cast(data["labels"], tf.int32), 0), self.labels.values)
        chosen *= tf.cast(observed, tf.float32)[..., None]

        def known(table: tf.Tensor) -> tf.Tensor:
            """Of (batch, labels, values), that of the known value: (batch, labels), 0 where it is missing."""
            return tf.reduce_sum(chosen * table, axis=-1)

        bound_of_labels = tf.reduce_sum(known(self._log_values(of_labels)), axis=1) - standard_divergence(labels)
        others = reconstruction_alone - standard_divergence(alone) + bound_of_labels
        log_marginals = self.log_label_marginals(alone, noise.draws)
        terms = JointTerms(
            reconstruction=reconstruction,
            style_divergence=standard_divergence(joint),
            characteristic=known(self._log_values(latents)),
            label_marginal=known(log_marginals),
            label_prior=tf.zeros_like(chosen[..., 0]),
            surrogate=tf.where(tf.reduce_any(observed, axis=1), others, 0.0),
            latents=latents,
        )
        return Assessment(terms, alone.loc, log_marginals)

    # Interventions ----------------------------------------------------------------------------------------------------

    def draw(self, values: TensorLike, noise: Noise) -> tf.Tensor:
        values = tf.cast(values, tf.int32)
        given = self.product(None, values, values >= 0)
        return given.loc + given.scale * noise.normal

    def set_values(
        self,
        latents: TensorLike,
        values: TensorLike,
        mask: TensorLike,
        mode: str = "transport",
        noise: TensorLike | None = None,
        consistent: bool = True,
    ) -> NoReturn:
        """Not defined.

        Raises:
          NotDefinedError: always.
        """
        raise NotDefinedError(NO_EDITS)

    def with_characteristic(self, latents: TensorLike, characteristic: TensorLike) -> NoReturn:
        """Not defined.

        Raises:
          NotDefinedError: always.
        """
        raise NotDefinedError(NO_EDITS)

    def swap(self, latents: TensorLike, donors: TensorLike, mask: TensorLike, consistent: bool = True) -> NoReturn:
        """Not defined.

        Raises:
          NotDefinedError: always.
        """
        raise NotDefinedError(NO_EDITS)


NO_EDITS = (
    "mvae holds all labels in the same latents and does not define what it is to change one of an image; "
    "ccvae, diva, m2 and vae_classifier do"
)
