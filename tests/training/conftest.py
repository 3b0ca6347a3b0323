"""What all tests of training need."""

import pytest


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    """No cluster around the tests is taken for one of theirs."""
    for name in ("TF_CONFIG", "JOB_COMPLETION_INDEX", "SLURM_STEP_NODELIST"):
        monkeypatch.delenv(name, raising=False)
