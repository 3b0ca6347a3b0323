"""Files that every export holds beside its models, and the manifest that says what came out."""

import hashlib
import json
from pathlib import Path

from export.errors import ExportError
from tf_ccvae.support.files import JsonObject

FORMATS = (1, 2, 3)  # of ccvae.json: without numbers and grades, which programs of every version read; numbers; grades
MANIFEST, REFERENCE, SIDECAR = "manifest.json", "reference.npz", "ccvae.json"


def file_entry(path: Path) -> JsonObject:
    """Size in bytes and SHA-256 of a file."""
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def read_manifest(folder: Path) -> JsonObject:
    """The manifest of an export.

    Raises:
      ExportError: there is none, or it cannot be read.
    """
    path = folder / MANIFEST
    if not folder.is_dir():
        raise ExportError(f"{folder}: no such folder")
    if not path.is_file():
        raise ExportError(f"{folder}: no {MANIFEST}; this is no export, or a half-written one: export again")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        missing = {"version", "image", "artefacts", "files"} - set(manifest)
    except (ValueError, TypeError) as error:
        raise ExportError(f"{path}: not readable ({error}); export again") from error
    if missing:
        raise ExportError(f"{path}: no {', '.join(sorted(missing))}; export again")
    return manifest
