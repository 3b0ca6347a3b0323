"""Muon moves the kernels of the decoder by orthogonal matrices, and all else as Adam does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_ccvae.training.muon import Muon, is_matrix, orthogonal
from tf_ccvae.training.optimizer import FusedAdam


def polynomial(values):
    """What five Newton-Schulz steps make of singular values."""
    values = values / np.sqrt(np.sum(values**2))
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return values


@pytest.mark.parametrize("shape", [(60, 40), (40, 90), (300, 40)])
def test_orthogonal_keeps_singular_vectors_and_makes_singular_values_alike(shape):
    matrix = np.random.default_rng(0).normal(size=shape) * np.geomspace(0.1, 3, shape[1])
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    result = orthogonal(tf.constant(matrix, tf.float32)).numpy()
    np.testing.assert_allclose(result, (left * polynomial(values)) @ right, atol=1e-4)
    singular = np.linalg.svd(result, compute_uv=False)
    assert singular.min() > 0.4 and singular.max() < 1.3
    assert values.max() / values.min() > 4 * singular.max() / singular.min()


@pytest.mark.parametrize("transposed", [False, True])
def test_a_large_matrix_is_made_orthogonal_in_strips_of_its_smaller_side(transposed):
    matrix = np.random.default_rng(0).normal(size=(400, 192)).astype(np.float32)
    strips = np.concatenate([orthogonal(tf.constant(matrix[:, i : i + 64])).numpy() for i in (0, 64, 128)], axis=1)
    whole = orthogonal(tf.constant(matrix.T if transposed else matrix)).numpy()
    np.testing.assert_allclose(whole.T if transposed else whole, strips, atol=1e-5)


def test_a_large_matrix_that_strips_do_not_divide_stays_whole():
    result = orthogonal(tf.constant(np.random.default_rng(0).normal(size=(150, 150)), tf.float32)).numpy()
    assert np.median(np.linalg.svd(result, compute_uv=False)) > 0.6


def test_orthogonal_of_zero_is_zero():
    np.testing.assert_array_equal(orthogonal(tf.zeros((40, 50))), 0)


def weights(shape=(40, 32)):
    """A kernel and a bias of a decoder, and a kernel of an encoder."""
    decoder = keras.layers.Dense(shape[1], name="decoder")
    encoder = keras.layers.Dense(shape[1], name="encoder")
    for layer in (decoder, encoder):
        layer.build((None, shape[0]))
    return decoder.kernel, decoder.bias, encoder.kernel


def test_only_kernels_of_the_decoder_that_are_large_enough_are_matrices():
    kernel, bias, encoder = weights()
    assert is_matrix(kernel)
    assert not any(map(is_matrix, (bias, encoder, weights((31, 40))[0], weights((40, 31))[0])))
    convolution = keras.layers.Conv2D(32, 3, name="decoder")
    convolution.build((None, 8, 8, 4))
    assert is_matrix(convolution.kernel)  # 36 rows


def test_a_kernel_moves_by_the_orthogonal_matrix_of_its_momentum_and_the_rest_as_with_adam():
    random = np.random.default_rng(1)
    gradients = [[random.normal(size=v.shape).astype(np.float32) for v in weights()] for _ in range(3)]
    moved = {}
    for kind in (Muon, FusedAdam):
        variables = weights()
        for variable in variables:
            variable.assign(np.zeros(variable.shape))
        optimizer = kind(0.01)
        optimizer.build(variables)
        for step in gradients:
            optimizer.apply_gradients([(tf.constant(g), v) for g, v in zip(step, variables, strict=True)])
        moved[kind] = [np.asarray(v) for v in variables]
    momentum, expected = np.zeros((40, 32)), np.zeros((40, 32))
    for kernel, _, _ in gradients:
        momentum = 0.95 * momentum + 0.05 * kernel
        left, values, right = np.linalg.svd(0.95 * momentum + 0.05 * kernel, full_matrices=False)
        expected -= 0.01 * 0.4 * np.sqrt(40) * (left * polynomial(values)) @ right
    np.testing.assert_allclose(moved[Muon][0], expected, atol=1e-6)
    for muon, adam in zip(moved[Muon][1:], moved[FusedAdam][1:], strict=True):
        np.testing.assert_array_equal(muon, adam)


def test_clipping_sees_all_gradients():
    kernel, bias, _ = weights()
    before = np.asarray(kernel)
    optimizer = Muon(0.01, global_clipnorm=1.0)
    optimizer.build([kernel, bias])
    optimizer.apply_gradients([(tf.zeros((40, 32)), kernel), (tf.fill((32,), 1e6), bias)])
    np.testing.assert_array_equal(np.asarray(kernel), before)
    velocity = next(v for v in optimizer.variables if "velocity" in v.path and v.shape == (32,))
    assert np.asarray(velocity).sum() == pytest.approx(1e-3, rel=1e-3)  # a norm of 1, squared, times 1 - beta_2
