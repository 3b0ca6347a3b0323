"""What the programs do before TensorFlow is imported: switch on what makes it fast, switch off what it says."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


def prepare(devices: bool = True) -> None:
    """Sets TensorFlow's environment, where the user has not set it, and imports it without its start-up lines.

    oneDNN is off by default on CPUs without AVX512-VNNI, though it makes the convolutions there about three times as
    fast. If the import fails, what was said meanwhile is printed.

    Args:
      devices: start the devices as well. Not where workers are to be connected first.
    """
    set_environment()
    with held_back_stderr():
        import tensorflow as tf

        if devices:
            tf.config.list_logical_devices()


def set_environment() -> None:
    """Sets what TensorFlow reads when it is imported, where the user has not set it."""
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


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
