"""Two replicas on the two halves of a CPU against one device: prints measurements as JSON for test_mirrored.py.

TensorFlow's devices can be set only once in a process, so that everything that needs two of them is done here.
"""

import itertools
import json
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

warnings.simplefilter("error", UserWarning)
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

from tests.made_up import TINY_LABELS, tiny_split  # noqa: E402  after the devices are set
from tf_ccvae import fit, objective  # noqa: E402
from tf_ccvae.data.dataset import Split  # noqa: E402
from tf_ccvae.data.pipeline import evaluation_batches  # noqa: E402
from tf_ccvae.labels import MISSING  # noqa: E402
from tf_ccvae.models.ccvae import CCVAE  # noqa: E402
from tf_ccvae.models.replicas import SummedGradients  # noqa: E402
from tf_ccvae.training import measures, run_directory, strategies  # noqa: E402
from tf_ccvae.training.muon import Muon, is_matrix  # noqa: E402

BATCH = 8


class SGD(SummedGradients, keras.optimizers.SGD):
    pass


class Noiseless(CCVAE):
    """A model whose sampling noise is the same for every example."""

    def noise(self, batch, estimator, purpose, key):
        none = tf.zeros([0, batch, self.labels.characteristic])
        return objective.Noise(tf.fill([batch, self.latents], 0.3), tf.fill([batch, len(self.labels)], 0.7), none)


def some(examples):
    """Examples of which a third has no labels."""
    split = tiny_split(examples, 0)
    labels = split.labels.copy()
    labels[::3] = MISSING
    return Split(split.images, labels)


def batches(split, here):
    """Batches of `BATCH` examples, the last of which is smaller."""
    rows = here.cut(tf.data.Dataset.range(len(split)).batch(BATCH))
    images, labels = tf.constant(split.images), tf.constant(split.labels, tf.int32)

    def batch(index):
        values = tf.gather(labels, index)
        return {"image": tf.gather(images, index), "labels": values, "observed": values != MISSING, "index": index}

    return rows.map(batch)


def model_of(optimizer, kind=Noiseless, dtype="float32", hidden=8, **keywords):
    keras.utils.set_random_seed(0)
    model = kind((28, 28, 1), TINY_LABELS, 4, widths=(4, 4, 4), hidden=hidden, dtype=dtype, **keywords)
    model.compile(optimizer=optimizer, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return model


def weights(model):
    return np.concatenate([np.ravel(weight) for weight in model.get_weights()]).astype(np.float64)


def copies(model):
    """The weights of each replica."""
    return [
        np.concatenate([np.ravel(weight.value.values[replica]) for weight in model.trainable_weights])
        for replica in range(2)
    ]


def fitted(devices, split, optimizer, epochs=2, **keywords):
    """A model after some epochs over the split, its loss of the last epoch and how far the weights have moved."""
    with devices.scope():
        model = model_of(optimizer(), **keywords)
    before = weights(model)
    data = devices.batches(lambda here: batches(split, here).repeat())
    steps = -(-len(split) // BATCH)
    history = model.fit(data, epochs=epochs, steps_per_epoch=steps, shuffle=False, verbose=0).history
    return model, history["loss"][-1], float(np.abs(weights(model) - before).max())


def compared(split, optimizer, **keywords):
    one, loss, moved = fitted(strategies.ONE, split, optimizer, **keywords)
    two, loss_of_two, _ = fitted(TWO, split, optimizer, **keywords)
    first, second = copies(two)
    return {
        "matrices": sum(map(is_matrix, two.trainable_weights)),
        "moved": moved,
        "difference": float(np.abs(weights(one) - weights(two)).max()),
        "difference_of_replicas": float(np.abs(first - second).max()),
        "losses": [loss, loss_of_two],
    }


def evaluated(devices, split):
    with devices.scope():
        model = model_of(SGD(0.0))
    data = devices.batches(lambda here: evaluation_batches(split, BATCH, here))
    logs = model.evaluate(data, steps=-(-len(split) // BATCH), verbose=0, return_dict=True)
    return {
        **logs,
        "examples": float(model.term_means.totals[-1]),
        "labels": float(tf.reduce_sum(model.label_counts.counts)),
    }


def noises():
    with TWO.scope():
        model = model_of(SGD(0.0), kind=CCVAE)
    drawn = TWO.strategy.run(tf.function(lambda: model.noise(3, "exact", 0, 5).normal))
    return [value.numpy().tolist() for value in TWO.strategy.experimental_local_results(drawn)]


def infinities():
    """Five steps in float16: in the second an example of the first replica has an infinite pixel, in the fourth one of
    the other."""
    images = np.repeat(tiny_split(BATCH, 0).images[None] / np.float32(255), 5, axis=0)
    images[1, 0, 3, 3] = images[3, BATCH - 1, 3, 3] = np.inf

    def parts(here):
        steps = tf.data.Dataset.from_tensor_slices(images)
        size = BATCH // here.replicas
        return steps.flat_map(
            lambda step: tf.data.Dataset.range(here.replicas).map(
                lambda part: {
                    "image": step[part * size : (part + 1) * size],
                    "labels": tf.zeros([size, 2], tf.int32),
                    "observed": tf.ones([size, 2], tf.bool),
                    "index": tf.range(size, dtype=tf.int64),
                }
            )
        )

    with TWO.scope():
        model = model_of(SGD(1e-6), dtype="mixed_float16")
        model.optimizer.dynamic_scale.assign(1.0)  # at first it is so large that finite losses overflow too
    seen = []

    class After(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            first, second = copies(model)
            scale, iterations = model.optimizer.dynamic_scale, model.optimizer.inner_optimizer.iterations
            seen.append((first, second, float(scale.numpy()), int(iterations.numpy())))

    before = copies(model)[0]
    model.fit(TWO.batches(parts), steps_per_epoch=5, verbose=0, shuffle=False, callbacks=[After()])
    states = [before, *(first for first, *_ in seen)]
    return {
        "moved": [float(np.abs(b - a).max()) for a, b in itertools.pairwise(states)],
        "difference_of_replicas": [float(np.abs(first - second).max()) for first, second, *_ in seen],
        "scales": [scale for _, _, scale, _ in seen],
        "iterations": [iterations for *_, iterations in seen],
    }


def refused():
    messages = []
    for optimizer, keywords in ((SGD(0.1), {"jit_compile": True}), (SGD(0.1), {"steps_per_execution": 2})):
        with TWO.scope():
            model = model_of(SGD(0.1))
            model.compile(optimizer=optimizer, **{"jit_compile": False, **keywords})
        messages.append(message_of(model))
    with TWO.scope():
        model = model_of(keras.optimizers.SGD(0.1))
    messages.append(message_of(model))
    return messages


def message_of(model):
    try:
        model.fit(
            TWO.batches(lambda here: evaluation_batches(some(8), 8, here)), steps_per_epoch=1, verbose=0, shuffle=False
        )
    except (TypeError, ValueError) as error:
        return str(error)
    return ""


def program(folder, arguments):
    """The program with two replicas, then one more epoch with one."""
    path = folder / "run"
    # A second strategy in the same process would use the keys of the first one's collectives again.
    strategies.make = {"mirrored": TWO, "none": strategies.ONE}.get
    codes = [fit.main([*arguments, "--strategy", "mirrored", "--run-dir", str(path)])]
    run = run_directory.Run(path)
    made = sorted(file.relative_to(path).parts[0] for file in path.rglob("*") if file.is_file())
    codes.append(fit.main(["--resume", str(path), "--strategy", "none", "--training.epochs", "3"]))
    measured = measures.measure(run_directory.load(path)[1], tiny_split(64, 1))["bound"]
    state = run.state()
    return {
        "codes": codes,
        "files": sorted(set(made)),
        "history": [row["validation_bound"] for row in state.history],
        "best": measured,
    }


TWO = strategies.make("mirrored")


def main(folder, arguments):
    plain, clipped = (lambda: SGD(3e-6)), (lambda: SGD(1e-2, global_clipnorm=0.5))
    results = {
        "replicas": TWO.replicas,
        "plain": compared(some(21), plain),  # batches of 8, 8 and 5
        "clipped": compared(some(19), clipped, label_weight=10.0),  # the last batch is three examples
        "muon": compared(some(21), lambda: Muon(1e-3), hidden=32),  # a kernel with 32 rows in the decoder
        "evaluated": [evaluated(devices, some(17)) for devices in (strategies.ONE, TWO)],
        "noises": noises(),
        "infinities": infinities(),
        "program": program(Path(folder), arguments),
        "refused": refused(),  # last: a step that fails leaves the replicas out of step
    }
    print("\n" + json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
