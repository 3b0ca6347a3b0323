"""LiteRT: encoder and decoder as .tflite files, batch of any size."""

import tensorflow as tf

from export.signatures import Signature


def convert(signature: Signature) -> bytes:
    """One line of the table as a LiteRT model with the signature `serving_default`.

    Raises:
      tensorflow.lite.python.convert.ConverterError: an operation has no LiteRT equivalent.
    """
    concrete = signature.traced().get_concrete_function()
    holder = tf.Module()
    holder.weights = list(concrete.variables)
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete], holder).convert()
