"""Expectations under a Gaussian tilted by a classifier, by the midpoint rule in one dimension."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.labels import Labels, owner_matrix
from tf_ccvae.objective.classifier import log_values_at_nodes
from tf_ccvae.objective.label_model import LabelModel, characteristic_posterior, parts, product

REACH = 8.0  # grids cover [-8, 8] in standardised units
Gradient = Callable[..., tuple[tf.Tensor, ...]]  # upstream gradients to those of the arguments


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


def project(posterior: tfd.Normal, model: LabelModel) -> Projection:
    """Where a label's classifier looks: its logits along one direction of its latents.

    A label with one latent has t = e. A binary label or a grade with several has direction u = S a / |S a| (a: its
    slopes, S: the posterior's scales), along which its logits are Gaussians with scale |S a|. Categorical labels with
    several latents have no such direction; what is returned for them is of no use.

    Args:
      posterior: `tfd.Normal`, batch shape (batch, D).
      model: the labels' distributions.
    """
    labels = model.labels
    loc, scale = parts(characteristic_posterior(posterior, labels))
    slopes = scale[..., None] * model.kernel  # (batch, C, V)
    means = loc[..., None] * model.kernel
    if labels.characteristic == len(labels):
        return Projection(means + model.bias, slopes, tf.ones_like(scale))
    owner = tf.constant(owner_matrix(labels), loc.dtype)
    single = np.array([x.latents == 1 for x in labels])
    signed = tf.einsum("bjv,jl->blv", slopes, owner)
    norm = tf.sqrt(tf.matmul(tf.square(slopes[..., 1]), owner) + 1e-12)  # (batch, L)
    along = np.array([[v == 1 or (x.ordered and v > 1) for v in range(labels.values)] for x in labels])
    lengths = tf.where(single[:, None], signed, norm[..., None] * tf.constant(along, loc.dtype))
    per_latent = tf.einsum("bl,jl->bj", norm, owner)
    single_latent = np.repeat(single, [x.latents for x in labels])
    direction = tf.where(single_latent, tf.ones_like(scale), slopes[..., 1] / per_latent)
    return Projection(tf.einsum("bjv,jl->blv", means, owner) + model.bias, lengths, direction)


def standard_nodes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Midpoints of `count` equal cells of [-8, 8] and their standard normal probabilities (which sum to 1).

    The midpoint rule converges exponentially for the analytic integrands here, and faster than Gauss-Hermite where
    the logit varies fast: with 64 nodes the error of log q(y|x) is below 2e-8 for a logit of scale 4 and 1e-3 for 8
    (and mean up to 20).
    """
    width = 2 * REACH / count
    nodes = -REACH + width * (np.arange(count) + 0.5)
    weights = np.exp(-0.5 * nodes**2)
    return nodes, weights / weights.sum()


def tilted_expectations(projection: Projection, labels: Labels, nodes: int) -> Tilted:
    """All one-dimensional expectations of the bound, by the midpoint rule.

    Args:
      projection: logits along t.
      labels: what the labels are.
      nodes: number of nodes.
    """
    if labels.values == 2:
        return _logistic_expectations(*both_values(projection), nodes)
    dtype = projection.loc.dtype
    points, probabilities = standard_nodes(nodes)
    log_value = log_values_along(projection, tf.constant(points, dtype), labels)  # (batch, L, V, K)
    log_joint = log_value + tf.constant(np.log(probabilities), dtype)
    log_marginal = tf.reduce_logsumexp(log_joint, axis=-1)
    weights = tf.exp(log_joint - log_marginal[..., None])
    moments = product(weights, tf.constant(np.stack([points, points**2], axis=1), dtype))  # (batch, L, V, 2)
    return Tilted(log_marginal, moments[..., 0], moments[..., 1], tf.reduce_sum(weights * log_value, axis=-1))


def log_values_along(projection: Projection, nodes: tf.Tensor, labels: Labels) -> tf.Tensor:
    """log q(y_i = v | t) at every node: nodes (K,) -> (batch, L, V, K)."""
    return log_values_at_nodes(projection.loc[..., None] + projection.scale[..., None] * nodes, labels)


def both_values(projection: Projection) -> tuple[tf.Tensor, tf.Tensor]:
    """Of binary labels: q(y = v | t) = sigmoid(loc_v + scale_v t), both (batch, L, 2)."""
    sign = tf.constant([-1.0, 1.0], projection.loc.dtype)
    return sign * projection.loc[..., 1:], sign * projection.scale[..., 1:]


def _logistic_expectations(loc: tf.Tensor, scale: tf.Tensor, nodes: int) -> Tilted:
    """Expectations under the density proportional to N(t; 0, 1) sigmoid(loc + scale t).

    With l the log of the sigmoid, g = sigmoid(-(loc + scale t)) its derivative and E the expectation sought,
    d log_marginal = E[g dl], d E[f] = E[f g dl] - E[f] E[g dl] and d E[l] = E[g dl] + E[l g dl] - E[l] E[g dl], where
    dl is 1 for loc and t for scale: sums over the nodes again, so that nothing is differentiated through the grid.

    Args:
      loc, scale: any shape.
      nodes: number of nodes.
    """
    points, probabilities = standard_nodes(nodes)
    powers = np.stack([points**n for n in range(4)], axis=1)

    @tf.custom_gradient
    def expectations(loc: tf.Tensor, scale: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], Gradient]:
        grid, power = tf.constant(points, loc.dtype), tf.constant(powers, loc.dtype)
        logits = loc[..., None] + scale[..., None] * grid
        log_value = tf.math.log_sigmoid(logits)
        log_joint = log_value + tf.constant(np.log(probabilities), loc.dtype)
        log_marginal = tf.reduce_logsumexp(log_joint, axis=-1)
        weights = tf.exp(log_joint - log_marginal[..., None])
        moments = product(weights, power[:, 1:3])
        mean, square, log_likelihood = moments[..., 0], moments[..., 1], tf.reduce_sum(weights * log_value, axis=-1)

        def gradient(*upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            sloped = weights * tf.sigmoid(-logits)
            slope = tf.unstack(product(sloped, power), axis=-1)  # E[g t^n], n = 0 .. 3
            mixed = tf.unstack(product(sloped * log_value, power[:, :2]), axis=-1)  # E[l g t^n], n = 0, 1
            by_loc, by_scale = (
                upstream[0] * slope[n]
                + upstream[1] * (slope[n + 1] - mean * slope[n])
                + upstream[2] * (slope[n + 2] - square * slope[n])
                + upstream[3] * (slope[n] + mixed[n] - log_likelihood * slope[n])
                for n in (0, 1)
            )
            return by_loc, by_scale

        return (log_marginal, mean, square, log_likelihood), gradient

    return Tilted(*expectations(loc, scale))
