"""Gaussians tilted by a classifier: q(z_i|x) q(y_i|z_i) / q(y_i|x), their expectations and draws from them.

The classifier of a binary label or a grade sees its latents along one direction, and so does that of a categorical
label with one latent; there every expectation is a one-dimensional integral, which the midpoint rule gives to float32
precision, and a draw inverts the cumulative distribution on a grid. Derivatives are the analytic ones. Shapes: D
latents, C of them characteristic, L labels, V values of the label with most, K nodes or cells, S draws.
"""

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.labels import Labels, latent_owners, owner_matrix
from tf_ccvae.objective.classifier import log_values_of_label
from tf_ccvae.objective.integrals import (
    REACH,
    Gradient,
    Projection,
    both_values,
    log_values_along,
    project,
    standard_nodes,
)
from tf_ccvae.objective.label_model import LabelModel, Noise, product, sampled_labels

CELLS = 128  # of the grid on which a tilted Gaussian's cumulative distribution is inverted
_EDGE = 1e-6  # float32 loses the cumulative distribution nearer than this to 0 and 1


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
        seen = tf.gather(observed, latent_owners(labels), axis=1)
    return tf.concat([tf.where(seen, tilted, characteristic), noise.normal[:, labels.characteristic :]], axis=1)


def _tilted_draw(projection: Projection, labels: Labels, values: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """t of every label, tilted by q(y_i = values_i | z_i): (batch, L)."""
    if labels.values == 2:
        loc, scale = (tf.where(values == 1, part[..., 1], part[..., 0]) for part in both_values(projection))
        return _logistic_draw(loc, scale, uniform)
    points, probabilities = standard_nodes(CELLS)
    dtype = projection.loc.dtype
    log_value = tf.gather(
        log_values_along(projection, tf.constant(points, dtype), labels), values, axis=2, batch_dims=2
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
            step = tf.where(sure, upstream * (2 * REACH / CELLS) / inside, 0.0)
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
    return -REACH + (2 * REACH / CELLS) * (tf.cast(cell, part.dtype) + part)


def log_values_of_draws(
    index: int, posterior: tfd.Normal, model: LabelModel, draws: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """log q(y_i = v | z_i) at draws of one label's latents, and these: (S, batch, V), (S, batch, d)."""
    where = model.labels.slices[index]
    latents = posterior.loc[:, where] + posterior.scale[:, where] * draws[:, :, where]
    return log_values_of_label(index, latents, model), latents


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
