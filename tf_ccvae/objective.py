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

where the first expectation is over q(z|x) prod_{i in O} w_i. Everything is in nats, one number per example.

Shapes: D latents, C of them characteristic, L labels, V values of the label with most, K nodes or cells, S draws.

References:
  Joy et al., "Capturing Label Characteristics in VAEs", ICLR 2021, equations 4 to 7.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.distributions import owner_matrix, value_mask
from tf_ccvae.labels import Labels
from tf_ccvae.tilting import (
    NEVER,
    LabelModel,
    Noise,
    Projection,
    characteristic_posterior,
    log_values_of_draws,
    parts,
    product,
    project,
    sampled_labels,
    tilted_expectations,
    tilted_noise,
)

ESTIMATORS = ("exact", "pytorch", "pyro")


class Terms(NamedTuple):
    """Terms of the bound, in nats; `bound` is their sum.

    reconstruction, style_divergence, surrogate: (batch,); characteristic, label_marginal, label_prior: (batch, L).
    `surrogate` is 0 in value and adds a score-function gradient where an estimator has one.
    """

    reconstruction: tf.Tensor
    style_divergence: tf.Tensor
    characteristic: tf.Tensor
    label_marginal: tf.Tensor
    label_prior: tf.Tensor
    surrogate: tf.Tensor
    latents: tf.Tensor

    @property
    def bound(self) -> tf.Tensor:
        """The evidence lower bound, (batch,)."""
        per_label = tf.reduce_sum(self.characteristic + self.label_marginal + self.label_prior, axis=1)
        return self.reconstruction - self.style_divergence + per_label

    def loss(self, label_weight: float) -> tf.Tensor:
        """-(bound + label_weight * log q(y_O|x)), (batch,)."""
        return -(self.bound + self.surrogate + label_weight * tf.reduce_sum(self.label_marginal, axis=1))


Decode = Callable[[tf.Tensor], Any]  # latents (batch, D) -> distribution over images


def _scalar_labels(
    posterior: tfd.Normal, projection: Projection, model: LabelModel, nodes: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Per value: E[log p(z_i|v) - log q(z_i|x) - log q(v|z_i)] under the tilted posterior, and log q(v|x)."""
    labels = model.labels
    tilted = tilted_expectations(projection, labels, nodes)
    loc, scale = parts(characteristic_posterior(posterior, labels))
    owned = np.repeat(np.arange(len(labels)), [x.latents for x in labels])
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

    Exact (midpoint rule) for binary labels and for categorical ones with one latent; from `draws` for the others.

    Args:
      posterior: `tfd.Normal`, batch shape (batch, D).
      model: the labels' distributions.
      nodes: number of nodes.
      draws: standard normal (S, batch, C), needed only for categorical labels with several latents.

    Returns:
      (batch, L, V), in nats; about -1e9 for values that a label does not have.
    """
    marginals = tilted_expectations(project(posterior, model), model.labels, nodes).log_marginal
    for index in sampled_labels(model.labels):
        _, marginal = _sampled_label(index, posterior, model, draws)
        marginals = _replace_column(marginals, index, marginal)
    return marginals


def exact(
    image: tf.Tensor,
    posterior: tfd.Normal,
    model: LabelModel,
    decode: Decode,
    values: tf.Tensor,
    observed: tf.Tensor,
    noise: Noise,
    nodes: int = 64,
) -> Terms:
    """The bound of the module's docstring with every term but the reconstruction integrated, and no weight left.

    The reconstruction is one sample z ~ q'(z | x, y_O); missing labels are summed out.

    Args:
      image: pixels in [0, 1], (batch, height, width, channels).
      posterior: `tfd.Normal`, batch shape (batch, D).
      model: the labels' distributions.
      decode: latents to the distribution p(x|z).
      values: integer (batch, L); whatever stands where a label is missing is ignored.
      observed: bool (batch, L).
      noise: the randomness.
      nodes: nodes of the midpoint rule.
    """
    labels = model.labels
    values = tf.where(observed, tf.cast(values, tf.int32), 0)
    bracket, log_marginal = _scalar_labels(posterior, project(posterior, model), model, nodes)
    for index in sampled_labels(labels):
        one_bracket, one_marginal = _sampled_label(index, posterior, model, noise.draws)
        bracket = _replace_column(bracket, index, one_bracket)
        log_marginal = _replace_column(log_marginal, index, one_marginal)
    chosen = tf.one_hot(values, labels.values, dtype=bracket.dtype)  # (batch, L, V)
    share = tf.where(observed[..., None], chosen, tf.exp(log_marginal))
    log_label_prior = tf.where(value_mask(labels), model.log_label_prior, 0.0)
    latents = posterior.loc + posterior.scale * tilted_noise(posterior, model, values, observed, noise)
    likelihood = decode(latents)
    return Terms(
        reconstruction=likelihood.log_prob(image),
        style_divergence=style_divergence(posterior, labels),
        characteristic=tf.reduce_sum(share * bracket, axis=-1),
        label_marginal=tf.where(observed, tf.reduce_sum(chosen * log_marginal, axis=-1), 0.0),
        label_prior=tf.reduce_sum(share * log_label_prior, axis=-1),
        surrogate=tf.zeros_like(latents[:, 0]),
        latents=latents,
    )


def official(
    image: tf.Tensor,
    posterior: tfd.Normal,
    model: LabelModel,
    decode: Decode,
    values: tf.Tensor,
    observed: tf.Tensor,
    noise: Noise,
    pyro: bool = False,
) -> Terms:
    """The bound as the authors' two programs estimate it, in value and gradient.

    Labelled:   w (log p(x|z) - KL - log q(y|z)) + log q(y|x) + log p(y),  w = q(y|stop(z)) / q(y|x)
    Unlabelled: the same with y drawn from q(y|z), w = 1 and no log q(y|x).

    q(y|x) is a mean over `noise.draws` of the joint of all labels. PyTorch program: KL(q(z|x) || p(z|y)) in closed
    form. Pyro program (`pyro`): one sample of log q(z|x) - log p(z|y), no gradient from log q(y|z) to z, and a
    score-function gradient for drawn labels. The programs know only examples with all labels or none; here observed
    labels are treated as in the first line and missing ones as in the second, which contains both.

    Args:
      As for `exact`; `noise.uniform` picks the labels that are drawn.
    """
    labels = model.labels
    split = labels.characteristic
    latents = posterior.loc + posterior.scale * noise.normal
    log_value = _log_values_of_latents(latents, model)  # (batch, L, V)
    log_value_cut = _log_values_of_latents(tf.stop_gradient(latents), model)
    cumulative = tf.cumsum(tf.exp(tf.stop_gradient(log_value)), axis=-1)
    drawn = tf.reduce_sum(tf.cast(cumulative < noise.uniform[..., None], tf.int32), axis=-1)
    values = tf.where(observed, tf.cast(values, tf.int32), tf.minimum(drawn, [x.values - 1 for x in labels]))
    chosen = tf.one_hot(values, labels.values, dtype=latents.dtype)
    seen = tf.cast(observed, latents.dtype)

    draws = posterior.loc[:, :split] + posterior.scale[:, :split] * noise.draws  # (S, batch, C)
    joint = tf.reduce_sum(seen * _log_chosen_of_draws(draws, model, values), axis=-1)  # (S, batch)
    log_marginal = tf.reduce_logsumexp(joint, axis=0) - tf.math.log(tf.cast(tf.shape(draws)[0], latents.dtype))
    log_chosen_cut = tf.reduce_sum(log_value_cut * chosen, axis=-1)
    weight = tf.exp(tf.reduce_sum(seen * log_chosen_cut, axis=-1) - log_marginal)

    owned = np.repeat(np.arange(len(labels)), [x.latents for x in labels])
    prior_loc, prior_scale = parts(model.prior)
    table = tf.gather(chosen, owned, axis=1)  # (batch, C, V)
    prior = tfd.Normal(tf.einsum("bjv,vj->bj", table, prior_loc), tf.einsum("bjv,vj->bj", table, prior_scale))
    own = characteristic_posterior(posterior, labels)
    style = tfd.Normal(posterior.loc[:, split:], posterior.scale[:, split:])
    standard = tfd.Normal(tf.zeros_like(style.loc), tf.ones_like(style.scale))
    if pyro:
        divergence = own.log_prob(latents[:, :split]) - prior.log_prob(latents[:, :split])
        style_divergence = style.log_prob(latents[:, split:]) - standard.log_prob(latents[:, split:])
        log_chosen = log_chosen_cut
    else:
        divergence = tfd.kl_divergence(own, prior)
        style_divergence = tfd.kl_divergence(style, standard)
        log_chosen = tf.reduce_sum(log_value * chosen, axis=-1)
    owner = tf.constant(owner_matrix(labels), latents.dtype)
    bracket = -tf.matmul(divergence, owner) - log_chosen
    log_label_prior = tf.where(value_mask(labels), model.log_label_prior, 0.0)
    share = seen / tf.maximum(tf.reduce_sum(seen, axis=1, keepdims=True), 1.0)  # of the joint log q(y_O|x)
    terms = Terms(
        reconstruction=weight * decode(latents).log_prob(image),
        style_divergence=weight * tf.reduce_sum(style_divergence, axis=1),
        characteristic=weight[:, None] * bracket,
        label_marginal=share * tf.where(tf.reduce_any(observed, axis=1), log_marginal, 0.0)[:, None],
        label_prior=tf.reduce_sum(chosen * log_label_prior, axis=-1),
        surrogate=tf.zeros_like(weight),
        latents=latents,
    )
    if pyro:
        score = tf.reduce_sum((1 - seen) * log_chosen_cut, axis=1)
        surrogate = tf.stop_gradient(terms.bound) * (score - tf.stop_gradient(score))
        terms = terms._replace(surrogate=surrogate)
    return terms


def estimate(
    estimator: str,
    image: tf.Tensor,
    posterior: tfd.Normal,
    model: LabelModel,
    decode: Decode,
    values: tf.Tensor,
    observed: tf.Tensor,
    noise: Noise,
    nodes: int = 64,
) -> Terms:
    """The terms by one of `ESTIMATORS`; the other arguments as for `exact`.

    Raises:
      ValueError: unknown estimator.
    """
    if estimator == "exact":
        return exact(image, posterior, model, decode, values, observed, noise, nodes)
    if estimator in ESTIMATORS:
        return official(image, posterior, model, decode, values, observed, noise, pyro=estimator == "pyro")
    raise ValueError(f"estimator must be one of {', '.join(ESTIMATORS)}, got {estimator!r}")


def default_label_weight(estimator: str) -> float:
    """Weight of log q(y_O|x) beside the bound: 1000 for 'exact', measured by `benchmarks/estimators.py`, else 0."""
    return 1000.0 if estimator == "exact" else 0.0


def needed_draws(estimator: str, labels: Labels, samples: int, proposals: int) -> int:
    """How many draws `Noise.draws` must hold for an estimator: `samples`, `proposals` or none."""
    if estimator != "exact":
        return samples
    return proposals if sampled_labels(labels) else 0


def style_divergence(posterior: tfd.Normal, labels: Labels) -> tf.Tensor:
    """KL(q(z_s|x) || N(0, I)) of the latents behind those of the labels, (batch,)."""
    loc, scale = posterior.loc[:, labels.characteristic :], posterior.scale[:, labels.characteristic :]
    return tf.reduce_sum(0.5 * (tf.square(loc) + tf.square(scale) - 1) - tf.math.log(scale), axis=1)


def _log_values_of_latents(latents: tf.Tensor, model: LabelModel) -> tf.Tensor:
    """log q(y_i = v | z_i): latents (n, C or more) -> (n, L, V)."""
    labels = model.labels
    products = latents[:, : labels.characteristic, None] * model.kernel
    if labels.characteristic != len(labels):
        products = tf.einsum("njv,jl->nlv", products, tf.constant(owner_matrix(labels), latents.dtype))
    logits = products + model.bias
    if labels.values == 2:
        log_one = -tf.nn.softplus(-logits[..., 1])
        return tf.stack([log_one - logits[..., 1], log_one], axis=-1)
    return tf.nn.log_softmax(tf.where(value_mask(labels), logits, NEVER), axis=-1)


def _log_chosen_of_draws(draws: tf.Tensor, model: LabelModel, values: tf.Tensor) -> tf.Tensor:
    """log q(y_i | z_i) of the given values: draws (S, batch, C) -> (S, batch, L)."""
    labels = model.labels
    if labels.values > 2:
        log_values = _log_values_of_latents(tf.reshape(draws, [-1, labels.characteristic]), model)
        log_values = tf.reshape(log_values, [*tf.unstack(tf.shape(draws)[:2]), len(labels), labels.values])
        return tf.reduce_sum(log_values * tf.one_hot(values, labels.values, dtype=draws.dtype), axis=-1)
    products = draws * model.kernel[:, 1]
    if labels.characteristic != len(labels):
        products = product(products, tf.constant(owner_matrix(labels), draws.dtype))
    return tf.math.log_sigmoid(tf.cast(2 * values - 1, draws.dtype) * (products + model.bias[:, 1]))


def _replace_column(table: tf.Tensor, index: int, column: tf.Tensor) -> tf.Tensor:
    """(batch, L, V) with label `index` replaced by (batch, V)."""
    return tf.concat([table[:, :index], column[:, None], table[:, index + 1 :]], axis=1)
