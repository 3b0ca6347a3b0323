"""What all tests of the export look at."""

import numpy as np
import pytest

from export.uses import Uses, as_float32
from tf_ccvae.training import run_directory


@pytest.fixture(scope="session")
def model(exported):
    """The Keras model of the export."""
    return run_directory.load(exported.run)[1]


@pytest.fixture(scope="session")
def uses(model):
    """What the signatures of the export compute."""
    return Uses(as_float32(model))


@pytest.fixture(scope="session")
def pixels(tiny):
    """float32 test images in [0, 1]."""
    return tiny.test.images.astype(np.float32) / 255
