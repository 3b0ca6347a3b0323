"""The term by which own latents come to hold variants: what it takes out, what it costs, and where gradients go."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tests.models.first_step import after_one_step
from tf_ccvae.labels import MISSING, Label, Labels, Scale
from tf_ccvae.models import draws, hiding
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.objective.exclusions import exclusion_table

tfd = tfp.distributions

AGE = Scale(50.0, 10.0, 20.0, 90.0)
LABELS = Labels((Label("a", latents=2), Label("b", ("x", "y", "z")), Label("c")))
MIXED = Labels((Label("age", scale=AGE), Label("a"), Label("b", ("x", "y", "z"))))
SHARES = np.log(np.float32([[0.7, 0.3, 1e-9], [0.2, 0.3, 0.5], [0.1, 0.9, 1e-9]]))  # a: 0, b: z, c: 1 are usual
SEED = tf.constant([3, 4])


def model_of(labels, shares=SHARES):
    made = CCVAE((28, 28, 1), labels, 6, widths=(4, 4, 4), hidden=8).label_model()
    return made._replace(log_label_prior=tf.constant(shares))


def some_original(values, latents=6, seed=0):
    random, rows = np.random.default_rng(seed), len(values)
    return hiding.Original(
        image=tf.constant(random.uniform(size=(rows, 2, 2, 1)), tf.float32),
        values=tf.constant(values),
        observed=tf.constant(values != MISSING),
        latents=tf.constant(random.normal(size=(rows, latents)), tf.float32),
        loc=tf.constant(random.normal(size=(rows, latents)), tf.float32),
    )


def test_the_usual_value_is_the_most_probable_one_and_of_a_number_its_mean():
    np.testing.assert_array_equal(hiding.usual_values(model_of(LABELS)), [0, 2, 1])
    np.testing.assert_array_equal(hiding.usual_values(model_of(MIXED, SHARES[:2])), [50.0, 0.0, 2.0])


def test_half_of_the_labels_are_set_to_their_usual_values_and_nothing_else_moves():
    model, rows = model_of(LABELS), 2000
    original = some_original(np.tile([1, 0, 1], (rows, 1)).astype(np.int32))  # c has its usual value
    taken = hiding.take_out(original, model, exclusion_table([], LABELS), SEED)
    own, latents = np.array(taken.own), np.array(taken.latents)
    assert own.mean(0) == pytest.approx([0.5] * 3 + [0] * 3, abs=0.05)
    np.testing.assert_array_equal(own[:, 0], own[:, 1])  # both belong to a
    assert (own[:, 0] & own[:, 2]).mean() == pytest.approx(0.25, abs=0.04)  # each label by itself
    usual = np.array(model.prior.loc)[[0, 0, 2], range(3)]
    expected = np.where(own[:, :3], usual, original.latents[:, :3])
    np.testing.assert_allclose(latents, np.concatenate([expected, original.latents[:, 3:]], axis=1), rtol=1e-5)


def test_missing_labels_are_left_alone():
    values = np.tile([1, 0, 0], (400, 1)).astype(np.int32)
    values[:200, 0] = MISSING
    original = some_original(values)
    taken = hiding.take_out(original, model_of(LABELS), exclusion_table([], LABELS), SEED)
    own = np.array(taken.own)
    assert not own[:200, :2].any() and own[200:, 0].mean() == pytest.approx(0.5, abs=0.1)
    np.testing.assert_array_equal(np.array(taken.latents)[:200, :2], original.latents[:200, :2])


def test_a_label_that_the_usual_values_exclude_is_taken_out_with_them():
    incompatible = exclusion_table([((0, 0), (2, 0))], LABELS)  # a off excludes c off
    original = some_original(np.tile([1, 2, 0], (400, 1)).astype(np.int32))
    own = np.array(hiding.take_out(original, model_of(LABELS), incompatible, SEED).own)
    assert own[own[:, 0]][:, 3].all() and not own[~own[:, 0]][:, 3].all()


def test_numbers_are_taken_out_beside_other_labels():
    model, values = model_of(MIXED, SHARES[:2]), np.tile(np.float32([80, 1, 0]), (400, 1))
    original = some_original(values, 6)._replace(observed=tf.constant(np.ones((400, 3), bool)))
    taken = hiding.take_out(original, model, exclusion_table([], MIXED), SEED)
    own = np.array(taken.own)[:, 0]
    assert own.mean() == pytest.approx(0.5, abs=0.1)
    mean = float(model.numbers.prior_intercept[0])  # of p(z | y) at the mean of y
    np.testing.assert_allclose(np.array(taken.latents)[own, 0], mean, atol=1e-6)


def test_the_region_is_where_pictures_differ_and_three_pixels_around():
    before = np.full((3, 16, 16, 3), 0.4, np.float32)
    after = before.copy()
    after[0, 8, 8, 1] += 0.8  # over 3x3 pixels 0.089
    after[1, 8, 8] -= 0.3  # 0.033
    after[2, 0, 0] += 0.4  # in a corner, where the mean is over 2x2
    covered = np.array(hiding.region(tf.constant(before), tf.constant(after)))[..., 0]
    expected = np.zeros((3, 16, 16))
    expected[0, 4:13, 4:13] = expected[2, :4, :4] = 1
    np.testing.assert_array_equal(covered, expected)


def some_networks(seed=2):
    """A linear encoder and decoder of pictures of 2 x 2 pixels."""
    random = np.random.default_rng(seed)
    down, up = (tf.Variable(random.normal(scale=0.5, size=x), dtype=tf.float32) for x in ((4, 6), (6, 4)))

    def encode(image):
        return tfd.Normal(tf.matmul(tf.reshape(image, [-1, 4]), down), 0.3)

    def decode(latents):
        mean = tf.sigmoid(tf.reshape(tf.matmul(latents, up), [-1, 2, 2, 1]))
        return tfd.Independent(tfd.Normal(mean, 0.5), 3)

    return encode, decode, down, up


def test_the_cost_is_that_of_the_picture_made_again_and_of_the_way_between_both_means():
    model, (encode, decode, down, up) = model_of(LABELS), some_networks()
    original = some_original(np.random.default_rng(4).integers(0, 2, (50, 3)).astype(np.int32))
    nothing = exclusion_table([], LABELS)
    found = np.array(hiding.cost(original, model, nothing, encode, decode, SEED))
    taken = hiding.take_out(original, model, nothing, draws.fold(SEED, 0))
    covered = np.array(hiding.region(decode(original.latents).mean(), decode(taken.latents).mean()))
    assert 0 < covered.mean() < 1
    left = np.where(covered, 0.5, original.image).reshape(50, 4)
    loc, noise = left @ down.numpy(), np.array(draws.normal([50, 6], draws.fold(SEED, 1)))
    own, latents, means = (np.array(x) for x in (taken.own, original.latents, original.loc))
    again = 1 / (1 + np.exp(-np.where(own, latents, loc + 0.3 * noise) @ up.numpy()))
    off = (original.image.numpy().reshape(50, 4) - again) / 0.5
    log_likelihood = (-0.5 * off**2 - np.log(0.5) - 0.5 * np.log(2 * np.pi)).sum(1)
    expected = -log_likelihood + 5 * np.where(own, 0, (means - loc) ** 2).sum(1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_no_gradient_flows_through_the_region_or_into_what_is_read_of_what_is_left():
    model, (encode, decode, down, up) = model_of(LABELS), some_networks()
    original = some_original(np.zeros((20, 3), np.int32))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([original.latents, original.loc])

        def constant(latents):  # a decoder whose first pictures alone, those of the region, depend on `up`
            return decode(latents) if not seen else tfd.Independent(tfd.Normal(tf.zeros([20, 2, 2, 1]), 0.5), 3)

        seen = []

        def read(image):
            seen.append(image)
            return encode(image)

        cost = hiding.cost(original, model, exclusion_table([], LABELS), read, constant, SEED)
    assert tape.gradient(cost, up) is None and tape.gradient(cost, down) is None
    moved = np.array(tape.gradient(cost, original.loc))
    assert (moved[:, 4:] != 0).all() and tape.gradient(cost, original.latents) is None


@pytest.mark.parametrize(("step", "weight"), [(0, 0.0), (250, 2.0), (500, 4.0), (9000, 4.0)])
def test_it_grows_to_its_weight(step, weight):
    assert float(hiding.warmed_up(4.0, tf.constant(step))) == weight


@pytest.mark.programs
def test_encoder_and_decoder_learn_from_it_and_the_conditional_prior_does_not(tiny):
    """The first step of two models that differ in this term, after its warm-up."""
    moved = []
    for weight in (0.0, 1.0):
        model = after_one_step(tiny, hiding_weight=weight)
        networks = {id(x) for part in (model.encoder, model.posterior_head, model.decoder) for x in part.weights}
        prior = {id(x) for x in (model.label_distributions.paced_loc, model.label_distributions.paced_raw_scale)}
        moved.append([(id(x) in networks, id(x) in prior, x.numpy()) for x in model.trainable_weights])
    same = [(*where, np.array_equal(a, b)) for (*where, a), (*_, b) in zip(*moved, strict=True)]
    assert all(equal for _, of_prior, equal in same if of_prior) and sum(of_prior for _, of_prior, _ in same) == 2
    assert not any(equal for of_networks, _, equal in same if of_networks)


def test_a_saved_model_keeps_its_weight_and_without_labels_there_is_none():
    small = {"latents": 6, "widths": (4, 4, 4), "hidden": 8, "hiding_weight": 7.0}
    model = CCVAE((28, 28, 1), LABELS, **small)
    assert CCVAE.from_config(model.get_config()).hiding_weight == 7.0
    assert CCVAE((28, 28, 1), Labels(()), **small).hiding_weight == 0
