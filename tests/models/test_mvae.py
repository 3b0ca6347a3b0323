"""MVAE: its product of experts and its bounds by brute force; missing labels are absent, edits are refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tests.models.test_baselines import BINARY, MIXED, batch_of, small
from tf_ccvae import interventions
from tf_ccvae.labels import MISSING, Labels
from tf_ccvae.models.baselines import MVAE
from tf_ccvae.models.inference import pixels
from tf_ccvae.models.not_defined import NotDefinedError
from tf_ccvae.models.posterior import positive
from tf_ccvae.objective import Noise


def small_mvae(labels):
    """A small MVAE whose experts differ from each other and from the prior."""
    model = small(MVAE, labels)
    random = np.random.default_rng(2)
    for weight in (model.experts.loc, model.experts.raw_scale):
        weight.assign(random.normal(size=weight.shape))
    return model


def expert_of(model, label, value):
    """q(z|y_i = v), as numbers."""
    scale = positive(tf.convert_to_tensor(model.experts.raw_scale))
    return np.asarray(model.experts.loc)[label, value], np.asarray(scale)[label, value]


@pytest.mark.parametrize("labels", [BINARY, MIXED], ids=["binary", "mixed"])
def test_the_posterior_is_the_normalised_product_of_the_densities_of_known_labels_image_and_prior(labels):
    model, batch = small_mvae(labels), batch_of(labels)
    expert = model.posterior_head(model.encoder(np.asarray(batch["image"], np.float32) / 255))
    joint = model.product(expert, batch["labels"], batch["observed"])
    grid = np.linspace(-12, 12, 20_001)[:, None]
    for row in range(6):
        density = tfd.Normal(0.0, 1.0).log_prob(grid).numpy() + tfd.Normal(
            np.float64(expert.loc[row]), np.float64(expert.scale[row])
        ).log_prob(grid)
        for i, value in enumerate(np.asarray(batch["labels"])[row]):
            if value != MISSING:
                loc, scale = (x.astype(np.float64) for x in expert_of(model, i, value))
                density = density + tfd.Normal(loc, scale).log_prob(grid)
        weights = np.exp(density - np.max(density, axis=0))
        weights /= weights.sum(0)
        mean = (weights * grid).sum(0)
        np.testing.assert_allclose(joint.loc[row], mean, atol=1e-4)
        np.testing.assert_allclose(joint.scale[row], np.sqrt((weights * (grid - mean) ** 2).sum(0)), rtol=1e-3)


def test_joint_bound_is_that_of_a_vae_with_the_likelihood_of_the_known_labels():
    model, batch = small_mvae(MIXED), batch_of(MIXED)
    noise = model.noise(6, "exact", 0, 0)
    terms = model.assess(batch, noise, "exact").terms
    q = model.product(
        model.posterior_head(model.encoder(np.asarray(batch["image"], np.float32) / 255)),
        batch["labels"],
        batch["observed"],
    )
    np.testing.assert_allclose(terms.bound, bound(model, batch, q, noise, True), rtol=1e-5)


def bound(model, batch, q, noise, image):
    """A bound by hand: with the image or without, and with the known labels if q is made of them."""
    z = q.loc + q.scale * noise.normal
    total = -tf.reduce_sum(tfd.kl_divergence(q, tfd.Normal(0.0, 1.0)), axis=1).numpy()
    if image:
        pixels = np.asarray(batch["image"], np.float32) / 255
        total += tfd.Independent(tfd.Laplace(tf.sigmoid(model.decoder(z)), 1.0), 3).log_prob(pixels).numpy()
    for i, label in enumerate(MIXED):
        logits = np.asarray(model.classifier(z))[:, model.labels.slices[i]]
        logits = np.concatenate([np.zeros((6, 1)), logits], axis=1)
        chances = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        values = np.asarray(batch["labels"])[:, i]
        total += np.where(values >= 0, chances[np.arange(6), np.clip(values, 0, label.values - 1)], 0.0)
    return total


def test_training_adds_the_bounds_of_image_and_of_labels_alone_where_a_label_is_known():
    model, batch = small_mvae(MIXED), batch_of(MIXED)
    assert 0 < np.asarray(batch["observed"]).any(1).sum() < 6  # with and without
    noise = model.noise(6, "exact", 0, 0)
    terms = model.assess(batch, noise, "exact").terms
    nothing = {**batch, "labels": tf.fill([6, 2], MISSING)}
    of_image = bound(model, nothing, model.encode(batch["image"]), noise, True)
    of_labels = bound(model, batch, model.product(None, batch["labels"], batch["observed"]), noise, False)
    some = np.asarray(batch["observed"]).any(1)
    np.testing.assert_allclose(terms.surrogate, np.where(some, of_image + of_labels, 0.0), rtol=1e-5)
    np.testing.assert_allclose(np.asarray(terms.bound)[~some], of_image[~some], rtol=1e-6)
    expected = -(terms.bound + terms.surrogate + 5.0 * tf.reduce_sum(terms.label_marginal, axis=1))
    np.testing.assert_allclose(terms.loss(5.0), expected, rtol=1e-6)


@pytest.mark.programs
def test_the_joint_bound_misses_the_evidence_by_the_divergence_of_the_product_from_the_true_posterior():
    """One label and one latent, so that log p(x, y) and p(z|x, y) are sums over a grid."""
    labels, count = Labels.of_binary(["a"]), 4000
    model = small(MVAE, labels, latents=1)
    one = batch_of(labels, 1, observed=2.0)
    batch = {key: tf.repeat(value, count, axis=0) for key, value in one.items()}
    quantiles = tfd.Normal(0.0, 1.0).quantile((np.arange(count, dtype=np.float32)[:, None] + 0.5) / count)
    noise = Noise(quantiles, tf.zeros([count, 1]), tf.zeros([0, count, 1]))
    found = np.asarray(model.assess(batch, noise, "exact").terms.bound, np.float64).mean()
    q = model.product(model.posterior_head(model.encoder(pixels(one["image"]))), one["labels"], one["observed"])
    grid = np.linspace(-8, 8, count, dtype=np.float32)[:, None]
    image, value = np.asarray(pixels(one["image"])), int(one["labels"][0, 0])
    joint = tfd.Independent(tfd.Laplace(tf.sigmoid(model.decoder(grid)), 1.0), 3).log_prob(image)
    joint += tfd.Bernoulli(logits=model.classifier(grid)[:, 0]).log_prob(value) + tfd.Normal(0.0, 1.0).log_prob(
        grid[:, 0]
    )
    joint, own = np.asarray(joint, np.float64), np.asarray(q.log_prob(grid)[:, 0], np.float64)
    step = 16 / (count - 1)
    evidence = joint.max() + np.log(np.exp(joint - joint.max()).sum() * step)
    divergence = (np.exp(own) * (own - (joint - evidence))).sum() * step
    assert divergence > 0.01
    assert found == pytest.approx(evidence - divergence, abs=0.01)


@pytest.mark.parametrize("labels", [BINARY, MIXED], ids=["binary", "mixed"])
def test_it_draws_new_latents_from_the_experts_of_the_asked_labels_and_the_prior(labels):
    model = small_mvae(labels)
    values = np.tile([1, *[MISSING] * (len(labels) - 1)], (20_000, 1)).astype(np.int32)
    drawn = np.asarray(model.draw(values, model.noise(20_000, "exact", 0, 0)), np.float64)
    loc, scale = expert_of(model, 0, 1)
    precision = 1 + 1 / scale**2
    np.testing.assert_allclose(drawn.mean(0), loc / scale**2 / precision, atol=0.03)
    np.testing.assert_allclose(drawn.std(0), precision**-0.5, rtol=0.03)


@pytest.mark.programs
def test_it_learns_from_any_mask_and_round_trips(tmp_path):
    model = small_mvae(MIXED)
    before = np.asarray(model.experts.loc)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
    data = tf.data.Dataset.from_tensors(batch_of(MIXED)).repeat(2)
    history = model.fit(data, validation_data=data.take(1), verbose=0, shuffle=False).history
    assert np.isfinite([history[k][-1] for k in ("loss", "val_bound", "val_accuracy")]).all()
    seen = {(i, v) for row in np.asarray(batch_of(MIXED)["labels"]) for i, v in enumerate(row) if v >= 0}
    moved = (np.asarray(model.experts.loc) != before).any(-1)
    assert {(int(i), int(v)) for i, v in np.argwhere(moved)} == {(int(i), int(v)) for i, v in seen}
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    images = batch_of(MIXED)["image"]
    np.testing.assert_array_equal(model(images).label_probabilities, loaded(images).label_probabilities)
    np.testing.assert_array_equal(model.experts.loc, loaded.experts.loc)


@pytest.mark.parametrize(
    "edit",
    [
        lambda model, images: interventions.set_labels(model, images, {"a": 1}),
        lambda model, images: interventions.swap(model, images, images, ["a"]),
        lambda model, images: interventions.traverse(model, images, "a"),
        lambda model, images: interventions.variation(model, images, "a"),
        lambda model, images: interventions.generate(model, [[1, 0, 0]], 0, style=images[:1]),
    ],
    ids=["set", "swap", "traverse", "variation", "style"],
)
def test_edits_are_refused_in_one_line_that_names_the_model(edit):
    model = small(MVAE, BINARY)
    with pytest.raises(
        NotDefinedError, match=r"^mvae holds all labels in the same latents and does not define [^\n]*$"
    ):
        edit(model, np.asarray(batch_of(BINARY)["image"]))
