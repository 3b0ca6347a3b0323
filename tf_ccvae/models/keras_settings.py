"""Whether Keras is set up as the models need it: on TensorFlow, with numbers in float32 and channels last."""

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"the models of tf_ccvae compute on TensorFlow, but Keras runs on {keras.backend.backend()} in this process; "
        "set KERAS_BACKEND=tensorflow before Keras is imported"
    )


def check_keras() -> None:
    """Checks that Keras makes layers as the models need them, whatever keras.json says.

    Raises:
      ValueError: its numbers are not float32 or its images not channels_last by default.
    """
    for name, needed in (("floatx", "float32"), ("image_data_format", "channels_last")):
        value = getattr(keras.config, name)()
        if value != needed:
            raise ValueError(
                f"Keras's {name} is {value} here, but the models of tf_ccvae need {needed}; call "
                f"keras.config.set_{name}({needed!r}) before you make or load one"
            )
