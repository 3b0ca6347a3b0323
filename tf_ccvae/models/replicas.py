"""The mathematics of a step that several replicas take together.

A replica is a device that holds all weights and sees its part of every global batch. With S_r the sum of the loss over
the n_r examples of replica r, all of them take the step of one device with the whole batch:

    loss      =  sum_r S_r / sum_r n_r
    gradient  =  sum_r d(S_r / sum_r n_r)

whatever the sizes n_r, which must not be 0, for oneDNN's convolutions refuse an empty batch. The gradient is summed
before anything looks at it, so that clipping sees the norm of the whole, and an infinity on one replica is one on all.
The functions here are for the inside of `Strategy.run`; elsewhere there is one replica.
"""

from collections.abc import Callable, Iterable, Sequence

import keras
import tensorflow as tf


def count() -> int:
    """Number of replicas that take the present step together."""
    context = tf.distribute.get_replica_context()
    return int(context.num_replicas_in_sync) if context else 1


def total(values: tf.Tensor | list[tf.Tensor]) -> tf.Tensor | list[tf.Tensor]:
    """Sums of tensors over replicas: a tensor or a list of them, the same on every replica afterwards."""
    if count() == 1:
        return values
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)


def batch_mean(examples: int | tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
    """What takes the mean over the global batch of something per example, (batch,) -> ().

    With several replicas it gives each its share of the mean; the shares add up to the mean.

    Args:
      examples: integer (), number of examples that this replica has.
    """
    if count() == 1:
        return tf.reduce_mean
    of_all = total(tf.cast(examples, tf.float32))
    return lambda per_example: tf.reduce_sum(per_example) / of_all


class SummedGradients:
    """To be put before an optimizer's class: gradients come to it summed over replicas, see `total_gradients`.

    Keras's optimizers would sum them once more, and so late that clipping and loss scaling see those of one replica.
    """

    def _all_reduce_sum_gradients(
        self, gradients_and_variables: Iterable[tuple[tf.Tensor, keras.Variable]]
    ) -> list[tuple[tf.Tensor, keras.Variable]]:
        return list(gradients_and_variables)


def total_gradients(
    gradients: Sequence[tf.Tensor | None], optimizer: keras.optimizers.Optimizer
) -> list[tf.Tensor | None]:
    """Gradients summed over replicas, to be given to the optimizer's `apply_gradients`.

    Args:
      gradients: tensors, or None for a variable that has no gradient.
      optimizer: a `SummedGradients`, or the loss scaling around one.

    Raises:
      TypeError: there are several replicas, and the optimizer would sum the gradients once more.
    """
    if count() == 1:
        return list(gradients)
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if not isinstance(inner, SummedGradients):
        raise TypeError(
            f"{type(inner).__name__} sums gradients over replicas by itself, after clipping; use FusedAdam, or a class "
            "made of replicas.SummedGradients and it"
        )
    there = iter(total([gradient for gradient in gradients if gradient is not None]))
    return [None if gradient is None else next(there) for gradient in gradients]


def logs(values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """What a step returns, in the shape in which Keras takes it: scalars, but (1,) with several workers."""
    strategy = tf.distribute.get_strategy()
    if count() > 1 and isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return {name: tf.reshape(value, [1]) for name, value in values.items()}
    return values


def check_compiled(model: keras.Model) -> None:
    """Checks that a model was compiled for what its strategy can do.

    Raises:
      ValueError: it is to use XLA, or to take several steps per execution, with several replicas.
    """
    if model.distribute_strategy.num_replicas_in_sync == 1:
        return
    if model.jit_compile or model.steps_per_execution > 1:
        raise ValueError(
            "several replicas can neither use XLA nor take several steps per execution; compile the model with "
            "jit_compile=False and steps_per_execution=1"
        )
