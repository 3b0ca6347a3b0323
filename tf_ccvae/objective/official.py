"""The bound as the programs of the paper's authors estimate it."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.labels import latent_owners, owner_matrix, value_mask
from tf_ccvae.objective.bound import Decode, Terms
from tf_ccvae.objective.label_model import NEVER, LabelModel, Noise, characteristic_posterior, parts, product


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

    owned = latent_owners(labels)
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
