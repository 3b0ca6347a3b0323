"""Where does the time of a training step go? `python -m benchmarks.step_profile`

The labelled step of `benchmarks.training_speed` (graph, float32) is timed with all cores, and in another process with
one thread. There nothing runs at the same time as anything else, so the times of its parts add up, but for the
machine's drift: those of oneDNN's products and convolutions come from its own log, which names the kernel too, and
those of all other operations from TensorFlow's profiler, on steps that come after. The time with one thread over the
number of cores is what a step would take with the same kernels if no core ever waited. Nothing else should run on the
machine.

A transposed convolution is oneDNN's `backward_data` on the way forward, and its `forward` on the way back.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import ROOT, keep, machine, parser_of, table
from benchmarks.training_speed import our_step

BEGIN = "the steps that count begin"
WARM_UP = 5
SMALL = 0.2  # ms a step: below this a row is not shown
SHAPE = re.compile(r"mb(\d+)_ic(\d+)oc(\d+)_ih(\d+)oh(\d+)kh(\d+)\S*_iw(\d+)ow(\d+)kw(\d+)")
ONEDNN = re.compile(r"(_Mkl|Conv2D|MatMul)")


class Primitive(NamedTuple):
    """One kind of call of oneDNN: what, which kernel, in which direction, of which shape."""

    what: str
    kernel: str
    direction: str
    shape: str

    @property
    def flops(self) -> int:
        """Floating-point operations of a convolution, two to a product and without regard to padding; else 0."""
        found = SHAPE.match(self.shape)
        if self.what != "convolution" or not found:
            return 0
        batch, inputs, outputs, _, height, kernel_height, _, width, kernel_width = map(int, found.groups())
        return 2 * batch * inputs * outputs * height * width * kernel_height * kernel_width


def ready_step(batch: int) -> Callable[[], int]:
    """A step that has been compiled, and taken a few times."""
    step = our_step("graph", True, batch)
    for _ in range(WARM_UP):
        step()
    return step


def step_times(step: Callable[[], int], steps: int) -> list[float]:
    """Seconds of each of so many steps."""
    times = []
    for _ in range(steps):
        before = time.perf_counter()
        step()
        times.append(time.perf_counter() - before)
    return times


def with_one_thread(batch: int, steps: int, trace: str) -> None:
    """Times steps under oneDNN's log and prints the times as JSON; then goes on under TensorFlow's profiler."""
    step = ready_step(batch)
    print(BEGIN, flush=True)
    print(json.dumps(step_times(step, steps)), flush=True)
    import tensorflow as tf

    with tf.profiler.experimental.Profile(trace):
        for _ in range(steps):
            step()


def in_a_process(batch: int, steps: int, trace: str) -> tuple[list[float], list[str]]:
    """`with_one_thread` in a process that has one: the seconds of its steps, and oneDNN's log of them."""
    code = f"from benchmarks.step_profile import with_one_thread; with_one_thread({batch}, {steps}, {trace!r})"
    one = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "ONEDNN_VERBOSE": "profile_exec"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **one, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    lines = done.stdout.split(BEGIN)[1].splitlines()
    end = next(i for i, line in enumerate(lines) if line.startswith("["))
    return json.loads(lines[end]), lines[:end]


def primitives(lines: Iterable[str]) -> dict[Primitive, list[float]]:
    """Milliseconds of every call in oneDNN's log, by kind; lines that report no call are passed over."""
    found = defaultdict(list)
    for line in lines:
        fields = line.strip().split(",")
        if fields[:1] != ["onednn_verbose"] or "exec" not in fields:
            continue
        what, kernel, direction = fields[fields.index("exec") + 2 :][:3]
        found[Primitive(what, kernel, direction.removesuffix("_training"), fields[-2])].append(float(fields[-1]))
    return dict(found)


def operations(folder: str) -> dict[str, list[float]]:
    """Milliseconds of every operation in the trace in a folder, by type, without those that oneDNN computes."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    (path,) = Path(folder).rglob("*.xplane.pb")
    found = defaultdict(list)
    for plane in xplane_pb2.XSpace.FromString(path.read_bytes()).planes:
        for event in (event for line in plane.lines for event in line.events):
            name, colon, kind = plane.event_metadata[event.metadata_id].name.rpartition(":")
            if colon and kind.isidentifier() and not ONEDNN.search(kind) and "::" not in name + colon + kind:
                found[kind].append(event.duration_ps / 1e9)
    return dict(found)


def per_step(times: Mapping[Any, list[float]], steps: int) -> dict[Any, dict[str, float]]:
    """Calls a step, median milliseconds of a call, and milliseconds of all calls of a step, the longest first."""
    rows = {
        kind: {"calls": len(calls) / steps, "median": float(np.median(calls)), "ms": sum(calls) / steps}
        for kind, calls in times.items()
    }
    return dict(sorted(rows.items(), key=lambda row: -row[1]["ms"]))


def page(results: Mapping[str, Any], where: Mapping[str, Any], batch: int) -> str:
    """The Markdown page of what `main` measured."""
    one, cores = results["one_thread"], where["cores"]
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in results["primitives"]:
        groups[f"convolutions, {row['direction']}" if row["flops"] else row["what"]].append(row)
    body = [
        [name, f"{sum(row['calls'] for row in rows):.0f}", f"{sum(row['ms'] for row in rows):.1f}", _rate(rows)]
        for name, rows in groups.items()
    ]
    others = [row["ms"] for row in results["operations"]]
    calls = sum(row["calls"] for row in results["operations"])
    body.append(["operations that are not oneDNN's", f"{calls:.0f}", f"{sum(others):.1f}", "-"])
    header = ["part", "calls", "ms a step", "GFLOP/s"]
    text = [
        *("# Where the time of a training step goes", ""),
        *("Made by `python -m benchmarks.step_profile`; see its docstring.", f"Machine: {where}", ""),
        f"Batch {batch}: {results['all_cores']:.1f} ms a step with all cores; {one:.1f} ms with one thread, which on "
        f"{cores} cores that never wait would be {one / cores:.1f} ms.",
        *("", "## With one thread", "", table(header, body), "## Everything that oneDNN computes", ""),
    ]
    body = [
        [*(row[part] or "-" for part in Primitive._fields), f"{row['calls']:.0f}", f"{row['ms']:.2f}", _rate([row])]
        for row in results["primitives"]
        if row["ms"] >= SMALL
    ]
    text += [table([*Primitive._fields, "calls", "ms a step", "GFLOP/s"], body)]
    text += ["## Operations that are not oneDNN's, by type", ""]
    body = [[r["type"], f"{r['calls']:.0f}", f"{r['ms']:.2f}"] for r in results["operations"] if r["ms"] >= SMALL]
    text += [table(["type", "calls", "ms a step"], body), f"Rows below {SMALL} ms are left out.", ""]
    return "\n".join(text)


def _rate(rows: list[dict[str, Any]]) -> str:
    """GFLOP/s of convolutions, a dash for other things."""
    flops = sum(row["flops"] * row["calls"] for row in rows)
    return f"{flops / sum(row['ms'] for row in rows) / 1e6:.0f}" if flops else "-"


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=60, help="to time, and as many to profile")
    arguments = parser.parse_args()
    batch, steps = arguments.batch, arguments.steps
    every = step_times(ready_step(batch), steps)
    with tempfile.TemporaryDirectory() as folder:
        one, log = in_a_process(batch, steps, folder)
        others = per_step(operations(folder), steps)
    calls = per_step(primitives(log), steps)
    if not calls or not others:
        raise SystemExit(
            "error: nothing was logged; set TF_ENABLE_ONEDNN_OPTS=1, and use a processor that oneDNN knows"
        )
    results = {
        "all_cores": 1000 * float(np.median(every)),
        "one_thread": 1000 * float(np.median(one)),
        "primitives": [{**kind._asdict(), "flops": kind.flops, **row} for kind, row in calls.items()],
        "operations": [{"type": kind, **row} for kind, row in others.items()],
    }
    where = machine()
    text = page(results, where, batch)
    keep(arguments.results, "step_profile", {"machine": where, "results": results}, text)
    print(text)


if __name__ == "__main__":
    main()
