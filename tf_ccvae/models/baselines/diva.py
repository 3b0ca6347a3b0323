"""DIVA: label latents with a conditional prior and an auxiliary classifier, and nothing that ties the two together."""

from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.label_arrays import refuse_numbers
from tf_ccvae.labels import LabelConfig, Labels, owner_matrix, value_mask
from tf_ccvae.models.baselines.shared import JointTerms
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.models.inference import pixels
from tf_ccvae.objective import Noise, style_divergence
from tf_ccvae.objective.bound import log_label_marginals
from tf_ccvae.objective.classifier import label_logits, log_values
from tf_ccvae.objective.label_model import Example, LabelModel, characteristic_posterior, parts
from tf_ccvae.support.files import JsonObject


@keras.saving.register_keras_serializable("tf_ccvae")
class DIVA(CCVAE):
    """DIVA for several labels: each has latents of its own, p(z_i|y_i) and q(y_i|z_i); the other latents are style.

    Networks, distributions and interventions are those of `CCVAE`; what is maximised is not. The bound on
    log p(x, y_O), with O the labels that are known and M those that are missing, is

        E_{q(z|x)} log p(x|z) - KL(q(z_s|x) || N(0, I))
        + sum_{i in O} (log p(y_i) - KL(q(z_i|x) || p(z_i|y_i)))
        + sum_{i in M} E_{q(z_i|x)} sum_v q(v|z_i) (log p(z_i|v) - log q(z_i|x) + log p(v) - log q(v|z_i))

    and label_weight * log q(y_O|x) comes on top, with q(y_i|x) = E_{q(z_i|x)} q(y_i|z_i). One draw of z is taken;
    divergences of known labels are exact.

    Deviations from the paper: its latents of the domain are left out and there is a group of latents for every label,
    as in the comparison of Joy et al.; one encoder makes all groups, where the paper has one for each; the classifier
    term is the logarithm of a mean in place of the mean of logarithms, as for the other models here; the divergences
    have weight 1 throughout.

    Args:
      image_shape: (height, width, channels), square.
      labels: what the labels are (or their config).
      latents: number of latents, at least the number of characteristic ones.
      backbone: 'paper' or 'residual', see `models.backbones`.
      widths: channels on each grid of the encoder; by default as backbone and image size ask.
      hidden: number of features between convolutions and latents.
      likelihood: 'laplace', 'gaussian', 'bernoulli' or 'continuous_bernoulli'.
      likelihood_scale: scale of laplace and gaussian, 'learned' or 'auto', see `models.likelihood`.
      label_weight: adds this times log q(y_O|x) to what is maximised.
      nodes: nodes of the one-dimensional integrals.
      proposals: draws for q(y|x) of categorical labels with several latents.
      seed: of the training noise.
      **kwargs: `name`, `dtype` and `trainable`, as for any Keras model.

    Call: images, uint8 or float in [0, 1], (batch, height, width, channels) -> `Inference`.

    Raises:
      ValueError: fewer latents than characteristic ones.

    References:
      Ilse, Tomczak, Louizos, Welling, "DIVA: domain invariant variational autoencoders", MIDL 2020, equations 2 to 5.
      Joy et al., "Capturing label characteristics in VAEs", ICLR 2021, appendix (the comparison).
    """

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
        nodes: int = 64,
        proposals: int = 16,
        seed: int = 0,
        **kwargs: Any,
    ):
        labels = labels if isinstance(labels, Labels) else Labels.from_config(labels)
        refuse_numbers(labels, "DIVA", "use ccvae, or leave it out by data.label_names")
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
            independence_weight=0.0,
            nodes=nodes,
            proposals=proposals,
            seed=seed,
            **kwargs,
        )

    def terms(self, data: dict[str, tf.Tensor], posterior: tfd.Normal, noise: Noise, estimator: str) -> JointTerms:
        """Terms of the bound on a batch."""
        example = Example(pixels(data["image"]), data["labels"], data["observed"], noise)
        latents = posterior.loc + posterior.scale * noise.normal
        model = self.label_model()
        characteristic, label_prior = label_terms(example, posterior, latents, model)
        marginals = log_label_marginals(posterior, model, self.nodes, noise.draws)
        chosen = tf.one_hot(tf.cast(example.values, tf.int32), model.labels.values)  # nothing where a label is missing
        known = tf.where(example.observed, tf.reduce_sum(chosen * marginals, axis=-1), 0.0)
        reconstruction = self.decode(latents).log_prob(example.image)
        return JointTerms(
            reconstruction=reconstruction,
            style_divergence=style_divergence(posterior, model.labels),
            characteristic=characteristic,
            label_marginal=known,
            label_prior=label_prior,
            surrogate=tf.zeros_like(reconstruction),
            latents=latents,
        )

    def get_config(self) -> JsonObject:
        config = super().get_config()
        for name in (
            "estimator",
            "samples",
            "flips",
            *[f"{term}_weight" for term in ("independence", "consistency", "hiding", "unlabelled")],
        ):
            del config[name]
        return config


def label_terms(
    example: Example, posterior: tfd.Normal, latents: tf.Tensor, model: LabelModel
) -> tuple[tf.Tensor, tf.Tensor]:
    """What the labels add to the bound, without and with p(y), in nats: (batch, labels) each.

    Args:
      example: labels and which of them are known.
      posterior: q(z|x), batch shape (batch, D).
      latents: a draw from it, (batch, D).
      model: the labels' distributions.
    """
    labels = model.labels
    own = characteristic_posterior(posterior, labels)
    owner = tf.constant(owner_matrix(labels), latents.dtype)  # (C, L)
    prior_loc, prior_scale = (tf.transpose(part) for part in parts(model.prior))  # (C, V)
    prior = tfd.Normal(prior_loc, prior_scale)
    drawn = latents[:, : labels.characteristic]

    def per_label(values: tf.Tensor) -> tf.Tensor:
        """(batch, C, V), summed over the latents of each label: (batch, L, V)."""
        return tf.einsum("bjv,jl->blv", values, owner)

    divergence = per_label(tfd.kl_divergence(tfd.Normal(own.loc[..., None], own.scale[..., None]), prior))
    log_ratio = per_label(prior.log_prob(drawn[..., None]) - own.log_prob(drawn)[..., None])
    there = value_mask(labels)
    log_share = log_values(label_logits(latents, model), labels)  # log q(v|z_i)
    share, log_share = tf.where(there, tf.exp(log_share), 0.0), tf.where(there, log_share, 0.0)
    log_prior = tf.where(there, model.log_label_prior, 0.0)
    chosen = tf.one_hot(tf.where(example.observed, tf.cast(example.values, tf.int32), 0), labels.values)
    missing = tf.reduce_sum(share * (log_ratio - log_share), axis=-1)
    characteristic = tf.where(example.observed, -tf.reduce_sum(chosen * divergence, axis=-1), missing)
    return characteristic, tf.reduce_sum(tf.where(example.observed[..., None], chosen, share) * log_prior, axis=-1)
