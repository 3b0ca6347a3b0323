"""The penalty on shared label information: 0 where latents are independent, large where they leak."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_ccvae.data.pipeline import training_batches
from tf_ccvae.labels import MISSING, Label, Labels
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.models.independence import Critic, warmed_up

LABELS = Labels((Label("a"), Label("b", ("x", "y", "z"))))


def made(leaks, count=3000, seed=0):
    """Latents of a, of b, and one style latent that knows label a if it leaks."""
    random = np.random.default_rng(seed)
    values = np.stack([random.integers(0, 2, count), random.integers(0, 3, count)], axis=1)
    style = random.normal(size=count) + leaks * 6.0 * (values[:, 0] - 0.5)
    own = np.stack([6.0 * values[:, 0] - 3.0, 3.0 * values[:, 1]], axis=1) + 0.3 * random.normal(size=(count, 2))
    return np.concatenate([own, style[:, None]], axis=1).astype(np.float32), values.astype(np.int32)


def trained(latents, values, steps=400):
    """A critic after some steps."""
    keras.utils.set_random_seed(0)
    critic = Critic(LABELS, 3)
    critic.build()
    optimizer = keras.optimizers.Adam(3e-3)
    optimizer.build(critic.trainable_variables)
    observed = tf.ones_like(values, tf.bool)

    @tf.function
    def step(rows):
        with tf.GradientTape() as tape:
            part = [tf.gather(x, rows) for x in (latents, values, observed)]
            loss = tf.reduce_mean(critic(*part)[1])
        optimizer.apply_gradients(
            zip(tape.gradient(loss, critic.trainable_variables), critic.trainable_variables, strict=True)
        )

    random = np.random.default_rng(1)
    for _ in range(steps):
        step(tf.constant(random.integers(0, len(values), 64)))
    return critic


@functools.cache
def critic_of(leaks):
    return trained(*made(leaks))


@pytest.mark.programs  # trains for hundreds of steps
@pytest.mark.parametrize("leaks", [False, True])
def test_penalty_finds_a_label_that_other_latents_tell(leaks):
    penalty, loss = critic_of(leaks)(*made(leaks, seed=2), np.ones((3000, 2), bool))
    if leaks:
        assert np.mean(penalty) > 0.5  # the label is known almost surely: KL(1/2 || sure) is large
    else:
        assert np.mean(penalty) < 0.03
        assert np.mean(loss) == pytest.approx(2 * (np.log(2) + np.log(3)), abs=0.1)


@pytest.mark.programs  # trains for hundreds of steps
def test_what_follows_from_the_other_labels_is_no_leak():
    """Label a is decided by label b, so the latent of b may tell it."""
    random = np.random.default_rng(0)
    b = random.integers(0, 3, 3000)
    values = np.stack([b == 2, b], axis=1).astype(np.int32)
    latents = np.stack([random.normal(size=3000), 3.0 * b, random.normal(size=3000)], axis=1).astype(np.float32)
    penalty, _ = trained(latents, values)(latents, values, np.ones((3000, 2), bool))
    assert np.mean(penalty) < 0.03


@pytest.mark.programs
def test_gradients_reach_latents_from_the_penalty_and_the_critic_from_its_loss():
    latents, values = made(True, 20)
    critic = trained(*made(True), steps=50)
    latents = tf.constant(latents)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(latents)
        penalty, loss = critic(latents, values, np.ones((20, 2), bool))
    assert np.abs(tape.gradient(penalty, latents)).max() > 0
    assert tape.gradient(loss, latents) is None
    assert all(g is None for g in tape.gradient(penalty, critic.trainable_variables))
    assert all(np.abs(g).max() > 0 for g in tape.gradient(loss, critic.trainable_variables))


@pytest.mark.programs
def test_a_labels_own_latents_and_value_are_hidden_and_missing_labels_do_nothing():
    latents, values = made(True, 20)
    critic = trained(*made(True), steps=20)
    everything, labels_alone = critic.inputs(latents, values, np.ones((20, 2), bool))
    shifted, _ = critic.inputs(latents + np.array([[5.0, 0, 0]], np.float32), values, np.ones((20, 2), bool))
    np.testing.assert_array_equal(everything[::2], shifted[::2])  # rows of label a do not see latent 0
    assert np.abs(everything[1::2] - shifted[1::2]).max() > 0
    _, other_value = critic.inputs(latents, np.stack([1 - values[:, 0], values[:, 1]], axis=1), np.ones((20, 2), bool))
    np.testing.assert_array_equal(labels_alone[::2], other_value[::2])
    penalty, loss = critic(latents, np.full_like(values, MISSING), np.zeros((20, 2), bool))
    np.testing.assert_array_equal(penalty, np.zeros(20))
    np.testing.assert_array_equal(loss, np.zeros(20))


def test_weight_grows_while_the_critic_learns():
    assert float(warmed_up(30.0, 0)) == 0.0
    assert float(warmed_up(30.0, 250)) == 15.0
    assert float(warmed_up(30.0, 10_000)) == 30.0


@pytest.mark.programs  # trains
def test_the_model_trains_with_it_keeps_it_and_does_without(tiny):
    keras.utils.set_random_seed(0)
    settings = {"latents": 4, "widths": (4, 4, 4), "hidden": 8}
    model = CCVAE((28, 28, 1), tiny.labels, **settings)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), run_eagerly=True)
    before = [np.array(w) for w in model.critic.trainable_weights]
    model.fit(training_batches(tiny.train, 16, 4, 0), verbose=0, shuffle=False)
    assert all(np.abs(w - b).max() > 0 for w, b in zip(model.critic.trainable_weights, before, strict=True))
    assert CCVAE.from_config(model.get_config()).independence_weight == model.independence_weight > 0
    assert CCVAE((28, 28, 1), tiny.labels, independence_weight=0.0, **settings).critic is None
    assert CCVAE((28, 28, 1), tiny.labels, estimator="pytorch", **settings).critic is None
