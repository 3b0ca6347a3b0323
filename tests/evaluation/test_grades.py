"""Grades in a short training on data whose answer is known: read in order, set in the right direction, measured."""

import keras
import numpy as np
import pytest

from tests import grades_made_up
from tests.grades_made_up import STAGES
from tf_ccvae import interventions
from tf_ccvae.data.pipeline import training_batches
from tf_ccvae.evaluation import grades
from tf_ccvae.interventions import values_by_name
from tf_ccvae.label_arrays import in_units_of, known
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.training import measures

STAGE = 2  # position of the label


@pytest.fixture(scope="module")
def trained():
    """A model of bars whose length is a stage, with labels of every other kind beside it, and the data."""
    data, steps = grades_made_up.dataset(), 300
    keras.utils.set_random_seed(0)
    labels = in_units_of(data.train.labels, data.labels)
    model = CCVAE(data.image_shape, labels, 8, backbone="residual", widths=(8, 16), hidden=48, consistency_weight=100.0)
    model.label_statistics.learn(data.train.labels)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(4e-3, steps)), jit_compile=False)
    model.fit(training_batches(data.train, 32, steps, 0), epochs=1, steps_per_epoch=steps, shuffle=False, verbose=0)
    return model, data


def lengths(images):
    """How long the bar is, in pixels."""
    bars = images[:, :, :24, 0].astype(np.float32)
    return (bars.max(1) > 0.25).sum(1)


@pytest.mark.programs
def test_a_grade_is_read_about_as_well_as_its_noise_allows(trained):
    model, data = trained
    measured = measures.measure(model, data.test)["labels"]["stage"]
    truth = data.test.labels[:, STAGE]
    noisy = np.abs(truth - (data.test.factors["length"] - 3) / 4)[known(truth)]
    assert measured["accuracy"] > (noisy == 0).mean() - 0.05
    assert measured["steps_off"] < noisy.mean() + 0.05
    assert measured["rank_correlation"] > 0.95


@pytest.mark.programs
def test_a_higher_grade_draws_a_longer_bar_in_nearly_every_picture(trained):
    model, data = trained
    images = data.test.images[:100]
    drawn = np.stack([lengths(interventions.set_labels(model, images, {"stage": v})) for v in range(STAGES)])
    assert (np.diff(drawn.mean(1)) > 0.8).all()
    assert (np.diff(drawn, axis=0) >= 0).mean() > 0.95 and (drawn[-1] > drawn[0]).mean() > 0.95
    truth = (data.test.factors["length"][:100] - 3) // 4
    read = np.array(model(images).label_probabilities)[:, STAGE].argmax(1)
    assert np.abs(lengths(images / np.float32(255))[read == truth] - (3 + 4 * truth[read == truth])).max() <= 1


@pytest.mark.programs
def test_a_traversal_of_a_grade_goes_from_the_first_to_the_last_and_never_back(trained):
    model, data = trained
    pictures = interventions.traverse(model, data.test.images[:20], "stage", steps=9)
    read = np.array([np.array(model(x).label_probabilities)[:, STAGE].argmax(1) for x in pictures])
    assert (read[:, 0] <= 1).all() and (read[:, -1] >= STAGES - 2).all()
    assert (np.diff(lengths(pictures.reshape(-1, 28, 28, 1)).reshape(20, 9).mean(0)) >= 0).all()
    backwards = interventions.traverse(model, data.test.images[:20], "stage", "all", "none", steps=9)
    np.testing.assert_allclose(backwards[:, ::-1], pictures, atol=1e-5)


@pytest.mark.programs
def test_generated_pictures_show_the_grade_wanted(trained):
    model, _ = trained
    shown = []
    for stage in ("none", "some", "all"):
        values = values_by_name.choose_values(model, {"stage": stage}, 40, seed=0)
        shown.append(lengths(interventions.generate(model, values, seed=1).images).mean())
    assert shown[0] + 3 < shown[1] < shown[2] - 3


def test_agreement_of_grades_has_the_steps_and_the_ranks_of_all_and_an_interval_around():
    random = np.random.default_rng(0)
    wanted = random.integers(0, 5, 400)
    found = np.clip(wanted + random.integers(-1, 2, 400), 0, 4)
    measured = grades.agreement(wanted, found)
    assert measured["steps_off"]["mean"] == pytest.approx(np.abs(wanted - found).mean())
    assert 0.8 < measured["rank_correlation"]["mean"] < 0.95
    assert all(x["low"] < x["mean"] < x["high"] for x in measured.values())
    perfect = grades.agreement(wanted, wanted)
    assert (perfect["steps_off"]["mean"], perfect["rank_correlation"]["mean"]) == (0, pytest.approx(1))
