"""What all tests of settings need."""

from pathlib import Path

import pytest


@pytest.fixture
def yaml_file(tmp_path, monkeypatch):
    """Writes settings into x.yaml in the current directory and returns its name."""
    monkeypatch.chdir(tmp_path)

    def write(text):
        Path("x.yaml").write_text(text)
        return "x.yaml"

    return write
