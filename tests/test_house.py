"""The house: imports run one way, no module is too long, and CONTRIBUTING's map shows the folders that there are."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 300  # lines
LONGER = {"tests/serving/double.py"}  # which stands in for a whole server
# From the ground up: a room may import from itself and from those before it.
FLOORS = (
    ("support",),
    ("number_labels", "label_texts"),
    ("labels",),
    ("label_arrays",),
    ("settings",),
    ("data", "objective"),
    ("models",),
    ("interventions",),
    ("training",),
    ("evaluation",),
    ("programs",),
    ("fit", "evaluate", "intervene", "tune", "launch_ray"),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
MODULES = sorted((ROOT / "tf_ccvae").rglob("*.py"))


def room_of(module: str) -> str | None:
    """`tf_ccvae.models.ccvae` is in `models`; None for other packages and for `tf_ccvae` itself."""
    first, *rest = module.split(".")
    return rest[0] if first == "tf_ccvae" and rest else None


def imported(path: Path) -> set[str]:
    """Rooms that a module imports from when it is loaded or later, but not for types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    rooms = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if "." in node.module else [f"{node.module}.{x.name}" for x in node.names]
            rooms |= {room_of(name) for name in names}
        elif isinstance(node, ast.Import):
            rooms |= {room_of(x.name) for x in node.names}
    return rooms & set(FLOOR)


@pytest.mark.parametrize("path", MODULES, ids=lambda x: x.stem)
def test_no_import_runs_up(path):
    own = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    if own in FLOOR:
        assert {room for room in imported(path) if FLOOR[room] > FLOOR[own]} == set()


def test_no_module_is_too_long():
    others = [path for folder in ("export", "serving", "benchmarks", "tests") for path in (ROOT / folder).rglob("*.py")]
    own = [path for path in (*MODULES, *others) if "node_modules" not in path.parts]  # npm brings modules of its own
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in own}
    assert {path for path, lines in lengths.items() if lines > LONGEST} == LONGER


def test_the_map_in_contributing_shows_the_rooms_that_there_are():
    shown = set(re.findall(r"^    (\w+)/ ", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE))
    rooms = {path.name for path in (ROOT / "tf_ccvae").iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert shown == rooms
