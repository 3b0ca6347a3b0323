"""The term that asks for edits which the encoder reads: what it changes, what it costs, and who learns from it."""

import numpy as np
import pytest
import tensorflow as tf

from tests.models.first_step import after_one_step
from tf_ccvae.labels import MISSING, Label, Labels
from tf_ccvae.models import consistency
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.objective.exclusions import exclusion_table

LABELS = Labels((Label("a", latents=2), Label("b", ("x", "y", "z")), Label("c")))


@pytest.fixture(scope="module")
def label_model():
    return CCVAE((28, 28, 1), LABELS, 6, widths=(4, 4, 4), hidden=8).label_model()


@pytest.fixture
def nothing_excluded():
    return exclusion_table([], LABELS)


def test_every_label_gets_each_of_its_other_values_equally_often():
    values = np.tile([1, 2, 0], (30000, 1)).astype(np.int32)
    changed, new = (np.asarray(x) for x in consistency.another_value(tf.constant(values), LABELS, tf.constant([1, 2])))
    assert (changed.sum(1) == 1).all()
    assert changed.mean(0) == pytest.approx([1 / 3] * 3, abs=0.01)
    assert set(new[changed[:, 0], 0]) == {0} and set(new[changed[:, 2], 2]) == {1}
    classes = new[changed[:, 1], 1]
    assert [(classes == v).mean() for v in range(3)] == pytest.approx([0.5, 0.5, 0.0], abs=0.02)


def test_latents_of_the_changed_label_alone_are_drawn_from_the_conditional_prior(label_model, nothing_excluded):
    latents = np.random.default_rng(0).normal(size=(400, 6)).astype(np.float32)
    values = np.tile([1, 2, 0], (400, 1)).astype(np.int32)
    noise = np.random.default_rng(1).normal(size=(400, 4)).astype(np.float32)
    observed = tf.ones_like(values, tf.bool)
    seed = tf.constant([3, 4])
    edited = consistency.edit(
        tf.constant(latents), values, observed, label_model, nothing_excluded, tf.constant(noise), seed
    )
    changed, new = (np.asarray(x) for x in consistency.another_value(tf.constant(values), LABELS, seed))
    loc, scale = (np.asarray(x) for x in (label_model.prior.loc, label_model.prior.scale))  # (values, latents)
    owner = np.array([0, 0, 1, 2])
    for row in range(len(latents)):
        own = changed[row, owner]
        drawn = loc[new[row, owner], range(4)] + scale[new[row, owner], range(4)] * noise[row]
        expected = np.where(own, drawn, latents[row, :4])
        np.testing.assert_allclose(edited.latents[row], [*expected, *latents[row, 4:]], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(edited.values, np.where(changed, new, values))
    np.testing.assert_allclose(edited.weights, np.where(changed, 1.0, 0.1))


def test_a_missing_label_counts_only_where_it_was_changed(label_model, nothing_excluded):
    values = np.tile([MISSING, 2, MISSING], (200, 1)).astype(np.int32)
    latents, noise = tf.zeros((200, 6)), tf.zeros((200, 4))
    edited = consistency.edit(
        latents, values, tf.constant(values != MISSING), label_model, nothing_excluded, noise, tf.constant([5, 6])
    )
    assert set(np.asarray(edited.weights)[:, 0].tolist()) == {0.0, 1.0}
    assert np.unique(edited.weights[:, 1]) == pytest.approx([0.1, 1.0])
    assert np.min(edited.values) >= 0


def test_a_value_that_the_new_one_excludes_is_not_asked_for(label_model):
    incompatible = exclusion_table([((0, 0), (2, 0))], LABELS)  # a off excludes c off
    values = np.tile([1, 2, 0], (60, 1)).astype(np.int32)
    seed = tf.constant([7, 8])
    edited = consistency.edit(
        tf.zeros((60, 6)), values, values >= 0, label_model, incompatible, tf.zeros((60, 4)), seed
    )
    changed = np.asarray(consistency.another_value(tf.constant(values), LABELS, seed)[0])
    a_set_off = changed[:, 0]
    assert a_set_off.any() and (np.asarray(edited.values)[a_set_off] == [0, 2, 1]).all()


def test_cost_is_the_weighted_sum_of_what_the_encoder_says_against_it():
    marginals = np.log(np.array([[[0.2, 0.8, 0], [0.5, 0.3, 0.2], [0.9, 0.1, 0]]]) + 1e-30).astype(np.float32)
    edited = consistency.Edit(None, tf.constant([[1, 0, 1]]), tf.constant([[0.1, 0.1, 1.0]]))
    expected = -(0.1 * np.log(0.8) + 0.1 * np.log(0.5) + np.log(0.1))
    assert float(consistency.cost(tf.constant(marginals), edited)[0]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("step", "weight"), [(0, 0.0), (250, 10.0), (1000, 40.0), (9000, 40.0)])
def test_it_grows_to_its_weight(step, weight):
    assert float(consistency.warmed_up(40.0, tf.constant(step))) == weight


@pytest.mark.programs
def test_the_decoder_alone_learns_from_it(tiny):
    """The first step of two models that differ in this term, after its warm-up, moves all other weights alike."""
    moved = []
    for weight in (0.0, 50.0):
        model = after_one_step(tiny, consistency_weight=weight)
        decoder = {id(x) for x in model.decoder.trainable_weights}
        moved.append([(id(x) in decoder, x.numpy()) for x in model.trainable_weights])
    same = [(inside, np.array_equal(before, after)) for (inside, before), (_, after) in zip(*moved, strict=True)]
    assert all(equal for inside, equal in same if not inside)
    assert not any(equal for inside, equal in same if inside)


def test_a_saved_model_keeps_its_weight():
    model = CCVAE((28, 28, 1), LABELS, 6, widths=(4, 4, 4), hidden=8, consistency_weight=7.0)
    assert CCVAE.from_config(model.get_config()).consistency_weight == 7.0


def test_without_labels_there_is_nothing_to_change():
    assert CCVAE((28, 28, 1), Labels(()), 6, widths=(4, 4, 4), hidden=8, consistency_weight=7.0).consistency_weight == 0
