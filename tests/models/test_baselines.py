"""M2 and the classifier on latents: their bounds by brute force, and what their interventions do."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.data.pipeline import evaluation_batches, training_batches
from tf_ccvae.labels import MISSING, Label, Labels
from tf_ccvae.models.baselines import M2, VAEClassifier
from tf_ccvae.training import run_directory

BINARY = Labels.of_binary(["a", "b", "c"])
MIXED = Labels((Label("a"), Label("b", ("x", "y", "z"))))
MANY = Labels.of_binary([f"label{i}" for i in range(5)])  # 32 joint values: more than M2 sums out


def small(kind, labels, **changes):
    keras.utils.set_random_seed(0)
    settings = {"latents": 6, "widths": (4, 4, 8), "hidden": 16, "seed": 3, **changes}
    model = kind((28, 28, 1), labels, **settings)
    for weight in model.trainable_weights:  # so that no logit is near 0
        weight.assign(weight + 0.1 * np.random.default_rng(1).normal(size=weight.shape))
    return model


def batch_of(labels, count=6, seed=0, observed=0.5):
    random = np.random.default_rng(seed)
    values = np.stack([random.integers(0, x.values, count) for x in labels], axis=1).astype(np.int32)
    mask = random.random(values.shape) < observed
    return {
        "image": tf.constant(random.integers(0, 255, (count, 28, 28, 1), np.uint8)),
        "labels": tf.constant(np.where(mask, values, MISSING)),
        "observed": tf.constant(mask),
        "index": tf.range(count, dtype=tf.int64),
    }


@pytest.mark.parametrize("kind", [M2, VAEClassifier])
@pytest.mark.parametrize("labels", [BINARY, MIXED, MANY])
def test_both_learn_from_any_mask_and_round_trip(kind, labels, tmp_path):
    model = small(kind, labels)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), run_eagerly=labels is BINARY, jit_compile=False)
    data = tf.data.Dataset.from_tensors(batch_of(labels)).repeat(2)
    history = model.fit(data, validation_data=data.take(1), verbose=0, shuffle=False).history
    assert np.isfinite([history[k][-1] for k in ("loss", "val_bound", "val_accuracy")]).all()
    run_directory.Run(tmp_path).save_model(model)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is kind and loaded.get_config() == model.get_config()
    images = batch_of(labels)["image"]
    np.testing.assert_array_equal(model(images).label_probabilities, loaded(images).label_probabilities)
    np.testing.assert_array_equal(model(images).reconstruction.mean(), loaded(images).reconstruction.mean())


def test_m2_bound_with_every_label_known_is_that_of_the_paper():
    model = small(M2, MIXED)
    batch = batch_of(MIXED, observed=2.0)
    noise = model.noise(6, "exact", 0, 0)
    terms = model.assess(batch, noise, "exact").terms
    values = np.asarray(batch["labels"])
    columns = np.concatenate([values[:, :1], np.eye(3)[values[:, 1]]], axis=1).astype(np.float32)
    image = np.asarray(batch["image"], np.float32) / 255
    features = model.encoder(image)
    q = model.posterior_head(tf.concat([features, columns], axis=1))
    z = q.loc + q.scale * noise.normal
    likelihood = tfd.Independent(
        tfd.Laplace(tf.sigmoid(model.decoder(tf.concat([columns, z], axis=1))), 1.0), 3
    ).log_prob(image)
    divergence = tf.reduce_sum(tfd.kl_divergence(q, tfd.Normal(0.0, 1.0)), axis=1)
    prior = np.log(0.5) + np.log(1 / 3)
    np.testing.assert_allclose(terms.bound, likelihood - divergence + prior, rtol=1e-5)


def test_m2_sums_out_missing_labels_exactly_where_that_is_possible():
    model = small(M2, MIXED)
    model.label_statistics.set_label_prior(np.array([[0.3, 0.7, 0], [0.2, 0.3, 0.5]]))
    batch = batch_of(MIXED, observed=-1.0)
    noise = model.noise(6, "exact", 0, 0)
    bound = model.assess(batch, noise, "exact").terms.bound
    image = np.asarray(batch["image"], np.float32) / 255
    log_q = np.asarray(model.log_values(model.encoder(image)))
    total = 0.0
    for a in range(2):
        for b in range(3):  # the bound with these labels known, weighted by their probability, and the entropy
            known = {**batch, "labels": tf.tile([[a, b]], [6, 1]), "observed": tf.fill([6, 2], True)}
            weight = np.exp(log_q[:, 0, a] + log_q[:, 1, b])
            total += weight * (model.assess(known, noise, "exact").terms.bound - log_q[:, 0, a] - log_q[:, 1, b])
    np.testing.assert_allclose(bound, total, rtol=1e-4)


def test_m2_decodes_only_possible_values_and_under_xla_all_with_the_same_bound():
    model, batch = small(M2, MIXED), batch_of(MIXED)
    noise = model.noise(6, "exact", 0, 0)
    decoded = []
    decode = model.decode
    model.decode = lambda latents: decoded.append(len(latents)) or decode(latents)
    few = model.assess(batch, noise, "exact").terms.bound
    model.jit_compile = True
    compiled = tf.function(lambda: model.assess(batch, noise, "exact").terms.bound, jit_compile=True)
    np.testing.assert_allclose(few, compiled(), rtol=1e-5)
    missing = ~np.asarray(batch["observed"])
    assert decoded[0] == np.prod(np.where(missing, [2, 3], 1), axis=1).sum()


def test_relaxed_draws_of_m2_follow_the_label_probabilities():
    log_values = tf.math.log(tf.tile([[[0.2, 0.8, 0.0], [0.5, 0.2, 0.3]]], [20_000, 1, 1]) + 1e-30)
    random = np.random.default_rng(0)
    drawn = np.asarray(small(M2, MIXED)._relaxed(log_values, random.random((20_000, 2, 3)).astype(np.float32)))
    np.testing.assert_allclose(drawn.sum(-1), 1, rtol=1e-5)
    shares = np.stack([np.bincount(drawn[:, i].argmax(-1), minlength=3) for i in range(2)]) / 20_000
    np.testing.assert_allclose(shares, [[0.2, 0.8, 0.0], [0.5, 0.2, 0.3]], atol=0.015)
    two = small(M2, MANY)
    uniform = random.random(20_000).astype(np.float32)
    pair = np.stack([uniform, 1 - uniform], axis=-1)[:, None]
    ones = two._relaxed(tf.math.log(tf.tile([[[0.3, 0.7]]], [20_000, 1, 1])), tf.constant(pair))[:, 0, 1]
    assert np.mean(np.asarray(ones) > 0.5) == pytest.approx(0.7, abs=0.015)


def test_probabilities_of_the_classifier_are_its_mean_over_the_posterior():
    for labels in (BINARY, MIXED):
        model = small(VAEClassifier, labels)
        images = batch_of(labels)["image"]
        inference = model(images)
        draws = np.random.default_rng(0).normal(size=(40_000, 1, 6)).astype(np.float32)
        latents = inference.posterior.loc[:1] + inference.posterior.scale[:1] * draws[:, 0]
        brute = np.asarray(model.values_table(latents)).mean(0)
        tolerance = 0.005 if labels is BINARY else 0.06  # by quadrature, and from 64 draws
        np.testing.assert_allclose(inference.label_probabilities[0], brute, atol=tolerance)


def test_bound_of_the_classifier_is_that_of_a_vae_and_the_label_likelihood():
    model = small(VAEClassifier, BINARY)
    batch = batch_of(BINARY)
    noise = model.noise(6, "exact", 0, 0)
    terms = model.assess(batch, noise, "exact").terms
    q = model.encode(batch["image"])
    z = q.loc + q.scale * noise.normal
    image = np.asarray(batch["image"], np.float32) / 255
    likelihood = tfd.Independent(tfd.Laplace(tf.sigmoid(model.decoder(z)), 1.0), 3).log_prob(image)
    divergence = tf.reduce_sum(tfd.kl_divergence(q, tfd.Normal(0.0, 1.0)), axis=1)
    chances = tfd.Bernoulli(logits=model.classifier(z)).log_prob(tf.maximum(batch["labels"], 0))
    labels = tf.reduce_sum(tf.where(batch["observed"], chances, 0.0), axis=1)
    np.testing.assert_allclose(terms.bound, likelihood - divergence + labels, rtol=1e-5)


@pytest.mark.parametrize("kind", [M2, VAEClassifier])
@pytest.mark.parametrize("labels", [BINARY, MIXED])
def test_setting_a_label_sets_it_leaves_the_others_and_can_be_undone(kind, labels):
    model = small(kind, labels)
    latents = model.latents_of(batch_of(labels, 20)["image"])
    before = np.asarray(model.values_of(latents))
    for i, label in enumerate(labels):
        asked = np.tile(np.arange(len(labels)) == i, (20, 1))
        for value in range(label.values):
            wanted = np.where(asked, value, before)
            after = model.set_values(latents, np.where(asked, value, MISSING), asked)
            np.testing.assert_array_equal(model.values_of(after), wanted)
            back = model.set_values(after, before, asked)
            np.testing.assert_allclose(back, latents, atol=2e-3)


@pytest.mark.parametrize("kind", [M2, VAEClassifier])
def test_swaps_carry_the_value_and_draws_have_the_asked_values(kind):
    model = small(kind, BINARY)
    latents = np.asarray(model.latents_of(batch_of(BINARY, 20)["image"]))
    asked = np.tile([True, False, False], (20, 1))
    swapped = model.swap(latents, latents[::-1].copy(), asked)
    before = np.asarray(model.values_of(latents))
    np.testing.assert_array_equal(model.values_of(swapped), np.concatenate([before[::-1, :1], before[:, 1:]], axis=1))
    values = np.random.default_rng(0).integers(0, 2, (50, 3))
    drawn = model.draw(values, model.noise(50, "exact", 0, 0))
    np.testing.assert_array_equal(model.values_of(drawn), values)


def test_style_of_the_classifier_says_nothing_about_logits():
    model = small(VAEClassifier, BINARY)
    latents = tf.random.stateless_normal([30, 6], [0, 0])
    logits = model.classifier(model.style(latents))
    np.testing.assert_allclose(logits, np.tile(logits[:1], (30, 1)), atol=1e-4)


def test_too_few_latents_for_the_logits_are_refused():
    with pytest.raises(ValueError, match="latents must be at least 3, the number of logits, got 2"):
        VAEClassifier((28, 28, 1), MIXED, latents=2, widths=(4, 4, 8))


@pytest.mark.parametrize("kind", [M2, VAEClassifier])
def test_both_learn_the_tiny_labels(kind, tiny):
    keras.utils.set_random_seed(0)
    model = kind((28, 28, 1), tiny.labels, latents=6, widths=(8, 8, 16), hidden=32, label_weight=100.0)
    model.compile(optimizer=keras.optimizers.Adam(3e-3), jit_compile=False)
    model.fit(training_batches(tiny.train, 32, 100, 0), verbose=0, shuffle=False)
    logs = model.evaluate(evaluation_batches(tiny.test, 64), verbose=0, return_dict=True)
    assert logs["accuracy"] > 0.95
