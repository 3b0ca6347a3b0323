"""Requests over gRPC, with the official stubs of TensorFlow Serving."""

from collections.abc import Callable
from typing import TypeVar

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.message import Message
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving import errors
from serving.target import Answer, Endpoint, Specification, State

Response = TypeVar("Response", bound=Message)
MAX_MESSAGE = 128 * 2**20  # bytes; 64 pairs of 256x256x3 images in float32 have 101 MB
OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.enable_http_proxy", 0),
)


class Grpc:
    """One channel to a server.

    Args:
      endpoint: where and how.

    Every method raises the errors of `serving.errors`.
    """

    def __init__(self, endpoint: Endpoint):
        self.endpoint = endpoint
        self.metadata = (("x-api-key", endpoint.api_key),) if endpoint.api_key else ()
        if endpoint.tls:
            roots = endpoint.certificate()
            self.channel = grpc.secure_channel(endpoint.address, grpc.ssl_channel_credentials(roots), OPTIONS)
        else:
            self.channel = grpc.insecure_channel(endpoint.address, OPTIONS)
        self.predictions = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def predict(self, signature: str, inputs: dict[str, np.ndarray]) -> Answer:
        """Runs a signature: arrays by input name -> arrays by output name, and the version that answered."""
        request = predict_pb2.PredictRequest(model_spec=self._model(signature))
        for name, rows in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(rows))
        response = self._call(self.predictions.Predict, request)
        return Answer(
            {name: tf.make_ndarray(proto) for name, proto in response.outputs.items()},
            response.model_spec.version.value,
        )

    def signatures(self) -> dict[str, Specification]:
        """What each signature takes and gives, by name."""
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=self._model(), metadata_field=["signature_def"]
        )
        signatures = get_model_metadata_pb2.SignatureDefMap()
        self._call(self.predictions.GetModelMetadata, request).metadata["signature_def"].Unpack(signatures)
        return {name: _specification(x) for name, x in signatures.signature_def.items() if x.method_name}

    def status(self) -> list[State]:
        """The state of each version of the model, or of the endpoint's."""
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=self._model())
        response = self._call(self.models.GetModelStatus, request)
        names = get_model_status_pb2.ModelVersionStatus.State
        return [State(x.version, names.Name(x.state), x.status.error_message) for x in response.model_version_status]

    def close(self) -> None:
        """Closes the channel."""
        self.channel.close()

    def _model(self, signature: str = "") -> model_pb2.ModelSpec:
        model = model_pb2.ModelSpec(name=self.endpoint.model, signature_name=signature)
        if self.endpoint.version is not None:
            model.version.value = self.endpoint.version
        elif self.endpoint.label is not None:
            model.version_label = self.endpoint.label
        return model

    def _call(self, method: Callable[..., Response], request: Message) -> Response:
        try:
            return method(request, timeout=self.endpoint.timeout, metadata=self.metadata)
        except grpc.RpcError as error:
            raise self._error(error.code(), " ".join((error.details() or "").split())) from None

    def _error(self, code: grpc.StatusCode, details: str) -> errors.ServingError:
        where = self.endpoint.address
        if code == grpc.StatusCode.UNAVAILABLE:
            return errors.ServerAway(f"{where}: no server answers ({details})")
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return errors.ServerAway(f"{where}: no answer in {self.endpoint.timeout:g} s", unavailable=False)
        if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
            return errors.Refused(f"{where}: access denied ({details}); is the API key right?")
        if code == grpc.StatusCode.NOT_FOUND:
            return self.endpoint.not_found(details)
        if code == grpc.StatusCode.FAILED_PRECONDITION and "ignature" in details:
            return errors.SignatureUnknown(f"{where}: {details}")
        if code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION):
            return self.endpoint.invalid(details)
        if code == grpc.StatusCode.RESOURCE_EXHAUSTED:
            return errors.Refused(f"{where}: too much at once or too large a message ({details})")
        return errors.ServerFault(f"{where}: {code.name}: {details}")


def _specification(signature: meta_graph_pb2.SignatureDef) -> Specification:
    return Specification(
        {name: _tensor(x) for name, x in signature.inputs.items()},
        {name: _tensor(x) for name, x in signature.outputs.items()},
    )


def _tensor(info: meta_graph_pb2.TensorInfo) -> tuple[str, tuple[int, ...]]:
    return tf.as_dtype(info.dtype).name, tuple(x.size for x in info.tensor_shape.dim)
