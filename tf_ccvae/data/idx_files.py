"""IDX files: two bytes of zero, 8 for unsigned bytes, the number of dimensions, four bytes for each, and the values."""

import gzip
import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tf_ccvae.data.dataset import DataError, listed
from tf_ccvae.data.near_miss import Index

_UNSIGNED_BYTES = 8


def find_files(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """The files by name, plain or compressed.

    Raises:
      DataError: some are not there; it names all of them, and the files that were probably meant.
    """
    index, found, missing = Index(folder), {}, []
    for name in names:
        path = next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)
        if path is not None:
            found[name] = path
            continue
        near = index.nearest(name)
        hint = (
            f"{near} is there, rename it"
            if near and near.removesuffix(".gz") not in names
            else "copy it into this folder"
        )
        missing.append(f"neither {name} nor {name}.gz is there; {hint}")
    if missing:
        raise DataError(f"{folder}: {listed(missing, 'files are missing')}")
    return found


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The unsigned bytes of an IDX file, compressed by gzip if its name ends in `.gz`.

    Args:
      path: the file.
      dimensions: how many dimensions it should have.

    Returns:
      uint8 array of that many dimensions.

    Raises:
      DataError: the file cannot be read, is not in this format or has another size than its header says.
    """
    header = 4 + 4 * dimensions
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            start = file.read(header)
            shape = _shape(start, dimensions, path)
            values = file.read(math.prod(shape) + 1)  # never more than the header says, however far a file unpacks
    except (OSError, EOFError, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read ({reason}); download it again") from error
    if len(values) != math.prod(shape):
        held = f"{len(values)} bytes" if len(values) < math.prod(shape) else "more bytes"
        sizes = "x".join(map(str, shape))
        raise DataError(f"{path}: holds {held} where its header says {math.prod(shape)} ({sizes}); download it again")
    return np.frombuffer(values, np.uint8).reshape(shape)


def _shape(start: bytes, dimensions: int, path: Path) -> tuple[int, ...]:
    """The dimensions in the first bytes of a file."""
    if len(start) < 4 or start[:2] != b"\0\0":
        hint = "; it is compressed by gzip, put .gz behind its name" if start[:2] == b"\x1f\x8b" else ""
        raise DataError(f"{path}: is not an IDX file{hint or '; download it again'}")
    if start[2] != _UNSIGNED_BYTES or start[3] != dimensions:
        kind = "unsigned bytes" if start[2] == _UNSIGNED_BYTES else f"values of type {start[2]:#04x}"
        raise DataError(
            f"{path}: holds {kind} with {start[3]} dimensions where unsigned bytes with {dimensions} belong; "
            "put the file in its place"
        )
    if len(start) < 4 + 4 * dimensions:
        raise DataError(f"{path}: ends inside its header; download it again")
    return struct.unpack(f">{dimensions}I", start[4:])
