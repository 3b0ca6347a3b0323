"""The folder of an export: its next version, a folder to write in meanwhile, and all of it or nothing in its place."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from export.errors import ExportError
from export.manifest import MANIFEST, read_manifest
from tf_ccvae.support.files import JsonObject, write_json

PARTIAL = ".partial"  # folder in which an export stands until all of it is verified


def next_version(to: Path, wanted: int | None) -> int:
    """The version to write: that of the caller, or the next free one.

    Raises:
      ExportError: there is such a version already.
    """
    folder = to / "saved_model"
    there = {int(x.name) for x in folder.iterdir() if x.name.isdigit()} if folder.is_dir() else set()
    if (to / MANIFEST).is_file():
        there.add(int(read_manifest(to)["version"]))
    if wanted in there:
        raise ExportError(f"--version: {to} holds version {wanted} already; choose another, or leave it out")
    return max(there, default=0) + 1 if wanted is None else wanted


@contextlib.contextmanager
def partial(to: Path) -> Iterator[Path]:
    """A folder to write in, below `to`; when the block ends it goes, and if the block fails so does what held it.

    Raises:
      ExportError: it cannot be made, or another export has left it there or is at work.
    """
    first_new = next((x for x in (*reversed(to.parents), to) if not x.exists()), None)
    folder = to / PARTIAL
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        if folder.is_dir():
            raise ExportError(f"{folder}: a half-written export; wait if one is at work, else remove it") from None
        raise ExportError(f"--to: {to} is not a folder; choose another") from None
    except OSError as error:
        raise ExportError(f"--to: {to} cannot be written ({error.strerror}); choose another") from error
    try:
        yield folder
    except BaseException:
        shutil.rmtree(first_new or folder, ignore_errors=True)
        raise
    shutil.rmtree(folder)


def publish(folder: Path, to: Path, manifest: JsonObject) -> None:
    """Moves a verified export to its place.

    The manifest goes last, so that without it the export is half-written; it is written first, so that a disk that is
    full leaves the export before it as it was.
    """
    write_json(folder / MANIFEST, manifest)
    (to / MANIFEST).unlink(missing_ok=True)
    for name in ("onnx", "litert"):
        shutil.rmtree(to / name, ignore_errors=True)
    if (folder / "saved_model").is_dir():
        (to / "saved_model").mkdir(exist_ok=True)
        version = str(manifest["version"])
        os.rename(folder / "saved_model" / version, to / "saved_model" / version)
        (folder / "saved_model").rmdir()
    for path in sorted(folder.iterdir(), key=lambda path: path.name == MANIFEST):
        os.replace(path, to / path.name)
