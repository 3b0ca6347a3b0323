"""Files that are written beside their place and renamed, so that nobody ever sees half a file."""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

# What JSON has: numbers, texts, null, lists and objects.
Json: TypeAlias = "Mapping[str, Any] | Sequence[Any] | str | float | bool | None"
JsonObject: TypeAlias = dict[str, Any]


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; it becomes `path` if the block succeeds and is removed if it does not.

    Raises:
      OSError: the file cannot be written; its `filename` is `path`.
    """
    beside = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield beside
        os.replace(beside, path)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(beside), beside):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replaces a file by this text in UTF-8."""
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Json) -> None:
    """Replaces a file by this content as JSON."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def new_folder(parent: Path, name: str) -> Path:
    """Makes a folder `<name>-<time>` that no other program has, even one that was started in the same second.

    Args:
      parent: where; made if it is not there.
      name: how the folder's name begins; then come date and time, and a number from 2 on where that is taken.

    Raises:
      OSError: it cannot be made.
    """
    parent.mkdir(parents=True, exist_ok=True)
    stem = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    number = 1
    while True:
        path = parent / (stem if number == 1 else f"{stem}-{number}")
        try:
            path.mkdir()
            return path
        except FileExistsError:
            number += 1
