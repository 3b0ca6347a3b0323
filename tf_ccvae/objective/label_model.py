"""What the mathematics takes: the distributions of labels and the randomness of one evaluation."""

from typing import NamedTuple, TypeAlias

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.labels import Labels
from tf_ccvae.objective.numbers import NumberModel

NEVER = -1e9  # logit of a value that a label does not have

TensorLike: TypeAlias = tf.types.experimental.TensorLike  # a tensor, or an array or number that becomes one


class LabelModel(NamedTuple):
    """p(z_i|y_i), q(y_i|z_i) and p(y_i) of all labels.

    labels: what the labels are.
    prior: `tfd.Normal`, batch shape (V, C).
    kernel, bias: classifier (C, V) and (L, V); logit_v = kernel_v . z_i + bias_v, cumulative for grades, whose kernel_v
      are all the same and whose bias_v decrease; see `grades`.
    log_label_prior: log p(y_i = v), (L, V).
    numbers: the same of number labels, in closed form; None if there are none. Where there are, the four tables are of
      the other labels alone.
    """

    labels: Labels
    prior: tfd.Normal
    kernel: tf.Tensor
    bias: tf.Tensor
    log_label_prior: tf.Tensor
    numbers: NumberModel | None = None

    @property
    def plain(self) -> "LabelModel":
        """That of the labels that are no number labels."""
        return self._replace(labels=self.labels.plain, numbers=None)


class Example(NamedTuple):
    """A batch of examples, and the randomness with which the bound on them is estimated.

    image: pixels in [0, 1], (batch, height, width, channels).
    values: integer (batch, L), or float with number labels, in their units; what stands where a label is missing is
      ignored.
    observed: bool (batch, L).
    noise: see `Noise`.
    """

    image: tf.Tensor
    values: tf.Tensor
    observed: tf.Tensor
    noise: "Noise"


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


def characteristic_posterior(posterior: tfd.Normal, labels: Labels) -> tfd.Normal:
    """The characteristic part of the posterior: batch shape (batch, C)."""
    return tfd.Normal(posterior.loc[:, : labels.characteristic], posterior.scale[:, : labels.characteristic])


def sampled_labels(labels: Labels) -> list[int]:
    """The labels whose classifier does not look along one direction."""
    return [i for i, x in enumerate(labels) if x.latents > 1 and x.kind == "class"]


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
