"""Does the input pipeline keep up, and in how much memory? `python -m benchmarks.input_speed`

Images per second of `tf_ccvae.data.pipeline` alone, in the random order of training, on a memory map with as many
images as CelebA (202,599 of 64x64 in colour, 2.5 GB, made up in `--folder` and removed afterwards), and the resident
memory of the process that reads: what it holds itself, and pages of files, the memory map among them, which the kernel
takes back when it needs them. `cold` starts with none of the file in the kernel's cache, `warm` with what the pass
before has left there. The rate to be compared with is that of training steps, taken in the same process. Nothing else
should run on the machine; the load that others make is noted.
"""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.common import keep, last_committed, machine, parser_of, ratios, table, verdict
from tf_ccvae.data.dataset import Split
from tf_ccvae.data.pipeline import training_batches
from tf_ccvae.labels import MISSING, Labels
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.training.optimizer import FusedAdam

LABELS, LATENTS, SIZE = 18, 45, 64
BLOCK = 1000  # images written at once


def write(path: Path, examples: int) -> None:
    """Random pixels, (examples, 64, 64, 3), in a file of the format of numpy."""
    block = np.random.default_rng(0).integers(0, 256, (BLOCK, SIZE, SIZE, 3), np.uint8)
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (examples, SIZE, SIZE, 3))
    for start in range(0, examples, BLOCK):
        images[start : start + BLOCK] = block[: examples - start]
    images.flush()


def mapped(path: Path) -> Split:
    """The images as a memory map, with binary labels on a fifth of them."""
    images = np.load(path, mmap_mode="r")
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, (len(images), LABELS)).astype(np.int8)
    labels[random.random(len(images)) < 0.8] = MISSING
    return Split(images, labels)


def forget(path: Path) -> None:
    """Takes the file out of the kernel's cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def memory() -> dict[str, float]:
    """Resident memory of this process in MB: `own_mb` and `mapped_mb`."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1000 for line in lines if line.startswith("Rss")}
    return {"own_mb": sizes["RssAnon"], "mapped_mb": sizes["RssFile"]}


def per_second(step: Callable[[], int], seconds: float) -> tuple[float, float]:
    """Images per second of a function that returns how many it has done, and the highest `own` memory while at it."""
    step()
    done, highest, started = 0, 0.0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        done += step()
        highest = max(highest, memory()["own_mb"])
    return done / (time.perf_counter() - started), highest


def reading(split: Split, batch: int) -> Callable[[], int]:
    """Takes ten batches from the pipeline, and does nothing with them."""
    batches: Iterator[Any] = iter(training_batches(split, batch, steps=10**9, seed=0))

    def step() -> int:
        for _ in range(10):
            next(batches)
        return 10 * batch

    return step


def training(split: Split, batch: int) -> Callable[[], int]:
    """Steps of training on one batch that is in memory."""
    keras.utils.set_random_seed(0)
    model = CCVAE((SIZE, SIZE, 3), Labels.of_binary(f"label{i}" for i in range(LABELS)), latents=LATENTS)
    model.compile(optimizer=FusedAdam(1e-3), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    model.make_train_function()
    data = next(iter(training_batches(split, batch, 1, 0)))

    def always() -> Iterator[Any]:
        while True:
            yield data

    batches = always()

    def step() -> int:
        model.train_function(batches)
        return batch

    return step


def measure(path: Path, batch: int, seconds: float) -> list[dict[str, Any]]:
    """Training, then reading with the file out of the kernel's cache and once more: one row each."""
    split = mapped(path)
    rate, _ = per_second(training(split, batch), seconds)
    rows: list[dict[str, Any]] = [{"what": "training step", "batch": batch, "images_per_second": rate}]
    for state in ("cold", "warm"):
        if state == "cold":
            forget(path)
        before = memory()
        speed, highest = per_second(reading(split, batch), seconds)
        row = {"what": f"reading, {state}", "batch": batch, "images_per_second": speed, "times_training": speed / rate}
        rows.append({**row, "own_growth_mb": highest - before["own_mb"], **memory()})
    return rows


def summarise(rows: list[dict[str, Any]], about: dict[str, Any]) -> str:
    """The Markdown page."""
    names = {"times_training": ".1f", "own_growth_mb": ",.0f", "own_mb": ",.0f", "mapped_mb": ",.0f"}
    body = [
        [row["what"], str(row["batch"]), f"{row['images_per_second']:,.0f}"]
        + [f"{row[name]:{form}}" if name in row else "-" for name, form in names.items()]
        for row in rows
    ]
    header = ["what", "batch", "images/s", "times the training rate"]
    header += ["own memory grew by (MB)", "own memory (MB)", "pages of files (MB)"]
    text = [
        "# Speed of the input pipeline",
        "",
        "Made by `python -m benchmarks.input_speed`; see its docstring.",
        f"{about['examples']:,} images, {about['megabytes']:,} MB. Load of the machine before: {about['load']:.2f}.",
        f"Machine: {about['machine']}",
        "",
        table(header, body),
    ]
    return "\n".join(text)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--examples", type=int, default=202_599)
    parser.add_argument("--batches", nargs="+", type=int, default=[64, 200])
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each rate is measured")
    parser.add_argument("--folder", type=Path, help="where the images are made up, if not in /tmp")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "images.npy"
        write(path, arguments.examples)
        rows = []
        for batch in arguments.batches:  # each in a process of its own, so that memory is what one run takes
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                rows += pool.submit(measure, path, batch, arguments.seconds).result()
        megabytes = round(path.stat().st_size / 1e6)
    about = {"examples": arguments.examples, "megabytes": megabytes, "load": load, "machine": machine()}
    results = {f"{row['what']}/{row['batch']}": {"median": 1 / row["images_per_second"]} for row in rows}
    since = ratios(results, last_committed("input_speed.json", about["machine"]))
    text = f"{summarise(rows, about)}\n{verdict(since, 'the last committed results')}\n"
    keep(arguments.results, "input_speed", {**about, "rows": rows, "results": results}, text)
    print(text)


if __name__ == "__main__":
    main()
