"""`CCVAEClient`: a served CCVAE as methods on numpy arrays, over gRPC or REST alike.

with CCVAEClient("grpc://localhost:8500") as client:
    client.classify("photo.png")["probabilities"]    # (1, labels, values)
    client.set_labels("photo.png", {"Smiling": 1})    # (1, height, width, channels)
"""

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self, TypeVar

import numpy as np

from serving import description as descriptions
from serving import images as pictures
from serving.errors import BadInput, ModelUnknown, ServerAway, ServingError, SignatureUnknown, VersionUnknown
from serving.target import Answer, Endpoint, Specification, State, Transport
from serving.values import setting_of
from tf_ccvae.support.files import JsonObject

ROWS = 64  # of one request; more are sent in several
Labels = Mapping[str | int, str | float]  # value by name or position; that of a number label in its units
Images = np.ndarray | pictures.Source | Sequence[pictures.Source]
Result = TypeVar("Result")


class CCVAEClient:
    """A served CCVAE.

    Images go in as uint8 or float in [0, 1], (n, height, width, channels), or as files or bytes of files (PNG, JPEG,
    WebP, PGM of any size), one or a list; they come out as float32 in [0, 1], (n, height, width, channels).
    `D` latents, `L` labels, `V` values of the label with most.

    Args:
      target: such as grpc://localhost:8500 or http://localhost:8501; grpcs:// and https:// for TLS.
      model: name of the model.
      version: number of the version; None for the newest.
      label: version label, in place of a number.
      timeout: of one try, in seconds.
      retries: how many times a request is sent again when the server is unavailable.
      pause: before the first repetition, in seconds; twice as long before each following one.
      api_key: for the header x-api-key.
      ca: file with the certificates to trust, in place of the system's.
      description: ccvae.json of the export or its path, to spare asking the server for it.

    Raises:
      BadInput: an argument cannot be used. The methods raise this too, and the other errors of `serving.errors`:
        ServerAway, ModelUnknown, VersionUnknown, SignatureUnknown, Refused and ServerFault.
    """

    def __init__(
        self,
        target: str,
        *,
        model: str = "ccvae",
        version: int | None = None,
        label: str | None = None,
        timeout: float = 10.0,
        retries: int = 3,
        pause: float = 0.2,
        api_key: str | None = None,
        ca: Path | None = None,
        description: JsonObject | Path | None = None,
    ):
        self.endpoint = Endpoint(target, model, version, label, timeout, api_key, ca)
        self.retries = retries
        self.pause = pause
        self.description = descriptions.read(description) if isinstance(description, Path) else description
        self.specifications: dict[str, Specification] = {}
        self.transport = _transport(self.endpoint)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self.transport.close()

    # Uses of the model ------------------------------------------------------------------------------------------------

    def classify(self, images: Images) -> dict[str, np.ndarray]:
        """Images -> `probabilities` and `logits` of each label and value, (n, L, V).

        With number labels also `numbers`, (n, number labels, 2): mean and deviation of each in its units.
        """
        return self._rows("classify", {"image": self._images("classify", images)})

    def classify_bytes(self, files: pictures.Source | Sequence[pictures.Source]) -> dict[str, np.ndarray]:
        """Image files, read by the server -> as `classify`, and `decoded` (n,); PNG and JPEG only.

        For a file that the server could not read `decoded` is 0 and the other numbers are NaN.
        """
        listed = [files] if isinstance(files, str | Path | bytes) else list(files)
        if not listed:
            raise BadInput("images: name at least one")
        return self._rows("classify_bytes", {"image_bytes": np.array([pictures.check(x) for x in listed], object)})

    def encode(self, images: Images) -> dict[str, np.ndarray]:
        """Images -> `loc` and `scale` of the latents, (n, D), and `probabilities`, (n, L, V)."""
        return self._rows("encode", {"image": self._images("encode", images)})

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Latents (n, D) -> images."""
        size = self._specification("decode").inputs["latents"][1][1]
        rows = np.asarray(latents, np.float32)
        if rows.shape[1:] != (size,) or not len(rows) or not np.isfinite(rows).all():
            raise BadInput(f"latents: must be finite and (n, {size}) with n at least 1, got shape {rows.shape}")
        return self._upright(self._rows("decode", {"latents": rows})["image"])

    def reconstruct(self, images: Images) -> np.ndarray:
        """Images -> the same at their posterior mean."""
        rows = {"image": self._images("reconstruct", images)}
        return self._upright(self._rows("reconstruct", rows)["reconstruction"])

    def generate(self, labels: Labels | None = None, count: int = 1, seed: int = 0) -> dict[str, np.ndarray]:
        """Labels -> `image`, new ones that have them, and their `latents` (count, D).

        Args:
          labels: value by label, each by name or number; others are drawn.
          count: how many.
          seed: of the first image; image i of seed s is image 0 of seed s + i.
        """
        if count < 1:
            raise BadInput(f"count: must be at least 1, got {count}")
        if not 0 <= seed <= 2**31 - 1 - count:
            raise BadInput(f"seed: must be from 0 to {2**31 - 1 - count}, got {seed}")
        seeds = np.stack([np.zeros(count), seed + np.arange(count)], axis=1).astype(np.int32)
        rows = self._rows("generate", {**self._labels("generate", labels or {}, count), "seed": seeds})
        return {"image": self._upright(rows["image"]), "latents": rows["latents"]}

    def set_labels(self, images: Images, labels: Labels) -> np.ndarray:
        """Images, value by label (each by name or number) -> the images with these labels set."""
        image = self._images("set_labels", images)
        rows = {"image": image, **self._labels("set_labels", labels, len(image))}
        return self._upright(self._rows("set_labels", rows)["edited"])

    def swap(self, images: Images, donors: Images, labels: Sequence[str | int]) -> np.ndarray:
        """Images, as many donors or one, labels by name or number -> the images with the donors' characteristics."""
        image, donor = self._images("swap", images), self._images("swap", donors)
        if len(donor) not in (1, len(image)):
            raise BadInput(f"donors: must be 1 or {len(image)}, got {len(donor)}")
        mask = self._mask("swap", labels, len(image))
        rows = {"image": image, "donor_image": np.broadcast_to(donor, image.shape), "mask": mask}
        return self._upright(self._rows("swap", rows)["swapped"])

    # The model and the server -----------------------------------------------------------------------------------------

    def describe(self) -> JsonObject:
        """The content of ccvae.json.

        Raises:
          SignatureUnknown: the model on the server is not one of `python -m export`; give `description`.
          BadInput: a later version of tf_ccvae exported it.
        """
        if self.description is None:
            text = self._predict("describe_rows", {"row": np.zeros(1, np.int32)}).outputs["ccvae_json"][0]
            self.description = descriptions.checked(json.loads(text), self.endpoint.address)
        return self.description

    def status(self) -> list[State]:
        """The state of each version of the model, or of the one that was asked for."""
        return sorted(self._call(self.transport.status))

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray]) -> Answer:
        """One request as it is: arrays by input name -> arrays by output name, and the version that answered.

        Raises:
          BadInput: an input has no rows, for which a server with batching would never answer.
        """
        for name, rows in inputs.items():
            if np.ndim(rows) and not len(rows):
                raise BadInput(f"{name}: has no rows; at least 1 is needed")
        return self._predict(signature, dict(inputs))

    # Parts ------------------------------------------------------------------------------------------------------------

    def _rows(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs a signature on any number of rows, some at a time."""
        count = len(next(iter(inputs.values())))
        parts = [
            self._predict(signature, {name: rows[start : start + ROWS] for name, rows in inputs.items()}).outputs
            for start in range(0, count, ROWS)
        ]
        return {name: np.concatenate([x[name] for x in parts]) for name in parts[0]}

    def _predict(self, signature: str, inputs: dict[str, np.ndarray]) -> Answer:
        return self._call(lambda: self.transport.predict(signature, inputs))

    def _specification(self, signature: str) -> Specification:
        self.specifications = self.specifications or self._call(self.transport.signatures)
        if signature not in self.specifications:
            raise SignatureUnknown(f"{self.endpoint.address}: {self.endpoint.model} has no signature {signature}")
        return self.specifications[signature]

    def _call(self, run: Callable[[], Result]) -> Result:
        """Runs a request, again if the server is unavailable."""
        tried = 0
        while True:
            try:
                return run()
            except ServerAway as error:
                if not error.unavailable or tried == self.retries:
                    raise
                time.sleep(self.pause * 2**tried * random.uniform(0.8, 1.2))
                tried += 1
            except VersionUnknown as error:
                raise self._which(error) from None

    def _which(self, error: VersionUnknown) -> ServingError:
        """Whether the version is missing or all of the model: the server's own words leave it open."""
        whole = _transport(replace(self.endpoint, version=None, label=None))
        try:
            whole.status()
        except ModelUnknown as unknown:
            return unknown
        finally:
            whole.close()
        return error

    def _images(self, signature: str, images: Images) -> np.ndarray:
        """Images in the layout of the model."""
        height, width, channels = self._image_shape(signature)
        rows = pictures.array(images, height, width, channels, lambda: self.describe()["image"].get("white"))
        return rows if self._channels_last(signature) else rows.transpose(0, 3, 1, 2)

    def _image_shape(self, signature: str) -> tuple[int, int, int]:
        _, first, second, third = self._specification(signature).inputs["image"][1]
        return (first, second, third) if self._channels_last(signature) else (second, third, first)

    def _channels_last(self, signature: str) -> bool:
        return self._specification(signature).inputs["image"][1][-1] in (1, 3)

    def _upright(self, images: np.ndarray) -> np.ndarray:
        """Images from the layout of the model to (n, height, width, channels)."""
        return images if self._channels_last("reconstruct") else images.transpose(0, 2, 3, 1)

    def _labels(self, signature: str, labels: Labels, count: int) -> dict[str, np.ndarray]:
        """`labels` and `mask`, (count, L) both."""
        dtype, (_, count_of_labels) = self._specification(signature).inputs["labels"]
        values = np.zeros(count_of_labels, dtype)
        for label, value in labels.items():
            index = self._index(label, len(values))
            values[index] = self._value(index, label, value)
        return {
            "labels": np.tile(values, (count, 1)),
            "mask": self._mask(signature, list(labels), count),
        }

    def _mask(self, signature: str, labels: Sequence[str | int], count: int) -> np.ndarray:
        mask = np.zeros(self._specification(signature).inputs["mask"][1][1], bool)
        for label in labels:
            index = self._index(label, len(mask))
            if mask[index]:
                raise BadInput(f"{label}: is asked for twice; name each label once")
            mask[index] = True
        return np.tile(mask, (count, 1))

    def _index(self, label: str | int, count: int) -> int:
        if isinstance(label, bool):
            raise BadInput(f"{label}: no such label; name it, or count from 0")
        if isinstance(label, int):
            if not 0 <= label < count:
                raise BadInput(f"{label}: no such label; the model has {count}, counted from 0")
            return label
        names = [x["name"] for x in self.describe()["labels"]]
        if label not in names:
            raise BadInput(f"{label}: no such label; the model has {', '.join(names)}")
        return names.index(label)

    def setting(self, text: str) -> tuple[str, str]:
        """The label and the value in a text such as `Smiling=on`; see `values.setting_of`."""
        return setting_of(text, lambda: self.describe()["labels"])

    def _value(self, index: int, label: str | int, value: str | float) -> float:
        try:
            return descriptions.meaning(value, self.describe()["labels"][index])
        except ValueError as error:
            raise BadInput(f"{label}={value}: {error}") from None


def _transport(endpoint: Endpoint) -> Transport:
    if endpoint.grpc:
        from serving.over_grpc import Grpc

        return Grpc(endpoint)
    from serving.over_rest import Rest

    return Rest(endpoint)
