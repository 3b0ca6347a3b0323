"""DIVA: its bound by hand and by brute force; it trains on any mask and makes the interventions of CCVAE."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tests.models.test_baselines import BINARY, MIXED, batch_of, small
from tf_ccvae.labels import MISSING
from tf_ccvae.models.baselines import DIVA
from tf_ccvae.objective import Noise


def prior_of(model):
    """loc and scale of p(z_i | v), (values, characteristic) each."""
    prior = model.label_distributions.prior
    return np.asarray(prior.loc), np.asarray(prior.scale)


@pytest.mark.parametrize("labels", [BINARY, MIXED.with_latents(2)], ids=["binary", "mixed"])
def test_the_bound_with_every_label_known_is_that_of_two_normals_per_latent(labels):
    model, batch = small(DIVA, labels), batch_of(labels, observed=2.0)
    noise = model.noise(6, "exact", 0, 0)
    posterior = model.encode(batch["image"])
    terms = model.terms(batch, posterior, noise, "exact")
    values = np.asarray(batch["labels"])
    loc, scale = prior_of(model)
    divergence, log_prior = np.zeros(6), 0.0
    for i, (label, where) in enumerate(zip(labels, labels.slices, strict=True)):
        for j in range(where.start, where.stop):
            own = tfd.Normal(posterior.loc[:, j], posterior.scale[:, j])
            divergence += tfd.kl_divergence(own, tfd.Normal(loc[values[:, i], j], scale[values[:, i], j])).numpy()
        log_prior -= np.log(label.values)
    style = tfd.Normal(posterior.loc[:, labels.characteristic :], posterior.scale[:, labels.characteristic :])
    divergence += tf.reduce_sum(tfd.kl_divergence(style, tfd.Normal(0.0, 1.0)), axis=1).numpy()
    z = posterior.loc + posterior.scale * noise.normal
    image = np.asarray(batch["image"], np.float32) / 255
    likelihood = tfd.Independent(tfd.Laplace(tf.sigmoid(model.decoder(z)), 1.0), 3).log_prob(image)
    np.testing.assert_allclose(terms.bound, likelihood - divergence + log_prior, rtol=1e-5)
    known = tf.gather(model.log_label_marginals(posterior), values, axis=2, batch_dims=2)
    for i, label in enumerate(labels):  # that of a label of several classes is taken from other draws
        np.testing.assert_allclose(terms.label_marginal[:, i], known[:, i], atol=1e-5 if label.binary else 0.2)


def test_missing_labels_are_summed_out_with_their_classifiers_shares():
    labels = MIXED.with_latents(2)
    model, batch = small(DIVA, labels), batch_of(labels, observed=-1.0)
    model.label_statistics.set_label_prior(np.array([[0.3, 0.7, 0], [0.2, 0.3, 0.5]]))
    noise = model.noise(6, "exact", 0, 0)
    posterior = model.encode(batch["image"])
    terms = model.terms(batch, posterior, noise, "exact")
    z = np.asarray(posterior.loc + posterior.scale * noise.normal, np.float64)
    loc, scale = prior_of(model)
    shares = np.asarray(model.values_table(z.astype(np.float32)))
    log_prior = np.log([[0.3, 0.7, 1], [0.2, 0.3, 0.5]])
    for i, (label, where) in enumerate(zip(labels, labels.slices, strict=True)):
        own = tfd.Normal(posterior.loc[:, where], posterior.scale[:, where])
        expected, of_prior = np.zeros(6), np.zeros(6)
        for v in range(label.values):
            there = tfd.Normal(loc[v, where], scale[v, where])
            log_ratio = tf.reduce_sum(there.log_prob(z[:, where]) - own.log_prob(z[:, where]), axis=1).numpy()
            expected += shares[:, i, v] * (log_ratio - np.log(shares[:, i, v]))
            of_prior += shares[:, i, v] * log_prior[i, v]
        np.testing.assert_allclose(terms.characteristic[:, i], expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(terms.label_prior[:, i], of_prior, rtol=1e-4)
    np.testing.assert_array_equal(terms.label_marginal, np.zeros((6, 2)))


@pytest.mark.programs  # many draws
def test_what_missing_labels_add_to_the_bound_is_at_most_the_logarithm_of_one():
    """The mean of log sum_v p(v) p(z_i|v) / q(z_i|x) over draws from q is at most 0, and the bound is below it."""
    model, count = small(DIVA, BINARY), 20_000
    batch = {key: tf.repeat(value[:1], count, axis=0) for key, value in batch_of(BINARY, observed=-1.0).items()}
    draws = np.random.default_rng(0).normal(size=(count, 6)).astype(np.float32)
    posterior = model.encode(batch["image"])
    noise = Noise(tf.constant(draws), tf.zeros([count, 3]), tf.zeros([0, count, 3]))
    terms = model.terms(batch, posterior, noise, "exact")
    per_label = np.asarray(terms.characteristic + terms.label_prior, np.float64)
    assert (per_label.mean(0) < 0).all()


@pytest.mark.programs  # trains
def test_it_learns_from_any_mask_round_trips_and_makes_the_interventions(tmp_path):
    model = small(DIVA, MIXED.with_latents(2))
    model.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
    data = tf.data.Dataset.from_tensors(batch_of(MIXED)).repeat(2)
    history = model.fit(data, validation_data=data.take(1), verbose=0, shuffle=False).history
    assert np.isfinite([history[k][-1] for k in ("loss", "val_bound", "val_accuracy")]).all()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    images = batch_of(MIXED)["image"]
    np.testing.assert_array_equal(model(images).label_probabilities, loaded(images).label_probabilities)
    latents = model.latents_of(images)
    asked = np.tile([True, False], (6, 1))
    after = model.set_values(latents, np.where(asked, 1, MISSING), asked)
    np.testing.assert_array_equal(np.asarray(after)[:, 2:], np.asarray(latents)[:, 2:])
    assert model.swap(latents, np.asarray(latents)[::-1].copy(), asked).shape == latents.shape
