"""What several tests of data sources need."""

import pytest


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A cache that no other test sees."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
