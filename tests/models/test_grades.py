"""CCVAE with grades: an order that no weights change, what is saved, what other models make of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.test_number_labels import AGE, SHAPE
from tf_ccvae.label_arrays import known
from tf_ccvae.labels import Label, Labels
from tf_ccvae.models.baselines import DIVA, M2, MVAE, VAEClassifier
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.models.conditional_prior import LabelDistributions
from tf_ccvae.objective import characteristics

FIVE = tuple("01234")
GRADES = Labels((Label("g", FIVE, 3, ordered=True), Label("h", ("none", "mild", "severe"), ordered=True)))
MIXED = Labels((Label("hat"), GRADES.items[0], Label("breed", ("a", "b", "c"), 2), GRADES.items[1]))
EVERY_KIND = Labels((*MIXED.items, Label("age", scale=AGE)))


def built(labels, seed=None, size=3.0, **settings):
    """The layer; with random weights if there is a seed."""
    layer = LabelDistributions(labels, **settings)
    layer.build()
    random = np.random.default_rng(seed)
    for weight in layer.trainable_weights if seed is not None else ():
        weight.assign(random.normal(scale=size, size=weight.shape))
    return layer


def small(labels=EVERY_KIND, kind=CCVAE, **settings):
    keras.utils.set_random_seed(0)
    return kind(SHAPE, labels, 16, widths=(4, 4, 4), hidden=8, **settings)


# The order ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("size", [0.3, 3.0, 100.0])
def test_thresholds_and_means_along_the_slopes_have_the_order_of_the_grades_for_any_weights(seed, size):
    model = built(MIXED, seed, size, pace=10.0).label_model()
    kernel, bias, loc = (np.array(x, np.float64) for x in (model.kernel, model.bias, model.prior.loc))
    for i in MIXED.grades:
        where, count = MIXED.slices[i], MIXED.items[i].values
        assert (np.diff(-bias[i, 1:count]) > 0).all()
        slopes = kernel[where, 1]
        assert (slopes > 0).all() and (kernel[where, 1:count] == slopes[:, None]).all()
        along = loc[:count, where] @ slopes / np.linalg.norm(slopes)
        assert (np.diff(along) > 0).all()


@pytest.mark.parametrize("seed", range(10))
def test_setting_a_higher_grade_makes_every_lower_one_less_probable_for_any_weights_and_latents(seed):
    model, random = built(MIXED, seed, 2.0, pace=10.0).label_model(), np.random.default_rng(seed)
    latents = random.normal(scale=4, size=(100, MIXED.characteristic)).astype(np.float32)
    kernel, bias = np.array(model.kernel, np.float64), np.array(model.bias, np.float64)
    read = np.array(characteristics.values_of(latents, model))
    for i in MIXED.grades:
        where, count = MIXED.slices[i], MIXED.items[i].values
        for new in range(count):
            mask = np.tile(np.arange(len(MIXED)) == i, (100, 1))
            moved = np.array(characteristics.set_values(latents, np.full((100, len(MIXED)), new), mask, model))
            rise = (moved.astype(np.float64) - latents)[:, where] @ kernel[where, 1]
            assert (np.sign(rise) == np.sign(new - read[:, i])).all()
            before, after = (
                np.logaddexp(0, (x[:, where].astype(np.float64) @ kernel[where, 1])[:, None] + bias[i, 1:count])
                for x in (latents, moved)
            )  # -log q(y <= v | z)
            change = (after - before) * np.sign(new - read[:, i])[:, None]
            assert (change >= 0).all() and (change[new != read[:, i]].max(1) > 0).all()


def test_transport_of_a_grade_is_the_same_step_wherever_the_latents_are():
    model, random = built(GRADES, 0, 1.0).label_model(), np.random.default_rng(0)
    latents = random.normal(scale=3, size=(300, 4)).astype(np.float32)
    read = np.array(characteristics.values_of(latents, model))
    moved = np.array(characteristics.set_values(latents, np.full((300, 2), 2), np.full((300, 2), True), model))
    loc = np.array(model.prior.loc)
    for i in GRADES.grades:
        where = GRADES.slices[i]
        np.testing.assert_allclose((moved - latents)[:, where], (loc[2] - loc[read[:, i]])[:, where], atol=1e-4)


def test_a_new_layer_reads_the_grade_in_whose_prior_the_latents_are():
    layer = built(GRADES, separation=6.0)
    for i in GRADES.grades:
        where, count = GRADES.slices[i], GRADES.items[i].values
        latents = np.zeros((count, 4), np.float32)
        latents[:, where] = np.array(layer.prior.loc)[:count, where]
        found = np.array(characteristics.values_of(latents, layer.label_model()))[:, i]
        np.testing.assert_array_equal(found, np.arange(count))
        assert np.linalg.norm(latents[-1] - latents[0]) == pytest.approx(6.0, rel=1e-5)


def test_tables_hold_each_label_where_it_stands_among_the_others():
    layer = built(MIXED, 0)
    tables, alone = layer.label_model(), built(GRADES, 0).grades
    for weight, other in zip(alone.weights, layer.grades.weights, strict=True):
        weight.assign(other)
    others = Labels((MIXED.items[0], MIXED.items[2]))
    free = built(others)
    for name in ("paced_loc", "paced_raw_scale"):
        getattr(free, name).assign(np.array(getattr(layer, name))[:3])
    for name in ("free_kernel", "free_bias"):
        getattr(free, name).assign(np.array(getattr(layer, name))[:, :2])
    of_grades, of_others = [1, 2, 3, 6], [0, 4, 5]
    np.testing.assert_array_equal(np.array(tables.kernel)[of_grades], alone.kernel)
    np.testing.assert_array_equal(np.array(tables.bias)[[1, 3]], alone.bias)
    np.testing.assert_array_equal(np.array(tables.prior.loc)[:, of_grades], alone.prior.loc)
    np.testing.assert_array_equal(np.array(tables.prior.scale)[:, of_grades], alone.prior.scale)
    np.testing.assert_array_equal(np.array(tables.kernel)[of_others, :3], free.kernel)
    np.testing.assert_array_equal(np.array(tables.bias)[[0, 2], :3], free.bias)
    np.testing.assert_array_equal(np.array(tables.prior.loc)[:3, of_others], free.prior.loc)


def test_without_grades_there_is_no_weight_of_theirs():
    assert built(Labels.of_binary(["x"])).grades is None
    assert not any("grades" in weight.path for weight in small(Labels.of_binary(["x"])).weights)


# The model ------------------------------------------------------------------------------------------------------------


def test_a_saved_model_of_every_kind_of_label_keeps_what_it_says(tmp_path):
    model, random = small(), np.random.default_rng(0)
    for weight in model.label_distributions.grades.weights:
        weight.assign(random.normal(size=weight.shape))
    images = random.uniform(size=(3, *SHAPE)).astype(np.float32)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.labels == EVERY_KIND
    np.testing.assert_array_equal(model(images).label_probabilities, loaded(images).label_probabilities)
    np.testing.assert_array_equal(model(images).numbers.loc, loaded(images).numbers.loc)
    np.testing.assert_allclose(model(images).label_probabilities[:, :4].numpy().sum(-1), 1, rtol=1e-5)


@pytest.mark.programs
@pytest.mark.parametrize("latents_per_label", [1, 2])
def test_every_weight_of_grades_learns_in_a_step(latents_per_label):
    labels = EVERY_KIND.with_latents(latents_per_label)
    model = small(labels, consistency_weight=1.0, unlabelled_weight=1.0)
    rows = np.array([[1, 4, 2, 0, 50], [0, np.nan, 1, 2, np.nan], [np.nan] * 5, [1, 2, 0, 1, 70]], np.float32)
    batch = {
        "image": tf.constant(np.random.default_rng(0).integers(0, 256, (4, *SHAPE)), tf.uint8),
        "labels": tf.constant(rows),
        "observed": tf.constant(known(rows)),
        "index": tf.range(4),
    }
    model.compile(keras.optimizers.SGD(1e-6), jit_compile=False)
    before = [np.array(weight) for weight in model.label_distributions.grades.weights]
    logs = model.train_step(batch)
    assert np.isfinite(float(logs["loss"]))
    for weight, old in zip(model.label_distributions.grades.weights, before, strict=True):
        moved = np.abs(np.array(weight) - old).max() > 0
        assert moved == (weight.name != "paced_free" or latents_per_label > 1), weight.name


@pytest.mark.parametrize("kind", [M2, MVAE, VAEClassifier, DIVA])
def test_baselines_take_a_grade_and_tell_its_values(kind):
    model = small(MIXED, kind)
    assert model.labels.same_as(MIXED)
    images = np.random.default_rng(0).uniform(size=(3, *SHAPE)).astype(np.float32)
    probabilities = np.array(model(images).label_probabilities)
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-5)
    if model.edits:
        latents, mask = model.latents_of(images), np.tile([False, True, False, False], (3, 1))
        moved = model.set_values(latents, np.full((3, 4), 3), mask)
        assert np.isfinite(np.array(moved)).all()


def test_official_estimators_refuse_grades_by_name():
    with pytest.raises(ValueError, match="estimator 'pyro' knows no grades, and 'g' is one; use 'exact'"):
        small(MIXED, estimator="pyro")
