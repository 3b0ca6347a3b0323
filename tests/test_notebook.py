"""The notebook runs from its first cell to its last, and holds the pictures of a run."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.test_smoke import FEW_FACES

FILE = Path(__file__).resolve().parents[1] / "examples" / "notebook.ipynb"


@pytest.fixture(scope="module")
def cells():
    return [cell for cell in json.loads(FILE.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]


def test_it_goes_from_installation_to_swap_in_ten_cells(cells):
    sources = ["".join(cell["source"]) for cell in cells]
    assert len(sources) == 10
    assert sources[0] == "%pip install -q .." and "interventions.swap(" in sources[-1]


def test_it_holds_pictures_and_nothing_of_the_machine_that_made_them(cells):
    data = [output.get("data", {}) for cell in cells for output in cell["outputs"]]
    assert sum("image/jpeg" in x for x in data) == 6
    assert "/home" not in FILE.read_text("utf-8") and "/work" not in FILE.read_text("utf-8")


def run(source, names):
    """Runs a cell; what its last line gives, as a notebook would show it."""
    tree = ast.parse(source)
    shown = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, str(FILE), "exec"), names)
    return eval(compile(ast.Expression(shown.value), str(FILE), "eval"), names) if shown else None


def test_every_cell_runs_and_every_picture_shows_something(cells, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = [*FEW_FACES, "--model.backbone", "paper", "--objective.independence-weight", "0"]
    names = {}
    sources = ["".join(cell["source"]).replace("ARGUMENTS = []", f"ARGUMENTS = {small}") for cell in cells[1:]]
    pictures = [x for x in [run(source, names) for source in sources] if isinstance(x, Image.Image)]
    assert names["ARGUMENTS"] == small and (tmp_path / "runs" / "notebook" / "model.keras").exists()
    assert "\n7 " in capsys.readouterr().out
    assert len(pictures) == 6
    for picture in pictures:
        assert picture.width == 8 * 64
        assert np.asarray(picture).std() > 1
