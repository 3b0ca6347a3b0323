"""Every configuration file of the servers: read with the official protos or schemas where there are any; typos fail."""

import re
import shlex
import subprocess
from pathlib import Path

import kubernetes_validate
import onnx
import onnxruntime
import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from tensorflow_serving.config import model_server_config_pb2
from tritonclient.grpc import model_config_pb2

from serving import onnx_repository, publish
from serving.errors import PublishError
from tests.serving.double import ServerDouble

SERVING = Path(__file__).resolve().parents[2] / "serving"
SERVERS = SERVING / "servers"
KUBERNETES = sorted((SERVERS / "kubernetes").glob("*.yaml"))
FLAGS = {  # of tensorflow_model_server that are used here
    "model_config_file",
    "model_config_file_poll_wait_seconds",
    "file_system_poll_wait_seconds",
    "allow_version_labels_for_unavailable_models",
    "enable_batching",
    "batching_parameters_file",
    "monitoring_config_file",
    "rest_api_timeout_in_ms",
}
# The fields of two protos that tensorflow-serving-api does not bring: name, number, type, repeated.
INT64, BOOL, STRING = (
    descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
    descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
)
MESSAGES = {
    "Int64Value": [("value", 1, INT64, False)],
    "BatchingParameters": [
        ("max_batch_size", 1, "Int64Value", False),
        ("batch_timeout_micros", 2, "Int64Value", False),
        ("max_enqueued_batches", 3, "Int64Value", False),
        ("num_batch_threads", 4, "Int64Value", False),
        ("allowed_batch_sizes", 6, INT64, True),
        ("pad_variable_length_inputs", 7, BOOL, False),
    ],
    "PrometheusConfig": [("enable", 1, BOOL, False), ("path", 2, STRING, False)],
    "MonitoringConfig": [("prometheus_config", 1, "PrometheusConfig", False)],
}


def message(name):
    """A message of `MESSAGES`."""
    file = descriptor_pb2.FileDescriptorProto(name="configurations.proto", package="here", syntax="proto3")
    for title, fields in MESSAGES.items():
        made = file.message_type.add(name=title)
        for field, number, kind, repeated in fields:
            one = made.field.add(name=field, number=number, label=3 if repeated else 1)
            if isinstance(kind, str):
                one.type, one.type_name = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE, f".here.{kind}"
            else:
                one.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"here.{name}"))()


TEXTS = {
    "models.config": model_server_config_pb2.ModelServerConfig,
    "batching_parameters.txt": lambda: message("BatchingParameters"),
    "monitoring.config": lambda: message("MonitoringConfig"),
}


def read(name):
    return text_format.Parse((SERVERS / name).read_text(), TEXTS[name]())


def compose(name="docker-compose.yaml"):
    return yaml.safe_load((SERVERS / name).read_text())


def kubernetes(name):
    return yaml.safe_load((SERVERS / "kubernetes" / f"{name}.yaml").read_text())


def container():
    return kubernetes("deployment")["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_every_field_is_one_of_the_proto(name):
    read(name)
    text = (SERVERS / name).read_text()
    for field in set(re.findall(r"^\s*(\w+)(?=\s*[:{])", text, re.M)):
        with pytest.raises(text_format.ParseError):
            text_format.Parse(re.sub(rf"\b{field}\b", f"{field}x", text), TEXTS[name]())


def test_the_last_batch_size_is_the_largest_and_the_client_keeps_to_it():
    from serving.client import ROWS

    batching = read("batching_parameters.txt")
    sizes = list(batching.allowed_batch_sizes)
    assert sizes == sorted(sizes) and sizes[-1] == batching.max_batch_size.value == ROWS


def test_the_first_configuration_has_the_name_and_place_that_prepare_gives():
    (entry,) = read("models.config").model_config_list.config
    assert (entry.name, entry.base_path) == (publish.NAME, str(publish.MOUNT / publish.NAME))


def test_metrics_are_on_where_the_proxy_keeps_them_from_strangers():
    prometheus = read("monitoring.config").prometheus_config
    assert prometheus.enable and prometheus.path.startswith("/monitoring/")


@pytest.mark.parametrize("name", ["docker-compose.yaml", "triton/docker-compose.yaml"])
def test_compose_file_is_read_only_local_limited_and_has_no_unknown_key(name):
    content = compose(name)
    assert set(content) == {"name", "services"}
    (service,) = content["services"].values()
    known = "image command ports volumes environment read_only tmpfs cap_drop security_opt restart healthcheck deploy"
    assert set(service) <= {*known.split(), "shm_size"}
    assert all(x.startswith("127.0.0.1:") for x in service["ports"])
    for volume in service["volumes"]:
        assert set(volume) == {"type", "source", "target", "read_only"} and volume["read_only"] is True
    assert set(service["healthcheck"]) == {"test", "interval", "timeout", "retries", "start_period"}
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}


def test_image_is_of_the_minor_version_of_tensorflow():
    minor = re.search(r"^tensorflow~=(\d+\.\d+)\.", (SERVING.parent / "requirements.txt").read_text(), re.M)[1]
    assert f"${{TFS_VERSION:-{minor}." in compose()["services"]["serving"]["image"]
    assert container()["image"].startswith(f"tensorflow/serving:{minor}.")


def test_both_start_the_server_alike_with_flags_that_it_has():
    command, arguments = compose()["services"]["serving"]["command"], container()["args"]
    assert command == arguments
    assert {x.removeprefix("--").partition("=")[0] for x in command} == FLAGS
    targets = {x["target"] for x in compose()["services"]["serving"]["volumes"]}
    for flag in (x for x in command if "_file=" in x):
        path = Path(flag.partition("=")[2])
        assert str(path) in targets or str(path.parent) in targets


@pytest.mark.system  # bash
def test_health_is_that_of_the_model(export, tmp_path):
    test = compose()["services"]["serving"]["healthcheck"]["test"]
    assert test[:3] == ["CMD", "bash", "-c"]
    assert container()["readinessProbe"]["exec"]["command"] == test[1:]

    def healthy(name):
        script = test[3].replace("/8501", f"/{double.rest_port}").replace("models/ccvae", f"models/{name}")
        return subprocess.run(["bash", "-c", script], capture_output=True, timeout=20).returncode == 0

    publish.prepare(export, tmp_path, mount=tmp_path)
    with ServerDouble(tmp_path / publish.CONFIG) as double:
        assert healthy("ccvae") and not healthy("ccvae2")
    assert not healthy("ccvae")


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda x: x.stem)
def test_kubernetes_schemas_hold_and_find_typos(path):
    content = yaml.safe_load(path.read_text())
    for version in ("1.30", "1.35"):
        kubernetes_validate.validate(content, version, strict=True)
    section = next(x for x in ("spec", "data") if x in content)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**content, f"{section}x": content[section]}, "1.35", strict=True)


def test_kubernetes_objects_fit_together():
    name, labels = (
        kubernetes("deployment")["metadata"]["name"],
        kubernetes("deployment")["spec"]["selector"]["matchLabels"],
    )
    assert (
        kubernetes("service")["spec"]["selector"]
        == kubernetes("disruption")["spec"]["selector"]["matchLabels"]
        == labels
    )
    assert kubernetes("autoscaler")["spec"]["scaleTargetRef"]["name"] == name
    volumes = {x["name"]: x for x in kubernetes("deployment")["spec"]["template"]["spec"]["volumes"]}
    assert volumes["models"]["persistentVolumeClaim"]["claimName"] == kubernetes("models")["metadata"]["name"]
    assert volumes["configuration"]["configMap"]["name"] == kubernetes("configmap")["metadata"]["name"]
    ports = {x["name"] for x in container()["ports"]}
    assert {x["targetPort"] for x in kubernetes("service")["spec"]["ports"]} == ports


@pytest.mark.parametrize("name", ["batching_parameters.txt", "monitoring.config"])
def test_kubernetes_has_the_same_configuration_as_compose(name):
    assert str(text_format.Parse(kubernetes("configmap")["data"][name], TEXTS[name]())) == str(read(name))


# Triton and KServe ----------------------------------------------------------------------------------------------------

TYPES = {"TYPE_FP32": "tensor(float)", "TYPE_INT32": "tensor(int32)", "TYPE_BOOL": "tensor(bool)"}


def test_triton_repository_says_of_each_model_what_onnxruntime_finds(export, tmp_path):
    folders = onnx_repository.write(export, tmp_path)
    assert {x.name for x in folders} == {f"ccvae_{x}" for x in ("encoder", "decoder", "prior", "set_labels", "swap")}
    for folder in folders:
        config = text_format.Parse((folder / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
        session = onnxruntime.InferenceSession(str(folder / "1" / "model.onnx"), providers=["CPUExecutionProvider"])
        assert config.name == folder.name and config.backend == "onnxruntime" and config.max_batch_size == 64
        for said, found in ((config.input, session.get_inputs()), (config.output, session.get_outputs())):
            assert [(x.name, TYPES[model_config_pb2.DataType.Name(x.data_type)], ["batch", *x.dims]) for x in said] == [
                (x.name, x.type, x.shape) for x in found
            ]


def test_triton_repository_is_not_written_over(export, tmp_path):
    onnx_repository.write(export, tmp_path)
    with pytest.raises(PublishError, match="already"):
        onnx_repository.write(export, tmp_path)


def test_a_typo_in_a_triton_configuration_is_found(export):
    text = onnx_repository.configuration("m", onnx.load(export / "onnx" / "decoder.onnx"))
    with pytest.raises(text_format.ParseError):
        text_format.Parse(text.replace("data_type", "datatype"), model_config_pb2.ModelConfig())


def test_kserve_runs_the_repository_with_triton():
    content = yaml.safe_load((SERVERS / "kserve" / "inference_service.yaml").read_text())
    assert content["apiVersion"] == "serving.kserve.io/v1beta1" and content["kind"] == "InferenceService"
    predictor = content["spec"]["predictor"]
    assert set(predictor) == {"minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "model"}
    model = predictor["model"]
    assert set(model) == {"modelFormat", "runtime", "protocolVersion", "storageUri", "resources"}
    assert (model["modelFormat"]["name"], model["runtime"], model["protocolVersion"]) == (
        "onnx",
        "kserve-tritonserver",
        "v2",
    )


# The README -----------------------------------------------------------------------------------------------------------


def test_every_command_in_the_readme_is_understood_and_every_file_is_named():
    from serving.__main__ import parser

    text = (SERVING / "README.md").read_text()
    commands = re.findall(r"^    python -m serving (?!explore)(.+(?:\\\n.+)*)$", text.replace("\\\n", " "), re.M)
    assert {shlex.split(x)[0] for x in commands} >= {"prepare", "label", "classify", "generate", "status", "triton"}
    for command in commands:
        parser().parse_args(shlex.split(command, comments=True))
    for path in ("models.config", "batching_parameters.txt", "monitoring.config", "nginx.conf", "load_test"):
        assert path in text
