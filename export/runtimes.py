"""The files of an export as functions of arrays: ONNX, LiteRT and SavedModels, each in its runtime for Python."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from export.errors import CheckError

PYTHON_CALLS = ("PyFunc", "PyFuncStateless", "EagerPyFunc")  # operations that no other program can run
Arrays = Mapping[str, np.ndarray]
Runner = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


def onnx_runner(path: Path) -> Runner:
    """Runs an ONNX file in onnxruntime on the CPU.

    Raises:
      CheckError: onnxruntime does not load it.
    """
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own classes share no other parent
        raise CheckError(f"{path.name}: onnxruntime does not load it: {error}") from error
    names = [x.name for x in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, inputs), strict=True))


def litert_runner(path: Path) -> Runner:
    """Runs a LiteRT file by its only signature."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    positions = {
        x["name"].removeprefix("serving_default_").partition(":")[0]: x["index"]
        for x in interpreter.get_input_details()
    }

    def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        for name, rows in inputs.items():
            interpreter.resize_tensor_input(positions[name], rows.shape)
        return interpreter.get_signature_runner()(**inputs)

    return run


def saved_model_runners(folder: Path) -> dict[str, Runner]:
    """Runs each signature of a SavedModel.

    Raises:
      CheckError: its graph calls back into Python, which no other program can do.
    """
    import tensorflow as tf

    from export.saved_model import operations

    calls = sorted(operations(folder) & set(PYTHON_CALLS))
    if calls:
        raise CheckError(f"{folder.name}: the graph calls Python: {', '.join(calls)}")
    loaded = tf.saved_model.load(str(folder))

    def runner(name: str) -> Runner:
        def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            results = loaded.signatures[name](**{key: tf.constant(rows) for key, rows in inputs.items()})
            return {key: value.numpy() for key, value in results.items()}

        return run

    return {name: runner(name) for name in loaded.signatures}
