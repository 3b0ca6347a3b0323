"""Opens the explorer, a page that plays with an exported model in the browser.

python -m serving explore EXPORT [--port N] [--no-browser]
python -m serving explore EXPORT --to FOLDER

The first serves page and export to this machine alone until it is interrupted. The second writes both into a folder
that any static host can serve. Nothing but the page's files, ccvae.json, two ONNX files and a gallery of real images,
which the export holds to be verified with, is ever served.
"""

import argparse
import io
import json
import shutil
import sys
import webbrowser
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

import numpy as np
from PIL import Image

from tf_ccvae.data.images import distinct

PAGE = Path(__file__).parent / "explorer" / "dist"
SIDECAR, REFERENCE, MODEL, GALLERY = "ccvae.json", "reference.npz", "model", "gallery.png"
NETWORKS = ("onnx/encoder", "onnx/decoder")
HOST = "127.0.0.1"
MOST_FACES = 64  # in the gallery
LARGEST_GALLERY = 16384  # pixels from top to bottom: what browsers draw on a canvas
LARGEST_REFERENCE = 2**30  # bytes of unpacked images
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".wasm": "application/wasm",
}
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
Files = Mapping[str, Path | bytes]


class ExploreError(Exception):
    """Something that cannot be explored; the message is one line that says what is wrong and what to do."""


# What is served -------------------------------------------------------------------------------------------------------


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


def read_sidecar(export: Path) -> dict[str, Any]:
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
    if not isinstance(content, dict) or not all(isinstance(content.get(x), dict) for x in ("files", "image")):
        raise ExploreError(f"{path}: no files and image in it; export again")
    return content


def _inside(folder: Path, path: Any) -> bool:
    if not isinstance(path, str):
        return False
    place = (folder / path).resolve()
    return place.is_file() and place.is_relative_to(folder.resolve())


def gallery(export: Path, about: Mapping[str, Any]) -> bytes | None:
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


# The server -----------------------------------------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for the files of `site`, to pages of this machine alone.

    Args:
      files: contents or places by path.
    """

    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds that a silent connection is held

    def __init__(self, files: Files, *arguments: Any, **keywords: Any):
        self.files = files
        super().__init__(*arguments, **keywords)

    def version_string(self) -> str:
        return "explore"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        port = self.connection.getsockname()[1]
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            return self._send(403, "text/plain", b"not this host")  # a page elsewhere that calls itself by our address
        name = unquote(urlsplit(self.path).path).removeprefix("/") or "index.html"
        content = self.files.get(name)
        try:
            body = content.read_bytes() if isinstance(content, Path) else content
        except OSError:  # gone since the start
            body = None
        if body is None:
            return self._send(404, "text/plain", b"not found")
        self._send(200, TYPES.get(Path(name).suffix, "application/octet-stream"), body)

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        for header, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(header, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Says nothing of a browser that hangs up before it has its answer."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@dataclass(frozen=True)
class Serving:
    """A server that is bound, and its address."""

    server: ThreadingHTTPServer

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.server.server_port}/"


def serving(files: Files, port: int = 0) -> Serving:
    """A server of the files on the loopback interface; port 0 takes any that is free.

    Raises:
      ExploreError: the port is taken.
    """
    try:
        server = Server((HOST, port), partial(Handler, files))
    except OSError as error:
        raise ExploreError(f"--port: {port} cannot be had ({error.strerror}); leave --port out") from error
    return Serving(server)


# The command line -----------------------------------------------------------------------------------------------------


class Parser(argparse.ArgumentParser):
    """An argument parser that raises `ExploreError` where argparse would print its usage and exit."""

    def error(self, message: str) -> NoReturn:
        raise ExploreError(f"{message.removeprefix('argument ')}; see --help")


def parser() -> Parser:
    """The command line."""
    made = Parser(
        prog="python -m serving explore",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("export", type=Path, help="folder that python -m export has made, with ONNX files")
    made.add_argument("--port", type=int, default=0, help="of the server (default: any that is free)")
    made.add_argument("--no-browser", action="store_true", help="only print the address")
    made.add_argument("--to", type=Path, help="write a folder for a static host instead of serving")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns its exit code: 0, or 2 for bad input."""
    try:
        arguments = parser().parse_args(sys.argv[1:] if argv is None else argv)
        if not 0 <= arguments.port < 2**16:
            raise ExploreError(f"--port: must be 0 to {2**16 - 1}, got {arguments.port}")
        files = site(arguments.export)
        if arguments.to is not None:
            write(files, arguments.to)
            print(f"Site: {arguments.to}   Put it on any static host.")
            return 0
        return serve(serving(files, arguments.port), not arguments.no_browser)
    except ExploreError as error:
        print("error:", " ".join(str(error).split()), file=sys.stderr)
        return 2


def serve(bound: Serving, browser: bool) -> int:
    """Answers until it is interrupted."""
    print(f"Explorer: {bound.address}   Stop with Ctrl+C.", flush=True)
    if browser:
        webbrowser.open(bound.address)
    with bound.server:
        try:
            bound.server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0
