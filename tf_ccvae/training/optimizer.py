"""Adam with TensorFlow's fused kernel: one pass over the weights in place of ten."""

from typing import Any

import keras
import tensorflow as tf

from tf_ccvae.models.replicas import SummedGradients


@keras.saving.register_keras_serializable("tf_ccvae")
class FusedAdam(SummedGradients, keras.optimizers.Adam):
    """`keras.optimizers.Adam` whose update of a variable is one TensorFlow kernel.

    The update is the same,

        m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2
        w <- w - rate sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + epsilon)

    but Keras composes it from about ten operations, each of which reads and writes whole arrays; docs/speed.md has the
    measured ratio. Arguments are those of `keras.optimizers.Adam`.

    Raises:
      ValueError: with `amsgrad`, which the kernel does not know.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.amsgrad:
            raise ValueError("FusedAdam has no amsgrad; use keras.optimizers.Adam")

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        step = tf.cast(self.iterations + 1, variable.dtype)
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, variable.dtype), step),
            beta2_power=tf.pow(tf.cast(self.beta_2, variable.dtype), step),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=tf.cast(self.beta_1, variable.dtype),
            beta2=tf.cast(self.beta_2, variable.dtype),
            epsilon=tf.cast(self.epsilon, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
        )
