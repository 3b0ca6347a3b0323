"""tf_ccvae: characteristic capturing variational auto-encoders on Keras 3 and TensorFlow.

After `import tf_ccvae`, `keras.models.load_model` loads the model of a run. Importing the package is quick: the classes
are registered as soon as somebody imports Keras, and `--help` or a process that draws pictures never does.
"""

import contextlib
from typing import Any

import wrapt

__version__ = "0.1.0"


@wrapt.when_imported("keras")
def _register_classes(keras: Any) -> None:
    # Keras may be imported by a module of ours that the model needs, and which then is not ready yet.
    with contextlib.suppress(ImportError):
        import tf_ccvae.baselines
        import tf_ccvae.model  # noqa: F401
