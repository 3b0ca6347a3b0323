"""What both ways to a server share: where it is, what a signature takes, and which error an answer means."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

import numpy as np

from serving import errors

SCHEMES = {"grpc": False, "grpcs": True, "http": False, "https": True}  # and whether TLS


class Answer(NamedTuple):
    """Arrays by output name, and the version that answered; None where the server does not say it."""

    outputs: dict[str, np.ndarray]
    version: int | None


class Specification(NamedTuple):
    """What a signature takes and gives: (name of the dtype, shape with -1 for the batch) by name."""

    inputs: Mapping[str, tuple[str, tuple[int, ...]]]
    outputs: Mapping[str, tuple[str, tuple[int, ...]]]


class State(NamedTuple):
    """State of a version, such as AVAILABLE, and the server's message if it failed."""

    version: int
    state: str
    message: str


class Transport(Protocol):
    """One way to a server."""

    def predict(self, signature: str, inputs: dict[str, np.ndarray]) -> Answer: ...

    def signatures(self) -> dict[str, Specification]: ...

    def status(self) -> list[State]: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Endpoint:
    """Where a model is served.

    Args:
      target: grpc://host:port, grpcs://, http://host:port or https://, the last two with a path if there is one.
      model: name of the model.
      version: number of the version; None for the newest.
      label: version label, in place of a number.
      timeout: of one try, in seconds.
      api_key: for the header x-api-key, which a proxy may ask for.
      ca: file with the certificates to trust, in place of the system's.

    Raises:
      BadInput: the target is no such URL, both version and label are given, or the certificate file is not there.
    """

    target: str
    model: str = "ccvae"
    version: int | None = None
    label: str | None = None
    timeout: float = 10.0
    api_key: str | None = None
    ca: Path | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.target)
        if parts.scheme not in SCHEMES or not parts.netloc:
            raise errors.BadInput(f"target: must be such as grpc://localhost:8500, got {self.target}")
        if self.version is not None and self.label is not None:
            raise errors.BadInput("version and label: give one of them")
        if self.timeout <= 0:
            raise errors.BadInput(f"timeout: must be above 0 s, got {self.timeout:g}")
        if self.ca is not None and not self.ca.is_file():
            raise errors.BadInput(f"{self.ca}: no such file of certificates")

    @property
    def grpc(self) -> bool:
        """Over gRPC, else over REST."""
        return self.target.startswith("grpc")

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return SCHEMES[urlsplit(self.target).scheme]

    @property
    def address(self) -> str:
        """Host and port."""
        return urlsplit(self.target).netloc

    def certificate(self) -> bytes | None:
        """Content of the file of certificates."""
        return None if self.ca is None else self.ca.read_bytes()

    def not_found(self, details: str) -> errors.ServingError:
        """What NOT_FOUND means; for a version or label, the server's words leave open which of the two it lacks."""
        if self.version is None and self.label is None:
            return errors.ModelUnknown(f"{self.address}: serves no model {self.model} ({details})")
        which = f"version {self.version}" if self.label is None else f"version labelled {self.label}"
        return errors.VersionUnknown(f"{self.address}: serves no {which} of {self.model} ({details})")

    def invalid(self, details: str) -> errors.ServingError:
        """What INVALID_ARGUMENT and FAILED_PRECONDITION mean."""
        if "version label" in details:
            return errors.VersionUnknown(f"{self.address}: no version of {self.model} is labelled {self.label}")
        return errors.BadInput(f"{self.address}: {details}")
