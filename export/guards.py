"""What every exported function does with input that is not as it should be, whatever runs it.

Servers check neither shapes nor numbers: TensorFlow Serving runs a batch of pictures of another size to any answer, or
ends in a failed check of a kernel; and whether a number that is none passes a rectifier depends on the kernel.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

Outputs = dict[str, tf.Tensor]
Function = Callable[..., Outputs]


def marked(function: Function) -> Function:
    """The same function, whose rows are NaN in every output where a number of that row's input is NaN or infinite."""

    def run(*inputs: tf.Tensor) -> Outputs:
        outputs = function(*inputs)
        numbers = [x for x in inputs if x.dtype.is_floating]
        if not numbers:
            return outputs
        finite = tf.reduce_all(tf.concat([_flat(tf.abs(x) <= tf.float32.max) for x in numbers], axis=1), axis=1)

        def rows(output: tf.Tensor) -> tf.Tensor:
            return tf.where(tf.reshape(finite, [-1, *[1] * (output.shape.rank - 1)]), output, float("nan"))

        return {name: rows(output) for name, output in outputs.items()}

    return run


def checked(function: Function, inputs: Sequence[tf.TensorSpec]) -> Function:
    """The same function, which raises InvalidArgumentError for inputs of another rank or size or of unequal rows."""

    def run(*tensors: tf.Tensor) -> Outputs:
        shaped = [tf.ensure_shape(x, spec.shape) for x, spec in zip(tensors, inputs, strict=True)]
        rows = [tf.shape(x)[0] for x in shaped]
        equal = [
            tf.debugging.assert_equal(count, rows[0], f"{spec.name} and {inputs[0].name} have unequal numbers of rows")
            for count, spec in zip(rows[1:], inputs[1:], strict=True)
        ]
        with tf.control_dependencies([x for x in equal if x is not None]):
            outputs = function(*(_one_at_least(tf.identity(x), rows[0]) for x in shaped))
        return {name: output[: rows[0]] for name, output in outputs.items()}

    return run


def _one_at_least(rows: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """The rows, or one row of zeros where there is none: oneDNN's convolutions refuse an empty batch."""
    missing = tf.cast(tf.equal(count, 0), tf.int32)
    return tf.concat([rows, tf.zeros([missing, *rows.shape[1:]], rows.dtype)], axis=0)


def _flat(rows: tf.Tensor) -> tf.Tensor:
    """(batch, ...) to (batch, numbers of a row)."""
    return tf.reshape(rows, [-1, rows.shape[1:].num_elements()])
