"""Stateless draws of training: the same for the same seed, purpose, step and replica, whatever was drawn before."""

from collections.abc import Sequence
from enum import IntEnum

import tensorflow as tf

EDGE = 1e-6  # uniform variates stay this far from 0 and 1, where float32 loses the cumulative distribution


class Purpose(IntEnum):
    """What is drawn; each has draws of its own."""

    TRAINING = 0
    TESTING = 1
    EDITS = 2
    CHOICES = 3
    CHANGES = 4
    HIDING = 5


def seed_of(seed: int, purpose: int, key: int | tf.Tensor) -> tf.Tensor:
    """Seed of the draws of one batch on this replica: int32 (2,).

    Args:
      seed: of the model.
      purpose: one of `Purpose`.
      key: integer (), which batch: the step, or the number of its first example.
    """
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    folded = tf.constant([seed, int(purpose)], tf.int32)
    for part in (key, replica):
        folded = fold(folded, tf.cast(part, tf.int32))
    return folded


def fold(seed: tf.Tensor, number: int | tf.Tensor) -> tf.Tensor:
    """Another seed for each number."""
    return tf.random.experimental.stateless_fold_in(seed, number, alg="philox")


def normal(shape: Sequence[int | tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
    """Standard normal variates, float32."""
    return tf.random.stateless_normal(shape, seed, alg="philox")


def uniform(shape: Sequence[int | tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
    """Uniform variates in [1e-6, 1 - 1e-6], float32."""
    return tf.random.stateless_uniform(shape, seed, EDGE, 1 - EDGE, alg="philox")
