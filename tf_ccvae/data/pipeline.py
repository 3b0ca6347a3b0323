"""Batches from a data set: which labels are seen, in what order examples come, as a `tf.data.Dataset`.

A batch is a dict: `image` uint8 (batch, height, width, channels), `labels` int32 (batch, labels), or float32 where one
is a number, `observed` bool (batch, labels) and `index` int64 (batch,), the example's row in its split. The order
depends on (seed, position) alone, so that training can start again at any step and see what an uninterrupted run sees.
`augmentation` changes images of training batches, and of no others.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from tf_ccvae.data.augmentation import Augmentation, random_numbers
from tf_ccvae.data.dataset import DataError, Split
from tf_ccvae.labels import MISSING

# For functions that hold no Python loop or branch on tensors: looking for one takes longer than all else in a pipeline.
as_it_is = tf.autograph.experimental.do_not_convert


@dataclass(frozen=True)
class Share:
    """Which parts of every batch are read here, if it is cut into one part for each of several replicas.

    Parts follow each other in the batch and differ by at most one example in size.

    replicas: number of parts.
    first, count: those from `first` on, as many as `count`.
    """

    replicas: int = 1
    first: int = 0
    count: int = 1

    def size(self, batch_size: int | None) -> int | None:
        """Examples per part, if that is the same for all."""
        return batch_size // self.replicas if batch_size and batch_size % self.replicas == 0 else None

    def cut(self, rows: tf.data.Dataset) -> tf.data.Dataset:
        """From rows of whole batches to rows of the parts read here, one part after the other."""
        if self == WHOLE:
            return rows

        def parts(batch: tf.Tensor) -> tf.data.Dataset:
            part = tf.range(self.first, self.first + self.count, dtype=tf.int64)
            size = tf.shape(batch, out_type=tf.int64)[0]
            bounds = tf.stack([part * size // self.replicas, (part + 1) * size // self.replicas], axis=1)
            return tf.data.Dataset.from_tensor_slices(bounds).map(as_it_is(lambda bound: batch[bound[0] : bound[1]]))

        return rows.flat_map(as_it_is(parts))


WHOLE = Share()


def hide_labels(split: Split, labelled_fraction: float, missing_rate: float, seed: int) -> Split:
    """The split with labels taken away: all labels of some examples, and single labels at random.

    Args:
      split: the training split.
      labelled_fraction: share of examples, in [0, 1], that keep their labels; the rest loses all. At least one example
        keeps them unless it is 0.
      missing_rate: chance, in [0, 1), that a single label of an example that keeps its labels is hidden.
      seed: which ones.
    """
    random = np.random.default_rng([seed, 1])
    kept = math.ceil(labelled_fraction * len(split)) if labelled_fraction > 0 else 0
    keeps = np.zeros(len(split), bool)
    keeps[random.permutation(len(split))[:kept]] = True
    hidden = random.random(split.labels.shape) < missing_rate
    nothing = np.nan if np.issubdtype(split.labels.dtype, np.floating) else MISSING
    labels = np.where(keeps[:, None] & ~hidden, split.labels, nothing).astype(split.labels.dtype)
    return replace(split, labels=labels)


def automatic_share(labelled: int, examples: int) -> float:
    """Share of a batch drawn from the labelled examples when the configuration says 'auto': max(fraction, 1/2).

    0 where there are none. `benchmarks/results/estimators.md` compares it with drawing in proportion.
    """
    return max(labelled / examples, 0.5) if labelled else 0.0


def _stream(start: tf.Tensor, count: tf.Tensor, pool: tf.Tensor, seed: tuple[int, int]) -> tf.Tensor:
    """Rows start .. start + count of the endless stream that passes over `pool` in a new random order each time."""
    size = tf.shape(pool, out_type=tf.int64)[0]
    position = start + tf.range(tf.maximum(count, 1))  # the shuffle refuses an empty vector
    constant = tf.ones_like(position)
    keys = tf.cast(tf.stack([seed[0] * constant, seed[1] * constant, position // size], axis=1), tf.uint32)
    # The raw op, for tf.random.experimental.index_shuffle in TensorFlow 2.21 pads a matrix of keys at the wrong end.
    row = tf.raw_ops.RandomIndexShuffle(index=position % size, seed=keys, max_index=size - 1, rounds=4)
    return tf.gather(pool, row)[:count]


def training_batches(
    split: Split,
    batch_size: int,
    steps: int,
    seed: int,
    labelled_share: float | str = "auto",
    start_step: int = 0,
    here: Share = WHOLE,
    augmentation: Augmentation | None = None,
) -> tf.data.Dataset:
    """Batches of steps start_step .. steps - 1.

    Args:
      split: examples with and without labels.
      batch_size: examples per batch.
      steps: number of steps of the whole training.
      seed: of the order, and of what `augmentation` does.
      labelled_share: share of every batch that is drawn from the examples with at least one label, in (0, 1), or
        'auto'. It has no effect if all examples have labels or none has.
      start_step: first step, for resuming.
      here: which parts of every batch, for several replicas.
      augmentation: random changes of the images; None for the images as they are.

    Raises:
      DataError: the split is empty.
    """
    if not len(split):
        raise DataError("the training split is empty")
    has_label = split.observed.any(1)
    labelled, others = np.flatnonzero(has_label), np.flatnonzero(~has_label)
    share = automatic_share(len(labelled), len(split)) if labelled_share == "auto" else float(labelled_share)
    if not len(others):
        share = 1.0
    if not len(labelled):
        share = 0.0
    pools = [tf.constant(p if len(p) else [0], tf.int64) for p in (labelled, others)]

    def rows(step: tf.Tensor) -> tf.Tensor:
        done = tf.cast(tf.floor(tf.cast(step, tf.float64) * batch_size * share + 1e-6), tf.int64)
        then = tf.cast(tf.floor(tf.cast(step + 1, tf.float64) * batch_size * share + 1e-6), tf.int64)
        count = then - done
        return tf.concat(
            [
                _stream(done, count, pools[0], (seed, 0)),
                _stream(step * batch_size - done, batch_size - count, pools[1], (seed, 1)),
            ],
            axis=0,
        )

    every = tf.data.Dataset.range(start_step, steps)
    batches = _read(split, every.map(as_it_is(rows)), here.size(batch_size), here)
    if augmentation:
        numbers = here.cut(every.map(as_it_is(lambda step: random_numbers(seed, step, batch_size))))
        batches = tf.data.Dataset.zip(batches, numbers).map(as_it_is(augmentation.changed))
    return batches.prefetch(2 * here.count)


def evaluation_batches(split: Split, batch_size: int, here: Share = WHOLE) -> tf.data.Dataset:
    """Every example of the split once, in order; the last batch may be smaller.

    Args:
      split: examples.
      batch_size: examples per batch.
      here: which parts of every batch, for several replicas. Then there are as many batches of nearly the same size, so
        that every part of the last has examples too, if only there are as many examples as replicas.
    """
    if here == WHOLE:
        rows = tf.data.Dataset.range(len(split)).batch(batch_size)
    else:
        batches = math.ceil(len(split) / batch_size)
        steps = tf.data.Dataset.range(batches)
        rows = steps.map(
            as_it_is(lambda step: tf.range(step * len(split) // batches, (step + 1) * len(split) // batches))
        )
    return _read(split, rows, None, here).prefetch(2 * here.count)


def _read(split: Split, rows: tf.data.Dataset, batch_size: int | None, here: Share) -> tf.data.Dataset:
    floats = np.issubdtype(split.labels.dtype, np.floating)
    images, labels = split.images, split.labels.astype(np.float32 if floats else np.int32)

    def read(index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return images[index], labels[index]

    def batch(index: tf.Tensor) -> dict[str, tf.Tensor]:
        image, values = tf.numpy_function(read, [index], (tf.uint8, labels.dtype), stateful=False)
        image.set_shape([batch_size, *images.shape[1:]])
        values.set_shape([batch_size, labels.shape[1]])
        index.set_shape([batch_size])
        observed = ~tf.math.is_nan(values) if floats else values != MISSING
        return {"image": image, "labels": values, "observed": observed, "index": index}

    return here.cut(rows).map(as_it_is(batch))
