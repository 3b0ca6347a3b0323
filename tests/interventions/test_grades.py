"""Traversals of a grade whose means do not lie on a straight line."""

import keras
import numpy as np
import pytest

from tf_ccvae import interventions
from tf_ccvae.interventions import traversal
from tf_ccvae.labels import Label, Labels
from tf_ccvae.models.ccvae import CCVAE

LABELS = Labels((Label("hat"), Label("g", tuple("01234"), 3, ordered=True)))


@pytest.fixture(params=range(3))
def model(request):
    """Untrained, with random distributions of labels."""
    keras.utils.set_random_seed(0)
    made, random = CCVAE((28, 28, 1), LABELS, 6, widths=(4, 4, 4), hidden=8), np.random.default_rng(request.param)
    for weight in made.label_distributions.grades.weights:
        weight.assign(random.normal(size=weight.shape))
    return made


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(size=(4, 28, 28, 1)).astype(np.float32)


@pytest.mark.parametrize("deviations", [0.0, 3.0])
def test_the_grade_that_is_read_never_steps_back_along_a_traversal(model, images, deviations, monkeypatch):
    monkeypatch.setattr(traversal, "decode", lambda model, latents: latents)
    latents = traversal.traverse(model, images, "g", steps=41, deviations=deviations)
    read = np.stack([model.values_of(z)[:, 1] for z in latents])
    assert (np.diff(read, axis=1) >= 0).all()
    slopes = np.array(model.label_distributions.grades.slope)
    rise = (latents[:, -1] - latents[:, 0])[:, 1:4] @ slopes
    loc = np.array(model.label_distributions.prior.loc)[:, 1:4]
    assert (rise >= (loc[4] - loc[0]) @ slopes - 1e-4).all()


def test_by_default_a_grade_is_traversed_from_its_first_to_its_last_value(model, images):
    pictures = interventions.traverse(model, images, "g", steps=3)
    np.testing.assert_array_equal(pictures, interventions.traverse(model, images, "g", "0", "4", steps=3))
