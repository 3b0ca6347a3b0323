"""What the measures of a model look at."""

from types import SimpleNamespace

import numpy as np
import pytest

from tf_ccvae.data.dataset import Dataset, Split
from tf_ccvae.evaluation.context import Context
from tf_ccvae.labels import MISSING, Labels

LABELS = Labels.of_binary(["a", "b", "c"])


@pytest.mark.parametrize(("wrong", "read_well"), [(2, ("a", "c")), (1, ("a", "b", "c"))])
def test_labels_are_read_well_if_nine_of_ten_that_are_known_are_right(wrong, read_well):
    truth = np.zeros((10, 3), np.int8)
    truth[5:, 2] = MISSING
    seen = np.zeros((10, 3, 2), np.float32)
    seen[..., 0] = 1
    seen[:wrong, 1] = (0, 1)
    seen[5:, 2] = (0, 1)  # where nobody knows
    part = Split(np.zeros((10, 4, 4, 1), np.uint8), truth, {})
    judge = SimpleNamespace(probabilities=lambda images: seen)
    context = Context(SimpleNamespace(labels=LABELS), Dataset("x", LABELS, part, part, part), judge)
    assert context.read_well == read_well
