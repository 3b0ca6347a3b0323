"""The files of the explorer by their paths in the address: the page, what it needs of an export, and the gallery."""

import io
import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from serving.description import FORMATS
from serving.errors import ExploreError
from tf_ccvae.data.images import distinct
from tf_ccvae.support.files import JsonObject

PAGE = Path(__file__).parent / "explorer" / "dist"
SIDECAR, REFERENCE, MODEL, GALLERY = "ccvae.json", "reference.npz", "model", "gallery.png"
NETWORKS = ("onnx/encoder", "onnx/decoder")
MOST_FACES = 64  # in the gallery
LARGEST_GALLERY = 16384  # pixels from top to bottom: what browsers draw on a canvas
LARGEST_REFERENCE = 2**30  # bytes of unpacked images
Files = Mapping[str, Path | bytes]


def site(export: Path, page: Path | None = None) -> dict[str, Path | bytes]:
    """All files of the explorer by their paths in the address: the page, what it needs of an export, and the gallery.

    Args:
      export: folder that `python -m export` has made.
      page: what `npm run build` has made; by default PAGE.

    Raises:
      ExploreError: the page is not built, or the export lacks something.
    """
    page = page or PAGE
    if not (page / "index.html").is_file():
        if page == PAGE and not (Path(__file__).parent / "explorer" / "package.json").is_file():  # a wheel
            raise ExploreError(f"{page}: this installation was made without the page; build the page before the wheel")
        raise ExploreError(
            f"{page}: the page is not built; once: cd {page.parent} && npm ci --ignore-scripts && npm run build"
        )
    files: dict[str, Path | bytes] = {
        path.relative_to(page).as_posix(): path for path in sorted(page.rglob("*")) if path.is_file()
    }
    sidecar = read_sidecar(export)
    files[f"{MODEL}/{SIDECAR}"] = export / SIDECAR
    for name in NETWORKS:
        path = sidecar["files"].get(name)
        if path is None:
            raise ExploreError(f"{export}: has no {name}; export the run again with --formats onnx")
        if not _inside(export, path):
            raise ExploreError(f"{export / SIDECAR}: {name} is no file inside the export ({path}); export again")
        files[f"{MODEL}/{path}"] = export / path
    pictures = gallery(export, sidecar["image"])
    return files if pictures is None else {**files, GALLERY: pictures}


def read_sidecar(export: Path) -> JsonObject:
    """ccvae.json of an export.

    Raises:
      ExploreError: there is none, or it is damaged.
    """
    path = export / SIDECAR
    if not export.is_dir():
        raise ExploreError(f"{export}: no such folder; name one that python -m export has made")
    if not path.is_file():
        raise ExploreError(f"{export}: no {SIDECAR}; name a folder that python -m export has made")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ExploreError(f"{path}: not readable ({error}); export again") from error
    if isinstance(content, dict) and content.get("format") not in FORMATS:
        known = ", ".join(map(str, FORMATS))
        raise ExploreError(f"{path}: has format {content.get('format')!r}, and the page reads {known}; update tf_ccvae")
    if not isinstance(content, dict) or not all(isinstance(content.get(x), dict) for x in ("files", "image")):
        raise ExploreError(f"{path}: no files and image in it; export again")
    return content


def _inside(folder: Path, path: object) -> bool:
    if not isinstance(path, str):
        return False
    place = (folder / path).resolve()
    return place.is_file() and place.is_relative_to(folder.resolve())


def gallery(export: Path, about: JsonObject) -> bytes | None:
    """The images that the export is verified with, one below the other, as PNG; None if there are none.

    Args:
      export: folder of the export.
      about: `image` of its sidecar.

    Raises:
      ExploreError: the file of images is damaged, or too large to be read safely.
    """
    path = export / REFERENCE
    if not path.is_file():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("input/image.npy").file_size > LARGEST_REFERENCE:
                raise ExploreError(f"{path}: holds more than {LARGEST_REFERENCE / 2**30:g} GB of images")
        with np.load(path, allow_pickle=False) as stored:
            images = stored["input/image"]
        if about["layout"] == "nchw":
            images = images.transpose(0, 2, 3, 1)
        height, width, channels = (int(about[x]) for x in ("height", "width", "channels"))
        if images.dtype != np.float32 or images.shape[1:] != (height, width, channels):
            raise ValueError(f"images are {images.dtype} {images.shape}")
        images = images[: min(MOST_FACES, LARGEST_GALLERY // height)]
        return _png(np.round(images * 255).astype(np.uint8))
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ExploreError(f"{path}: not readable ({error}); export again") from error


def _png(images: np.ndarray) -> bytes | None:
    """Different images uint8 (n, height, width, channels), one below the other."""
    images = images[distinct(images)]  # an export of few images holds them several times
    if not len(images):
        return None
    column = images.reshape(-1, *images.shape[2:])
    file = io.BytesIO()
    Image.fromarray(column[..., 0] if column.shape[-1] == 1 else column).save(file, "PNG")
    return file.getvalue()


def write(files: Files, folder: Path) -> None:
    """Writes the files of `site` into a folder for a static host.

    Raises:
      ExploreError: the folder has something in it already, or cannot be written.
    """
    try:
        if folder.exists() and any(folder.iterdir()):
            raise ExploreError(f"--to: {folder} is not empty; name a new folder")
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                shutil.copyfile(content, path)
    except OSError as error:
        raise ExploreError(f"--to: {folder} cannot be written ({error.strerror})") from error
