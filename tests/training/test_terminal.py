"""What a training says at its end: names as they are, and commands that a shell takes."""

import io
import shlex

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from tf_ccvae.programs.intervene import parser
from tf_ccvae.support import console as consoles
from tf_ccvae.support import figures
from tf_ccvae.training import terminal
from tf_ccvae.training.run_directory import Run

PRINTABLE = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), min_size=1, max_size=30)
ROW = {"accuracy": 0.5, "balanced_accuracy": None, "majority": 0.75, "examples": 4}


def said(monkeypatch, tmp_path, labels):
    """The lines of a summary, on a narrow terminal."""
    out = io.StringIO()
    monkeypatch.setattr(consoles, "Console", lambda **kinds: Console(file=out, width=40, **kinds))
    test = {"labels": dict.fromkeys(labels, ROW), "accuracy": 0.5, "balanced_accuracy": None}
    test |= {"mean_absolute_error": 0.1, "bound": -12.5}
    results = {"test": test, "training": {"epochs": 2, "steps": 10, "seconds": 3.0}}
    terminal.summary(consoles.plain_console(), results, Run(tmp_path / "a $run's"))
    return out.getvalue().splitlines()


@pytest.mark.parametrize(
    "name", ["Hat [/cap]", "[bold]", "$5 $HOME", "it's", ":smile:", "表情", "-x", "a=b", "n" * 300]
)
def test_a_name_goes_unchanged_into_table_and_command(monkeypatch, tmp_path, name):
    lines = said(monkeypatch, tmp_path, [name])
    assert any(line.startswith(name) and line.split()[-3:] == ["0.500", "-", "0.750"] for line in lines)
    command = next(line for line in lines if line.startswith("Use it:")).partition("intervene ")[2]
    arguments = parser().parse_args(shlex.split(command))
    assert arguments.label == [name]
    assert arguments.run == tmp_path / "a $run's"


@given(PRINTABLE)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_printable_name_goes_unchanged_into_table_command_and_figure(monkeypatch, tmp_path, name):
    with monkeypatch.context() as patched:
        lines = said(patched, tmp_path, [name])
    assert any(line.startswith(name) for line in lines)
    command = next(line for line in lines if line.startswith("Use it:")).partition("intervene ")[2]
    assert parser().parse_args(shlex.split(command)).label == [name]
    figure = figures.grid(np.zeros((1, 1, 4, 4, 1)), rows=[name])
    assert figure.axes[0].get_yticklabels()[0].get_text() == name
