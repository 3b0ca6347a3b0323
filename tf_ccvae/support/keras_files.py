"""Models and weights of Keras as files, made and read in memory.

HDF5 is not let near the disk: where the disk is full it prints one traceback for each of its objects and ends the
process with a segmentation fault, and on a network file system without locks it opens nothing.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from tf_ccvae.support.files import replacing

if TYPE_CHECKING:
    import keras


class _InMemory(io.BytesIO):
    """A file in memory with the name of one on disk, by whose ending Keras tells what to write."""

    def __init__(self, path: Path, content: bytes = b""):
        super().__init__(content)
        self.path = path

    def __str__(self) -> str:
        return str(self.path)


def save_model(model: keras.Model, path: Path) -> None:
    """Writes a model as a `.keras` file, all of it or nothing.

    Raises:
      OSError: the disk is full, or the folder cannot be written.
    """
    file = _InMemory(path)
    model.save(file)
    _write(path, file)


def save_weights(model: keras.Model, path: Path) -> None:
    """Writes weights and optimizer state as a `.weights.h5` file, all of it or nothing.

    Raises:
      OSError: the disk is full, or the folder cannot be written.
    """
    file = _InMemory(path)
    model.save_weights(file)
    _write(path, file)


def load_weights(model: keras.Model, path: Path) -> None:
    """Gives a model the weights, and its optimizer the state, that `save_weights` has written.

    Raises:
      OSError: the file cannot be read, or is damaged.
      ValueError: its weights are those of another model.
    """
    model.load_weights(_InMemory(path, path.read_bytes()))


def _write(path: Path, file: io.BytesIO) -> None:
    with replacing(path) as beside:
        beside.write_bytes(file.getbuffer())
