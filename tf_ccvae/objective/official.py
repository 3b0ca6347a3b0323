"""The bound as the programs of the paper's authors estimate it."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.labels import latent_owners, owner_matrix, value_mask
from tf_ccvae.objective.bound import Decode, Terms
from tf_ccvae.objective.classifier import label_logits, log_values
from tf_ccvae.objective.label_model import Example, LabelModel, characteristic_posterior, parts


def official(example: Example, posterior: tfd.Normal, model: LabelModel, decode: Decode, pyro: bool = False) -> Terms:
    """The bound as the authors' two programs estimate it, in value and gradient.

    Labelled:   w (log p(x|z) - KL - log q(y|z)) + log q(y|x) + log p(y),  w = q(y|stop(z)) / q(y|x)
    Unlabelled: the same with y drawn from q(y|z), w = 1 and no log q(y|x).

    q(y|x) is a mean over `example.noise.draws` of the joint of all labels. PyTorch program: KL(q(z|x) || p(z|y)) in
    closed form. Pyro program (`pyro`): one sample of log q(z|x) - log p(z|y), no gradient from log q(y|z) to z, and a
    score-function gradient for drawn labels. The programs know only examples with all labels or none; here observed
    labels are treated as in the first line and missing ones as in the second, which contains both.

    Args:
      As for `exact`; `example.noise.uniform` picks the labels that are drawn.
    """
    labels, observed, noise = model.labels, example.observed, example.noise
    split = labels.characteristic
    latents = posterior.loc + posterior.scale * noise.normal
    log_value = log_values(label_logits(latents, model), labels)  # (batch, L, V)
    log_value_cut = log_values(label_logits(tf.stop_gradient(latents), model), labels)
    cumulative = tf.cumsum(tf.exp(tf.stop_gradient(log_value)), axis=-1)
    drawn = tf.reduce_sum(tf.cast(cumulative < noise.uniform[..., None], tf.int32), axis=-1)
    values = tf.where(observed, tf.cast(example.values, tf.int32), tf.minimum(drawn, [x.values - 1 for x in labels]))
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
        reconstruction=weight * decode(latents).log_prob(example.image),
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


def _log_chosen_of_draws(draws: tf.Tensor, model: LabelModel, values: tf.Tensor) -> tf.Tensor:
    """log q(y_i | z_i) of values: draws (S, batch, C) -> (S, batch, L)."""
    labels = model.labels
    logits = label_logits(tf.reshape(draws, [-1, labels.characteristic]), model)
    table = tf.reshape(log_values(logits, labels), [*tf.unstack(tf.shape(draws)[:2]), len(labels), labels.values])
    return tf.reduce_sum(table * tf.one_hot(values, labels.values, dtype=draws.dtype), axis=-1)
