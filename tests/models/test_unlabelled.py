"""Images with missing labels teach the classifier: what is changed, what is a target, and who learns from it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import numbers_made_up
from tests.models.test_baselines import batch_of
from tf_ccvae.data.pipeline import hide_labels, training_batches
from tf_ccvae.labels import MISSING, Label, Labels, Scale
from tf_ccvae.models import unlabelled
from tf_ccvae.models.baselines import DIVA
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.settings import Config
from tf_ccvae.training import build

LABELS = Labels((Label("a"), Label("b", ("x", "y", "z"), 2)))
EVEN = np.log([[0.5, 0.5, 1e-30], [1 / 3, 1 / 3, 1 / 3]]).astype(np.float32)


@pytest.fixture
def targets():
    made = unlabelled.Targets(LABELS)
    made.build()
    return made


def small(**changes):
    keras.utils.set_random_seed(0)
    return CCVAE((28, 28, 1), LABELS, 6, widths=(4, 4, 4), hidden=8, seed=3, **changes)


def shares(*rows):
    """log q(y_i = v | x) of examples with the probabilities of `a` on and of the classes of `b`."""
    table = [[[1 - on, on, 0], list(classes)] for on, classes in rows]
    return tf.math.log(tf.constant(table, tf.float32) + 1e-30)


def test_known_labels_are_targets_as_they_are_and_missing_ones_where_the_classifier_is_sure(targets):
    log_shares = shares((0.9, (0.1, 0.85, 0.05)), (0.7, (0.5, 0.3, 0.2)), (0.1, (0.9, 0.05, 0.05)))
    values = np.array([[0, MISSING], [MISSING, MISSING], [MISSING, 2]], np.int32)
    found, sure = targets(log_shares, EVEN, values, values != MISSING)
    np.testing.assert_array_equal(found, [[0, 1], [1, 0], [0, 2]])
    np.testing.assert_array_equal(sure, [[False, True], [False, False], [True, False]])


@pytest.mark.programs
def test_targets_follow_p_y_and_not_what_the_classifier_takes_for_frequent(targets):
    """It says 'on' to all; after many batches only those count of which it is surer than of the others."""
    log_shares = shares(*[(0.9, (0.4, 0.3, 0.3))] * 3, (0.99, (0.4, 0.3, 0.3)))
    nothing = np.full((4, 2), MISSING, np.int32)
    first = targets(log_shares, EVEN, nothing, nothing != MISSING)
    np.testing.assert_array_equal(np.asarray(first[1])[:, 0], [True] * 4)
    for _ in range(300):
        values, sure = targets(log_shares, EVEN, nothing, nothing != MISSING)
    np.testing.assert_allclose(targets.mean[0], [0.0775, 0.9225, 0.0], atol=1e-3)
    odds = np.array([0.1, 0.1, 0.1, 0.01]) / 0.0775, np.array([0.9, 0.9, 0.9, 0.99]) / 0.9225
    np.testing.assert_array_equal(np.asarray(values)[:, 0], (odds[1] > odds[0]).astype(int))
    np.testing.assert_array_equal(np.asarray(sure)[:, 0], np.maximum(*odds) >= 0.8 * (odds[0] + odds[1]))


def test_images_that_know_a_label_do_not_count_in_its_running_mean(targets):
    before = np.asarray(targets.mean).copy()
    values = np.array([[1, MISSING]], np.int32)
    targets(shares((0.9, (1.0, 0.0, 0.0))), EVEN, values, values != MISSING)
    np.testing.assert_array_equal(np.asarray(targets.mean)[0], before[0])
    np.testing.assert_allclose(np.asarray(targets.mean)[1], 0.97 * before[1] + 0.03 * np.array([1, 0, 0]), rtol=1e-5)


def test_no_gradient_flows_to_targets(targets):
    log_shares = tf.Variable(shares((0.9, (0.1, 0.8, 0.1))))
    nothing = np.full((1, 2), MISSING, np.int32)
    with tf.GradientTape() as tape:
        targets(log_shares, EVEN, nothing, nothing != MISSING)
        total = tf.reduce_sum(targets.mean)
    assert tape.gradient(total, log_shares) is None


def test_changed_images_are_shifted_repainted_and_stay_in_range():
    image = tf.constant(np.random.default_rng(0).random((200, 28, 28, 3)), tf.float32)
    after = np.asarray(unlabelled.changed(image, tf.constant([1, 2])))
    assert after.shape == (200, 28, 28, 3) and after.min() >= 0 and after.max() <= 1
    np.testing.assert_array_equal(after, unlabelled.changed(image, tf.constant([1, 2])))
    assert (np.abs(after - np.asarray(unlabelled.changed(image, tf.constant([1, 3])))).mean((1, 2, 3)) > 0).all()


def position(image):
    """Where the brightest pixel of each image is, (n, 2)."""
    flat = np.asarray(image)[..., 0].reshape(len(image), -1).argmax(1)
    return np.stack(np.unravel_index(flat, image.shape[1:3]), axis=1)


@pytest.mark.parametrize("flips", [False, True])
def test_shifts_reach_an_eighth_of_the_side_each_way_and_flips_are_made_where_allowed(flips):
    image = np.zeros((4000, 32, 32, 1), np.float32)
    image[:, 16, 6] = 1.0
    after = np.asarray(unlabelled.changed(tf.constant(image), tf.constant([5, 6]), flips))
    visible = after[..., 0].max((1, 2)) == after[..., 0].reshape(4000, -1).max(1)
    row, column = position(after[visible]).T
    dot = (after[visible][np.arange(len(row)), row, column, 0] > 0) & (np.bincount(row, minlength=32)[row] > 100)
    near = dot & (np.abs(row - 16) <= 4) & ((np.abs(column - 6) <= 4) | (np.abs(column - 25) <= 4))
    assert set(row[near] - 16) >= set(range(-4, 5))
    share = (np.abs(column[near] - 25) <= 4).mean()
    assert share == pytest.approx(0.5 if flips else 0.0, abs=0.05)


def test_a_rectangle_of_up_to_half_a_side_is_painted_over():
    image = tf.fill([3000, 32, 32, 1], 0.5)
    after = np.asarray(unlabelled.changed(image, tf.constant([7, 8])))[..., 0]
    around = np.median(after, axis=(1, 2), keepdims=True)
    hole = np.abs(after - around) > 1e-3
    rows, columns = hole.any(2).sum(1), hole.any(1).sum(1)
    assert max(rows.max(), columns.max()) <= 17 and rows.max() >= 15
    area = hole.sum((1, 2))
    np.testing.assert_array_equal(area, rows * columns)  # it is a rectangle
    assert area.mean() / 32**2 == pytest.approx(1 / 16, abs=0.02)


def test_cost_is_the_weighted_sum_of_what_is_read():
    read = shares((0.8, (0.5, 0.3, 0.2)), (0.6, (0.1, 0.9, 0.0)))
    values, weights = tf.constant([[1, 0], [0, 2]]), tf.constant([[1.0, 0.5], [1.0, 0.0]])
    expected = [-np.log(0.8) - 0.5 * np.log(0.5), -np.log(0.4)]
    np.testing.assert_allclose(unlabelled.cost(read, values, weights), expected, rtol=1e-5)


@pytest.mark.parametrize(("step", "weight"), [(0, 0.0), (250, 0.5), (500, 1.0), (9000, 1.0)])
def test_missing_labels_grow_to_their_weight(step, weight):
    assert float(unlabelled.warmed_up(tf.constant(step))) == weight


@pytest.mark.programs
def test_the_classifier_learns_from_it_and_the_decoder_does_not():
    """The first step of two models that differ in this term, after its warm-up, moves the decoder alike."""
    moved = []
    for weight in (0.0, 50.0):
        model = small(unlabelled_weight=weight)
        model.compile(optimizer=keras.optimizers.SGD(1e-4), jit_compile=False)
        model.optimizer.build(model.trainable_variables)
        model.optimizer.iterations.assign(5000)
        model.train_step(batch_of(LABELS))
        moved.append([(x.path.split("/")[0].split("_")[0], x.numpy()) for x in model.trainable_weights])
    same = {name: np.array_equal(before, after) for (name, before), (_, after) in zip(*moved, strict=True)}
    assert same["decoder"] and not same["encoder"] and not same["posterior"]


@pytest.mark.programs
def test_the_bound_that_is_reported_does_not_hold_it():
    bounds = [
        small(unlabelled_weight=weight)
        .assess(batch_of(LABELS), small().noise(6, "exact", 0, 0), "exact")
        .terms.bound.numpy()
        for weight in (0.0, 50.0)
    ]
    np.testing.assert_array_equal(*bounds)


@pytest.mark.programs
def test_training_with_it_is_repeatable_and_a_saved_model_keeps_its_running_mean(tmp_path):
    results = []
    for _ in range(2):
        model = small(unlabelled_weight=50.0, flips=True)
        model.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
        model.fit(tf.data.Dataset.from_tensors(batch_of(LABELS)).repeat(3), verbose=0, shuffle=False)
        results.append([x.numpy() for x in model.weights])
    for before, after in zip(*results, strict=True):
        np.testing.assert_array_equal(before, after)
    assert not np.array_equal(model.targets.mean, small(unlabelled_weight=1.0).targets.mean)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.targets.mean, model.targets.mean)
    assert (loaded.unlabelled_weight, loaded.flips) == (50.0, True)


NETWORK = {"encoder_widths": [4, 4, 4], "backbone": "paper", "hidden": 8}


def config_of(weight=50.0, **data):
    return Config.model_validate({"model": NETWORK, "objective": {"unlabelled_weight": weight}, "data": data})


def test_where_every_label_is_known_the_term_is_left_out(tiny):
    assert build.build_model(config_of(), tiny, tiny.train).targets is None
    for share, rate in ((0.1, 0.0), (1.0, 0.2)):  # no labels at all for some images, and single ones missing
        model = build.build_model(config_of(), tiny, hide_labels(tiny.train, share, rate, 0))
        assert model.unlabelled_weight == 50.0 and model.targets is not None


def test_by_default_there_is_no_such_term(tiny):
    model = build.build_model(Config.model_validate({"model": NETWORK}), tiny, hide_labels(tiny.train, 0.1, 0.0, 0))
    assert model.targets is None and "targets" not in {x.path.split("/")[0] for x in model.weights}


@pytest.mark.parametrize(
    ("augment", "sided", "flips"), [((), (), False), (("flip",), (), True), (("flip",), ("Top",), False)]
)
def test_images_are_flipped_only_if_no_label_minds(tiny, augment, sided, flips):
    config = config_of(augment=augment, sided=sided)
    assert build.build_model(config, tiny, hide_labels(tiny.train, 0.1, 0.0, 0)).flips is flips


def test_baselines_do_without_it():
    assert DIVA((28, 28, 1), LABELS, 6, widths=(4, 4, 4), hidden=8).targets is None


@pytest.mark.programs
def test_number_labels_take_no_part():
    labels = Labels((Label("age", scale=Scale(45.0, 15.0, 20.0, 70.0)), Label("bright")))
    made = unlabelled.Targets(labels)
    made.build()
    log_shares = tf.constant([[[-1e9, -1e9], np.log([0.1, 0.9])]] * 2, tf.float32)
    log_prior = tf.constant([[-1e9, -1e9], np.log([0.5, 0.5])], tf.float32)
    values = np.array([[33.0, np.nan], [np.nan, 1.0]], np.float32)
    found, sure = made(log_shares, log_prior, np.nan_to_num(values), ~np.isnan(values))
    np.testing.assert_array_equal(found, [[0, 1], [0, 1]])
    np.testing.assert_array_equal(sure, [[False, True], [False, False]])
    split = numbers_made_up.split(8, 0)
    keras.utils.set_random_seed(0)
    model = CCVAE((28, 28, 1), labels, 6, widths=(4, 4, 4), hidden=8, seed=3, unlabelled_weight=5.0)
    model.label_statistics.learn(split.labels)
    model.compile(optimizer=keras.optimizers.Adam(1e-3))
    batch = next(iter(training_batches(split, 8, 1, 0)))
    assert np.isfinite(float(model.train_step(batch)["loss"]))
