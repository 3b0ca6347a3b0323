"""What the programs do before TensorFlow is imported: switch on what makes it fast, switch off what it says.

They also keep out what belongs to the user's other work: Keras's keras.json and its environment variables, and
matplotlib's settings. That holds for the processes of the programs alone: `import tf_ccvae` changes none of it.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from types import ModuleType

import wrapt

from tf_ccvae.support.errors import UserError

OWN = {  # the programs' own settings of libraries, whatever the user's environment says
    "KERAS_BACKEND": "tensorflow",
    "MATPLOTLIBRC": os.devnull,  # no file of settings
    "MPLBACKEND": "agg",  # figures are files
    "HDF5_USE_FILE_LOCKING": "FALSE",  # there are none on some network file systems, and files are renamed when whole
}
OPTIONAL = ("cv2", "matplotlib", "pandas", "sklearn")  # Keras imports them where they are, for what no program uses
REMOVED = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "TF_USE_LEGACY_KERAS")


def prepare(devices: bool = True) -> None:
    """Sets the environment of TensorFlow and Keras, and imports TensorFlow without its start-up lines.

    oneDNN is off by default on CPUs without AVX512-VNNI, though it makes the convolutions there about three times as
    fast. Keras imports `OPTIONAL` where they are installed, which takes a quarter of the time; here it goes without. If
    the import fails, what was said meanwhile is printed.

    Args:
      devices: start the devices as well. Not where workers are to be connected first.

    Raises:
      UserError: Keras was imported before, on something else than TensorFlow.
    """
    set_environment()
    with held_back_stderr(), left_out(OPTIONAL):
        import tensorflow as tf

        if devices:
            tf.config.list_logical_devices()


@contextlib.contextmanager
def left_out(names: Sequence[str]) -> Iterator[None]:
    """Hides packages from what the block imports, which takes them for not installed; loaded ones stay as they are."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None stands for a package that is not there
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


def set_environment() -> None:
    """Sets what libraries read when they are imported: TensorFlow's where the user has not set it, and `OWN`.

    Raises:
      UserError: Keras was imported before, on something else than TensorFlow.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.update(OWN)
    for name in REMOVED:
        os.environ.pop(name, None)
    wrapt.register_post_import_hook(_settle_keras, "keras")
    wrapt.register_post_import_hook(_settle_matplotlib, "matplotlib")


def _settle_keras(keras: ModuleType) -> None:
    """Puts back what a keras.json of the user's other work has changed."""
    if keras.backend.backend() != "tensorflow":
        raise UserError(
            f"Keras runs on {keras.backend.backend()} in this process; import tf_ccvae's programs before Keras, or set "
            "KERAS_BACKEND=tensorflow"
        )
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    keras.config.set_epsilon(1e-7)
    keras.config.set_max_epochs(None)
    keras.config.set_max_steps_per_epoch(None)


def _settle_matplotlib(matplotlib: ModuleType) -> None:
    """Puts back what a matplotlibrc of the user has changed, such as text that LaTeX sets."""
    matplotlib.rcdefaults()


@contextlib.contextmanager
def held_back_stderr() -> Iterator[None]:
    """Holds back what is written to file descriptor 2, by libraries too, and prints it only if the block raises."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        saved = os.dup(2)
        os.dup2(held.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            if failed:
                held.seek(0)
                sys.stderr.write(held.read().decode(errors="replace"))
