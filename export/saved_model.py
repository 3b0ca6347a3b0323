"""SavedModel: every signature, weights once, in a numbered folder for TensorFlow Serving."""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from export.guards import checked
from export.signatures import Signature, of_format
from tf_ccvae.support.files import JsonObject

DEFAULT = "classify"  # also called serving_default


def write(signatures: tuple[Signature, ...], description: JsonObject, folder: Path) -> None:
    """Writes a SavedModel with every signature of the table, `describe` and `describe_rows`.

    TensorFlow Serving runs a signature without inputs neither over REST nor with batching; `describe_rows` is what a
    client asks there.

    Args:
      signatures: the table, of a model in float32.
      description: content of ccvae.json, which `assets.extra` gets too.
      folder: where to; must not exist.
    """
    traced = {x.name: x.traced(check=True).get_concrete_function() for x in of_format(signatures, "saved_model")}
    holder = tf.Module()  # of the weights in use, each once
    holder.weights = list({id(x): x for one in traced.values() for x in one.variables}.values())
    text = json.dumps(description)
    traced["describe"] = tf.function(lambda: describe(description, text), input_signature=[]).get_concrete_function()
    row = [tf.TensorSpec((None,), tf.int32, name="row")]
    rows = checked(lambda row: {"ccvae_json": tf.fill(tf.shape(row), text)}, row)
    traced["describe_rows"] = tf.function(rows, input_signature=row).get_concrete_function()
    tf.saved_model.save(holder, str(folder), signatures={**traced, "serving_default": traced[DEFAULT]})
    extra = folder / "assets.extra"
    extra.mkdir()
    (extra / "ccvae.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def describe(description: JsonObject, text: str) -> dict[str, tf.Tensor]:
    """What the signature `describe` returns: label names and kinds string (L,), label_latents int32 (L, 2), image_shape
    int32 (3,), version int32 (1,), and all of ccvae.json as a string (1,)."""
    labels, image = description["labels"], description["image"]
    return {
        "label_names": tf.constant([x["name"] for x in labels], tf.string),
        "label_kinds": tf.constant([x["kind"] for x in labels], tf.string),
        "label_latents": tf.constant(np.array([x["latents"] for x in labels], np.int32).reshape(-1, 2)),
        "image_shape": tf.constant([image["height"], image["width"], image["channels"]], tf.int32),
        "version": tf.constant([description["version"]], tf.int32),
        "ccvae_json": tf.constant([text], tf.string),
    }


def operations(folder: Path) -> set[str]:
    """Names of all operations in a SavedModel's graph and function library."""
    proto = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    graphs = [x.graph_def for x in proto.meta_graphs]
    inside = [node.op for graph in graphs for function in graph.library.function for node in function.node_def]
    return {node.op for graph in graphs for node in graph.node} | set(inside)
