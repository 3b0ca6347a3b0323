"""CCVAE with number labels: what is saved, what the critic and the term for edits make of them, and what is learned."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import numbers_made_up
from tf_ccvae import interventions
from tf_ccvae.data.pipeline import training_batches
from tf_ccvae.label_arrays import in_units_of, known
from tf_ccvae.labels import Label, Labels, Scale
from tf_ccvae.models import consistency
from tf_ccvae.models.baselines import DIVA, M2, MVAE, VAEClassifier
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.models.independence import Critic
from tf_ccvae.models.number_distributions import FLOOR
from tf_ccvae.training import measures

AGE = Scale(50.0, 10.0, 20.0, 90.0)
LABELS = Labels((Label("age", scale=AGE), Label("hat"), Label("breed", ("a", "b", "c"), 2), Label("size", scale=AGE)))
SHAPE = (28, 28, 1)
ROWS = np.array([[63, 1, 2, 41], [41, 0, np.nan, np.nan], [np.nan] * 4], np.float32)


def small(labels=LABELS, **settings):
    keras.utils.set_random_seed(0)
    return CCVAE(SHAPE, labels, 8, widths=(4, 4, 4), hidden=8, **settings)


@pytest.mark.programs
def test_a_saved_model_keeps_its_numbers_and_their_units(tmp_path):
    model, images = small(), numbers_made_up.split(3, 0).images
    model.label_distributions.numbers.intercept.assign([0.3, -0.2])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.labels == LABELS
    for one, other in zip(
        model(images).numbers.parameters.values(), loaded(images).numbers.parameters.values(), strict=True
    ):
        if isinstance(one, tf.Tensor):
            np.testing.assert_array_equal(one, other)
    assert model(images).numbers.batch_shape == (3, 2)


def test_without_number_labels_there_is_no_weight_of_theirs():
    model = small(Labels.of_binary(["x"]))
    assert model(np.zeros((1, *SHAPE), np.float32)).numbers is None
    assert not any("number" in weight.path for weight in model.weights)


def test_the_classifier_is_never_surer_than_its_floor():
    layer = small().label_distributions.numbers
    layer.paced_raw_scale.assign([-100.0, 0.0])
    np.testing.assert_allclose(layer.number_model().scale, [FLOOR, FLOOR + np.log(2)], rtol=1e-6)


@pytest.mark.parametrize("baseline", [M2, DIVA, MVAE, VAEClassifier])
def test_baselines_refuse_number_labels_by_name(baseline):
    message = f"{baseline.__name__} knows no labels that are numbers, and 'age' is one; use ccvae"
    with pytest.raises(ValueError, match=message):
        baseline(SHAPE, LABELS, 8)


def test_official_estimators_refuse_number_labels_by_name():
    with pytest.raises(ValueError, match="estimator 'pyro' knows no labels that are numbers, and 'age' is one"):
        small(estimator="pyro")


# The critic and the term for edits ------------------------------------------------------------------------------------


def test_critic_counts_observed_labels_alone_and_its_penalty_is_a_divergence():
    critic, random = Critic(LABELS, 8), np.random.default_rng(0)
    critic.build()
    latents, there = tf.constant(random.normal(size=(3, 8)), tf.float32), known(ROWS)
    results = [critic(latents, tf.constant(np.where(there, ROWS, x), tf.float32), there) for x in (np.nan, 0.0)]
    tf.nest.map_structure(np.testing.assert_array_equal, *results)
    penalty, loss = (np.array(x) for x in results[0])
    assert (penalty[:2] > 0).all() and penalty[2] == 0 and loss[2] == 0


@pytest.mark.programs
@pytest.mark.parametrize(("tells", "least", "most"), [(3.0, 1.0, 3.0), (0.0, 0.0, 0.1)])
def test_penalty_is_the_information_of_other_latents_on_a_number(tells, least, most):
    labels, random = Labels((Label("age", scale=AGE),)), np.random.default_rng(0)
    critic = Critic(labels, 2)
    critic.build()
    y = random.normal(size=(256, 1)).astype(np.float32)
    latents = tf.constant(np.concatenate([3 * y, tells * y], axis=1))  # the first is the label's own, which is hidden
    values, there = tf.constant(50 + 10 * y), tf.ones([256, 1], tf.bool)
    optimizer = keras.optimizers.Adam(5e-3)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            penalty, loss = critic(latents, values, there)
        weights = critic.trainable_weights
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return tf.reduce_mean(penalty)

    optimizer.build(critic.trainable_weights)
    for _ in range(200):
        penalty = float(step())
    assert least < penalty < most


def test_an_edit_gives_one_label_another_value_and_leaves_the_others():
    model, count = small(), 400
    random = np.random.default_rng(0)
    values = np.stack([random.normal(50, 10, count), *random.integers(0, 2, (2, count)), np.full(count, 70)], axis=1)
    latents = random.normal(size=(count, 8)).astype(np.float32)
    edited = consistency.edit(
        tf.constant(latents),
        tf.constant(values, tf.float32),
        tf.ones([count, 4], tf.bool),
        model.label_model(),
        model.label_distributions.incompatible,
        tf.constant(random.normal(size=(count, 5)), tf.float32),
        tf.constant([0, 1]),
    )
    changed = np.array(edited.weights) == 1
    assert (changed.sum(1) == 1).all() and (changed.sum(0) > 50).all()
    new = np.array(edited.values)
    np.testing.assert_allclose(new[~changed], values[~changed], rtol=1e-6)
    assert (new[changed] != values[changed]).all() and set(new[changed[:, 2], 2]) <= {0, 1, 2}
    drawn = new[:, 3][changed[:, 3]]
    assert abs(drawn.mean() - 50) < 5 and 6 < drawn.std() < 14  # about 100 draws of N(50, 10)
    moved = np.abs(np.array(edited.latents) - latents) > 0
    owners = np.array([0, 1, 2, 2, 3, -1, -1, -1])
    assert not (moved & ~changed[:, owners] & (owners >= 0)).any() and not moved[:, owners < 0].any()


def test_cost_of_an_edit_is_what_the_encoder_says_of_classes_and_how_far_numbers_are_off():
    log_marginals = np.log(np.float32([[[1, 1, 1], [0.2, 0.8, 1], [0.1, 0.3, 0.6], [1, 1, 1]]]))
    read = tf.constant([[60.0, 45.0]]), tf.constant([[5.0, 1.0]])  # how sure it is of them is of no influence
    edited = consistency.Edit(
        tf.zeros([1, 8]), tf.constant([[62.0, 1.0, 2.0, 50.0]]), tf.constant([[1.0, 0.1, 0.1, 0.1]])
    )
    normal = consistency.tfd.Normal(*read)
    found = float(consistency.cost(tf.constant(log_marginals), edited, normal, LABELS)[0])
    first, last = -0.5 * (0.2 / 0.5) ** 2, -0.5 * (0.5 / 0.5) ** 2  # 62 read as 60, and 50 as 45
    assert found == pytest.approx(-(first + 0.1 * (np.log(0.8) + np.log(0.6) + last)), rel=1e-5)


# Training on data whose answer is known -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    """A model of bars whose height is an age with noise, and the data."""
    data, steps = numbers_made_up.dataset(), 300
    keras.utils.set_random_seed(0)
    labels = in_units_of(data.train.labels, data.labels)
    model = CCVAE(data.image_shape, labels, 6, backbone="residual", widths=(8, 16), hidden=48, consistency_weight=100.0)
    model.label_statistics.learn(data.train.labels)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(4e-3, steps)), jit_compile=False)
    model.fit(training_batches(data.train, 32, steps, 0), epochs=1, steps_per_epoch=steps, shuffle=False, verbose=0)
    return model, data


@pytest.mark.programs
def test_a_number_is_read_as_well_as_its_noise_allows(trained):
    model, data = trained
    values, truth = data.test.labels[:, 0], data.test.factors["age"]
    mean, deviation = (
        np.array(x)[:, 0] for x in (model(data.test.images).numbers.loc, model(data.test.images).numbers.scale)
    )
    there = known(values)
    spread = np.square(values[there] - values[there].mean()).sum()
    best, found = (1 - np.square(values[there] - x[there]).sum() / spread for x in (truth, mean))
    assert found >= 0.98 * best
    measured = measures.measure(model, data.test)["labels"]["age"]
    assert measured["r2"] == pytest.approx(found, abs=1e-3)
    assert measured["absolute_error"] == pytest.approx(np.abs(values - mean)[there].mean(), rel=1e-3)
    inside = np.abs(values - mean) <= 1.6449 * deviation
    assert measured["coverage"] == pytest.approx(inside[there].mean(), abs=0.01) and measured["coverage"] > 0.8


@pytest.mark.programs
def test_edits_reach_the_number_wanted(trained):
    model, data = trained
    images, scale = data.test.images[:100], model.labels.items[0].scale
    for age in (30, 45, 60):
        edited = interventions.set_labels(model, images, {"age": age})
        np.testing.assert_allclose(model(edited).numbers.loc[:, 0], age, atol=0.5 * scale.deviation)
        light = np.maximum(edited[..., 0] - edited[..., 0].max((1, 2), keepdims=True) / 2, 0)
        row = (light * np.arange(28)[None, :, None]).sum((1, 2)) / light.sum((1, 2))  # where the bar stands
        seen = 20 + (row - 4) / 19 * 50
        assert abs(seen.mean() - age) < 0.1 * (scale.high - scale.low)
