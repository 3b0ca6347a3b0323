"""The explorer in a real browser: built, tested by itself, and opened on exports by `explore`.

Needs Node with npm, and Chromium: CHROMIUM=/path (default: chromium on the PATH). SCREENSHOTS=FOLDER keeps pictures of
the page.
"""

import http.client
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from export.run import Options, export_run
from serving import explore, explorer_files, explorer_server
from serving.errors import ExploreError
from tests.made_up import made_once
from tf_ccvae.data import avatars
from tf_ccvae.data.images import read_image
from tf_ccvae.training import run_directory

ROOT = Path(__file__).resolve().parents[2]
EXPLORER = ROOT / "serving" / "explorer"
PRETRAINED = ROOT / "examples" / "pretrained" / "avatars"  # what the default run left


def npm(*arguments, **environment):
    environment = {**os.environ, **environment, "NO_COLOR": "1"}
    done = subprocess.run(
        ["npm", *arguments], cwd=EXPLORER, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    """The built page; once for all test processes."""
    with made_once(tmp_path_factory, "explorer") as (_, needed):
        if needed:
            npm("ci", "--ignore-scripts", "--no-audit", "--no-fund")
            npm("run", "build")
    return EXPLORER / "dist"


@pytest.fixture(scope="session")
def numbers():
    """The program that writes the numbers that the page must repeat."""
    spec = importlib.util.spec_from_file_location("make_numbers", EXPLORER / "tests" / "make_numbers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def expectation(folder, model, place):
    """What Python computes for the first face of the gallery; see end_to_end/browser.ts."""
    from tf_ccvae import interventions

    with np.load(folder / "reference.npz") as stored:
        images, probabilities = stored["input/image"], stored["output/encoder/probabilities"][0]
    if json.loads((folder / "ccvae.json").read_text())["image"]["layout"] == "nchw":
        images = images.transpose(0, 2, 3, 1)
    latents = interventions.encode(model, images[:2])
    asked = np.arange(len(model.labels)) == 0
    flipped = 1 - int(np.asarray(model.values_of(latents))[0, 0])
    edited = interventions.set_values(model, latents[:1], np.where(asked, flipped, 0), asked)
    swapped = interventions.swap_values(model, latents[:1], latents[1:], asked)
    size, _, channels = model.image_shape
    y, x = np.mgrid[:90, :140] / 100
    picture = np.stack([255 * x / 1.4, 255 * y / 0.9, 255 * (x + y) / 2.3], axis=-1)[..., :3].astype(np.uint8)
    Image.fromarray(picture).save(place / "own.png")
    content = {
        "labels": model.labels.names,
        "latents": latents[0],
        "probabilities": [row[: x.values].tolist() for row, x in zip(probabilities, model.labels, strict=True)],
        "reconstruction": interventions.decode(model, latents[0]),
        "edited": interventions.decode(model, edited),
        "flipped": flipped,
        "swapped": interventions.decode(model, swapped),
        "file": str(place / "own.png"),
        "small": read_image(place / "own.png", size, channels) / 255,
    }
    arrays = {key: x.ravel().tolist() if isinstance(x, np.ndarray) else x for key, x in content.items()}
    (place / "expected.json").write_text(json.dumps(arrays))
    return str(place / "expected.json")


@pytest.fixture
def explored():
    """Runs `explore` on an export and returns its address."""
    started = []

    def start(folder):
        code = "import sys; from serving.explore import main; sys.exit(main(sys.argv[1:]))"
        arguments = [sys.executable, "-c", code, str(folder), "--no-browser"]
        started.append(subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        return started[-1].stdout.readline().split()[1]

    yield start
    for process in started:
        process.terminate()
        process.communicate()


def end_to_end(address, expected, *arguments):
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "install Chromium (apt-get install chromium), or say by CHROMIUM=/path where it is"
    npm("run", "end-to-end", "--", *arguments, EXPLORER_URL=address, EXPLORER_EXPECTED=expected, CHROMIUM=chromium)


def test_stored_numbers_are_what_python_computes(numbers):
    def compare(stored, made, path):
        if isinstance(made, dict):
            assert list(stored) == list(made), path
        if isinstance(made, dict | list):
            assert len(stored) == len(made), path
            keys = made if isinstance(made, dict) else range(len(made))
            for key in keys:
                compare(stored[key], made[key], f"{path}/{key}")
        elif isinstance(made, float):
            assert stored == pytest.approx(made, abs=1e-5, rel=1e-5), path
        else:
            assert stored == made, path

    compare(json.loads(numbers.NUMBERS.read_text()), numbers.numbers(), "")


@pytest.mark.system
def test_unit_tests(page):
    npm("test")


@pytest.mark.system
def test_page_on_the_export_of_the_default_run(page, explored, tmp_path):
    faces = avatars.load(examples=240).train.images[:64]
    export_run(PRETRAINED, tmp_path / "export", Options(formats=("onnx",)), np.asarray(faces))
    expected = expectation(tmp_path / "export", run_directory.load(PRETRAINED)[1], tmp_path)
    end_to_end(explored(tmp_path / "export"), expected)


@pytest.mark.system
def test_page_on_colour_channels_first_classes_and_several_latents(page, numbers, explored, tiny_run, tmp_path):
    model = numbers.made_up_model(size=32, channels=3, widths=(4, 4, 4))
    shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints", "figures"))
    model.save(tmp_path / "run" / "model.keras")
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    export_run(tmp_path / "run", tmp_path / "export", Options(formats=("onnx",), layout="nchw"), images)
    expected = expectation(tmp_path / "export", model, tmp_path)
    end_to_end(explored(tmp_path / "export"), expected, "--testNamePattern", "Python")


# The file server ------------------------------------------------------------------------------------------------------


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
    (folder / "ccvae.json").write_text(json.dumps({"files": files, "image": image} | changes))


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
