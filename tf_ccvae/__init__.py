"""tf_ccvae: characteristic capturing variational auto-encoders on Keras 3 and TensorFlow.

After `import tf_ccvae`, `keras.models.load_model` loads the model of a run. Importing the package is quick: the classes
are registered as soon as somebody imports Keras, and `--help` or a process that draws pictures never does.
"""

import contextlib
from types import ModuleType

from tf_ccvae.support.version import __version__

__all__ = ["__version__"]


def _register_classes(keras: ModuleType) -> None:
    # Keras may be imported by a module of ours that the model needs, and which then is not ready yet.
    with contextlib.suppress(ImportError):
        import tf_ccvae.models.baselines
        import tf_ccvae.models.ccvae  # noqa: F401


with contextlib.suppress(ModuleNotFoundError):  # TensorFlow needs wrapt too: without it, no classes
    import wrapt

    # Once more when the base of the models is there, for those who import a part of this package before Keras.
    for _module in ("keras", "tf_ccvae.models.labelled_vae"):
        wrapt.register_post_import_hook(_register_classes, _module)
