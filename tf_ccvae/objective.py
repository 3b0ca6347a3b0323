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

ESTIMATORS = ("exact", "pytorch", "pyro")
CELLS = 128  # of the grid on which a tilted Gaussian's cumulative distribution is inverted
_REACH = 8.0  # grids cover [-8, 8] in standardised units
_NEVER = -1e9  # logit of a value that a label does not have


class LabelModel(NamedTuple):
    """p(z_i|y_i), q(y_i|z_i) and p(y_i) of all labels.

    labels: what the labels are.
    prior: `tfd.Normal`, batch shape (V, C).
    kernel, bias: classifier (C, V) and (L, V); logit_v = kernel_v . z_i + bias_v.
    log_label_prior: log p(y_i = v), (L, V).
    """

    labels: Labels
    prior: tfd.Normal
    kernel: tf.Tensor
    bias: tf.Tensor
    log_label_prior: tf.Tensor


class Noise(NamedTuple):
    """All randomness of one evaluation.

    normal: standard normal (batch, D).
    uniform: (batch, L), in (0, 1).
    draws: standard normal (S, batch, C): what the official estimators average q(y|x) over; for `exact`, the proposals
      of categorical labels with several latents, and of no use otherwise (then S may be 0).
    """

    normal: tf.Tensor
    uniform: tf.Tensor
    draws: tf.Tensor


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


# Per-label expectations in one dimension ------------------------------------------------------------------------------


class Projection(NamedTuple):
    """A label's logits as a function of one standard normal variate t: logit_v = loc_v + scale_v t.

    loc, scale: (batch, L, V).
    direction: (batch, C), unit length within each label; t = sum over the label's latents of direction * e, where
      z = posterior.loc + posterior.scale * e.
    """

    loc: tf.Tensor
    scale: tf.Tensor
    direction: tf.Tensor


class Tilted(NamedTuple):
    """Expectations under q(z_i|x) q(v|z_i) / q(v|x) for every value v, each (batch, L, V).

    log_marginal: log q(v|x).  mean, square: E[t], E[t^2].  log_likelihood: E[log q(v|z_i)].
    """

    log_marginal: tf.Tensor
    mean: tf.Tensor
    square: tf.Tensor
    log_likelihood: tf.Tensor


def characteristic_posterior(posterior: tfd.Normal, labels: Labels) -> tfd.Normal:
    """The characteristic part of the posterior: batch shape (batch, C)."""
    return tfd.Normal(posterior.loc[:, : labels.characteristic], posterior.scale[:, : labels.characteristic])


def project(posterior: tfd.Normal, model: LabelModel) -> Projection:
    """Where a label's classifier looks: its logits along one direction of its latents.

    A label with one latent has t = e. A binary label with several has direction u = S a / |S a| (a: its slopes,
    S: the posterior's scales), along which its logit is a Gaussian with scale |S a|. Categorical labels with several
    latents have no such direction; what is returned for them is of no use.

    Args:
      posterior: `tfd.Normal`, batch shape (batch, D).
      model: the labels' distributions.
    """
    labels = model.labels
    loc, scale = _parts(characteristic_posterior(posterior, labels))
    slopes = scale[..., None] * model.kernel  # (batch, C, V)
    means = loc[..., None] * model.kernel
    if labels.characteristic == len(labels):
        return Projection(means + model.bias, slopes, tf.ones_like(scale))
    owner = tf.constant(owner_matrix(labels), loc.dtype)
    single = np.array([x.latents == 1 for x in labels])
    signed = tf.einsum("bjv,jl->blv", slopes, owner)
    norm = tf.sqrt(tf.matmul(tf.square(slopes[..., 1]), owner) + 1e-12)  # (batch, L)
    lengths = tf.where(single[:, None], signed, norm[..., None] * tf.one_hot(1, labels.values, dtype=loc.dtype))
    per_latent = tf.einsum("bl,jl->bj", norm, owner)
    single_latent = np.repeat(single, [x.latents for x in labels])
    direction = tf.where(single_latent, tf.ones_like(scale), slopes[..., 1] / per_latent)
    return Projection(tf.einsum("bjv,jl->blv", means, owner) + model.bias, lengths, direction)


def log_values(projection: Projection, nodes: tf.Tensor, labels: Labels) -> tf.Tensor:
    """log q(y_i = v | t) at every node: nodes (K,) -> (batch, L, V, K)."""
    logits = projection.loc[..., None] + projection.scale[..., None] * nodes
    if labels.values == 2:
        log_one = -tf.nn.softplus(-logits[:, :, 1])
        return tf.stack([log_one - logits[:, :, 1], log_one], axis=2)
    return tf.nn.log_softmax(tf.where(value_mask(labels)[..., None], logits, _NEVER), axis=2)


def standard_nodes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Midpoints of `count` equal cells of [-8, 8] and their standard normal probabilities (which sum to 1).

    The midpoint rule converges exponentially for the analytic integrands here, and faster than Gauss-Hermite where
    the logit varies fast: with 64 nodes the error of log q(y|x) is below 2e-8 for a logit of scale 4 and 1e-3 for 8
    (and mean up to 20).
    """
    width = 2 * _REACH / count
    nodes = -_REACH + width * (np.arange(count) + 0.5)
    weights = np.exp(-0.5 * nodes**2)
    return nodes, weights / weights.sum()


def tilted_expectations(projection: Projection, labels: Labels, nodes: int) -> Tilted:
    """All one-dimensional expectations of the bound, by the midpoint rule.

    Args:
      projection: logits along t.
      labels: what the labels are.
      nodes: number of nodes.
    """
    dtype = projection.loc.dtype
    points, probabilities = standard_nodes(nodes)
    log_value = log_values(projection, tf.constant(points, dtype), labels)  # (batch, L, V, K)
    log_joint = log_value + tf.constant(np.log(probabilities), dtype)
    log_marginal = tf.reduce_logsumexp(log_joint, axis=-1)
    weights = tf.exp(log_joint - log_marginal[..., None])
    powers = tf.constant(np.stack([points, points**2], axis=1), dtype)
    moments = tf.matmul(weights, powers)  # (batch, L, V, 2)
    return Tilted(log_marginal, moments[..., 0], moments[..., 1], tf.reduce_sum(weights * log_value, axis=-1))


def _scalar_labels(
    posterior: tfd.Normal, projection: Projection, model: LabelModel, nodes: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Per value: E[log p(z_i|v) - log q(z_i|x) - log q(v|z_i)] under the tilted posterior, and log q(v|x)."""
    labels = model.labels
    tilted = tilted_expectations(projection, labels, nodes)
    loc, scale = _parts(characteristic_posterior(posterior, labels))
    owned = np.repeat(np.arange(len(labels)), [x.latents for x in labels])
    mean_t, square_t = tilted.mean, tilted.square
    if labels.characteristic != len(labels):
        mean_t, square_t = tf.gather(mean_t, owned, axis=1), tf.gather(square_t, owned, axis=1)  # (batch, C, V)
    direction = projection.direction[..., None]
    mean = loc[..., None] + scale[..., None] * direction * mean_t
    spread = 1 - tf.square(direction) + tf.square(direction) * (square_t - tf.square(mean_t))
    variance = tf.square(scale)[..., None] * spread
    second = 1 - tf.square(direction) + tf.square(direction) * square_t  # E[e^2]
    prior_loc, prior_scale = (tf.transpose(part) for part in _parts(model.prior))  # (C, V)
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
    log_value, latents = _log_values_of_draws(index, posterior, model, draws)  # (S, batch, V), (S, batch, d)
    count = tf.cast(tf.shape(draws)[0], log_value.dtype)
    log_marginal = tf.reduce_logsumexp(log_value, axis=0) - tf.math.log(count)
    weights = tf.exp(log_value - log_marginal) / count
    prior_loc, prior_scale = _parts(model.prior)
    prior = tfd.Normal(prior_loc[:, where], prior_scale[:, where])
    log_prior = tf.reduce_sum(prior.log_prob(latents[:, :, None, :]), axis=-1)  # (S, batch, V)
    own = tfd.Normal(posterior.loc[:, where], posterior.scale[:, where])
    log_posterior = tf.reduce_sum(own.log_prob(latents), axis=-1)[..., None]
    return tf.reduce_sum(weights * (log_prior - log_posterior - log_value), axis=0), log_marginal


def _log_values_of_draws(
    index: int, posterior: tfd.Normal, model: LabelModel, draws: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    where = model.labels.slices[index]
    latents = posterior.loc[:, where] + posterior.scale[:, where] * draws[:, :, where]
    logits = tf.einsum("sbj,jv->sbv", latents, model.kernel[where]) + model.bias[index]
    logits = tf.where(value_mask(model.labels)[index], logits, _NEVER)
    return tf.nn.log_softmax(logits, axis=-1), latents


def _sampled(labels: Labels) -> list[int]:
    """The labels whose classifier does not look along one direction."""
    return [i for i, x in enumerate(labels) if x.latents > 1 and not x.binary]


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
    for index in _sampled(model.labels):
        _, marginal = _sampled_label(index, posterior, model, draws)
        marginals = _replace_column(marginals, index, marginal)
    return marginals


# Sampling -------------------------------------------------------------------------------------------------------------


def tilted_noise(
    posterior: tfd.Normal, model: LabelModel, values: tf.Tensor, observed: tf.Tensor, noise: Noise
) -> tf.Tensor:
    """Standardised noise of one z ~ q'(z | x, y_O) = q(z|x) prod_{i in O} q(y_i|z_i) / q(y_i|x).

    Per observed label, the tilted one-dimensional density is put on a grid of 128 cells over [-8, 8] and its cumulative
    distribution, linear inside a cell, is inverted at `noise.uniform`: t is a differentiable function of the
    parameters. The noise across the direction stays as it is: e = e_0 + u (t - u . e_0). For a categorical label with
    several latents one of `noise.draws` is picked with probability proportional to q(y_i|z_i); its gradient ignores how
    that choice depends on the parameters.

    Args:
      posterior: `tfd.Normal`, batch shape (batch, D).
      model: the labels' distributions.
      values: integer (batch, L), in range also where missing.
      observed: bool (batch, L).
      noise: the randomness.

    Returns:
      (batch, D); latents = posterior.loc + posterior.scale * this.
    """
    labels = model.labels
    characteristic = noise.normal[:, : labels.characteristic]
    projection = project(posterior, model)
    points, probabilities = standard_nodes(CELLS)
    dtype = projection.loc.dtype
    log_value = _log_observed_value(projection, tf.constant(points, dtype), labels, values)
    mass = tf.nn.softmax(log_value + tf.constant(np.log(probabilities), dtype), axis=-1)  # (batch, L, K)
    t = _invert(mass, noise.uniform)
    if labels.characteristic == len(labels):
        tilted = t
        seen = observed
    else:
        owner = tf.constant(owner_matrix(labels), dtype)
        along = tf.einsum("bj,jl->bl", projection.direction * characteristic, owner)
        tilted = characteristic + projection.direction * tf.einsum("bl,jl->bj", t - along, owner)
        for index in _sampled(labels):
            tilted = _resample(index, tilted, posterior, model, values, noise)
        seen = tf.gather(observed, np.repeat(np.arange(len(labels)), [x.latents for x in labels]), axis=1)
    return tf.concat([tf.where(seen, tilted, characteristic), noise.normal[:, labels.characteristic :]], axis=1)


def _log_observed_value(projection: Projection, nodes: tf.Tensor, labels: Labels, values: tf.Tensor) -> tf.Tensor:
    """log q(y_i | t) of the given values at every node: (batch, L, K)."""
    if labels.values == 2:
        sign = tf.cast(2 * values - 1, projection.loc.dtype)
        loc, scale = sign * projection.loc[..., 1], sign * projection.scale[..., 1]
        return -tf.nn.softplus(-(loc[..., None] + scale[..., None] * nodes))
    return tf.gather(log_values(projection, nodes, labels), values, axis=2, batch_dims=2)


def _invert(mass: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """The point below which `uniform` of a piecewise constant density lies.

    Args:
      mass: probabilities (batch, L, K) of equal cells of [-8, 8].
      uniform: (batch, L), in (0, 1).
    """
    cells = mass.shape[-1]
    upper = tf.cumsum(mass, axis=-1)
    uniform = uniform * upper[..., -1]  # which is not quite 1 after rounding
    cell = tf.reduce_sum(tf.cast(upper < uniform[..., None], tf.int32), axis=-1)
    inside = tf.gather(mass, cell, axis=-1, batch_dims=2)
    below = tf.gather(upper, cell, axis=-1, batch_dims=2) - inside
    part = tf.clip_by_value((uniform - below) / tf.maximum(inside, 1e-30), 0.0, 1.0)
    return -_REACH + (2 * _REACH / cells) * (tf.cast(cell, mass.dtype) + part)


def _resample(
    index: int, noise_so_far: tf.Tensor, posterior: tfd.Normal, model: LabelModel, values: tf.Tensor, noise: Noise
) -> tf.Tensor:
    """Replaces one label's noise by one of the draws, picked with probability proportional to q(y_i|z_i)."""
    where = model.labels.slices[index]
    log_value, _ = _log_values_of_draws(index, posterior, model, noise.draws)
    weights = tf.gather(tf.transpose(log_value, [1, 2, 0]), values[:, index], axis=1, batch_dims=1)  # (batch, S)
    cumulative = tf.cumsum(tf.nn.softmax(weights, axis=-1), axis=-1)
    pick = tf.reduce_sum(tf.cast(cumulative < noise.uniform[:, index, None], tf.int32), axis=-1)
    pick = tf.minimum(pick, tf.shape(cumulative)[1] - 1)
    chosen = tf.gather(tf.transpose(noise.draws[:, :, where], [1, 0, 2]), pick, axis=1, batch_dims=1)
    return tf.concat([noise_so_far[:, : where.start], chosen, noise_so_far[:, where.stop :]], axis=1)


# Estimators -----------------------------------------------------------------------------------------------------------


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
    for index in _sampled(labels):
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
        style_divergence=_style_divergence(posterior, labels),
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
    shape = tf.shape(draws)
    of_draws = _log_values_of_latents(tf.reshape(draws, [-1, split]), model)
    of_draws = tf.reshape(of_draws, [shape[0], shape[1], len(labels), labels.values])
    joint = tf.reduce_sum(seen * tf.reduce_sum(of_draws * chosen, axis=-1), axis=-1)  # (S, batch)
    log_marginal = tf.reduce_logsumexp(joint, axis=0) - tf.math.log(tf.cast(shape[0], latents.dtype))
    log_chosen_cut = tf.reduce_sum(log_value_cut * chosen, axis=-1)
    weight = tf.exp(tf.reduce_sum(seen * log_chosen_cut, axis=-1) - log_marginal)

    owned = np.repeat(np.arange(len(labels)), [x.latents for x in labels])
    prior_loc, prior_scale = _parts(model.prior)
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


def needed_draws(estimator: str, labels: Labels, samples: int, proposals: int) -> int:
    """How many draws `Noise.draws` must hold for an estimator: `samples`, `proposals` or none."""
    if estimator != "exact":
        return samples
    return proposals if _sampled(labels) else 0


def _style_divergence(posterior: tfd.Normal, labels: Labels) -> tf.Tensor:
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
    return tf.nn.log_softmax(tf.where(value_mask(labels), logits, _NEVER), axis=-1)


def _replace_column(table: tf.Tensor, index: int, column: tf.Tensor) -> tf.Tensor:
    """(batch, L, V) with label `index` replaced by (batch, V)."""
    return tf.concat([table[:, :index], column[:, None], table[:, index + 1 :]], axis=1)


def _parts(normal: tfd.Normal) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.convert_to_tensor(normal.loc), tf.convert_to_tensor(normal.scale)
