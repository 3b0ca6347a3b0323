"""A test double of TensorFlow Serving: the official gRPC services and the REST paths around exported SavedModels.

It is for tests alone: no authentication, no limits on memory, loopback only. What it has in common with the real server
is what a client sees: paths, status codes, bodies, versions, labels, batching with its limits, and loading while it
serves. It reads the same models.config, again and again while it runs.

    python tests/serving/double.py MODEL_BASE [--grpc 8500] [--rest 8501]

serves it for trials by hand; MODEL_BASE/models.config must have been written with --mount MODEL_BASE.
"""

import argparse
import base64
import binascii
import contextlib
import json
import queue
import re
import sys
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from google.protobuf.json_format import MessageToDict
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config import model_server_config_pb2

Code = grpc.StatusCode
HTTP = {
    Code.INVALID_ARGUMENT: 400,
    Code.FAILED_PRECONDITION: 400,
    Code.NOT_FOUND: 404,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.INTERNAL: 500,
}
PREDICT = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+)|/labels/([^/:]+))?:(classify|regress|predict)", re.I)
LOOK = re.compile(r"/v1/models(?:/([^/:]+))?(?:/versions/(\d+)|/labels/([^/:]+))?(/metadata)?", re.I)
METRICS = "/monitoring/prometheus/metrics"
DEFAULT = "serving_default"
State = get_model_status_pb2.ModelVersionStatus
Inputs = dict[str, np.ndarray]


class Failure(Exception):
    """An answer that is an error."""

    def __init__(self, code: Code, message: str):
        super().__init__(message)
        self.code = code


def invalid(message):
    return Failure(Code.INVALID_ARGUMENT, message)


@dataclass(frozen=True)
class Batching:
    """What batching_parameters.txt says."""

    max_batch_size: int
    allowed_batch_sizes: tuple[int, ...]
    timeout: float  # seconds


class Batcher:
    """Merges requests of one signature, pads them to an allowed size, and gives each its own rows."""

    def __init__(self, run, batching, sizes):
        self.run, self.batching, self.sizes = run, batching, sizes
        self.waiting = queue.Queue()
        threading.Thread(target=self._work, daemon=True).start()

    def __call__(self, inputs: Inputs):
        if not inputs:
            raise invalid("Batching Run() must have at least one input tensor")
        if any(x.ndim == 0 for x in inputs.values()):
            raise invalid("Batching Run() input tensors must have at least one dimension")
        if len({len(x) for x in inputs.values()}) > 1:
            raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
        size = len(next(iter(inputs.values())))
        if size > self.batching.max_batch_size:
            raise invalid(f"Task size {size} is larger than maximum input batch size {self.batching.max_batch_size}")
        answer = Future()
        self.waiting.put((size, inputs, answer))
        return answer.result()

    def _work(self):
        left = None
        while True:
            tasks, until = [left or self.waiting.get()], time.monotonic() + self.batching.timeout
            left = None
            while left is None and sum(x[0] for x in tasks) < self.batching.max_batch_size:
                try:
                    task = self.waiting.get(timeout=max(0.0, until - time.monotonic()))
                except queue.Empty:
                    break
                if sum(x[0] for x in tasks) + task[0] > self.batching.max_batch_size:
                    left = task
                else:
                    tasks.append(task)
            try:
                self._answer(tasks)
            except Exception as error:
                for _, _, answer in tasks:
                    answer.set_exception(error)

    def _answer(self, tasks):
        size = sum(x[0] for x in tasks)
        padding = next(x for x in (*self.batching.allowed_batch_sizes, size) if x >= size) - size
        merged = {}
        for name in tasks[0][1]:
            parts = [x[1][name] for x in tasks]
            if len({x.shape[1:] for x in parts}) > 1:
                raise Failure(
                    Code.FAILED_PRECONDITION,
                    f"Tensors with name '{name}' from different tasks have different shapes and padding is turned off",
                )
            merged[name] = np.concatenate([*parts, np.repeat(parts[0][:1], padding, axis=0)])
        self.sizes[size + padding] += 1
        outputs = self.run(merged)
        if any(x.ndim == 0 or len(x) != size + padding for x in outputs.values()):
            raise Failure(
                Code.FAILED_PRECONDITION,
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input "
                "tensors",
            )
        start = 0
        for rows, _, answer in tasks:
            answer.set_result({name: x[start : start + rows] for name, x in outputs.items()})
            start += rows


class Servable:
    """One version of a model."""

    def __init__(self, folder: Path, batching, sizes):
        proto = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        self.version = int(folder.name)
        self.signatures = dict(proto.meta_graphs[0].signature_def)
        self.loaded = tf.saved_model.load(str(folder))
        self.runners = {name: self._runner(name) for name in self.loaded.signatures}
        if batching:
            self.runners = {name: Batcher(run, batching, sizes) for name, run in self.runners.items()}

    def _runner(self, name):
        function = self.loaded.signatures[name]

        def run(inputs: Inputs):
            try:
                results = function(**{key: tf.constant(rows) for key, rows in inputs.items()})
            except (tf.errors.InvalidArgumentError, TypeError, ValueError) as error:
                raise invalid(str(error)) from None
            except tf.errors.OpError as error:
                raise Failure(Code.INTERNAL, str(error)) from None
            return {key: value.numpy() for key, value in results.items()}

        return run

    def predict(self, request):
        key = request.model_spec.signature_name or DEFAULT
        if key not in self.signatures or key not in self.runners:
            raise Failure(Code.FAILED_PRECONDITION, f'Serving signature key "{key}" not found.')
        expected, sent = self.signatures[key].inputs, request.inputs
        extra, missing = sorted(set(sent) - set(expected)), sorted(set(expected) - set(sent))
        if extra or missing:
            raise invalid(
                f"input size does not match signature: {len(sent)}!={len(expected)} len({{{','.join(sorted(sent))}}}) "
                f"!= len({{{','.join(sorted(expected))}}}). Sent extra: {{{','.join(extra)}}}. Missing but required: "
                f"{{{','.join(missing)}}}."
            )
        for index, (name, proto) in enumerate(sorted(sent.items())):
            if proto.dtype != expected[name].dtype:
                wanted, got = tf.as_dtype(expected[name].dtype).name, tf.as_dtype(proto.dtype).name
                raise invalid(f"Expects arg[{index}] to be {wanted} but {got} is provided")
        inputs = {name: tf.make_ndarray(proto) for name, proto in sent.items()}
        outputs = self.runners[key](inputs)
        for name in request.output_filter:
            if name not in outputs:
                raise invalid(f"output tensor alias not found in signature: {name}")
        response = predict_pb2.PredictResponse()
        response.model_spec.CopyFrom(request.model_spec)
        response.model_spec.ClearField("version_choice")
        response.model_spec.signature_name = key
        response.model_spec.version.value = self.version
        for name in request.output_filter or outputs:
            response.outputs[name].CopyFrom(tf.make_tensor_proto(outputs[name]))
        return response


@dataclass
class Model:
    """A model of models.config, and what is loaded of it."""

    labels: dict[str, int] = field(default_factory=dict)
    loaded: dict[int, Servable] = field(default_factory=dict)
    states: dict[int, int] = field(default_factory=dict)


class ServerDouble:
    """The test double; a context manager.

    Args:
      config: path of a models.config, whose base paths are seen from here.
      batching: None for a server without --enable_batching.
      poll: pause between looks at the configuration and at the folders, in seconds.
      ports: of gRPC and REST; 0 for any that is free.
    """

    def __init__(self, config: Path, batching: Batching | None = None, poll: float = 0.2, ports=(0, 0)):
        self.config, self.batching, self.poll = config, batching, poll
        self.models: dict[str, Model] = {}
        self.sizes: Counter[int] = Counter()  # of the batches that were run
        self.requests: Counter[str] = Counter()
        self.refusals = 0  # a test sets it: so many requests are answered UNAVAILABLE
        self.delay = 0.0  # of every answer, in seconds
        self.applied = None  # the last configuration that was not refused
        self.refused = None  # why the last one was
        self.stopping = threading.Event()
        self.look()
        self.server = grpc.server(
            ThreadPoolExecutor(256),
            options=[("grpc.max_receive_message_length", 2**31 - 1), ("grpc.max_send_message_length", 2**31 - 1)],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Predictions(self), self.server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(Models(self), self.server)
        self.grpc_port = self.server.add_insecure_port(f"127.0.0.1:{ports[0]}")
        self.http = Http(("127.0.0.1", ports[1]), Handler)
        self.http.double = self
        self.rest_port = self.http.server_address[1]

    def __enter__(self):
        self.server.start()
        self.threads = [
            threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True),
            threading.Thread(target=self._poll, daemon=True),
        ]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.http.shutdown()
        self.http.server_close()
        self.server.stop(None).wait()
        for thread in self.threads:
            thread.join()

    @property
    def rest(self):
        return f"http://127.0.0.1:{self.rest_port}"

    @property
    def grpc(self):
        return f"grpc://127.0.0.1:{self.grpc_port}"

    def _poll(self):
        while not self.stopping.wait(self.poll):
            with contextlib.suppress(OSError, text_format.ParseError, Failure):
                self.look()

    def look(self, config=None):
        """Applies the configuration if the server would, and loads and drops versions by what was applied last."""
        refused = None
        try:
            if config is None:
                config = text_format.Parse(self.config.read_text(), model_server_config_pb2.ModelServerConfig())
            self._check_labels(config)
            self.applied = config
            for entry in config.model_config_list.config:
                self.models.setdefault(entry.name, Model()).labels = dict(entry.version_labels)
        except (OSError, text_format.ParseError, Failure) as error:
            if self.applied is None:
                raise  # the server does not start
            refused = error
        for entry in self.applied.model_config_list.config:
            self._load(entry)
        if isinstance(refused, Failure):
            self.refused = str(refused)
            raise refused

    def _check_labels(self, config):
        """As the server does before it loads anything, with --allow_version_labels_for_unavailable_models."""
        for entry in config.model_config_list.config:
            model = self.models.get(entry.name, Model())
            for label, version in entry.version_labels.items():
                if model.labels.get(label, version) != version and version not in model.loaded:
                    raise Failure(
                        Code.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model {entry.name}, which is not currently "
                        "available for inference",
                    )

    def _load(self, entry):
        model = self.models[entry.name]
        there = sorted(int(x.name) for x in Path(entry.base_path).iterdir() if x.name.isdigit())
        policy = entry.model_version_policy
        kind = policy.WhichOneof("policy_choice")
        wanted = there[-(policy.latest.num_versions or 1) :]
        if kind == "specific":
            wanted = [x for x in there if x in policy.specific.versions]
        if kind == "all":
            wanted = there
        for version in wanted:
            if version not in model.loaded:
                model.states[version] = State.LOADING
                folder = Path(entry.base_path) / str(version)
                model.loaded = model.loaded | {version: Servable(folder, self.batching, self.sizes)}
                model.states[version] = State.AVAILABLE
        for version in set(model.loaded) - set(wanted):
            model.loaded = {key: x for key, x in model.loaded.items() if key != version}
            model.states[version] = State.END

    # What both ways in share ------------------------------------------------------------------------------------------

    def servable(self, spec):
        model = self.models.get(spec.name, Model())
        choice = spec.WhichOneof("version_choice")
        if choice == "version_label":
            if spec.version_label not in model.labels:
                raise invalid(f"Unrecognized servable version label: {spec.version_label}")
            version = model.labels[spec.version_label]
        else:
            version = spec.version.value if choice else max(model.loaded, default=None)
        if version not in model.loaded:
            asked = f"Specific({spec.name}, {version})" if choice else f"Latest({spec.name})"
            raise Failure(Code.NOT_FOUND, f"Servable not found for request: {asked}")
        return model.loaded[version]

    def predict(self, request):
        self.requests[request.model_spec.signature_name or DEFAULT] += 1
        if self.refusals:
            self.refusals -= 1
            raise Failure(Code.UNAVAILABLE, "the test double was told to refuse")
        time.sleep(self.delay)
        return self.servable(request.model_spec).predict(request)

    def metadata(self, request):
        if list(request.metadata_field) != ["signature_def"]:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        servable = self.servable(request.model_spec)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = servable.version
        found = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in servable.signatures.items():
            found.signature_def[name].CopyFrom(signature)
        response.metadata["signature_def"].Pack(found)
        return response

    def status(self, request):
        spec = request.model_spec
        states = self.models[spec.name].states if spec.name in self.models else {}
        if spec.WhichOneof("version_choice") == "version":
            if spec.version.value not in states:
                raise Failure(Code.NOT_FOUND, f"Could not find version {spec.version.value} of model {spec.name}")
            states = {spec.version.value: states[spec.version.value]}
        if not states:
            raise Failure(Code.NOT_FOUND, f"Could not find any versions of model {spec.name}")
        response = get_model_status_pb2.GetModelStatusResponse()
        for version, state in sorted(states.items(), reverse=True):
            one = response.model_version_status.add(version=version, state=state)
            one.status.SetInParent()
        return response


# gRPC -----------------------------------------------------------------------------------------------------------------


class Services:
    def __init__(self, double):
        self.double = double

    def _answer(self, run, request, context):
        try:
            return run(request)
        except Failure as error:
            context.abort(error.code, str(error))


class Predictions(Services, prediction_service_pb2_grpc.PredictionServiceServicer):
    def Predict(self, request, context):
        return self._answer(self.double.predict, request, context)

    def GetModelMetadata(self, request, context):
        return self._answer(self.double.metadata, request, context)


class Models(Services, model_service_pb2_grpc.ModelServiceServicer):
    def GetModelStatus(self, request, context):
        return self._answer(self.double.status, request, context)

    def HandleReloadConfigRequest(self, request, context):
        response = model_management_pb2.ReloadConfigResponse()
        try:
            self.double.look(request.config)
        except Failure as error:
            response.status.error_code, response.status.error_message = error.code.value[0], str(error)
        return response


# REST -----------------------------------------------------------------------------------------------------------------


class Http(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True

    def handle_error(self, request, client_address):
        # A client that has given up waiting is no fault; what is said of it would end up in another test's output.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = PREDICT.fullmatch(self.path)
        self._answer(lambda: self._predict(found, body))

    def do_GET(self):
        double = self.server.double
        if self.path == METRICS:
            lines = [f'tensorflow_serving_request_count{{model="{k}"}} {n}' for k, n in double.requests.items()]
            return self._send(200, "\n".join([*lines, ""]).encode(), "text/plain")
        self._answer(lambda: self._look(LOOK.fullmatch(self.path)))

    def _answer(self, run):
        if not self.path.lower().startswith("/v1/"):
            return self._send(404, b"", "text/plain")
        try:
            code, content = 200, run()
        except Failure as error:
            code, content = HTTP[error.code], {"error": str(error)}
        self._send(code, json.dumps(content, indent=4).encode(), "application/json")

    def _send(self, code, body, kind):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _spec(self, found):
        name, version, label = found.group(1), found.group(2), found.group(3)
        spec = model_pb2.ModelSpec(name=unquote(name or ""))
        if version:
            spec.version.value = int(version)
        if label:
            spec.version_label = unquote(label)
        return spec

    def _look(self, found):
        if not found:
            raise invalid(f"Malformed request: GET {self.path}")
        spec = self._spec(found)
        if not spec.name:
            raise invalid("Missing model name in request.")
        options = {"preserving_proto_field_name": True, "always_print_fields_with_no_presence": True}
        if not found.group(4):
            return MessageToDict(
                self.server.double.status(get_model_status_pb2.GetModelStatusRequest(model_spec=spec)), **options
            )
        request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
        response = self.server.double.metadata(request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        return {
            "model_spec": MessageToDict(response.model_spec, **options),
            "metadata": {"signature_def": MessageToDict(signatures, **options)},
        }

    def _predict(self, found, body):
        if not found:
            raise invalid(f"Malformed request: POST {self.path}")
        if found.group(4).lower() != "predict":
            raise Failure(Code.UNIMPLEMENTED, "the test double answers predict only")
        request, by_row = read_json(body, self._spec(found), self.server.double.servable)
        response = self.server.double.predict(request)
        outputs = {name: plain(name, tf.make_ndarray(x)) for name, x in response.outputs.items()}
        return (
            rows_of(outputs) if by_row else {"outputs": outputs if len(outputs) > 1 else next(iter(outputs.values()))}
        )


def read_json(body, spec, servable):
    """The body of a request as a PredictRequest, and whether it is in the row format."""
    try:
        content = json.loads(body)
    except ValueError as error:
        raise invalid(f"JSON Parse error: {error}") from None
    if not isinstance(content, dict):
        raise invalid(f"JSON Value: {content} Is not object")
    name = content.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(f"JSON Value: {content} not formatted correctly. 'signature_name' key must be a string value.")
    spec.signature_name = name
    signatures = servable(spec).signatures
    if (name or DEFAULT) not in signatures:
        raise invalid(f'Serving signature name: "{name or DEFAULT}" not found in signature def')
    expected = signatures[name or DEFAULT].inputs
    if not expected:
        raise invalid(f"Failed to get input map for signature: {name or 'DEFAULT'}")
    if "instances" in content and "inputs" in content:
        raise invalid("Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ")
    if "instances" in content:
        columns = columns_of(content["instances"], expected)
    elif "inputs" in content:
        columns = named_columns(content["inputs"], expected)
    else:
        raise invalid("Missing 'inputs' or 'instances' key")
    request = predict_pb2.PredictRequest(model_spec=spec)
    for key, value in columns.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(tensor(value, expected[key].dtype)))
    return request, "instances" in content


def encoded(value):
    return isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str)


def columns_of(instances, expected):
    if not isinstance(instances, list):
        raise invalid("Expecting 'instances' to be an list/array")
    if not instances:
        raise invalid("No values in 'instances' array")
    objects = isinstance(instances[0], dict) and not encoded(instances[0])
    if not objects and len(expected) > 1:
        raise invalid("instances is a plain list, but expecting list of objects as multiple input tensors required")
    columns = {name: [] for name in expected}
    for index, one in enumerate(instances):
        if objects != (isinstance(one, dict) and not encoded(one)):
            raise invalid(f"Expecting {'object' if objects else 'value/list'} at item {index} of input list")
        if objects and set(one) != set(expected):
            raise invalid(
                f"Failed to process element: {index} of 'instances' list. keys must be equal to: "
                f"{','.join(sorted(expected))}"
            )
        for name in expected:
            columns[name].append(one[name] if objects else one)
    return columns


def named_columns(inputs, expected):
    if not isinstance(inputs, dict) or encoded(inputs):
        if len(expected) > 1:
            raise invalid("inputs is a plain value/list, but expecting an object as multiple input tensors required")
        return {next(iter(expected)): inputs}
    for name in expected:
        if name not in inputs:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: inputs[name] for name in expected}


def tensor(value, dtype):
    """A JSON value as an array, checked as strictly as the real server does."""
    dtype = tf.as_dtype(dtype)
    shape, inner = [], value
    while isinstance(inner, list):
        shape.append(len(inner))
        inner = inner[0] if inner else None
    flat = []
    fill(value, shape, 0, dtype, flat)
    return np.array(flat, object if dtype == tf.string else dtype.as_numpy_dtype).reshape(shape)


def fill(value, shape, level, dtype, flat):
    if isinstance(value, list):
        if level >= len(shape):
            raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
        if len(value) != shape[level]:
            raise invalid(
                f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
            )
        for one in value:
            fill(one, shape, level + 1, dtype, flat)
    elif level != len(shape):
        raise invalid(f"JSON Value: {value} found at incorrect level: {level + 1} in the JSON DOM")
    else:
        flat.append(scalar(value, dtype))


def scalar(value, dtype):
    if dtype == tf.string and encoded(value):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except binascii.Error:
            raise invalid("Unable to base64 decode") from None
    if dtype == tf.string and isinstance(value, str):
        return value.encode()
    if dtype == tf.bool and isinstance(value, bool):
        return value
    whole = isinstance(value, int) and not isinstance(value, bool)
    if (dtype.is_integer and whole) or (dtype.is_floating and (whole or isinstance(value, float))):
        return value
    raise invalid(f"JSON Value: {json.dumps(value)} is not of expected type: {dtype.name}")


def plain(name, rows):
    if rows.dtype != object:
        return rows.tolist()
    if name.endswith("_bytes"):
        return [{"b64": base64.b64encode(x).decode()} for x in rows]
    return [x.decode() for x in rows]


def rows_of(outputs):
    if len({len(x) for x in outputs.values()}) > 1:
        raise invalid("Tensors have inconsistent batch sizes")
    if len(outputs) == 1:
        return {"predictions": next(iter(outputs.values()))}
    return {"predictions": [dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path)
    parser.add_argument("--grpc", type=int, default=8500)
    parser.add_argument("--rest", type=int, default=8501)
    given = parser.parse_args()
    batching = Batching(64, (1, 2, 4, 8, 16, 32, 64), 0.002)
    with ServerDouble(given.base / "models.config", batching, ports=(given.grpc, given.rest)) as double:
        print(f"Test double (not TensorFlow Serving): {double.grpc} {double.rest}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
