"""The packages that are built: the sdist is the whole repository, and the wheel works outside of it."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.made_up import made_once, on_tiny_folder

ROOT = Path(__file__).resolve().parent.parent
NOT_SOURCES = shutil.ignore_patterns(
    ".hypothesis",
    *(".git", ".venv*", ".*_cache", "__pycache__", "*.egg-info", "build", "dist", "node_modules", "runs", "photos"),
)
MADE_BY_EXAMPLES = (  # by npm, make, and the build of the page
    *("examples/onnx_node/node_modules/pngjs/package.json", "examples/saved_model_c/build/ccvae"),
    *("serving/explorer/node_modules/vite/package.json", "serving/explorer/node_modules/.vite/results.json"),
)
MADE_BY_A_BUILD_BEFORE = ("build/lib/tf_ccvae/renamed.py", "build/lib/tf_ccvae/serving/explorer/dist/assets/older.js")
BUILD = "import sys; from setuptools import build_meta; build_meta.build_{}(sys.argv[1])"
PROGRAMS = """
import sys
from importlib.metadata import entry_points
script = {x.name: x for x in entry_points(group="console_scripts") if x.name.startswith("ccvae-")}
assert script["ccvae-fit"].load()(sys.argv[1:]) == 0
assert script["ccvae-intervene"].load()(["run", "set", "0", "1", "--label", "Top=1", "--out", "edited.png"]) == 0
assert script["ccvae-export"].load()(["run", "--to", "exported", "--formats", "onnx"]) == 0
ours = [x for x in list(sys.modules.values()) if (x.__name__ + ".").startswith(("tf_ccvae.", "export.", "serving."))]
assert all(x.__name__.startswith("tf_ccvae") for x in ours)
print("\\n".join({x.__file__ for x in ours}))
"""


class Built(NamedTuple):
    """A source distribution, unpacked, and the wheel that was built from it and its installation."""

    sources: Path
    wheel: Path
    installed: Path

    def run(self, place, *command):
        """Runs Python in a folder where other packages are called export and serving; returns what it said."""
        for name in ("export", "serving"):
            (place / f"{name}.py").write_text("raise RuntimeError('a package of another project')\n")
        environment = {**os.environ, "PYTHONPATH": str(self.installed)}
        done = subprocess.run(
            [sys.executable, *command], cwd=place, env=environment, capture_output=True, text=True, timeout=500
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def make(root, names):
    for path in (root / name for name in names):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def build(what, sources, to):
    done = subprocess.run(
        [sys.executable, "-c", BUILD.format(what), str(to)], cwd=sources, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def install(wheel, to):
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", to, wheel]
    subprocess.run(command, check=True)


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    with made_once(tmp_path_factory, "package") as (place, needed):
        if needed:
            copied = shutil.copytree(ROOT, place / "repository", ignore=NOT_SOURCES)
            make(copied, MADE_BY_EXAMPLES)
            build("sdist", copied, place / "dist")
            (archive,) = (place / "dist").glob("*.tar.gz")
            with tarfile.open(archive) as opened:
                opened.extractall(place / "unpacked", filter="data")
        (sources,) = (place / "unpacked").iterdir()
        if needed:
            for_the_wheel = shutil.copytree(sources, place / "for_the_wheel")
            make(for_the_wheel, MADE_BY_A_BUILD_BEFORE)
            build("wheel", for_the_wheel, place / "dist")
            install(*(place / "dist").glob("*.whl"), place / "installed")
        (wheel,) = (place / "dist").glob("*.whl")
    return Built(sources, wheel, place / "installed")


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_sdist_holds_every_file_of_the_repository(built):
    there = files(built.sources)
    repository = {x for x in files(built.sources.parents[1] / "repository") if "__pycache__" not in x}  # of the build
    assert repository - there - {".git", *MADE_BY_EXAMPLES} <= {"setup.cfg"}
    assert {"tests/conftest.py", "configs/avatars.yaml", "docs/data.md", "examples/onnx_python.py"} <= there


def test_the_sdist_holds_nothing_that_examples_and_builds_have_made(built):
    assert not files(built.sources) & set(MADE_BY_EXAMPLES)


def test_the_wheel_holds_nothing_of_a_build_before(built):
    names = zipfile.ZipFile(built.wheel).namelist()
    assert not [x for x in names if x.endswith(("renamed.py", "older.js"))]


def test_the_wheel_has_one_name_at_its_top_and_no_tests(built):
    names = zipfile.ZipFile(built.wheel).namelist()
    assert {x.partition("/")[0] for x in names if ".dist-info/" not in x} == {"tf_ccvae"}
    assert not [x for x in names if "/tests/" in x or "/end_to_end/" in x or x.endswith((".ts", "conftest.py"))]
    assert "tf_ccvae/configs/avatars.yaml" in names


def test_the_wheel_has_an_extra_for_each_file_of_requirements(built):
    metadata = next((built.installed).glob("*.dist-info")) / "METADATA"
    text = metadata.read_text()
    own = {x.stem.removeprefix("requirements-") for x in ROOT.glob("requirements-*.txt")} - {"dev", "gpu"}
    assert set(re.findall(r"^Provides-Extra: (.+)$", text, re.MULTILINE)) == own
    assert re.search(r'^Requires-Dist: httpx.*extra == "serving"$', text, re.MULTILINE)
    assert "Project-URL: Paper, https://arxiv.org/abs/2006.10102" in text


def test_an_installed_wheel_trains_edits_exports_and_verifies_outside_the_repository(built, tiny_folder, tmp_path):
    arguments = ["--config", "configs/folder.yaml", *on_tiny_folder(tiny_folder)]
    arguments += ["--model.latents-per-label", "1", "--model.backbone", "paper", "--training.epochs", "1"]
    arguments += ["--objective.independence-weight", "0", "--run-dir", "run"]
    said = built.run(tmp_path, "-c", PROGRAMS, *arguments)
    *_, last = said.splitlines()
    assert Path(last).is_relative_to(built.installed) and str(ROOT / "tf_ccvae") not in said
    assert (tmp_path / "edited.png").is_file()
    assert "as exported" in built.run(tmp_path, "-m", "tf_ccvae.export", "verify", "exported")


@pytest.mark.parametrize("name", ["fit", "intervene", "evaluate", "export", "serve"])
def test_there_is_a_console_script_for_each_program(built, tmp_path, name):
    said = built.run(tmp_path, str(built.installed / "bin" / f"ccvae-{name}"), "--help")
    assert "usage: " in said and "-m export" not in said and "-m serving" not in said


def test_a_wheel_without_the_page_says_so(built, tmp_path):
    with pytest.raises(AssertionError, match="made without the page; build the page before the wheel"):
        built.run(tmp_path, "-m", "tf_ccvae.serving", "explore", "exported")


@pytest.mark.system
def test_an_installed_wheel_brings_the_page_that_was_built_before(built, exported, tmp_path):
    sources = shutil.copytree(built.sources, tmp_path / "sources")
    for command in (["ci", "--ignore-scripts", "--no-audit", "--no-fund"], ["run", "build"]):
        subprocess.run(["npm", *command], cwd=sources / "serving" / "explorer", check=True, capture_output=True)
    build("wheel", sources, tmp_path / "dist")
    install(*(tmp_path / "dist").glob("*.whl"), tmp_path / "installed")
    own = Built(sources, tmp_path, tmp_path / "installed")
    assert "Site: site" in own.run(tmp_path, "-m", "tf_ccvae.serving", "explore", str(exported.folder), "--to", "site")
    page = files(sources / "serving" / "explorer" / "dist")
    assert page < files(tmp_path / "site") and {"index.html", "model/ccvae.json"} <= files(tmp_path / "site")
