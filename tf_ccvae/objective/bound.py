"""The CCVAE bound and three estimators of it, as pure functions: tensors and distributions in, named terms out.

Notation: x `image`, y `labels`, z `latents` (characteristic ones first, label after label, then style ones),
O the observed labels of an example, M the missing ones. With w_i = q(y_i|z_i) / q(y_i|x), the bound on
log p(x, y_O) is

    E[log p(x|z)]                                                              reconstruction
    + sum_{i in O} E_{q(z_i|x)} w_i (log p(z_i|y_i) - log q(z_i|x) - log q(y_i|z_i))
    + sum_{i in M} E_{q(z_i|x)} sum_v q(v|z_i) (log p(z_i|v) - log q(z_i|x) - log q(v|z_i))      characteristic
    + sum_{i in O} log q(y_i|x)                                                label_marginal
    + sum_{i in O} log p(y_i) + sum_{i in M} sum_v q(v|x) log p(v)             label_prior
    - KL(q(z_s|x) || p(z_s))                                                   style_divergence

where the first expectation is over q(z|x) prod_{i in O} w_i. Everything is in nats, one number per example. For a
number label sums over v are integrals and probabilities are densities of the standardised value; `numbers` has them.

Shapes: D latents, C of them characteristic, L labels, V values of the label with most, K nodes or cells, S draws.

References:
  Joy et al., "Capturing Label Characteristics in VAEs", ICLR 2021, equations 4 to 7.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.label_arrays import Columns
from tf_ccvae.labels import Labels, latent_owners, owner_matrix, value_mask
from tf_ccvae.objective import numbers
from tf_ccvae.objective.integrals import Projection, project, tilted_expectations
from tf_ccvae.objective.label_model import (
    NEVER,
    Example,
    LabelModel,
    Noise,
    characteristic_posterior,
    parts,
    sampled_labels,
)
from tf_ccvae.objective.tilting import log_values_of_draws, tilted_noise


class Terms(NamedTuple):
    """Terms of the bound, in nats; `bound` is their sum.

    reconstruction, style_divergence, surrogate: (batch,); characteristic, label_marginal, label_prior: (batch, L).
    `surrogate` is 0 in value and adds a score-function gradient where an estimator has one. `emphasis` is what
    `label_weight` is multiplied by for each label, (batch, L) without a gradient: 1, but for number labels, for which
    `numbers` says it.
    """

    reconstruction: tf.Tensor
    style_divergence: tf.Tensor
    characteristic: tf.Tensor
    label_marginal: tf.Tensor
    label_prior: tf.Tensor
    surrogate: tf.Tensor
    latents: tf.Tensor
    emphasis: tf.Tensor | float = 1.0

    @property
    def bound(self) -> tf.Tensor:
        """The evidence lower bound, (batch,)."""
        per_label = tf.reduce_sum(self.characteristic + self.label_marginal + self.label_prior, axis=1)
        return self.reconstruction - self.style_divergence + per_label

    def loss(self, label_weight: float) -> tf.Tensor:
        """-(bound + label_weight * sum_i emphasis_i log q(y_i|x)), over the observed labels: (batch,)."""
        weighted = tf.reduce_sum(self.emphasis * self.label_marginal, axis=1)
        return -(self.bound + self.surrogate + label_weight * weighted)


Decode = Callable[[tf.Tensor], tfd.Distribution]  # latents (batch, D) -> distribution over images


def _scalar_labels(
    posterior: tfd.Normal, projection: Projection, model: LabelModel, nodes: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Per value: E[log p(z_i|v) - log q(z_i|x) - log q(v|z_i)] under the tilted posterior, and log q(v|x)."""
    labels = model.labels
    tilted = tilted_expectations(projection, labels, nodes)
    loc, scale = parts(characteristic_posterior(posterior, labels))
    owned = latent_owners(labels)
    mean_t, square_t = tilted.mean, tilted.square
    if labels.characteristic != len(labels):
        mean_t, square_t = tf.gather(mean_t, owned, axis=1), tf.gather(square_t, owned, axis=1)  # (batch, C, V)
    direction = projection.direction[..., None]
    mean = loc[..., None] + scale[..., None] * direction * mean_t
    spread = 1 - tf.square(direction) + tf.square(direction) * (square_t - tf.square(mean_t))
    variance = tf.square(scale)[..., None] * spread
    second = 1 - tf.square(direction) + tf.square(direction) * square_t  # E[e^2]
    prior_loc, prior_scale = (tf.transpose(part) for part in parts(model.prior))  # (C, V)
    distance = tf.square(mean - prior_loc) + variance
    log_ratio = (
        tf.math.log(scale)[..., None] - tf.math.log(prior_scale) + 0.5 * (second - distance / tf.square(prior_scale))
    )
    if labels.characteristic != len(labels):
        log_ratio = tf.einsum("bjv,jl->blv", log_ratio, tf.constant(owner_matrix(labels), loc.dtype))
    return log_ratio - tilted.log_likelihood, tilted.log_marginal


def _sampled_label(
    index: int, posterior: tfd.Normal, model: LabelModel, draws: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """As `_scalar_labels` for one categorical label with several latents, from draws: (batch, V) each."""
    where = model.labels.slices[index]
    log_value, latents = log_values_of_draws(index, posterior, model, draws)  # (S, batch, V), (S, batch, d)
    count = tf.cast(tf.shape(draws)[0], log_value.dtype)
    log_marginal = tf.reduce_logsumexp(log_value, axis=0) - tf.math.log(count)
    weights = tf.exp(log_value - log_marginal) / count
    prior_loc, prior_scale = parts(model.prior)
    prior = tfd.Normal(prior_loc[:, where], prior_scale[:, where])
    log_prior = tf.reduce_sum(prior.log_prob(latents[:, :, None, :]), axis=-1)  # (S, batch, V)
    own = tfd.Normal(posterior.loc[:, where], posterior.scale[:, where])
    log_posterior = tf.reduce_sum(own.log_prob(latents), axis=-1)[..., None]
    return tf.reduce_sum(weights * (log_prior - log_posterior - log_value), axis=0), log_marginal


def log_label_marginals(
    posterior: tfd.Normal, model: LabelModel, nodes: int = 64, draws: tf.Tensor | None = None
) -> tf.Tensor:
    """log q(y_i = v | x) = log E_{q(z_i|x)} q(v|z_i) for every label and value.

    Exact (midpoint rule) for binary labels, grades and categorical labels with one latent; from `draws` for the others.

    Args:
      posterior: `tfd.Normal`, batch shape (batch, D).
      model: the labels' distributions.
      nodes: number of nodes.
      draws: standard normal (S, batch, C), needed only for categorical labels with several latents.

    Returns:
      (batch, L, V), in nats; about -1e9 for values that a label does not have, and so for all of a number label.
    """
    if model.numbers is not None:
        columns = Columns.of(model.labels)
        loc, _ = parts(posterior)
        never = tf.fill([tf.shape(loc)[0], len(columns.numbers), model.labels.values], tf.constant(NEVER, loc.dtype))
        if not len(columns.plain):
            return never
        draws = None if draws is None else tf.gather(draws, columns.plain_latents, axis=2)
        plain = log_label_marginals(_of(posterior, columns.plain_latents), model.plain, nodes, draws)
        return tf.gather(tf.concat([plain, never], axis=1), columns.together, axis=1)
    marginals = tilted_expectations(project(posterior, model), model.labels, nodes).log_marginal
    for index in sampled_labels(model.labels):
        _, marginal = _sampled_label(index, posterior, model, draws)
        marginals = _replace_column(marginals, index, marginal)
    return marginals


def number_marginals(posterior: tfd.Normal, model: LabelModel) -> tfd.Normal | None:
    """q(y_i | x) of the number labels in the user's units, batch shape (batch, N), in order; None without any."""
    if model.numbers is None:
        return None
    return numbers.marginals(_of(posterior, Columns.of(model.labels).number_latents), model.numbers)


def exact(example: Example, posterior: tfd.Normal, model: LabelModel, decode: Decode, nodes: int = 64) -> Terms:
    """The bound of the module's docstring with every term but the reconstruction integrated, and no weight left.

    The reconstruction is one sample z ~ q'(z | x, y_O); missing labels are summed or integrated out.

    Args:
      example: images, labels and the randomness.
      posterior: `tfd.Normal`, batch shape (batch, D).
      model: the labels' distributions.
      decode: latents to the distribution p(x|z).
      nodes: nodes of the midpoint rule.
    """
    if model.numbers is None:
        found = _plain_parts(example, posterior, model, nodes)
    else:
        found = _mixed_parts(example, posterior, model, model.numbers, nodes)
    latents = posterior.loc + posterior.scale * found.noise
    likelihood = decode(latents)
    return Terms(
        reconstruction=likelihood.log_prob(example.image),
        style_divergence=style_divergence(posterior, model.labels),
        characteristic=found.characteristic,
        label_marginal=found.label_marginal,
        label_prior=found.label_prior,
        surrogate=tf.zeros_like(latents[:, 0]),
        latents=latents,
        emphasis=found.emphasis,
    )


class _Parts(NamedTuple):
    """What labels add to the bound, (batch, L) each, the standardised noise of one z ~ q', (batch, D); `emphasis`."""

    characteristic: tf.Tensor
    label_marginal: tf.Tensor
    label_prior: tf.Tensor
    noise: tf.Tensor
    emphasis: tf.Tensor


def _plain_parts(example: Example, posterior: tfd.Normal, model: LabelModel, nodes: int) -> _Parts:
    """Those of labels whose values can be listed."""
    labels, observed, noise = model.labels, example.observed, example.noise
    values = tf.where(observed, tf.cast(example.values, tf.int32), 0)
    bracket, log_marginal = _scalar_labels(posterior, project(posterior, model), model, nodes)
    for index in sampled_labels(labels):
        one_bracket, one_marginal = _sampled_label(index, posterior, model, noise.draws)
        bracket = _replace_column(bracket, index, one_bracket)
        log_marginal = _replace_column(log_marginal, index, one_marginal)
    chosen = tf.one_hot(values, labels.values, dtype=bracket.dtype)  # (batch, L, V)
    share = tf.where(observed[..., None], chosen, tf.exp(log_marginal))
    log_label_prior = tf.where(value_mask(labels), model.log_label_prior, 0.0)
    return _Parts(
        characteristic=tf.reduce_sum(share * bracket, axis=-1),
        label_marginal=tf.where(observed, tf.reduce_sum(chosen * log_marginal, axis=-1), 0.0),
        label_prior=tf.reduce_sum(share * log_label_prior, axis=-1),
        noise=tilted_noise(posterior, model, values, observed, noise),
        emphasis=tf.ones_like(bracket[..., 0]),
    )


def _mixed_parts(
    example: Example, posterior: tfd.Normal, model: LabelModel, of: numbers.NumberModel, nodes: int
) -> _Parts:
    """Those of all labels, number labels by `numbers`."""
    labels, columns, noise = model.labels, Columns.of(model.labels), example.noise
    values, observed = (tf.gather(x, columns.plain, axis=1) for x in (example.values, example.observed))
    own = Noise(
        tf.gather(noise.normal, columns.plain_latents, axis=1),
        tf.gather(noise.uniform, columns.plain, axis=1),
        tf.gather(noise.draws, columns.plain_latents, axis=2),
    )
    plain_example = example._replace(values=tf.where(observed, values, 0), observed=observed, noise=own)
    plain = _plain_parts(plain_example, _of(posterior, columns.plain_latents), model.plain, nodes)
    seen, there = (tf.gather(x, columns.numbers, axis=1) for x in (example.values, example.observed))
    y = numbers.standardised(tf.cast(seen, posterior.loc.dtype), of.labels)
    y = tf.where(there, y, 0.0)
    own_posterior = _of(posterior, columns.number_latents)
    terms = numbers.terms(own_posterior, of, y, there)
    normal = tf.gather(noise.normal, columns.number_latents, axis=1)
    tilted = numbers.tilted_noise(own_posterior, of, y, there, normal)
    own_noise = tf.gather(tf.concat([plain.noise, tilted], axis=1), columns.latents_together, axis=1)

    def together(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        return tf.gather(tf.concat([one, other], axis=1), columns.together, axis=1)

    return _Parts(
        characteristic=together(plain.characteristic, terms.characteristic),
        label_marginal=together(plain.label_marginal, terms.label_marginal),
        label_prior=together(plain.label_prior, terms.label_prior),
        noise=tf.concat([own_noise, noise.normal[:, labels.characteristic :]], axis=1),
        emphasis=together(plain.emphasis, terms.emphasis),
    )


def _of(posterior: tfd.Normal, latents: np.ndarray) -> tfd.Normal:
    """The posterior of some latents."""
    return tfd.Normal(*(tf.gather(part, latents, axis=1) for part in parts(posterior)))


def style_divergence(posterior: tfd.Normal, labels: Labels) -> tf.Tensor:
    """KL(q(z_s|x) || N(0, I)) of the latents behind those of the labels, (batch,)."""
    loc, scale = posterior.loc[:, labels.characteristic :], posterior.scale[:, labels.characteristic :]
    return tf.reduce_sum(0.5 * (tf.square(loc) + tf.square(scale) - 1) - tf.math.log(scale), axis=1)


def _replace_column(table: tf.Tensor, index: int, column: tf.Tensor) -> tf.Tensor:
    """(batch, L, V) with label `index` replaced by (batch, V)."""
    return tf.concat([table[:, :index], column[:, None], table[:, index + 1 :]], axis=1)
