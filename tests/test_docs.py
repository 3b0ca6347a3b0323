"""Python shown in the docs runs, and the README stays short."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_python_of_the_tutorial_runs_on_a_run(tiny_run):
    text = (ROOT / "docs" / "tutorial.md").read_text()
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    for shown, here in (("runs/first", str(tiny_run)), ("Smiling", "Top"), ("Eyeglasses", "Bright")):
        assert shown in code
        code = code.replace(shown, here)
    names = {}
    exec(compile(code, "tutorial.md", "exec"), names)
    assert names["line"].shape == (4, 9, 28, 28, 1)
    assert names["grid"].shape == (1, 5, 5, 28, 28, 1)
    assert names["changed"].shape == names["edited"].shape == (4, 28, 28, 1)
    assert len(names["made"].images) == 8


def test_the_readme_is_read_in_one_sitting():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
