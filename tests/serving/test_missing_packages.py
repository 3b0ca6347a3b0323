"""What programs say when a package that they need is not there, and what they can do without."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export import __main__ as exporting
from serving import __main__ as program
from tf_ccvae.support.packages import REQUIREMENTS, missing_package

ROOT = Path(__file__).resolve().parents[2]
OF_HTTPX = {"httpx", "httpcore", "h11", "anyio", "certifi", "idna", "sniffio", "typing_extensions"}
CLIENT = {*OF_HTTPX, "numpy", "PIL", "serving", "tf_ccvae"}


def without(monkeypatch, module):
    """As if the module's package were not installed."""
    for name in [x for x in sys.modules if x.partition(".")[0] == module or x.startswith("serving.over_")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)


@pytest.mark.parametrize(
    ("target", "module", "package"),
    [
        ("http://localhost:1", "httpx", "httpx"),
        ("grpc://localhost:1", "grpc", "grpcio"),
        ("grpc://localhost:1", "tensorflow_serving", "tensorflow-serving-api"),
    ],
)
def test_a_missing_package_is_one_line_that_names_the_requirements(monkeypatch, capsys, target, module, package):
    without(monkeypatch, module)
    assert program.main(["status", "--target", target]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"needs the package {package}; pip install -r requirements-serving.txt" in said
    assert "the extra serving" in said


def test_the_load_test_names_its_requirements():
    code = "import sys, runpy; sys.modules['locust'] = None; runpy.run_module('serving.load_test', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "needs the package locust; pip install -r requirements-serving.txt" in done.stderr


def test_verify_names_the_runtime_that_it_lacks(exported, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert exporting.main(["verify", str(exported.folder)]) == 2
    said = capsys.readouterr().err
    assert said == "error: this program needs the package onnxruntime; pip install -r requirements.txt\n"


def test_rest_needs_no_more_than_httpx_numpy_and_pillow(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "photo.png")
    allowed = {*sys.stdlib_module_names, *CLIENT}
    code = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] not in {allowed}:\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "from serving.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    arguments = ["classify", "--target", "http://127.0.0.1:9", "--retries", "0", tmp_path / "photo.png"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2 and re.fullmatch(r"error: 127.0.0.1:9: no server answers .*\n", done.stderr)


def test_every_package_of_the_table_is_in_its_file():
    for file, packages in REQUIREMENTS.items():
        listed = set(re.findall(r"^[\w-]+", (ROOT / file).read_text(), re.MULTILINE))
        assert set(packages.values()) - listed - {"gevent"} == set(), file  # locust brings gevent


def test_a_module_of_no_requirement_has_no_line():
    assert missing_package("nobody_knows") is None and missing_package(None) is None
