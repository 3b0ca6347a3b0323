"""Adam with TensorFlow's fused kernel: one pass over the weights in place of ten."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from tf_ccvae.models.replicas import SummedGradients


class Step(NamedTuple):
    """What a step of Adam has in common for all weights: float32 () each.

    rate: the learning rate.
    beta_1, beta_2, epsilon: of the optimizer.
    power_1, power_2: b1^t and b2^t.
    """

    rate: tf.Tensor
    beta_1: tf.Tensor
    beta_2: tf.Tensor
    epsilon: tf.Tensor
    power_1: tf.Tensor
    power_2: tf.Tensor


@keras.saving.register_keras_serializable("tf_ccvae")
class FusedAdam(SummedGradients, keras.optimizers.Adam):
    """`keras.optimizers.Adam` whose update of a variable is one TensorFlow kernel.

    The update is the same,

        m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2
        w <- w - rate sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + epsilon)

    but Keras composes it from about ten operations, each of which reads and writes whole arrays; docs/speed.md has the
    measured ratio.

    Args:
      learning_rate: a number or a schedule over steps.
      beta_1: decay of the running mean of gradients.
      beta_2: decay of the running mean of their squares.
      epsilon: added to the root of that mean.
      amsgrad: False; it is here because the configurations of `keras.optimizers.Adam` hold it.
      weight_decay: share of each weight that a step takes away, times the learning rate; None for none.
      clipnorm: largest norm of the gradient of one variable.
      clipvalue: largest absolute value in a gradient.
      global_clipnorm: largest norm of all gradients together; at most one of the three is set.
      use_ema: whether a running mean of the weights is kept.
      ema_momentum: decay of that mean.
      ema_overwrite_frequency: steps after which it replaces the weights; None for at the end of training.
      loss_scale_factor: what the loss is multiplied by before gradients are taken, and they are divided by.
      gradient_accumulation_steps: steps whose gradients are averaged for one update.
      name: of the optimizer.

    Raises:
      ValueError: with `amsgrad`, which the kernel does not know.
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
    ):
        if amsgrad:
            raise ValueError("FusedAdam has no amsgrad; use keras.optimizers.Adam")
        super().__init__(
            learning_rate=learning_rate,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            amsgrad=amsgrad,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
        )

    def _backend_update_step(
        self, gradients: Sequence[tf.Tensor], variables: Sequence[keras.Variable], learning_rate: tf.Tensor
    ) -> None:
        """Updates all weights; `Step` is computed once, where Keras would have it computed for each of them."""
        step = tf.cast(self.iterations + 1, tf.float32)
        rate, beta_1, beta_2, epsilon = (
            tf.cast(x, tf.float32) for x in (learning_rate, self.beta_1, self.beta_2, self.epsilon)
        )
        shared = Step(rate, beta_1, beta_2, epsilon, tf.pow(beta_1, step), tf.pow(beta_2, step))
        super()._backend_update_step(gradients, variables, shared)

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable, step: Step) -> None:
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=step.power_1,
            beta2_power=step.power_2,
            lr=step.rate,
            beta1=step.beta_1,
            beta2=step.beta_2,
            epsilon=step.epsilon,
            grad=tf.cast(gradient, tf.float32),
        )
