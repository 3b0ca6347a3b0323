"""How fast is a training step? `python -m benchmarks.training_speed [--official PATH] [--against REVISION]`

Images per second and peak memory of the labelled and the unlabelled step at batch 64 and 200: compiled graph of the
objective alone, the same with the penalty on shared label information, XLA, ten steps per execution, bfloat16; and, for
scale, forward and backward through the convolutions alone. PATH is a checkout of github.com/thwjoy/ccvae_pytorch; then
the `sup` and `unsup` steps of that program (PyTorch must be installed) are timed too, in turns with ours: every variant
runs in a process of its own, all wait while one works, and the rounds go over all variants again and again. Nothing
else should run on the machine.

Every time is also divided by that of the last committed results, if they are from this machine. Machines drift, though:
`--against REVISION` times the graph step of that revision of this repository too, in turns with the present one, and
gives the ratio from one and the same run.
"""

import contextlib
import importlib
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import (
    keep,
    last_committed,
    machine,
    official_program,
    parser_of,
    ratio_cell,
    ratios,
    table,
    verdict,
    worktree,
)

LABELS, LATENTS, SIZE = 18, 45, 64
VARIANTS: dict[str, dict[str, Any]] = {
    "graph": {},
    "independence": {"independence_weight": 30.0},
    "xla": {"jit_compile": True},
    "10 steps per execution": {"steps_per_execution": 10},
    "bfloat16": {"dtype": "mixed_bfloat16"},
    "convolutions alone": {},
}
STEPS = ("labelled", "unlabelled")


def example_batch(batch: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.integers(0, 255, (batch, SIZE, SIZE, 3), np.uint8), random.integers(0, 2, (batch, LABELS))


def our_step(variant: str, labelled: bool, batch: int) -> Callable[[], int]:
    """One call of the returned function runs some steps of training and says how many."""
    from tf_ccvae.support.startup import prepare

    prepare()
    import tensorflow as tf

    from tf_ccvae.labels import Labels
    from tf_ccvae.models.ccvae import CCVAE
    from tf_ccvae.models.inference import pixels
    from tf_ccvae.training.optimizer import FusedAdam

    options: dict[str, Any] = dict(VARIANTS[variant])
    names = Labels.of_binary(f"label{i}" for i in range(LABELS))
    weight = options.pop("independence_weight", 0.0)
    dtype = options.pop("dtype", "float32")
    model = CCVAE((SIZE, SIZE, 3), names, latents=LATENTS, independence_weight=weight, dtype=dtype)
    model.compile(optimizer=FusedAdam(1e-3), **options)
    model.optimizer.build(model.trainable_variables)
    image, values = example_batch(batch)
    data = {
        "image": tf.constant(image),
        "labels": tf.constant(values, tf.int32),
        "observed": tf.fill([batch, LABELS], labelled),
        "index": tf.range(batch, dtype=tf.int64),
    }
    if variant == "convolutions alone":
        latents = tf.random.stateless_normal([batch, LATENTS], [0, 0])
        weights = model.encoder.trainable_weights + model.decoder.trainable_weights

        @tf.function
        def convolutions() -> Any:
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(model.encoder(pixels(data["image"]))) + tf.reduce_sum(model.decoder(latents))
            return tape.gradient(loss, weights)

        return lambda: (convolutions()[0].numpy(), 1)[1]
    iterator = iter(tf.data.Dataset.from_tensors(data).repeat())
    model.make_train_function()
    step = model.train_function
    return lambda: (float(step(iterator)["loss"]), int(options.get("steps_per_execution", 1)))[1]


def step_there(place: str, variant: str, labelled: bool, batch: int) -> Callable[[], int]:
    """`our_step` of the checkout in `place`, with all that it imports from there."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("benchmarks", "tf_ccvae")]:
        del sys.modules[name]
    sys.path.insert(0, place)
    module = importlib.import_module("benchmarks.training_speed")
    assert Path(module.__file__ or "").is_relative_to(place)
    step: Callable[[], int] = module.our_step(variant, labelled, batch)
    return step


def official_step(path: str, labelled: bool, batch: int) -> Callable[[], int]:
    """The official program's own model, optimizer and loss, on the same batch."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(multiprocessing.cpu_count())
    model = official_program(path)(LATENTS, LABELS, (3, SIZE, SIZE), False, lambda: torch.full((1, LABELS), 0.5))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    image, values = example_batch(batch)
    x = torch.tensor(image.transpose(0, 3, 1, 2) / 255.0, dtype=torch.float32)
    y = torch.tensor(values, dtype=torch.float32)

    def step() -> int:
        loss = model.sup(x, y) if labelled else model.unsup(x)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        return 1

    return step


def work(connection: Connection, make: Callable[..., Callable[[], int]], *arguments: Any) -> None:
    """Times as many seconds of steps as it is told, until it is told 0; then says its peak memory in MB."""
    step = make(*arguments)
    for _ in range(3):
        step()
    connection.send("ready")
    while seconds := connection.recv():
        times = []
        started = time.perf_counter()
        while time.perf_counter() - started < seconds:
            before = time.perf_counter()
            count = step()
            times.append((time.perf_counter() - before) / count)
        connection.send(times)
    connection.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measure(jobs: dict[tuple[str, bool], tuple[Any, ...]], rounds: int, seconds: float) -> dict[tuple[str, bool], Any]:
    """Median seconds per step and peak memory of each job, timed in turns."""
    context = multiprocessing.get_context("spawn")
    workers = {}
    for key, job in jobs.items():
        here, there = context.Pipe()
        process = context.Process(target=work, args=(there, *job), daemon=True)
        process.start()
        assert here.recv() == "ready"
        workers[key] = (process, here)
    times: dict[tuple[str, bool], list[float]] = {key: [] for key in jobs}
    for _ in range(rounds):
        for key, (_, connection) in workers.items():
            connection.send(seconds)
            times[key] += connection.recv()
    result = {}
    for key, (process, connection) in workers.items():
        connection.send(0)
        memory = connection.recv()
        process.join()
        result[key] = {
            "median": float(np.median(times[key])),
            "fastest": float(np.min(times[key])),
            "slowest": float(np.max(times[key])),
            "steps": len(times[key]),
            "memory_mb": memory,
        }
    return result


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--official", type=Path, help="checkout of github.com/thwjoy/ccvae_pytorch")
    parser.add_argument("--against", metavar="REVISION", help="also time the graph step of this revision, in turns")
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 200])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--steps", nargs="+", default=list(STEPS), choices=list(STEPS), help="with labels, without")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0, help="of steps per variant and round")
    arguments = parser.parse_args()
    measured: dict[int, dict[tuple[str, bool], Any]] = {}
    with worktree(arguments.against) if arguments.against else contextlib.nullcontext() as place:
        for batch in arguments.batches:
            jobs: dict[tuple[str, bool], tuple[Any, ...]] = {}
            for labelled in (name == "labelled" for name in STEPS if name in arguments.steps):
                for variant in ("graph", *(v for v in arguments.variants if v != "graph")):
                    if labelled or variant != "convolutions alone":
                        jobs[variant, labelled] = (our_step, variant, labelled, batch)
                if place:
                    jobs[f"graph at {arguments.against}", labelled] = (step_there, str(place), "graph", labelled, batch)
                if arguments.official:
                    path = str(arguments.official)
                    jobs["official PyTorch program", labelled] = (official_step, path, labelled, batch)
            measured[batch] = measure(jobs, arguments.rounds, arguments.seconds)
    write(measured, arguments.against, arguments.results)


def key_of(variant: str, labelled: bool, batch: int) -> str:
    return f"{variant}/{'labelled' if labelled else 'unlabelled'}/{batch}"


def write(measured: dict[int, dict[tuple[str, bool], Any]], against: str | None, folder: Path) -> None:
    """The numbers as JSON and as tables, with their ratios to those that were committed last.

    Args:
      measured: by batch size, what `measure` gave.
      against: the revision that was timed too, or None.
      folder: for the results. The rows of `against` are in the page but not in the JSON file.
    """
    from tf_ccvae.support.startup import prepare

    prepare()
    where = machine()
    every = {key_of(v, labelled, b): row for b, rows in measured.items() for (v, labelled), row in rows.items()}
    then = f"graph at {against}"
    results = {key: row for key, row in every.items() if not key.startswith(f"{then}/")}
    since = ratios(results, last_committed("training_speed.json", where))
    text = ["# Speed of a training step", "", "Made by `python -m benchmarks.training_speed`.", f"Machine: {where}", ""]
    text += [verdict(since, "the last committed results"), ""]
    if against:
        same = {key.replace(f"{then}/", "graph/"): row for key, row in every.items() if key.startswith(f"{then}/")}
        now = ratios(results, same)
        text += [f"Time over that of {against}, in turns: {', '.join(f'{k} {r:.2f}' for k, r in now.items())}.", ""]
        text += [verdict(now, against), ""]
    header = ["variant", "step", "ms (median)", "ms (range)", "images/s", "peak MB", "time / graph", "time / committed"]
    for batch, rows in measured.items():
        body = [
            [
                variant,
                "both" if variant == "convolutions alone" else "labelled" if labelled else "unlabelled",
                f"{1000 * row['median']:.0f}",
                f"{1000 * row['fastest']:.0f} to {1000 * row['slowest']:.0f}",
                f"{batch / row['median']:.0f}",
                f"{row['memory_mb']:.0f}",
                f"{row['median'] / rows['graph', labelled]['median']:.2f}",
                ratio_cell(since, key_of(variant, labelled, batch)),
            ]
            for (variant, labelled), row in rows.items()
        ]
        text += [f"## Batch {batch}", "", table(header, body)]
    keep(folder, "training_speed", {"machine": where, "results": results}, "\n".join(text))
    print("\n".join(text))


if __name__ == "__main__":
    main()
