"""Interventions on a model whose decoder and prior are known."""

import keras
import numpy as np
import pytest

from tf_ccvae import interventions
from tf_ccvae.labels import Label, Labels
from tf_ccvae.model import CCVAE

LABELS = Labels((Label("a"), Label("b", latents=2)))


@pytest.fixture
def model(monkeypatch):
    """A model that decodes latents into the first pixels of an image, so that pictures show the latents."""
    keras.utils.set_random_seed(0)
    model = CCVAE((28, 28, 1), LABELS, latents=5, widths=(4, 4, 4), hidden=8)
    layer = model.label_distributions
    layer.prior_loc.assign([[-2.0, 1.0, 0.0], [2.0, -1.0, 3.0]])
    layer.prior_raw_scale.assign(np.full((2, 3), np.log(np.expm1(0.5)), np.float32))  # scale 0.5

    def decode(latents):
        pixels = np.zeros((len(latents), 28, 28, 1), np.float32)
        pixels[:, 0, :5, 0] = latents
        return keras.ops.convert_to_tensor(pixels)

    monkeypatch.setattr(model, "decode", lambda latents: type("Images", (), {"mean": lambda self: decode(latents)})())
    return model


def latents_of(pictures):
    return pictures[..., 0, :5, 0]


def test_traverse_runs_from_one_conditional_prior_to_the_other_and_moves_nothing_else(model):
    images = np.random.default_rng(0).random((2, 28, 28, 1), np.float32)
    moved = latents_of(interventions.traverse(model, images, "a", steps=5, deviations=1.0))
    np.testing.assert_allclose(moved[:, :, 0], np.tile(np.linspace(-2.5, 2.5, 5), (2, 1)), rtol=1e-5)
    posterior = np.asarray(model.encode(images).loc)
    np.testing.assert_allclose(moved[:, :, 1:], np.repeat(posterior[:, None, 1:], 5, axis=1), rtol=1e-5)


def test_traverse_moves_all_latents_of_a_label_in_the_direction_of_their_means(model):
    moved = latents_of(interventions.traverse(model, np.zeros((1, 28, 28, 1)), "b", steps=3, deviations=2.0))[0]
    np.testing.assert_allclose(moved[:, 1:3], [[2.0, -1.0], [0.0, 1.5], [-2.0, 4.0]], rtol=1e-5, atol=1e-6)


def test_traverse_backwards_is_traverse_reversed(model):
    images = np.zeros((1, 28, 28, 1))
    there = interventions.traverse(model, images, "a", 0, 1)
    back = interventions.traverse(model, images, "a", 1, 0)
    np.testing.assert_allclose(there, back[:, ::-1], rtol=1e-6)


def test_generate_draws_characteristics_from_the_prior_of_the_given_values_and_style_from_the_standard_normal(model):
    values = np.tile([1, 0], (20_000, 1))
    drawn = latents_of(interventions.generate(model, values, seed=3))
    # The standard error of a mean is 0.007 for style, half of that for characteristics.
    np.testing.assert_allclose(drawn.mean(0), [2.0, 1.0, 0.0, 0.0, 0.0], atol=0.03)
    np.testing.assert_allclose(drawn.std(0), [0.5, 0.5, 0.5, 1.0, 1.0], atol=0.03)


def test_generate_repeats_itself_for_a_seed_alone(model):
    one, same, other = (interventions.generate(model, [[0, 1]], seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_labels_are_sampled_at_their_rates(model):
    model.set_label_prior(np.array([[0.25, 0.75], [0.9, 0.1]]))
    rates = interventions.sample_labels(model, 20_000, seed=0).mean(0)
    np.testing.assert_allclose(rates, [0.75, 0.1], atol=0.015)  # standard error 0.003


def test_an_unknown_label_is_refused_with_the_names_there_are(model):
    with pytest.raises(ValueError, match="no label 'c'; the model has a, b"):
        interventions.traverse(model, np.zeros((1, 28, 28, 1)), "c")
