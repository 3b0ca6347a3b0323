"""Requests over REST, in the columnar form of TensorFlow Serving; needs no TensorFlow."""

import base64
import errno
import ssl
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np

from serving import errors
from serving.target import Answer, Endpoint, Specification, State
from tf_ccvae.support.files import Json, JsonObject

DTYPES = {  # of metadata
    "DT_FLOAT": "float32",
    "DT_INT32": "int32",
    "DT_INT64": "int64",
    "DT_BOOL": "bool",
    "DT_STRING": "string",
}


class Rest:
    """A pool of connections to a server.

    Args:
      endpoint: where and how.

    Every method raises the errors of `serving.errors`.
    """

    def __init__(self, endpoint: Endpoint):
        self.endpoint = endpoint
        headers = {"x-api-key": endpoint.api_key} if endpoint.api_key else {}
        verify: ssl.SSLContext | bool = ssl.create_default_context(cafile=endpoint.ca) if endpoint.tls else True
        self.http = httpx.Client(
            base_url=endpoint.target.rstrip("/"),
            headers=headers,
            verify=verify,
            timeout=endpoint.timeout,
            trust_env=False,
        )
        self.specifications: dict[str, Specification] = {}

    def predict(self, signature: str, inputs: dict[str, np.ndarray]) -> Answer:
        """Runs a signature: arrays by input name -> arrays by output name."""
        body = {"signature_name": signature, "inputs": {name: _plain(x) for name, x in inputs.items()}}
        outputs = self._request("POST", f"{self._path()}:predict", json=body)["outputs"]
        self.specifications = self.specifications or self.signatures()
        expected = self.specifications[signature].outputs
        if len(expected) == 1:  # then its name is left out
            outputs = {next(iter(expected)): outputs}
        return Answer({name: _array(outputs[name], dtype) for name, (dtype, _) in expected.items()}, None)

    def signatures(self) -> dict[str, Specification]:
        """What each signature takes and gives, by name."""
        table = self._request("GET", f"{self._path()}/metadata")["metadata"]["signature_def"]["signature_def"]
        return {
            name: Specification(*({x: _tensor(y) for x, y in about[k].items()} for k in ("inputs", "outputs")))
            for name, about in table.items()
            if about["method_name"]
        }

    def status(self) -> list[State]:
        """The state of each version of the model, or of the endpoint's."""
        states = self._request("GET", self._path())["model_version_status"]
        return [State(int(x["version"]), x["state"], x["status"].get("error_message", "")) for x in states]

    def close(self) -> None:
        """Closes the connections."""
        self.http.close()

    def _path(self) -> str:
        path = f"/v1/models/{quote(self.endpoint.model, safe='')}"
        if self.endpoint.version is not None:
            return f"{path}/versions/{self.endpoint.version}"
        return path if self.endpoint.label is None else f"{path}/labels/{quote(self.endpoint.label, safe='')}"

    def _request(self, method: str, path: str, json: JsonObject | None = None) -> JsonObject:
        where = self.endpoint.address
        try:
            response = self.http.request(method, path, json=json)
        except httpx.ConnectError as error:
            raise errors.ServerAway(f"{where}: no server answers ({error})") from None
        except httpx.TimeoutException:
            raise errors.ServerAway(f"{where}: no answer in {self.endpoint.timeout:g} s", unavailable=False) from None
        except httpx.TransportError as error:
            # A connection that httpx closed itself, for another thread took it for an idle one, says nothing of the
            # server. No request changes anything there, so that this one can be sent again.
            again = _error_number(error) == errno.EBADF
            raise errors.ServerAway(f"{where}: the connection broke ({error})", unavailable=again) from None
        try:
            content = response.json()
        except ValueError:
            content = {}
        if response.status_code == httpx.codes.OK and isinstance(content, dict) and "error" not in content:
            return content
        said = content.get("error") if isinstance(content, dict) else None
        raise self._error(response.status_code, " ".join(str(said or response.reason_phrase).split()))

    def _error(self, code: int, details: str) -> errors.ServingError:
        where = self.endpoint.address
        if code in (502, 503):
            return errors.ServerAway(f"{where}: no server answers ({code} {details})")
        if code == 504:
            return errors.ServerAway(f"{where}: no answer in time ({code} {details})", unavailable=False)
        if code in (401, 403):
            return errors.Refused(f"{where}: access denied ({code} {details}); is the API key right?")
        if code in (413, 429):
            return errors.Refused(f"{where}: too much at once or too large a request ({code} {details})")
        if code == 404:
            return self.endpoint.not_found(details)
        if code == 400 and "ignature name" in details:
            return errors.SignatureUnknown(f"{where}: {details}")
        if code == 400:
            return self.endpoint.invalid(details)
        return errors.ServerFault(f"{where}: {code} {details}")


def _plain(rows: np.ndarray) -> Json:
    """An array as JSON, bytes in base64."""
    if rows.dtype == object:
        return [{"b64": base64.b64encode(x).decode()} for x in rows]
    return rows.tolist()


def _array(content: Sequence[Any], dtype: str) -> np.ndarray:
    if dtype == "string":
        return np.array([x.encode() if isinstance(x, str) else base64.b64decode(x["b64"]) for x in content], object)
    return np.asarray(content, dtype)


def _tensor(about: JsonObject) -> tuple[str, tuple[int, ...]]:
    shape = tuple(int(x["size"]) for x in about["tensor_shape"].get("dim", []))
    dtype = str(about["dtype"])
    return DTYPES.get(dtype, dtype), shape


def _error_number(error: BaseException | None) -> int | None:
    """The operating system's number of the error behind an error of httpx; None if there is none."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return None if error is None else error.errno
