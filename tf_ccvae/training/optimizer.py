"""Adam with TensorFlow's fused kernel: one pass over the weights in place of ten."""

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
