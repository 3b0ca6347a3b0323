"""How much of a device does a training step use? `python -m benchmarks.device_speed`, meant for a GPU.

Images per second, share of peak and peak memory of the step of the paper's network at 64 pixels, in every
precision, with XLA and without, at several batch sizes. Every setting has a process of its own, one after the
other, and the host does not wait for a step within a block of steps. On a GPU the memory is the most that
TensorFlow had allocated there at once, on a processor the resident memory of the process.

Peak is what products of large square matrices reach on the same device, in the same precision and process: a rate that
can be reached, unlike the vendor's. The work of a step is that of its convolutions and dense layers, see `step_flops`.
Nothing else should run on the machine.
"""

import itertools
import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from benchmarks.common import keep, last_committed, machine, parser_of, ratio_cell, ratios, table, verdict
from benchmarks.training_speed import LABELS, LATENTS, SIZE, example_batch
from tf_ccvae.support.startup import prepare

POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")


def step_flops(model: Any) -> int:
    """Floating-point operations of a training step per image, a multiplication and an addition being two.

    Counted are the products of convolutions and dense layers of encoder, posterior and decoder: those of the forward
    pass, as many for the gradient of the weights, and as many for that of the inputs, but for the first layer, whose
    input is the image. Padding counts as if it were computed.
    """
    side = model.image_shape[0]
    first, *others = _encoder_products(model, side)
    dense = (model.posterior_head.loc, model.posterior_head.raw_scale, model.decoder.to_features)
    products = [*others, *_decoder_products(model), *(int(np.prod(layer.kernel.shape)) for layer in dense)]
    return 2 * (2 * first + 3 * sum(products))


def _encoder_products(model: Any, side: int) -> list[int]:
    found = []
    for layer in model.encoder.convolutions:
        side = -(-side // 2)
        found.append(side * side * int(np.prod(layer.kernel.shape)))
    return [*found, int(np.prod(model.encoder.to_features.kernel.shape))]


def _decoder_products(model: Any) -> list[int]:
    found = [int(np.prod(model.decoder.to_image.kernel.shape))]
    side = model.decoder.to_image.kernel.shape[0]
    for layer in model.decoder.convolutions:
        found.append(side * side * int(np.prod(layer.kernel.shape)))
        side *= 2
    return found


def blocks(run: Callable[[int], None], seconds: float) -> list[float]:
    """Seconds of one call, from blocks of calls that last about a tenth of the time each.

    Args:
      run: does so many calls and returns when they have been computed.
      seconds: of all blocks together.
    """
    run(3)
    started = time.perf_counter()
    run(2)
    each = max(1, round(0.1 * seconds / max((time.perf_counter() - started) / 2, 1e-6)))
    found: list[float] = []
    started = time.perf_counter()
    while not found or time.perf_counter() - started < seconds:
        before = time.perf_counter()
        run(each)
        found.append((time.perf_counter() - before) / each)
    return found


def product_rate(dtype: str, size: int, seconds: float) -> float:
    """Floating-point operations per second of products of square matrices of this size."""
    import tensorflow as tf

    matrix = tf.cast(tf.random.stateless_normal([size, size], [0, 0]) / size**0.5, dtype)

    @tf.function
    def product(x: Any) -> Any:
        return tf.matmul(matrix, x)

    def run(count: int) -> None:
        x = matrix
        for _ in range(count):
            x = product(x)
        float(x[0, 0])

    return 2 * size**3 / float(np.median(blocks(run, seconds)))


def measured(policy: str, jit: bool, batch: int, size: int, seconds: float) -> dict[str, float]:
    """One setting, in the present process; `size` is that of the matrices."""
    prepare()
    import tensorflow as tf

    from tf_ccvae.labels import Labels
    from tf_ccvae.models.ccvae import CCVAE
    from tf_ccvae.training.optimizer import FusedAdam

    names = Labels.of_binary(f"label{i}" for i in range(LABELS))
    model = CCVAE((SIZE, SIZE, 3), names, latents=LATENTS, dtype=policy)
    model.compile(optimizer=FusedAdam(1e-3), jit_compile=jit)
    model.optimizer.build(model.trainable_variables)
    image, values = example_batch(batch)
    data = {
        "image": tf.constant(image),
        "labels": tf.constant(values, tf.int32),
        "observed": tf.fill([batch, LABELS], True),
        "index": tf.range(batch, dtype=tf.int64),
    }
    iterator = iter(tf.data.Dataset.from_tensors(data).repeat())
    model.make_train_function()

    def run(count: int) -> None:
        for _ in range(count):
            logs = model.train_function(iterator)
        float(logs["loss"])

    times = blocks(run, seconds)
    if tf.config.list_physical_devices("GPU"):
        memory = tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20
    else:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    peak = product_rate(model.compute_dtype, size, seconds)
    median = float(np.median(times))
    return {
        "median": median,
        "fastest": min(times),
        "slowest": max(times),
        "memory_mb": memory,
        "flops": step_flops(model) * batch / median,
        "peak_flops": peak,
    }


def in_a_process(*arguments: Any) -> dict[str, float]:
    """`measured` in a process of its own, so that memory is that of one setting."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measured, *arguments).result()


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--policies", nargs="+", choices=POLICIES, help="default: all on a GPU, else float32")
    parser.add_argument("--xla", nargs="+", default=["no", "yes"], choices=["no", "yes"])
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--matrix", type=int, default=4096, help="size of the matrices whose products are the peak")
    parser.add_argument("--seconds", type=float, default=5.0, help="of steps, and of products, per setting")
    arguments = parser.parse_args()
    prepare()
    where = machine()
    policies = arguments.policies or (POLICIES if where["gpus"] else POLICIES[:1])
    results: dict[str, dict[str, float]] = {}
    for policy, xla, batch in itertools.product(policies, arguments.xla, arguments.batches):
        key = f"{policy}/{'xla' if xla == 'yes' else 'graph'}/{batch}"
        results[key] = in_a_process(policy, xla == "yes", batch, arguments.matrix, arguments.seconds)
        print(key, results[key], flush=True)
    since = ratios(results, last_committed("device_speed.json", where))
    body = [
        [
            *key.split("/"),
            f"{1000 * row['median']:.1f}",
            f"{int(key.rpartition('/')[2]) / row['median']:,.0f}",
            f"{row['flops'] / 1e12:.3f}",
            f"{row['flops'] / row['peak_flops']:.2f}",
            f"{row['memory_mb']:,.0f}",
            ratio_cell(since, key),
        ]
        for key, row in results.items()
    ]
    header = ["precision", "step", "batch", "ms a step", "images/s", "TFLOP/s", "share of peak", "peak MB"]
    text = [
        *("# How much of the device a training step uses", ""),
        *("Made by `python -m benchmarks.device_speed`; see its docstring.", ""),
        *(f"Machine: {where}", "", verdict(since, "the last committed results"), ""),
        table([*header, "time / committed"], body),
    ]
    keep(arguments.results, "device_speed", {"machine": where, "results": results}, "\n".join(text))
    print("\n".join(text))


if __name__ == "__main__":
    main()
