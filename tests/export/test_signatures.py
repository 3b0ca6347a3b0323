"""The table's functions do what the model and the interventions do, row by row."""

import numpy as np
import pytest
import tensorflow as tf

from export import onnx as onnx_format
from export.signatures import of_format, table
from export.uses import Uses, as_float32
from tf_ccvae import interventions
from tf_ccvae.labels import MISSING, Label, Labels
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.objective.exclusions import exclusion_table

ON_AND_OFF = np.array([[1, 0]] * 64, np.int32)
FIRST = np.array([[True, False]] * 64)


@pytest.fixture(scope="module")
def mixed_labels():
    """An untrained model with a binary label, a categorical one and one of several latents, p(y) skewed."""
    labels = Labels((Label("a"), Label("b", ("x", "y", "z")), Label("c", ("p", "q", "r"), latents=2)))
    made = CCVAE((28, 28, 1), labels, latents=7, widths=(4, 4, 4), hidden=8)
    made.label_statistics.set_label_prior(np.array([[0.9, 0.1, 0], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8]]))
    return made


def test_every_input_is_a_batch_and_every_output_float32(model):
    for signature in table(as_float32(model)):
        assert all(x.shape.rank >= 1 and x.shape[0] is None for x in signature.inputs)
        concrete = signature.traced().get_concrete_function()
        outputs = concrete.structured_outputs
        assert set(outputs) == set(signature.outputs)
        assert all(x.dtype == tf.float32 and x.shape[0] is None for x in outputs.values())
        assert signature.documentation


def test_classify_gives_the_models_exact_probabilities(uses, model, pixels):
    outputs = uses.classify(tf.constant(pixels))
    np.testing.assert_allclose(outputs["probabilities"], model(pixels).label_probabilities, atol=1e-6)
    np.testing.assert_allclose(tf.nn.softmax(outputs["logits"]), outputs["probabilities"], atol=1e-6)


def test_encode_gives_the_posterior(uses, model, pixels):
    outputs, posterior = uses.encode(tf.constant(pixels)), model.encode(pixels)
    np.testing.assert_allclose(outputs["loc"], posterior.loc, atol=1e-6)
    np.testing.assert_allclose(outputs["scale"], posterior.scale, atol=1e-6)


def test_reconstruct_set_labels_and_swap_are_those_of_interventions(uses, model, pixels):
    image = tf.constant(pixels)
    rebuilt = interventions.reconstruct(model, pixels)
    np.testing.assert_allclose(uses.reconstruct(image)["reconstruction"], rebuilt, atol=1e-6)
    edited = uses.set_labels(image, tf.constant(ON_AND_OFF), tf.constant(FIRST))["edited"]
    np.testing.assert_allclose(edited, interventions.set_labels(model, pixels, {"Top": 1}), atol=1e-6)
    swapped = uses.swap(image[:1], image[1:2], tf.constant(FIRST[:1]))["swapped"]
    np.testing.assert_allclose(
        swapped, interventions.swap_matrix(model, pixels[:1], pixels[1:2], ["Top"])[0], atol=1e-6
    )


def test_values_that_exclude_each_other_change_together(model, pixels):
    changed = as_float32(model)
    excluding = exclusion_table([((0, 1), (1, 0))], changed.labels)  # Top excludes not Bright
    changed.label_statistics.incompatible.assign(excluding)
    uses, latents = Uses(changed), changed.latents_of(pixels)
    dark = np.asarray(changed.values_of(latents))[:, 1] == 0
    edited = uses.set_labels_of_latents(latents, ON_AND_OFF, tf.constant(FIRST))["edited_latents"]
    np.testing.assert_array_equal(np.any(edited[:, 2:4] != latents[:, 2:4], axis=1), dark)
    top = np.flatnonzero(np.asarray(changed.values_of(latents))[:, 0])[:1]
    donors = tf.repeat(tf.gather(latents, top), 64, axis=0)
    swapped = uses.swap_latents(latents, donors, tf.constant(FIRST))["swapped_latents"]
    np.testing.assert_array_equal(swapped[:, :2], donors[:, :2])
    np.testing.assert_array_equal(np.any(swapped[:, 2:4] != latents[:, 2:4], axis=1), dark)


def test_a_row_is_a_function_of_its_own_seed(uses):
    labels, mask = ON_AND_OFF[:3], np.zeros((3, 2), bool)
    seeds = np.array([[1, 2], [3, 4], [1, 2]], np.int32)
    together = uses.generate(labels, tf.constant(mask), seeds)
    np.testing.assert_array_equal(together["latents"][0], together["latents"][2])
    assert np.abs(together["latents"][0] - together["latents"][1]).max() > 0.1
    for row in range(3):
        alone = uses.generate(labels[row : row + 1], tf.constant(mask[:1]), seeds[row : row + 1])
        np.testing.assert_array_equal(alone["latents"][0], together["latents"][row])
        np.testing.assert_allclose(alone["image"][0], together["image"][row], atol=1e-6)


def test_generated_latents_follow_the_conditional_prior_and_p_of_y(mixed_labels):
    count = 20000
    values = np.full((count, 3), 1, np.int32)
    noise = np.random.default_rng(0).normal(size=(count, 10)).astype(np.float32)
    mask = np.array([[False, True, True]] * count)
    prior = mixed_labels.label_distributions.prior
    latents = np.asarray(Uses(mixed_labels).prior(values, tf.constant(mask), noise)["latents"])
    np.testing.assert_allclose(latents[:, 1:4].mean(0), prior.loc[1, 1:4], atol=0.05)
    np.testing.assert_allclose(latents[:, 4:].std(0), 1, atol=0.03)
    np.testing.assert_allclose(latents[:, 0].mean(), 0.9 * prior.loc[0, 0] + 0.1 * prior.loc[1, 0], atol=0.05)


def test_a_value_that_a_label_does_not_have_counts_as_not_asked_for(mixed_labels):
    uses = Uses(mixed_labels)
    latents = np.random.default_rng(0).normal(size=(4, 7)).astype(np.float32)
    mask = tf.constant(np.array([[True, False, False]] * 4))
    for value in (MISSING, 2, 99):
        values = np.full((4, 3), value, np.int32)
        np.testing.assert_array_equal(uses.set_labels_of_latents(latents, values, mask)["edited_latents"], latents)


def test_categorical_labels_have_a_column_per_class_and_rows_do_not_depend_on_the_batch(mixed_labels, pixels):
    uses = Uses(mixed_labels)
    outputs = uses.classify(tf.constant(pixels[:5]))
    probabilities = np.asarray(outputs["probabilities"])
    assert probabilities.shape == (5, 3, 3)
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)
    assert (probabilities[:, 0, 2] == 0).all() and np.isfinite(outputs["logits"]).all()
    np.testing.assert_allclose(uses.classify(tf.constant(pixels[3:4]))["probabilities"][0], probabilities[3], atol=1e-6)


def test_layout_nchw_only_moves_the_axes_of_images(model, pixels):
    ours, theirs = (Uses(as_float32(model), layout) for layout in ("nhwc", "nchw"))
    image, moved = tf.constant(pixels[:2]), tf.constant(pixels[:2].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(ours.encoder(image)["loc"], theirs.encoder(moved)["loc"])
    np.testing.assert_array_equal(
        np.transpose(ours.reconstruct(image)["reconstruction"], (0, 3, 1, 2)),
        theirs.reconstruct(moved)["reconstruction"],
    )
    shapes = {x.name: x.inputs[0].shape.as_list() for x in table(as_float32(model), "nchw")}
    assert shapes["encoder"] == [None, 1, 28, 28]


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli", "continuous_bernoulli"])
def test_decoders_of_every_likelihood_convert_and_give_the_mean(likelihood):
    from onnxruntime import InferenceSession

    made = CCVAE((28, 28, 1), Labels.of_binary(["a"]), latents=3, widths=(4, 4, 4), hidden=8, likelihood=likelihood)
    decoder = next(x for x in of_format(table(made), "onnx") if x.name == "decoder")
    description = {
        "labels": [],
        "style": [1, 3],
        "image": {"range": [0, 1], "layout": "nhwc"},
        "run": {"sha256": ""},
        "version": 1,
    }
    converted = onnx_format.convert(decoder, description).SerializeToString()
    latents = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    (image,) = InferenceSession(converted).run(["image"], {"latents": latents})
    np.testing.assert_allclose(image, made.decode(latents).mean(), atol=1e-5)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_a_model_of_mixed_precision_is_exported_in_float32(model, pixels, precision):
    by_hand = as_float32(model)
    mixed = CCVAE.from_config({**model.get_config(), "dtype": precision})
    mixed.set_weights(model.get_weights())
    rebuilt = as_float32(mixed)
    for ours, theirs in zip(rebuilt.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    exact, same = (Uses(x).encoder(tf.constant(pixels)) for x in (by_hand, rebuilt))
    np.testing.assert_array_equal(exact["loc"], same["loc"])
    assert np.abs(mixed.latents_of(pixels) - exact["loc"]).max() > 1e-5
