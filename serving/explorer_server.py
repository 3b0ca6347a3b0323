"""The server of the explorer, on the loopback interface alone."""

import socket
import sys
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from serving.errors import ExploreError
from serving.explorer_files import Files

HOST = "127.0.0.1"
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


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for the files of `site`, to pages of this machine alone.

    Args:
      files: contents or places by path.
    """

    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds that a silent connection is held

    def __init__(
        self, files: Files, request: socket.socket, client_address: tuple[str, int], server: ThreadingHTTPServer
    ):
        self.files = files
        super().__init__(request, client_address, server)

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

    def log_message(self, format: str, *values: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Says nothing of a browser that hangs up before it has its answer."""

    daemon_threads = True

    def handle_error(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: tuple[str, int]
    ) -> None:
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
