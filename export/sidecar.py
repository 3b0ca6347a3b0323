"""ccvae.json: what a program needs to know about a model beside its files, and nothing of TensorFlow.

`ccvae.schema.json` is its JSON schema. With it and a decoder a web page can draw sliders and set, swap or generate
labels by itself: the conditional prior, the classifier, p(y) and the values that exclude each other are all in it.
A grade is a categorical label that is `ordered`, whose classifier has the cumulative logits of `objective.grades`. A
number label has its units in place of values, and the slopes, intercepts and scales of `objective.numbers`.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import jsonschema
import numpy as np

from export.manifest import FORMATS
from export.signatures import Signature
from tf_ccvae.labels import Label
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.objective.exclusions import excluding_pairs
from tf_ccvae.objective.numbers import transport_slope
from tf_ccvae.support.files import JsonObject

CHANGE_DIGITS = 6  # behind the point
SCHEMA = Path(__file__).with_name("ccvae.schema.json")


def describe(
    model: CCVAE,
    signatures: tuple[Signature, ...],
    layout: str,
    version: int,
    run: JsonObject,
    files: Mapping[str, str],
    visibility: np.ndarray | None = None,
    white: int | None = None,
) -> JsonObject:
    """The content of ccvae.json.

    Args:
      model: in float32.
      signatures: what is exported.
      layout: of images, 'nhwc' or 'nchw'.
      version: of the export.
      run: name and SHA-256 of the training run's model.
      files: path of each file, relative to the export's folder, by a name such as `onnx/encoder`.
      visibility: float32 (n, labels) of the different images in reference.npz, as `interventions.visibility` gives it;
        None if there are none.
      white: the value that was white in the 16-bit pictures that the model was trained on; None if there were none.
    """
    height, width, channels = model.image_shape
    content = {
        "format": FORMATS[2 if model.labels.grades else 1 if model.labels.numbers else 0],
        "version": version,
        "run": dict(run),
        "image": {
            "height": height,
            "width": width,
            "channels": channels,
            "layout": layout,
            "dtype": "float32",
            "range": [0.0, 1.0],
            **({} if white is None else {"white": white}),
        },
        "latents": model.decoder_inputs,
        "style": [model.labels.characteristic, model.decoder_inputs],
        "labels": [_label(model, index, label) for index, label in enumerate(model.labels)],
        "incompatible": excluding_pairs(model.label_statistics.incompatible, model.labels),
        "signatures": {
            f"{name}/{signature.name}": _signature(signature) for signature in signatures for name in signature.formats
        },
        "files": dict(files),
    }
    if visibility is not None and visibility.size:
        content["visible"] = [
            {"label": int(label), "change": round(float(row[label]), CHANGE_DIGITS)}
            for row, label in zip(visibility, visibility.argmax(axis=1), strict=True)
        ]
    check(content)
    return content


def _label(model: CCVAE, index: int, label: Label) -> JsonObject:
    if label.scale:
        return _number_label(model, index, label)
    labels, place = model.labels, model.labels.slices[index]
    layer, values = model.label_distributions, slice(0, label.values)
    position = labels.plain.names.index(label.name)  # the tables are of the labels that are no number labels
    where = labels.plain.slices[position]
    return {
        "name": label.name,
        "kind": "binary" if label.binary else "categorical",
        "values": ["off", "on"] if label.binary else list(label.classes),
        **({"ordered": True} if label.ordered else {}),
        "latents": [place.start, place.stop],
        "frequency": np.exp(np.asarray(layer.log_label_prior)[index, values]).tolist(),
        "prior": {
            "loc": np.asarray(layer.prior.loc)[values, where].tolist(),
            "scale": np.asarray(layer.prior.scale)[values, where].tolist(),
        },
        "classifier": {
            "kernel": np.asarray(layer.kernel)[where, values].T.tolist(),
            "bias": np.asarray(layer.bias)[position, values].tolist(),
        },
    }


def _number_label(model: CCVAE, index: int, label: Label) -> JsonObject:
    of = model.label_model().numbers
    assert of is not None
    transport = np.asarray(transport_slope(of)).ravel()
    place, position = model.labels.slices[index], of.labels.names.index(label.name)
    where = of.labels.slices[position]
    return {
        "name": label.name,
        "kind": "number",
        "latents": [place.start, place.stop],
        "scale": dict(vars(label.units)),
        "prior": {
            "slope": np.asarray(of.prior_slope)[where].tolist(),
            "intercept": np.asarray(of.prior_intercept)[where].tolist(),
            "scale": np.asarray(of.prior_scale)[where].tolist(),
        },
        "classifier": {
            "slope": np.asarray(of.slope)[where].tolist(),
            "intercept": float(np.asarray(of.intercept)[position]),
            "scale": float(np.asarray(of.scale)[position]),
        },
        "transport": transport[where].tolist(),
    }


def _signature(signature: Signature) -> JsonObject:
    return {
        "documentation": signature.documentation,
        "inputs": {
            x.name: {"dtype": x.dtype.name, "shape": ["batch", *x.shape.as_list()[1:]]} for x in signature.inputs
        },
        "outputs": list(signature.outputs),
    }


def check(content: JsonObject) -> None:
    """Checks ccvae.json against its schema.

    Raises:
      jsonschema.ValidationError: it does not follow it.
    """
    jsonschema.validate(content, json.loads(SCHEMA.read_text(encoding="utf-8")))
