"""What all tests of training need."""

import pytest

from tf_ccvae import settings


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    """No cluster around the tests is taken for one of theirs."""
    for name in ("TF_CONFIG", "JOB_COMPLETION_INDEX", "SLURM_STEP_NODELIST"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def configured(tiny_arguments):
    """Settings for the tiny data, with changes in dotted form."""

    def make(**changes):
        extra = [
            part for key, value in changes.items() for part in (f"--{key.replace('__', '.').replace('_', '-')}", value)
        ]
        return settings.parse([*tiny_arguments, *map(str, extra)]).config

    return make
