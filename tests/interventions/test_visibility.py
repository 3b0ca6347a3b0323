"""How much of a picture each label changes, and which edit a training suggests to look at."""

import numpy as np
import pytest

from tf_ccvae import interventions
from tf_ccvae.training import run_directory


@pytest.fixture(scope="module")
def model(tiny_run):
    return run_directory.load(tiny_run)[1]


@pytest.fixture(scope="module")
def change(model, tiny):
    """float (5, labels): the mean absolute difference between the pictures with a label off and on."""
    images = tiny.test.images[:5]
    return np.stack(
        [
            np.abs(np.subtract(*(interventions.set_labels(model, images, {name: v}) for v in (0, 1)))).mean((1, 2, 3))
            for name in model.labels.names
        ],
        axis=1,
    )


def test_visibility_is_the_change_between_off_and_on(model, tiny, change):
    np.testing.assert_allclose(interventions.visibility(model, tiny.test.images[:5]), change, atol=1e-6)


def test_most_visible_edit_is_the_largest_change_between_off_and_on(model, tiny, change):
    image, label = np.unravel_index(change.argmax(), change.shape)
    assert interventions.most_visible(model, tiny.test.images[:5]) == (image, model.labels.names[label])


def test_without_images_there_is_no_edit_to_show(model, tiny):
    assert interventions.visibility(model, tiny.test.images[:0]).shape == (0, 2)
    assert interventions.most_visible(model, tiny.test.images[:0]) is None
