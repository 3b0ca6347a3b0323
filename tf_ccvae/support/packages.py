"""Packages that a program needs and may lack: in which file of requirements each one is, and the line that says so."""

import importlib.util
from collections.abc import Mapping

REQUIREMENTS: Mapping[str, Mapping[str, str]] = {  # file: package by the module that is imported
    "requirements.txt": {
        "PIL": "pillow",
        "ai_edge_litert": "ai-edge-litert",
        "jsonschema": "jsonschema",
        "keras": "keras",
        "matplotlib": "matplotlib",
        "numpy": "numpy",
        "onnx": "onnx",
        "onnxruntime": "onnxruntime",
        "pydantic": "pydantic",
        "pydantic_settings": "pydantic-settings",
        "rich": "rich",
        "tensorflow": "tensorflow",
        "tensorflow_probability": "tensorflow-probability",
        "tf2onnx": "tf2onnx",
        "wrapt": "wrapt",
        "yaml": "pyyaml",
    },
    "requirements-huggingface.txt": {"datasets": "datasets"},
    "requirements-pytorch.txt": {"torch": "torch"},
    "requirements-ray.txt": {"ray": "ray"},
    "requirements-serving.txt": {
        "gevent": "gevent",
        "grpc": "grpcio",
        "httpx": "httpx",
        "locust": "locust",
        "tensorflow_serving": "tensorflow-serving-api",
    },
    "requirements-tracking.txt": {"mlflow": "mlflow-skinny", "wandb": "wandb"},
    "requirements-tune.txt": {"keras_tuner": "keras-tuner"},
}


def is_missing(module: str) -> bool:
    """Whether a module cannot be imported, without importing it."""
    return importlib.util.find_spec(module) is None


def missing_package(module: str | None) -> str | None:
    """How to get the package of a module that is missing, to follow the name of what needs it.

    Args:
      module: what is imported, such as `httpx` or `tensorflow_serving.apis`; `name` of a `ModuleNotFoundError`.

    Returns:
      Such as `needs the package httpx; pip install -r requirements-serving.txt (in an installed tf_ccvae: the extra
      serving)`; None for a module of no package in the requirements.
    """
    top = (module or "").partition(".")[0]
    for file, packages in REQUIREMENTS.items():
        if top in packages:
            extra = file.removeprefix("requirements").removesuffix(".txt").removeprefix("-")
            installed = f" (in an installed tf_ccvae: the extra {extra})" if extra else ""
            return f"needs the package {packages[top]}; pip install -r {file}{installed}"
    return None
