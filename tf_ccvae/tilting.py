"""Gaussians tilted by a classifier: q(z_i|x) q(y_i|z_i) / q(y_i|x), their expectations and draws from them.

A binary label's classifier sees its latents along one direction, and so does a categorical label's with one latent;
there every expectation is a one-dimensional integral, which the midpoint rule gives to float32 precision, and a draw
inverts the cumulative distribution on a grid. Derivatives are the analytic ones. Shapes: D latents, C of them
characteristic, L labels, V values of the label with most, K nodes or cells, S draws.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.distributions import owner_matrix, value_mask
from tf_ccvae.labels import Labels

CELLS = 128  # of the grid on which a tilted Gaussian's cumulative distribution is inverted
_REACH = 8.0  # grids cover [-8, 8] in standardised units
_EDGE = 1e-6  # float32 loses the cumulative distribution nearer than this to 0 and 1
NEVER = -1e9  # logit of a value that a label does not have

Gradient = Callable[..., Any]


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
    loc, scale = parts(characteristic_posterior(posterior, labels))
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
    if labels.values == 2:
        return _logistic_expectations(*_both_values(projection), nodes)
    dtype = projection.loc.dtype
    points, probabilities = standard_nodes(nodes)
    log_value = _log_values(projection, tf.constant(points, dtype), labels)  # (batch, L, V, K)
    log_joint = log_value + tf.constant(np.log(probabilities), dtype)
    log_marginal = tf.reduce_logsumexp(log_joint, axis=-1)
    weights = tf.exp(log_joint - log_marginal[..., None])
    moments = product(weights, tf.constant(np.stack([points, points**2], axis=1), dtype))  # (batch, L, V, 2)
    return Tilted(log_marginal, moments[..., 0], moments[..., 1], tf.reduce_sum(weights * log_value, axis=-1))


def _log_values(projection: Projection, nodes: tf.Tensor, labels: Labels) -> tf.Tensor:
    """log q(y_i = v | t) at every node: nodes (K,) -> (batch, L, V, K)."""
    logits = projection.loc[..., None] + projection.scale[..., None] * nodes
    return tf.nn.log_softmax(tf.where(value_mask(labels)[..., None], logits, NEVER), axis=2)


def _both_values(projection: Projection) -> tuple[tf.Tensor, tf.Tensor]:
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


def tilted_noise(
    posterior: tfd.Normal, model: LabelModel, values: tf.Tensor, observed: tf.Tensor, noise: Noise
) -> tf.Tensor:
    """Standardised noise of one z ~ q'(z | x, y_O) = q(z|x) prod_{i in O} q(y_i|z_i) / q(y_i|x).

    Per observed label, the tilted one-dimensional density is put on a grid of 128 cells over [-8, 8] and its cumulative
    distribution, linear inside a cell, is inverted at a uniform variate u: t is a differentiable function of the
    parameters. With one latent u is `noise.uniform`. With several, the noise across the direction stays as it is,
    e = e_0 + direction (t - direction . e_0), and u is the normal probability of direction . e_0, so that the noise
    along the direction moves no further than the tilt asks. For a categorical label with several latents one of
    `noise.draws` is picked with probability proportional to q(y_i|z_i); its gradient ignores how that choice depends on
    the parameters.

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
    if labels.characteristic == len(labels):
        tilted, seen = _tilted_draw(projection, labels, values, noise.uniform), observed
    else:
        owner = tf.constant(owner_matrix(labels), projection.loc.dtype)
        along = tf.einsum("bj,jl->bl", projection.direction * characteristic, owner)
        normal = tfd.Normal(tf.zeros([], along.dtype), tf.ones([], along.dtype))
        single = np.array([x.latents == 1 for x in labels])
        uniform = tf.where(single, noise.uniform, tf.clip_by_value(normal.cdf(along), _EDGE, 1 - _EDGE))
        t = _tilted_draw(projection, labels, values, uniform)
        tilted = characteristic + projection.direction * tf.einsum("bl,jl->bj", t - along, owner)
        for index in sampled_labels(labels):
            tilted = _resample(index, tilted, posterior, model, values, noise)
        seen = tf.gather(observed, np.repeat(np.arange(len(labels)), [x.latents for x in labels]), axis=1)
    return tf.concat([tf.where(seen, tilted, characteristic), noise.normal[:, labels.characteristic :]], axis=1)


def _tilted_draw(projection: Projection, labels: Labels, values: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """t of every label, tilted by the given values: (batch, L)."""
    if labels.values == 2:
        loc, scale = (tf.where(values == 1, part[..., 1], part[..., 0]) for part in _both_values(projection))
        return _logistic_draw(loc, scale, uniform)
    points, probabilities = standard_nodes(CELLS)
    dtype = projection.loc.dtype
    log_value = tf.gather(
        _log_values(projection, tf.constant(points, dtype), labels), values, axis=2, batch_dims=2
    )  # (batch, L, K)
    mass = tf.nn.softmax(log_value + tf.constant(np.log(probabilities), dtype), axis=-1)
    cell, inside, below, uniform = _find_cell(mass, uniform)
    return _place(cell, tf.clip_by_value((uniform - below) / inside, 0.0, 1.0))


def _logistic_draw(loc: tf.Tensor, scale: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """The point below which `uniform` of the density proportional to N(t; 0, 1) sigmoid(loc + scale t) lies.

    Its derivatives are -dF(t) / f(t) for loc and scale, F the cumulative distribution at fixed t and f the density, and
    1 / f(t) for uniform.

    Args:
      loc, scale, uniform: all of one shape.
    """
    points, probabilities = standard_nodes(CELLS)

    @tf.custom_gradient
    def draw(loc: tf.Tensor, scale: tf.Tensor, uniform: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
        grid = tf.constant(points, loc.dtype)
        logits = loc[..., None] + scale[..., None] * grid
        log_joint = tf.math.log_sigmoid(logits) + tf.constant(np.log(probabilities), loc.dtype)
        mass = tf.nn.softmax(log_joint, axis=-1)
        cell, inside, below, reached = _find_cell(mass, uniform)
        part = tf.clip_by_value((reached - below) / inside, 0.0, 1.0)

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            position = tf.cast(cell, loc.dtype) + part
            covered = tf.clip_by_value(position[..., None] - tf.range(CELLS, dtype=loc.dtype), 0.0, 1.0)
            sloped = mass * tf.sigmoid(-logits)
            columns = tf.stack([tf.ones_like(grid), grid], axis=1)
            whole, lower = product(sloped, columns), product(sloped * covered, columns)  # (..., 2)
            sure = (part > 0) & (part < 1)  # elsewhere rounding has lost the point
            step = tf.where(sure, upstream * (2 * _REACH / CELLS) / inside, 0.0)
            change = lower - uniform[..., None] * whole  # dF(t) by loc and by scale
            return -step * change[..., 0], -step * change[..., 1], step

        return _place(cell, part), gradient

    return draw(loc, scale, uniform)


def _find_cell(mass: tf.Tensor, uniform: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """The cell in which a cumulative sum reaches `uniform`, the mass inside and below, and `uniform` after rounding."""
    below_or_here = tf.constant(np.triu(np.ones((CELLS, CELLS))), mass.dtype)
    upper = product(mass, below_or_here)  # the cumulative sum, which TensorFlow's own kernel takes twice as long for
    uniform = uniform * upper[..., -1]  # which is not quite 1 after rounding
    cell = tf.reduce_sum(tf.cast(upper < uniform[..., None], tf.int32), axis=-1)
    inside = tf.gather(mass, cell, axis=-1, batch_dims=2)
    below = tf.gather(upper, cell, axis=-1, batch_dims=2) - inside
    return cell, tf.maximum(inside, 1e-30), below, uniform


def _place(cell: tf.Tensor, part: tf.Tensor) -> tf.Tensor:
    """Standardised units of a point inside a cell."""
    return -_REACH + (2 * _REACH / CELLS) * (tf.cast(cell, part.dtype) + part)


def log_values_of_draws(
    index: int, posterior: tfd.Normal, model: LabelModel, draws: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    where = model.labels.slices[index]
    latents = posterior.loc[:, where] + posterior.scale[:, where] * draws[:, :, where]
    logits = tf.einsum("sbj,jv->sbv", latents, model.kernel[where]) + model.bias[index]
    logits = tf.where(value_mask(model.labels)[index], logits, NEVER)
    return tf.nn.log_softmax(logits, axis=-1), latents


def sampled_labels(labels: Labels) -> list[int]:
    """The labels whose classifier does not look along one direction."""
    return [i for i, x in enumerate(labels) if x.latents > 1 and not x.binary]


def _resample(
    index: int, noise_so_far: tf.Tensor, posterior: tfd.Normal, model: LabelModel, values: tf.Tensor, noise: Noise
) -> tf.Tensor:
    """Replaces one label's noise by one of the draws, picked with probability proportional to q(y_i|z_i)."""
    where = model.labels.slices[index]
    log_value, _ = log_values_of_draws(index, posterior, model, noise.draws)
    weights = tf.gather(tf.transpose(log_value, [1, 2, 0]), values[:, index], axis=1, batch_dims=1)  # (batch, S)
    cumulative = tf.cumsum(tf.nn.softmax(weights, axis=-1), axis=-1)
    pick = tf.reduce_sum(tf.cast(cumulative < noise.uniform[:, index, None], tf.int32), axis=-1)
    pick = tf.minimum(pick, tf.shape(cumulative)[1] - 1)
    chosen = tf.gather(tf.transpose(noise.draws[:, :, where], [1, 0, 2]), pick, axis=1, batch_dims=1)
    return tf.concat([noise_so_far[:, : where.start], chosen, noise_so_far[:, where.stop :]], axis=1)


def product(values: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """values (..., n) times matrix (n, m), for values of which at most one dimension is unknown: (..., m).

    As one product of two matrices. `tf.matmul` would repeat the matrix over the leading dimensions, and oneDNN's kernel
    for that in TensorFlow 2.21 gives wrong numbers and overwrites memory where one of them is 1, as with a single label
    (tensorflow#117700; seen on a CPU with AVX-512).
    """
    flat = tf.matmul(tf.reshape(values, [-1, matrix.shape[0]]), matrix)
    return tf.reshape(flat, [-1 if size is None else size for size in (*values.shape[:-1], matrix.shape[1])])


def parts(normal: tfd.Normal) -> tuple[tf.Tensor, tf.Tensor]:
    """Loc and scale as tensors."""
    return tf.convert_to_tensor(normal.loc), tf.convert_to_tensor(normal.scale)
