"""How fast, and how near to Keras, is an exported model in each runtime, at batches of 1 and 64?

Exports a model (an untrained one of the default size unless `--run` names a run, because speed does not depend on the
weights), then runs `encoder` (an image to latents and label probabilities) and `decoder` (latents to an image) in
every runtime on the same drawn faces. Each runtime has a process of its own; they take turns, so that all see the same
machine. onnxruntime-web is timed inside Node, after the others. A time is that of one call, from numpy arrays to numpy
arrays. An error is the largest |value - Keras's| / max(1, |Keras's|) over all outputs at batch 64, of the onnx
reference at batch 1.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import keep, last_committed, machine, parser_of, ratio_cell, ratios, table, verdict
from benchmarks.training_speed import measure
from export import manifest
from export import runtimes as running
from tf_ccvae.support.startup import prepare
from tf_ccvae.training import build

ROOT = Path(__file__).resolve().parent.parent
INPUTS = {"encoder": "image", "decoder": "latents"}
SIGNATURES = {"encoder": ("classify", "encode"), "decoder": ("decode",)}  # that together give what the file gives
BASE = "SavedModel"


# Runtimes: (export, graph) -> a function of arrays --------------------------------------------------------------------


def keras_call(folder: Path, graph: str) -> running.Runner:
    """The Keras model itself, called eagerly, by the functions that are exported."""
    prepare()
    import tensorflow as tf

    from export.uses import Uses, as_float32
    from tf_ccvae.training import run_directory

    uses = Uses(as_float32(run_directory.load(folder.parent / "run")[1]))
    function = uses.encoder if graph == "encoder" else uses.decode
    return lambda inputs: {k: v.numpy() for k, v in function(tf.constant(inputs[INPUTS[graph]])).items()}


def saved_model(folder: Path, graph: str) -> running.Runner:
    """The SavedModel; for the encoder the signature `classify`, for the decoder `decode`."""
    prepare()
    (version,) = (folder / "saved_model").iterdir()
    return running.saved_model_runners(version)[SIGNATURES[graph][0]]


def onnxruntime_file(folder: Path, graph: str, suffix: str = "") -> running.Runner:
    """An ONNX file in onnxruntime."""
    return running.onnx_runner(folder / "onnx" / f"{graph}{suffix}.onnx")


def openvino(folder: Path, graph: str) -> running.Runner:
    """The ONNX file in OpenVINO, in float32, which it otherwise leaves where the processor has a shorter format."""
    from openvino import Core

    file = folder / "onnx" / f"{graph}.onnx"
    compiled = Core().compile_model(str(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    # an output has the name of the file's output, and those of operations that give the same
    return lambda inputs: {name: value for key, value in compiled(inputs).items() for name in key.get_names()}


def opencv(folder: Path, graph: str) -> running.Runner:
    """The ONNX file in OpenCV's dnn module."""
    import cv2

    network = cv2.dnn.readNetFromONNX(str(folder / "onnx" / f"{graph}.onnx"))
    names = network.getUnconnectedOutLayersNames()

    def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        for name, rows in inputs.items():
            network.setInput(rows, name)
        return dict(zip(names, network.forward(names), strict=True))

    return run


def reference(folder: Path, graph: str) -> running.Runner:
    """The ONNX file in the reference evaluator of the onnx package."""
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(str(folder / "onnx" / f"{graph}.onnx"))
    return lambda inputs: dict(zip(evaluator.output_names, evaluator.run(None, inputs), strict=True))


def litert(folder: Path, graph: str) -> running.Runner:
    """The LiteRT file."""
    return running.litert_runner(folder / "litert" / f"{graph}.tflite")


RUNTIMES: dict[str, Callable[[Path, str], running.Runner]] = {
    "Keras, eager call": keras_call,
    BASE: saved_model,
    "onnxruntime": onnxruntime_file,
    "onnxruntime, float16 weights": partial(onnxruntime_file, suffix=".float16"),
    "onnxruntime, int8": partial(onnxruntime_file, suffix=".int8"),
    "OpenVINO": openvino,
    "OpenCV dnn": opencv,
    "LiteRT": litert,
    "onnx reference": reference,
}


def jobs_of(chosen: list[str], graph: str, batch: int) -> list[str]:
    """The chosen runtimes that have this graph and, always, the SavedModel.

    Int8 has encoders only; the onnx reference, by far the slowest, runs at batch 1 only."""
    left_out = {"onnxruntime, int8"} if graph == "decoder" else set()
    if batch != 1:
        left_out |= {"onnx reference"}
    return [name for name in RUNTIMES if name in {BASE, *chosen} - left_out]


def arrays_of(folder: Path, graph: str, batch: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The first rows of what went into Keras and came out of it."""
    with np.load(folder / manifest.REFERENCE) as stored:
        start = f"output/{graph}/"
        inputs = {INPUTS[graph]: stored[f"input/{INPUTS[graph]}"][:batch]}
        return inputs, {x.removeprefix(start): stored[x][:batch] for x in stored.files if x.startswith(start)}


def step(name: str, folder: str, graph: str, batch: int) -> Callable[[], int]:
    """What is timed: one call."""
    run = RUNTIMES[name](Path(folder), graph)
    inputs, _ = arrays_of(Path(folder), graph, batch)

    def call() -> int:
        run(inputs)
        return 1

    return call


def error_of(results: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> float:
    """Largest error of the outputs that the runtime gives."""
    pairs = [(np.asarray(results[x]).reshape(expected[x].shape), expected[x]) for x in results if x in expected]
    assert pairs, f"none of {sorted(expected)} among {sorted(results)}"
    return max(float(np.max(np.abs(a - b) / np.maximum(1, np.abs(b)))) for a, b in pairs)


# onnxruntime-web ------------------------------------------------------------------------------------------------------


def web(folder: Path, graph: str, batch: int, seconds: float, place: Path) -> tuple[dict[str, float], float]:
    """Times of onnxruntime-web under Node, and its error."""
    inputs, expected = arrays_of(folder, graph, batch)
    (name, rows) = next(iter(inputs.items()))
    rows.tofile(place / "input.bin")
    task = {
        "model": str(folder / "onnx" / f"{graph}.onnx"),
        "input": name,
        "shape": rows.shape,
        "data": str(place / "input.bin"),
        "output": str(place / "output"),
        "seconds": seconds,
    }
    done = subprocess.run(
        ["node", "runtimes_web.mjs", json.dumps(task)], cwd=place, check=True, capture_output=True, text=True
    )
    times = json.loads(done.stdout)
    results = {x: np.fromfile(place / f"output.{x}", np.float32) for x in expected}
    summary = {
        "median": float(np.median(times)),
        "fastest": min(times),
        "slowest": max(times),
        "steps": len(times),
    }
    return summary, error_of(results, expected)


WEB = "onnxruntime-web, Node"  # needs npm


def node_place(folder: Path) -> Path:
    """A folder with onnxruntime-web and the script that times it."""
    place = folder / "node"
    place.mkdir()
    shutil.copy(ROOT / "examples" / "onnx_node" / "package.json", place)
    shutil.copy(Path(__file__).with_name("runtimes_web.mjs"), place)
    subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=place, check=True)
    return place


# All of it ------------------------------------------------------------------------------------------------------------


def export(run: Path | None, examples: int, place: Path, existing: Path | None = None) -> Path:
    """An export of a run, or of an untrained model, with everything; its run is a copy beside it.

    An export of the run that is there already is copied.
    """
    from export.run import Options, export_run
    from tf_ccvae.data import avatars
    from tf_ccvae.settings import Config
    from tf_ccvae.settings.command_line import DEFAULT_FILE
    from tf_ccvae.training import run_directory

    if existing is not None:
        shutil.copytree(existing, place / "export")
        shutil.copytree(run, place / "run")
        return place / "export"
    if run is None:
        dataset = avatars.load(examples=examples, progress=True)
        config = Config.from_yaml(DEFAULT_FILE)
        made = run_directory.create(place / "run", "run")
        config.to_yaml(made.config)
        made.save_model(build.build_model(config, dataset, dataset.train))
        images = np.asarray(dataset.test.images[:64])
    else:
        shutil.copytree(run, place / "run")
        images = None
    export_run(place / "run", place / "export", Options(float16=True, int8_encoder=True), images, report=print)
    return place / "export"


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--run", type=Path, help="run directory (default: an untrained model of the default size)")
    parser.add_argument("--export", type=Path, help="an export with all formats, made of `--run` (default: is made)")
    parser.add_argument("--examples", type=int, default=12000, help="how many faces; fewer only to try it out")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--graphs", nargs="+", default=list(INPUTS), choices=list(INPUTS))
    parser.add_argument("--runtimes", nargs="+", default=[*RUNTIMES, WEB], choices=[*RUNTIMES, WEB])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0, help="of calls per runtime and round")
    arguments = parser.parse_args()
    if arguments.export and not arguments.run:
        parser.error("--export needs --run, the run that it was made of")
    prepare()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        folder = export(arguments.run, arguments.examples, place, arguments.export)
        node = node_place(place) if WEB in arguments.runtimes else None
        results: dict[str, Any] = {}
        for graph in arguments.graphs:
            for batch in arguments.batches:
                names = jobs_of([name for name in arguments.runtimes if name != WEB], graph, batch)
                jobs: Any = {(name, True): (step, name, str(folder), graph, batch) for name in names}
                measured = {name: row for (name, _), row in measure(jobs, arguments.rounds, arguments.seconds).items()}
                for name in names:
                    inputs, expected = arrays_of(folder, graph, batch)
                    measured[name]["error"] = error_of(RUNTIMES[name](folder, graph)(inputs), expected)
                if node:
                    row, error = web(folder, graph, batch, arguments.rounds * arguments.seconds, node)
                    measured[WEB] = {**row, "error": error}
                results |= {f"{graph}/{batch}/{name}": row for name, row in measured.items()}
    write(results, arguments.results)


def write(results: dict[str, Any], folder: Path) -> None:
    """The numbers as JSON and as tables."""
    where = machine()
    text = ["# Exported models in each runtime", "", "Made by `python -m benchmarks.runtimes`; see its docstring.", ""]
    since = ratios(results, last_committed("runtimes.json", where))
    text += [f"Machine: {where}", "", verdict(since, "the last committed results"), ""]
    header = ["runtime", "ms a call (median)", "ms (range)", "images/s", "SavedModel's time / this", "error"]
    header.append("time / committed")
    for graph, batch in sorted({tuple(key.split("/")[:2]) for key in results}, key=lambda x: (x[0], int(x[1]))):
        start = f"{graph}/{batch}/"
        rows = {key.removeprefix(start): row for key, row in results.items() if key.startswith(start)}
        body = [
            [
                name,
                f"{1000 * row['median']:.2f}",
                f"{1000 * row['fastest']:.2f} to {1000 * row['slowest']:.2f}",
                f"{int(batch) / row['median']:.0f}",
                f"{rows[BASE]['median'] / row['median']:.2f}",
                f"{row['error']:.1e}",
                ratio_cell(since, start + name),
            ]
            for name, row in rows.items()
        ]
        text += [f"## {graph}, batch {batch}", "", table(header, body)]
    keep(folder, "runtimes", {"machine": where, "results": results}, "\n".join(text))
    print("\n".join(text))


if __name__ == "__main__":
    main()
