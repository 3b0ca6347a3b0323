"""Interventions on a model whose decoder and prior are known."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_ccvae import interventions
from tf_ccvae.interventions import values_by_name
from tf_ccvae.labels import MISSING, Label, Labels
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.objective.exclusions import exclusion_table

LABELS = Labels((Label("a"), Label("b", latents=2), Label("c", ("x", "y", "z"))))
IMAGES = np.random.default_rng(0).random((2, 28, 28, 1), np.float32)


@pytest.fixture(scope="module")
def new():
    """A model, and its weights as they are at first."""
    keras.utils.set_random_seed(0)
    model = CCVAE((28, 28, 1), LABELS, latents=6, widths=(4, 4, 4), hidden=8)
    return model, model.get_weights()


@pytest.fixture
def model(new, monkeypatch):
    """A model that decodes latents into the first pixels of an image, so that pictures show the latents."""
    model, weights = new
    model.set_weights(weights)
    layer = model.label_distributions
    layer.set_prior([[-2.0, 1.0, 0.0, -4.0], [2.0, -1.0, 3.0, 0.0], [0.0, 0.0, 0.0, 4.0]], np.full((3, 4), 0.5))
    layer.free_kernel.assign([[4.0, 0], [-2.0, 0], [2.0, 0], [3.0, 6.0]])
    layer.free_bias.assign([[0, 0], [-3.0, 0], [6.0, 0]])

    def decode(latents):
        pixels = np.zeros((len(latents), 28, 28, 1), np.float32)
        pixels[:, 0, :6, 0] = latents
        return tf.constant(pixels)

    monkeypatch.setattr(model, "decode", lambda latents: type("Images", (), {"mean": lambda self: decode(latents)})())
    return model


def latents_of(pictures):
    return pictures[..., 0, :6, 0]


def posterior_of(model):
    return np.asarray(model.encode(IMAGES).loc)


def test_encode_and_decode_are_the_posterior_mean_and_the_image(model):
    np.testing.assert_allclose(interventions.encode(model, IMAGES), posterior_of(model), rtol=1e-5)
    np.testing.assert_allclose(latents_of(interventions.reconstruct(model, IMAGES)), posterior_of(model), rtol=1e-5)
    assert interventions.encode(model, IMAGES[:0]).shape == (0, 6)


def test_decode_keeps_leading_axes(model):
    latents = np.arange(24, dtype=np.float32).reshape(2, 2, 6)
    np.testing.assert_array_equal(latents_of(interventions.decode(model, latents)), latents)


def test_traverse_runs_from_one_conditional_prior_to_the_other_and_moves_nothing_else(model):
    moved = latents_of(interventions.traverse(model, IMAGES, "a", steps=5, deviations=1.0))
    np.testing.assert_allclose(moved[:, :, 0], np.tile(np.linspace(-2.5, 2.5, 5), (2, 1)), rtol=1e-5)
    np.testing.assert_allclose(
        moved[:, :, 1:], np.repeat(posterior_of(model)[:, None, 1:], 5, axis=1), rtol=1e-5, atol=1e-6
    )


def test_traverse_moves_all_latents_of_a_label_in_the_direction_of_their_means(model):
    moved = latents_of(interventions.traverse(model, IMAGES[:1], "b", steps=3, deviations=2.0))[0]
    np.testing.assert_allclose(moved[:, 1:3], [[2.0, -1.0], [0.0, 1.5], [-2.0, 4.0]], rtol=1e-5, atol=1e-6)


def test_traverse_in_one_direction_leaves_the_labels_other_latents_alone(model):
    moved = latents_of(interventions.traverse(model, IMAGES, "b", steps=3, deviations=0.0, direction=1))
    np.testing.assert_allclose(moved[:, :, 2], np.tile([0.0, 1.5, 3.0], (2, 1)), atol=1e-5)
    np.testing.assert_allclose(moved[:, :, 1], np.repeat(posterior_of(model)[:, 1:2], 3, axis=1), rtol=1e-5)
    with pytest.raises(ValueError, match="direction must be 0 to 1 for label 'b', got 2"):
        interventions.traverse(model, IMAGES, "b", direction=2)


def test_traverse_goes_between_two_classes(model):
    moved = latents_of(interventions.traverse(model, IMAGES, "c", "z", "y", steps=3, deviations=1.0))
    np.testing.assert_allclose(moved[:, :, 3], np.tile([4.5, 2.0, -0.5], (2, 1)), rtol=1e-5)


def test_traverse_backwards_is_traverse_reversed(model):
    there = interventions.traverse(model, IMAGES, "a", 0, 1)
    back = interventions.traverse(model, IMAGES, "a", 1, 0)
    np.testing.assert_allclose(there, back[:, ::-1], rtol=1e-5, atol=1e-6)


def test_traverse_takes_along_what_the_end_excludes(model):
    excluding = exclusion_table([((0, 1), (2, 1))], model.labels)  # a on excludes class y of c
    model.label_distributions.incompatible.assign(excluding)
    model.label_statistics.set_label_prior(np.array([[0.5, 0.5, 0], [0.5, 0.5, 0], [0.1, 0.3, 0.6]]))
    latents = posterior_of(model)
    assert (np.asarray(model.values_of(latents))[:, 2] == 1).all()  # the images are of class y
    moved = latents_of(interventions.traverse(model, IMAGES, "a", steps=3))
    np.testing.assert_allclose(moved[:, 0, 3], latents[:, 3], rtol=1e-4)
    np.testing.assert_allclose(moved[:, -1, 3], 4.0 + latents[:, 3], rtol=1e-4)  # transported to z
    alone = latents_of(interventions.traverse(model, IMAGES, "a", steps=3, consistent=False))
    np.testing.assert_allclose(alone[:, :, 3], np.repeat(latents[:, 3:4], 3, axis=1), rtol=1e-4)


def test_grid_moves_the_first_label_down_and_the_second_across(model):
    grid = latents_of(interventions.traverse_grid(model, IMAGES, ("a", "c"), (0, "x"), (1, "z"), 3, 0.0))
    np.testing.assert_allclose(grid[1, :, :, 0], [[-2] * 3, [0] * 3, [2] * 3], atol=1e-5)
    np.testing.assert_allclose(grid[1, :, :, 3], [[-4, 0, 4]] * 3, atol=1e-5)
    np.testing.assert_allclose(grid[1, 2, 1, [1, 2, 4, 5]], posterior_of(model)[1, [1, 2, 4, 5]], rtol=1e-5)
    with pytest.raises(ValueError, match="two different labels"):
        interventions.traverse_grid(model, IMAGES, ("a", "a"))


def test_set_labels_by_name_and_class(model):
    edited = latents_of(interventions.set_labels(model, IMAGES, {"a": "on", "c": "z"}, mode="mean"))
    np.testing.assert_allclose(edited[:, [0, 3]], [[2.0, 4.0]] * 2, rtol=1e-6)
    np.testing.assert_allclose(edited[:, [1, 2, 4, 5]], posterior_of(model)[:, [1, 2, 4, 5]], rtol=1e-5)


def test_sampled_settings_repeat_themselves_for_a_seed_alone(model):
    one, same, other = (interventions.set_labels(model, IMAGES, {"a": 1}, "sample", seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_generate_draws_characteristics_from_the_prior_of_the_given_values_and_style_from_the_standard_normal(model):
    made = interventions.generate(model, np.tile([1, 0, 2], (20_000, 1)), seed=3)
    drawn = latents_of(made.images)
    np.testing.assert_array_equal(drawn, made.latents)
    # The standard error of a mean is 0.007 for style, half of that for characteristics.
    np.testing.assert_allclose(drawn.mean(0), [2.0, 1.0, 0.0, 4.0, 0.0, 0.0], atol=0.03)
    np.testing.assert_allclose(drawn.std(0), [0.5, 0.5, 0.5, 0.5, 1.0, 1.0], atol=0.03)


def test_generate_repeats_itself_and_a_row_does_not_depend_on_how_many_there_are(model):
    values = [[0, 1, 2], [1, 1, MISSING]]
    one, same, other = (interventions.generate(model, values, seed).images for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    np.testing.assert_array_equal(interventions.generate(model, values[:1], 1).images, one[:1])


def test_generate_keeps_the_style_of_an_image(model):
    made = interventions.generate(model, np.tile([1, 0, 2], (5, 1)), seed=0, style=IMAGES[:1])
    np.testing.assert_allclose(made.latents[:, 4:], np.tile(posterior_of(model)[:1, 4:], (5, 1)), rtol=1e-5)
    assert np.ptp(made.latents[:, 0]) > 0


def test_unspecified_labels_are_drawn_at_their_rates_or_left_missing(model):
    model.label_statistics.set_label_prior(np.array([[0.25, 0.75, 0], [0.9, 0.1, 0], [0.5, 0.3, 0.2]]))
    values = values_by_name.choose_values(model, {"b": 1}, 20_000, seed=0)
    assert (values[:, 1] == 1).all()
    assert values[:, 0].mean() == pytest.approx(0.75, abs=0.015)  # standard error 0.003
    np.testing.assert_allclose(np.bincount(values[:, 2]) / 20_000, [0.5, 0.3, 0.2], atol=0.015)
    missing = values_by_name.choose_values(model, {"b": 1}, 2, seed=0, unspecified="missing")
    np.testing.assert_array_equal(missing, [[MISSING, 1, MISSING]] * 2)


def test_values_that_exclude_each_other_are_not_drawn_together(model):
    excluding = exclusion_table([((0, 1), (1, 1)), ((2, 2), (0, 1))], model.labels)
    model.label_distributions.incompatible.assign(excluding)
    values = values_by_name.sample_labels(model, 5_000, seed=0)
    assert not ((values[:, 0] == 1) & (values[:, 1] == 1)).any()
    assert not ((values[:, 0] == 1) & (values[:, 2] == 2)).any()
    assert (values[:, 0] == 1).any()
    given = values_by_name.choose_values(model, {"a": 1}, 500, seed=0)
    assert (given[:, 1] == 0).all() and (given[:, 2] != 2).all()


def test_swap_pairs_and_matrix_agree(model):
    donors = IMAGES[::-1]
    matrix = interventions.swap_matrix(model, IMAGES, donors, ["b"])
    pairs = interventions.swap(model, IMAGES, donors, ["b"])
    np.testing.assert_allclose(matrix[[0, 1], [0, 1]], pairs, rtol=1e-5, atol=1e-6)
    latents = posterior_of(model)
    np.testing.assert_allclose(latents_of(pairs)[:, 1:3], latents[::-1, 1:3], rtol=1e-5)
    np.testing.assert_allclose(latents_of(pairs)[:, [0, 3, 4, 5]], latents[:, [0, 3, 4, 5]], rtol=1e-5)


def test_variation_is_the_spread_of_the_prior_where_the_label_shows_and_nothing_elsewhere(model):
    result = interventions.variation(model, IMAGES, "a", 1, draws=4_000, seed=0)
    assert result.images.shape == (2, 4000, 28, 28, 1)
    np.testing.assert_allclose(result.mean[:, 0, 0, 0], 2.0, atol=0.04)  # standard error 0.008
    np.testing.assert_allclose(result.deviation[:, 0, 0], 0.5, rtol=0.05)
    rest = result.deviation.copy()
    rest[:, 0, 0] = 0
    assert rest.max() < 1e-5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: interventions.traverse(m, IMAGES, "e"), "no label 'e'; the model has a, b, c"),
        (lambda m: interventions.traverse(m, IMAGES, "a", steps=1), "steps must be at least 2, got 1"),
        (lambda m: interventions.set_labels(m, IMAGES, {"a": 2}), "label 'a': 2 is not one of off, on, or 0 to 1"),
        (lambda m: interventions.set_labels(m, IMAGES, {"c": "w"}), "label 'c': 'w' is not one of x, y, z"),
        (lambda m: interventions.set_labels(m, IMAGES, {"a": 1}, "mix"), "mode must be one of transport, mean, sample"),
        (lambda m: interventions.swap(m, IMAGES, IMAGES, []), "name at least one label"),
        (lambda m: interventions.swap(m, IMAGES, IMAGES[:1], ["a"]), "as many donors as recipients"),
        (lambda m: interventions.variation(m, IMAGES, "a", draws=1), "draws must be at least 2, got 1"),
        (lambda m: values_by_name.choose_values(m, {}, 1, 0, "none"), "unspecified must be one of prior, missing"),
        (lambda m: interventions.generate(m, [[0, 0]], 0), r"values must be \(n, 3\)"),
        (lambda m: interventions.generate(m, [[0, 2, 0]], 0), "one of a label's values"),
        (lambda m: interventions.generate(m, [[0, 1, 0]] * 3, 0, IMAGES), "style must be 1 or 3 images, got 2"),
        (lambda m: interventions.encode(m, IMAGES[:, :20]), r"images must be \(n, 28, 28, 1\)"),
        (lambda m: interventions.encode(m, 2 * IMAGES), "float images must be in"),
        (lambda m: interventions.decode(m, np.zeros((2, 5))), "latents must have 6 columns"),
    ],
)
def test_bad_arguments_are_refused_by_name(model, call, message):
    with pytest.raises(ValueError, match=message):
        call(model)


def test_an_unknown_label_lists_the_nearest():
    model = CCVAE((28, 28, 1), Labels.of_binary(["Smiling", "Eyeglasses"]), latents=3, widths=(4, 4, 4), hidden=8)
    with pytest.raises(ValueError, match="no label 'smilling'; nearest: Smiling"):
        values_by_name.label_index(model, "smilling")


def test_labels_and_classes_that_hold_equals_signs_are_told_apart():
    labels = Labels((Label("a"), Label("a=b"), Label("kind", ("x=1", "y"))))
    model = CCVAE((28, 28, 1), labels, latents=3, widths=(4, 4, 4), hidden=8)
    for text, parts in (
        ("a=on", ("a", "on")),
        ("a=b=1", ("a=b", "1")),
        ("kind=x=1", ("kind", "x=1")),
        ("kind=z=1", ("kind", "z=1")),
        ("none=1", ("none", "1")),
        ("a", None),
        ("=1", None),
    ):
        assert values_by_name.setting_of(model, text) == parts


def test_classes_that_are_named_by_numbers_are_what_a_traversal_reaches(model, monkeypatch):
    numbers = Labels((LABELS.items[0], LABELS.items[1], Label("c", ("1", "2", "3"))))
    monkeypatch.setattr(model, "labels", numbers)
    assert [values_by_name.label_value(model, "c", v) for v in (0, 1, 2, "1", "2", "3")] == [0, 1, 2, 0, 1, 2]
    moved = latents_of(interventions.traverse(model, IMAGES, "c", 0, 2, steps=3, deviations=0.0))
    np.testing.assert_allclose(moved[:, :, 3], np.tile([-4.0, 0.0, 4.0], (2, 1)), atol=1e-5)
    named = interventions.traverse(model, IMAGES, "c", "1", "3", steps=3, deviations=0.0)
    np.testing.assert_array_equal(latents_of(named), moved)
