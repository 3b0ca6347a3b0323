"""The model: what it returns, that it learns, that it is saved whole."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_ccvae.data.pipeline import evaluation_batches, training_batches
from tf_ccvae.labels import Label, Labels
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.training import run_directory

MIXED = Labels((Label("a"), Label("b", ("x", "y", "z")), Label("c", latents=2), Label("d", ("u", "v", "w"), latents=2)))

BINARY = Labels((Label("a"), Label("b", latents=2)))


def small_model(labels=MIXED, **changes) -> CCVAE:
    keras.utils.set_random_seed(0)
    settings = {"image_shape": (28, 28, 1), "latents": 9, "widths": (4, 4, 8), "hidden": 16, "seed": 3}
    return CCVAE(labels=labels, **{**settings, **changes})


def test_call_returns_posterior_label_probabilities_and_reconstruction():
    inference = small_model()(np.zeros((5, 28, 28, 1), np.uint8))
    assert inference.posterior.batch_shape == (5, 9)
    assert inference.reconstruction.mean().shape == (5, 28, 28, 1)
    probabilities = np.asarray(inference.label_probabilities)
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)
    assert probabilities[:, [0, 2], 2].max() == 0  # binary labels have no third value


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_config_round_trips_with_every_argument(dtype):
    arguments = {
        "image_shape": (32, 32, 3),
        "labels": MIXED,
        "latents": 11,
        "widths": (4, 8, 8),
        "hidden": 24,
        "likelihood": "gaussian",
        "likelihood_scale": "learned",
        "estimator": "pytorch",
        "label_weight": 7.0,
        "nodes": 48,
        "samples": 9,
        "proposals": 5,
        "seed": 12,
    }
    model = CCVAE(**arguments, dtype=dtype)
    copy = CCVAE.from_config(model.get_config())
    for name, value in arguments.items():
        assert getattr(copy, name) == value, name
    assert copy.dtype_policy.name == dtype
    assert copy.get_config() == model.get_config()


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_saved_model_needs_no_data_and_computes_the_same(tmp_path, dtype):
    model = small_model(dtype=dtype)
    model.label_statistics.set_label_prior(np.array([[0.3, 0.7, 0], [0.2, 0.3, 0.5], [0.9, 0.1, 0], [0.1, 0.1, 0.8]]))
    model.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
    run_directory.Run(tmp_path).save_model(model)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    images = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)
    for one, other in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    before, after = model(images), loaded(images)
    np.testing.assert_array_equal(before.label_probabilities, after.label_probabilities)
    np.testing.assert_array_equal(before.reconstruction.mean(), after.reconstruction.mean())
    np.testing.assert_allclose(np.exp(loaded.label_distributions.log_label_prior)[1], [0.2, 0.3, 0.5], rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"latents": 5}, "latents must be at least 6"), ({"estimator": "exakt"}, "estimator must be one of exact")],
)
def test_impossible_arguments_are_refused_by_name(changes, message):
    with pytest.raises(ValueError, match=message):
        small_model(**changes)


def test_noise_is_a_function_of_seed_step_and_purpose():
    model = small_model()
    first, again = (model.noise(4, "pytorch", 0, 7) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    for different in (model.noise(4, "pytorch", 0, 8), model.noise(4, "pytorch", 1, 7)):
        for one, other in zip(first, different, strict=True):
            assert not np.any(np.asarray(one) == np.asarray(other))
    assert small_model(seed=4).noise(4, "exact", 0, 7).normal[0, 0] != first.normal[0, 0]


@pytest.mark.parametrize("estimator", ["exact", "pytorch", "pyro"])
def test_one_compiled_graph_serves_every_mask(tiny, estimator):
    model = small_model(tiny.labels, estimator=estimator)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    step = tf.function(model.train_step)
    batch = next(iter(training_batches(tiny.train, 8, 1, 0)))
    full = batch["observed"]
    masks = [full, tf.zeros_like(full), tf.concat([full[:4], tf.zeros_like(full[4:])], axis=0), full & [True, False]]
    losses = [float(step({**batch, "observed": mask})["loss"]) for mask in masks]
    assert np.isfinite(losses).all()
    assert step.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(("labels", "estimator"), [(MIXED, "exact"), (BINARY, "exact"), (BINARY, "pytorch")])
def test_no_matrix_is_repeated_over_a_batch_in_a_product(labels, estimator):
    """In TensorFlow 2.21 such products give wrong numbers and overwrite memory, tensorflow#117700."""
    model = small_model(labels, estimator=estimator)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    batch = {
        "image": tf.TensorSpec((None, 28, 28, 1), tf.uint8),
        "labels": tf.TensorSpec((None, len(labels)), tf.int32),
        "observed": tf.TensorSpec((None, len(labels)), tf.bool),
    }
    operations = tf.function(model.train_step).get_concrete_function(batch).graph.get_operations()
    ranks = [{x.shape.rank for x in op.inputs} for op in operations if "MatMul" in op.type]
    assert len(ranks) > 10 and all(found == {2} for found in ranks)


def test_labels_that_are_missing_have_no_influence(tiny):
    model = small_model(tiny.labels)
    batch = next(iter(evaluation_batches(tiny.test, 16)))
    observed = batch["observed"] & [True, False]
    noise = model.noise(16, "exact", 0, 0)
    bounds = [
        model.terms(
            {**batch, "labels": labels, "observed": observed}, model.encode(batch["image"]), noise, "exact"
        ).bound
        for labels in (batch["labels"], tf.where(observed, batch["labels"], -1), tf.where(observed, batch["labels"], 1))
    ]
    np.testing.assert_array_equal(bounds[0], bounds[1])
    np.testing.assert_array_equal(bounds[0], bounds[2])


def test_evaluation_does_not_depend_on_the_estimator_and_repeats_itself(tiny):
    results = []
    for estimator in ("exact", "pytorch", "exact"):
        model = small_model(tiny.labels, estimator=estimator, label_weight=10.0)
        model.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
        results.append(model.evaluate(evaluation_batches(tiny.test, 24), verbose=0, return_dict=True))
    assert results[0] == results[1] == results[2]


def test_terms_of_the_evaluation_sum_to_the_bound(tiny):
    model = small_model(tiny.labels, label_weight=5.0)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
    logs = model.evaluate(evaluation_batches(tiny.test, 24), verbose=0, return_dict=True)
    parts = logs["reconstruction"] - logs["style_divergence"] + logs["characteristic"]
    parts += logs["log_label_marginal"] + logs["label_prior"]
    assert logs["bound"] == pytest.approx(parts, rel=1e-5)
    assert logs["loss"] == pytest.approx(-logs["bound"] - 5.0 * logs["log_label_marginal"], rel=1e-5)


@pytest.mark.parametrize("labels", [Labels(()), MIXED])
def test_training_works_without_labels_and_with_every_kind_of_them(labels):
    model = small_model(labels)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), run_eagerly=not len(labels), jit_compile=False)
    random = np.random.default_rng(0)
    values = np.stack([random.integers(0, x.values, 16) for x in labels] or [np.zeros(16)], axis=1)[:, : len(labels)]
    batch = {
        "image": random.integers(0, 255, (16, 28, 28, 1), np.uint8),
        "labels": values.astype(np.int32),
        "observed": random.random((16, len(labels))) < 0.5,
        "index": np.arange(16),
    }
    data = tf.data.Dataset.from_tensors(batch).repeat(2)
    history = model.fit(data, validation_data=data.take(1), verbose=0, shuffle=False).history
    assert np.isfinite([history[k][-1] for k in ("loss", "val_bound")]).all()
    assert np.isfinite(history["val_accuracy"][-1]) == (len(labels) > 0)  # nothing is known of no labels


@pytest.mark.parametrize("likelihood", ["laplace", "gaussian", "bernoulli", "continuous_bernoulli"])
def test_every_likelihood_trains(tiny, likelihood):
    scale = "learned" if likelihood in ("laplace", "gaussian") else 1.0
    model = small_model(tiny.labels, likelihood=likelihood, likelihood_scale=scale)
    model.compile(optimizer=keras.optimizers.Adam(3e-3), run_eagerly=True)
    batches = evaluation_batches(tiny.test, 64)
    before = model.evaluate(batches, verbose=0, return_dict=True)
    model.fit(training_batches(tiny.train, 32, 12, 0), verbose=0, shuffle=False)
    after = model.evaluate(batches, verbose=0, return_dict=True)
    assert after["bound"] > before["bound"]
    assert after["mean_absolute_error"] < before["mean_absolute_error"]
