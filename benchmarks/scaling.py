"""How does the cost of training grow? `python -m benchmarks.scaling`

Seconds of a training step at several image sizes, numbers of labels and batch sizes, with the model that
`python -m tf_ccvae.fit` trains, on random images whose labels are all known; and what follows for an epoch over the
162,770 training images of CelebA. Then the same step cut into two replicas that share this machine's processor: what
that costs more than one device is the price of synchronising. Every setting runs in a process of its own, one after the
other. Nothing else should run on the machine.
"""

import argparse
import itertools
from collections.abc import Callable

import numpy as np

from benchmarks.common import keep, last_committed, machine, parser_of, ratios, table, verdict
from benchmarks.training_speed import measure

CELEBA = 162_770


def step_of(size: int, labels: int, batch: int, replicas: int) -> Callable[[], int]:
    """One call of the returned function is one step of training."""
    from tf_ccvae.support.startup import prepare

    prepare(devices=False)
    import tensorflow as tf

    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * replicas)
    from tf_ccvae.labels import Labels
    from tf_ccvae.models.ccvae import CCVAE
    from tf_ccvae.training import strategies
    from tf_ccvae.training.optimizer import FusedAdam

    devices = strategies.make("none" if replicas == 1 else "mirrored")
    random = np.random.default_rng(0)
    data = {
        "image": random.integers(0, 255, (batch, size, size, 3), np.uint8),
        "labels": random.integers(0, 2, (batch, labels)).astype(np.int32),
        "observed": np.ones((batch, labels), bool),
        "index": np.arange(batch),
    }
    with devices.scope():
        model = CCVAE((size, size, 3), Labels.of_binary(f"label{i}" for i in range(labels)))
        model.compile(optimizer=FusedAdam(1e-3), jit_compile=False)
        model.optimizer.build(model.trainable_variables)
    parts = {name: np.stack(np.split(array, replicas)) for name, array in data.items()}
    iterator = iter(devices.batches(lambda here: tf.data.Dataset.from_tensor_slices(parts).repeat().prefetch(2)))
    model.make_train_function()
    step = model.train_function
    return lambda: (float(step(iterator)["loss"]), 1)[1]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[28, 64, 128])
    parser.add_argument("--labels", type=int, nargs="+", default=[1, 18, 40])
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 200])
    parser.add_argument(
        "--replicated", action=argparse.BooleanOptionalAction, default=True, help="two replicas as well"
    )
    parser.add_argument("--seconds", type=float, default=6.0, help="of steps per setting")
    arguments = parser.parse_args()
    growth = itertools.product(arguments.sizes, arguments.labels, arguments.batches, [1])
    replicated = itertools.product(arguments.sizes[-2:][:1], arguments.labels[-2:][:1], arguments.batches, [2])
    settings = [*growth, *(replicated if arguments.replicated else ())]
    results, body = {}, []
    for size, labels, batch, replicas in settings:
        job = (step_of, size, labels, batch, replicas)
        row = measure({("step", True): job}, rounds=1, seconds=arguments.seconds)["step", True]
        results[f"{size}/{labels}/{batch}/{replicas}"] = row
        milliseconds = 1000 * row["median"]
        body.append(
            [
                *map(str, (size, labels, batch, replicas)),
                f"{milliseconds:.0f}",
                f"{1000 * row['fastest']:.0f} to {1000 * row['slowest']:.0f}",
                f"{batch / row['median']:.0f}",
                f"{row['memory_mb']:.0f}",
                f"{CELEBA / batch * row['median'] / 60:.1f}",
            ]
        )
        print(" | ".join(body[-1]), flush=True)
    header = [
        *("image size", "labels", "batch", "replicas", "ms a step (median)", "range", "images/s", "peak MB"),
        "minutes an epoch of CelebA",
    ]
    from tf_ccvae.support.startup import prepare

    prepare()
    where = machine()
    since = verdict(ratios(results, last_committed("scaling.json", where)), "the last committed results")
    text = (
        f"# Growth of the cost of training\n\nMade by `python -m benchmarks.scaling`. Machine: {where}\n\n{since}\n\n"
    )
    keep(arguments.results, "scaling", {"machine": where, "results": results}, text + table(header, body))


if __name__ == "__main__":
    main()
