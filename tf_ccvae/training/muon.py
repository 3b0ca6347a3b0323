"""Muon: the kernels of the decoder move by nearly orthogonal matrices, all other weights as with Adam."""

import keras
import tensorflow as tf

from tf_ccvae.training.optimizer import FusedAdam

NETWORK = "decoder"
SMALLEST = 32  # rows and columns of a matrix; smaller ones are left to Adam
FIRST, SECOND, THIRD = 3.4445, -4.7750, 2.0315  # of Jordan's polynomial
ITERATIONS = 5
WHOLE, STRIP = 128, 64  # a matrix with a longer shorter side than the first is cut into strips of the second
SIZE = 0.4  # root mean square of an update in units of the learning rate


@keras.saving.register_keras_serializable("tf_ccvae")
class Muon(FusedAdam):
    """`FusedAdam`, but a kernel of the decoder moves by the orthogonal matrix that is nearest to its momentum.

    A kernel with the axes (..., channels) is a matrix with `channels` columns. For every kernel of the layer called
    decoder with at least 32 rows and columns,

        m <- b m + (1 - b) g,   u = b m + (1 - b) g
        w <- w - rate 0.4 sqrt(max(rows, columns)) orthogonal(u)

    so that its weak directions are learned as fast as its strong ones. All other weights, which include those of the
    encoder and of the labels' distributions, move as with Adam and the same learning rate: an encoder that moves so too
    gives sharper reconstructions, but edits and new images are worse (docs/results.md). `keras.optimizers.Muon`
    iterates on whole matrices, with many times the multiplications for the kernels between features and places.

    Args:
      learning_rate: a number or a schedule over steps.
      momentum: b above.
      beta_1: of Adam, for all other weights.
      beta_2: of Adam.
      epsilon: of Adam.
      global_clipnorm: largest norm of all gradients together; None for no limit.
      name: of the optimizer.

    References:
      Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024, kellerjordan.github.io/posts/muon.
      Liu et al., "Muon is scalable for LLM training", 2025, arXiv 2502.16982: the size of an update.
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 0.001,
        momentum: float = 0.95,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        global_clipnorm: float | None = None,
        name: str | None = None,
    ):
        super().__init__(
            learning_rate=learning_rate,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            global_clipnorm=global_clipnorm,
            name=name,
        )
        self.momentum = momentum
        self._matrices: set[int] = set()

    def build(self, variables: list[keras.Variable]) -> None:
        super().build(variables)
        self._matrices = {self._get_variable_index(x) for x in variables if is_matrix(x)}

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        index = self._get_variable_index(variable)
        if index not in self._matrices:
            super().update_step(gradient, variable, learning_rate)
            return
        gradient = tf.cast(gradient, variable.dtype)
        kept, b = self._momentums[index], self.momentum
        self.assign(kept, b * tf.convert_to_tensor(kept) + (1 - b) * gradient)
        matrix = tf.reshape(b * tf.convert_to_tensor(kept) + (1 - b) * gradient, [-1, variable.shape[-1]])
        size = SIZE * max(matrix.shape) ** 0.5 * tf.cast(learning_rate, variable.dtype)
        self.assign_sub(variable, size * tf.reshape(orthogonal(matrix), variable.shape))

    def get_config(self) -> dict[str, object]:
        config = super().get_config()
        return {
            "learning_rate": config["learning_rate"],
            "momentum": self.momentum,
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "global_clipnorm": self.global_clipnorm,
            "name": self.name,
        }


def is_matrix(variable: keras.Variable) -> bool:
    """Whether `Muon` takes a weight for a matrix: a kernel of the decoder with enough rows and columns."""
    parts, shape = variable.path.split("/"), variable.shape
    if parts[-1] != "kernel" or NETWORK not in parts or len(shape) not in (2, 4):
        return False
    rows = 1
    for size in shape[:-1]:
        rows *= size
    return min(rows, shape[-1]) >= SMALLEST


def orthogonal(matrix: tf.Tensor) -> tf.Tensor:
    """Nearly U V' of each block U S V' of a matrix: all singular values become 0.7 to 1.2, unless they were next to 0.

    A matrix whose smaller side has at most 128 rows or columns is one block. A larger one is cut into strips of 64
    along that side, if 64 divides it: for a kernel of 6144 x 256 that is a fourth of the work.

    A block X becomes (a + b X X' + c (X X')^2) X five times, beginning with X / its norm. The polynomials are
    multiplied as matrices of the smaller side, and reach X once at the end.

    Args:
      matrix: float32 (rows, columns).
    """
    rows, columns = matrix.shape
    tall, side = rows > columns, min(rows, columns)
    width = STRIP if side > WHOLE and side % STRIP == 0 else side
    if tall:  # (blocks, longer side, width)
        blocks = tf.transpose(tf.reshape(matrix, [rows, columns // width, width]), [1, 0, 2])
    else:  # (blocks, width, longer side)
        blocks = tf.reshape(matrix, [rows // width, width, columns])
    blocks /= tf.norm(blocks, axis=[1, 2], keepdims=True) + 1e-12
    one = tf.eye(width, dtype=blocks.dtype)
    gram = tf.matmul(blocks, blocks, transpose_a=tall, transpose_b=not tall)
    product = one
    for _ in range(ITERATIONS):
        step = FIRST * one + SECOND * gram + THIRD * tf.matmul(gram, gram)
        product = tf.matmul(step, product)
        gram = tf.matmul(tf.matmul(step, gram), step)
    if tall:
        return tf.reshape(tf.transpose(tf.matmul(blocks, product), [1, 0, 2]), [rows, columns])
    return tf.reshape(tf.matmul(product, blocks), [rows, columns])
