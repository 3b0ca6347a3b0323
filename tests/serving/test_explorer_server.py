"""The program that serves the explorer: its files, what it refuses, what it says."""

import http.client
import json
import shutil
import threading
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from serving import explore, explorer_files, explorer_server
from serving.errors import ExploreError

EXPLORER = Path(__file__).resolve().parents[2] / "serving" / "explorer"


@pytest.fixture
def small_site(tmp_path):
    """A page and an export of hardly anything."""
    built, folder = tmp_path / "dist", tmp_path / "export"
    (built / "assets").mkdir(parents=True)
    (folder / "onnx").mkdir(parents=True)
    (built / "index.html").write_text("<p>page</p>")
    (built / "assets" / "x.wasm").write_bytes(b"\0asm")
    (folder / "secret.txt").write_text("secret")
    for name in ("encoder", "decoder"):
        (folder / "onnx" / f"{name}.onnx").write_text(name)
    write_sidecar(folder)
    images = np.linspace(0, 1, 3 * 4 * 4, dtype=np.float32).reshape(3, 4, 4, 1)
    np.savez_compressed(folder / "reference.npz", **{"input/image": np.concatenate([images, images])})
    return built, folder


def write_sidecar(folder, **changes):
    files = {f"onnx/{x}": f"onnx/{x}.onnx" for x in ("encoder", "decoder")}
    image = {"height": 4, "width": 4, "channels": 1, "layout": "nhwc"}
    (folder / "ccvae.json").write_text(json.dumps({"format": 1, "files": files, "image": image} | changes))


@pytest.fixture
def ask(small_site):
    """Sends a request to a running server: (status, headers, body)."""
    built, folder = small_site
    bound = explorer_server.serving(explorer_files.site(folder, built))
    thread = threading.Thread(target=bound.server.serve_forever)
    thread.start()
    address = urlsplit(bound.address).netloc

    def request(path, method="GET", host=address):
        connection = http.client.HTTPConnection(address, timeout=10)
        connection.request(method, path, headers={"Host": host})
        answer = connection.getresponse()
        result = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return result

    yield request
    bound.server.shutdown()
    bound.server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/", "text/html; charset=utf-8", b"<p>page</p>"),
        ("/assets/x.wasm?x=1", "application/wasm", b"\0asm"),
        ("/model/onnx/decoder.onnx", "application/octet-stream", b"decoder"),
    ],
)
def test_files_come_with_their_type_and_the_policy(ask, path, kind, body):
    status, headers, content = ask(path)
    assert (status, headers["Content-Type"], content) == (200, kind, body)
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "connect-src 'self'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert ask(path, "HEAD")[0::2] == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        *("/model/secret.txt", "/model/reference.npz", "/../export/secret.txt", "/model/../../export/secret.txt"),
        *("/%2e%2e/export/secret.txt", "//etc/passwd", "/assets", "/model/"),
    ],
)
def test_nothing_else_is_served(ask, path):
    assert ask(path)[0] == 404


def test_other_methods_and_other_hosts_are_refused(ask):
    assert ask("/", "POST")[0] == 501
    assert ask("/", host="elsewhere.example")[0] == 403


def test_server_is_bound_to_loopback(small_site):
    built, folder = small_site
    with explorer_server.serving(explorer_files.site(folder, built)).server as server:
        assert server.server_address[0] == "127.0.0.1"


def test_a_browser_that_hangs_up_is_not_reported_and_other_errors_are(small_site, capsys):
    built, folder = small_site

    def said(error):
        try:
            raise error
        except type(error):
            server.handle_error(None, ("127.0.0.1", 1))
        return capsys.readouterr().err

    with explorer_server.serving(explorer_files.site(folder, built)).server as server:
        assert said(BrokenPipeError()) == said(ConnectionResetError()) == ""
        assert "ValueError: broken" in said(ValueError("broken"))


def test_gallery_holds_each_image_once(ask, tmp_path):
    (tmp_path / "gallery.png").write_bytes(ask("/gallery.png")[2])
    column = np.asarray(Image.open(tmp_path / "gallery.png"))
    np.testing.assert_array_equal(column.ravel(), np.round(np.linspace(0, 255, 48)))


def test_site_is_written_for_a_static_host(small_site, tmp_path, monkeypatch, capsys):
    built, folder = small_site
    monkeypatch.setattr(explorer_files, "PAGE", built)
    assert explore.main([str(folder), "--to", str(tmp_path / "site")]) == 0
    names = {x.relative_to(tmp_path / "site").as_posix() for x in (tmp_path / "site").rglob("*") if x.is_file()}
    networks = {"model/onnx/encoder.onnx", "model/onnx/decoder.onnx"}
    assert names == {"index.html", "assets/x.wasm", "model/ccvae.json", "gallery.png", *networks}
    assert explore.main([str(folder), "--to", str(tmp_path / "site")]) == 2
    assert "is not empty" in capsys.readouterr().err


def test_the_policy_of_the_page_itself_is_that_of_the_server():
    html = (EXPLORER / "index.html").read_text()
    assert explorer_server.POLICY.removesuffix("; frame-ancestors 'none'") in html


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda built, folder: shutil.rmtree(folder), "no such folder"),
        (lambda built, folder: (folder / "ccvae.json").unlink(), "no ccvae.json"),
        (lambda built, folder: (folder / "ccvae.json").write_text("{"), "not readable"),
        (lambda built, folder: (folder / "ccvae.json").write_text("[]"), "no files and image"),
        (lambda built, folder: write_sidecar(folder, format=9), "has format 9, and the page reads 1, 2, 3; update"),
        (lambda built, folder: write_sidecar(folder, files={}), "export the run again with --formats onnx"),
        (
            lambda built, folder: write_sidecar(folder, files={"onnx/encoder": "../dist/index.html"}),
            "no file inside the export",
        ),
        (lambda built, folder: (folder / "onnx" / "decoder.onnx").unlink(), "no file inside the export"),
        (lambda built, folder: (folder / "reference.npz").write_text("no archive"), "reference.npz: not readable"),
        (lambda built, folder: (built / "index.html").unlink(), "npm ci --ignore-scripts && npm run build"),
    ],
)
def test_what_is_missing_is_said_in_one_line(small_site, monkeypatch, capsys, break_it, message):
    built, folder = small_site
    monkeypatch.setattr(explorer_files, "PAGE", built)
    break_it(built, folder)
    assert explore.main([str(folder), "--no-browser"]) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("error: ") and error.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["x", "--port", "99999"], ["x", "--port", "many"], ["x", "--unknown"]])
def test_wrong_arguments_are_said_in_one_line(capsys, arguments):
    assert explore.main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_images_that_unpack_to_too_much_are_not_read(small_site, monkeypatch):
    built, folder = small_site
    monkeypatch.setattr(explorer_files, "LARGEST_REFERENCE", 100)
    with pytest.raises(ExploreError, match="holds more than"):
        explorer_files.site(folder, built)
