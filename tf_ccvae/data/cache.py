"""Images and labels that were decoded once: arrays in the user's cache folder, read as memory maps.

A cache is a folder `<source>-v<version>-<height>x<width>x<channels>-<key>` with one `.npy` file for each array and
`about.json`; the key is made from everything that the arrays depend on. While it is written, its name ends in `.part`;
after each chunk the number of finished rows is noted, so that a process that was stopped loses a chunk at most. Two
processes that want the same cache take turns.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import DTypeLike

from tf_ccvae.data.dataset import DataError
from tf_ccvae.support.files import JsonObject, write_json

VERSION = 1  # of all caches: raise it when the same source gives other pixels or labels
CHUNK = 2048  # rows
_DONE = "done.json"


@dataclass(frozen=True)
class Array:
    """One array of a cache: `shape` of a row, and `dtype`."""

    shape: tuple[int, ...]
    dtype: DTypeLike


def user_folder() -> Path:
    """The folder of all caches: `tf_ccvae` in the platform's cache folder of the user."""
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("tf_ccvae"))


def identity_of(path: Path) -> JsonObject:
    """What tells a file from a changed one: its place, size in bytes and time of modification in nanoseconds."""
    found = path.stat()
    return {"path": str(path.resolve()), "size": found.st_size, "modified": found.st_mtime_ns}


def digest(content: object) -> str:
    """A short text that differs whenever `content`, which JSON can hold, does."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def open_array(path: Path, shape: tuple[int, ...], dtype: DTypeLike, what: str, remedy: str) -> np.ndarray:
    """A `.npy` file as a read-only memory map.

    Args:
      path: the file.
      shape, dtype: of the whole array.
      what: it holds, for messages, such as 'the drawn faces'.
      remedy: what deleting it leads to, such as 'to draw them again'.

    Raises:
      DataError: it cannot be read, or holds something else.
    """
    try:
        array = np.load(path, mmap_mode="r")
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"cannot read {what} in {path} ({error}); delete it {remedy}") from error
    if array.shape != shape or array.dtype != dtype:
        raise DataError(f"{path} holds {array.dtype} {array.shape}, not {what}; delete it {remedy}")
    return array


def cached(
    source: str,
    identity: JsonObject,
    rows: int,
    arrays: Mapping[str, Array],
    read: Callable[[int, int], Mapping[str, np.ndarray]],
    order: np.ndarray | None = None,
    cache_dir: Path | None = None,
    progress: bool = False,
    doing: str = "decoding",
) -> dict[str, np.ndarray]:
    """The arrays of a cache, which is written by the first call.

    Args:
      source: name of the source, for the name of the folder and for the progress bar.
      identity: everything that the arrays depend on, as JSON holds it.
      rows: of every array.
      arrays: by name; `images` is one of them.
      read: from a start and a stop to the examples in between, as arrays by name; called in order, with at most `CHUNK`
        examples at a time, and only for what is not in the cache yet.
      order: the row of each example, a permutation of int64 (rows,); the example's own number if None.
      cache_dir: the folder for caches; `user_folder()` if None.
      progress: show a bar with the time left on the terminal.
      doing: what the bar says.

    Returns:
      For each name a read-only memory map of shape (rows, *shape).

    Raises:
      DataError: the cache cannot be written or read; `read` may raise it too, and what was done before stays.
    """
    from filelock import FileLock

    about = {"source": source, "version": VERSION, "rows": rows, **identity}
    key = hashlib.sha256(json.dumps([about, _described(arrays)], sort_keys=True).encode()).hexdigest()[:12]
    size = "x".join(map(str, arrays["images"].shape))
    folder = (cache_dir or user_folder()) / f"{source}-v{VERSION}-{size}-{key}"
    try:
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{folder}.lock"):
                if not folder.is_dir():
                    _write(folder, about, rows, arrays, read, order, progress, doing)
    except OSError as error:
        raise DataError(
            f"cannot write the cache {folder} ({error.strerror or error}); make room, or set XDG_CACHE_HOME to a "
            "folder elsewhere"
        ) from error
    return {
        name: open_array(
            folder / f"{name}.npy", (rows, *x.shape), x.dtype, f"the {name} of {source}", "to decode again"
        )
        for name, x in arrays.items()
    }


def _described(arrays: Mapping[str, Array]) -> JsonObject:
    return {name: [list(x.shape), np.dtype(x.dtype).str] for name, x in arrays.items()}


def _write(
    folder: Path,
    about: JsonObject,
    rows: int,
    arrays: Mapping[str, Array],
    read: Callable[[int, int], Mapping[str, np.ndarray]],
    order: np.ndarray | None,
    progress: bool,
    doing: str,
) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(exist_ok=True)
    done = _finished_rows(part) if all((part / f"{name}.npy").is_file() for name in arrays) else 0
    files = {name: _Rows(part / f"{name}.npy", rows, x, fresh=not done) for name, x in arrays.items()}
    try:
        columns = (TextColumn(f"{about['source']}: {doing}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), disable=not (progress and sys.stderr.isatty())) as bar:
            task = bar.add_task("", total=rows, completed=done)
            while done < rows:
                stop = min(done + CHUNK, rows)
                for name, values in read(done, stop).items():
                    files[name].write(np.arange(done, stop) if order is None else order[done:stop], values)
                write_json(part / _DONE, {"rows": stop})
                bar.advance(task, stop - done)
                done = stop
    finally:
        for file in files.values():
            file.close()
    write_json(part / "about.json", about)
    os.replace(part, folder)


def _finished_rows(part: Path) -> int:
    try:
        return int(json.loads((part / _DONE).read_text())["rows"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # none, or damaged: begin again
        return 0


class _Rows:
    """A `.npy` file of a fixed shape whose rows are written in any order.

    It is written as a file, not as a memory map: a full disk is then an error, not the end of the process.
    """

    def __init__(self, path: Path, rows: int, array: Array, fresh: bool):
        self.array = array
        self.file: BinaryIO = path.open("w+b" if fresh else "r+b")
        header = {"descr": np.dtype(array.dtype).str, "fortran_order": False, "shape": (rows, *array.shape)}
        np.lib.format.write_array_header_1_0(self.file, header)
        self.start = self.file.tell()
        self.stride = int(np.dtype(array.dtype).itemsize * np.prod(array.shape, dtype=np.int64))
        if fresh:
            self.file.truncate(self.start + rows * self.stride)

    def write(self, rows: np.ndarray, values: np.ndarray) -> None:
        """Writes one value for each row and waits until they are on the disk."""
        values = np.ascontiguousarray(values, self.array.dtype)
        if values.shape != (len(rows), *self.array.shape):
            raise ValueError(f"{values.shape} for {len(rows)} rows of {self.array.shape}")
        runs = np.flatnonzero(np.diff(rows, prepend=-2) != 1)  # where rows that follow each other begin
        for some, part in zip(np.split(rows, runs[1:]), np.split(values, runs[1:]), strict=True):
            self.file.seek(self.start + int(some[0]) * self.stride)
            self.file.write(part.tobytes())
        self.file.flush()
        os.fsync(self.file.fileno())

    def close(self) -> None:
        self.file.close()
