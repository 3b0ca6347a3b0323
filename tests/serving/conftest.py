"""One export of the tiny run, shared by all test processes, and one server of each kind that can be had here.

The test double is always there. With --system a real server joins it if tensorflow_model_server is on the PATH, or if a
container engine runs (the compose file is started then), and in any case if TFS_REST_URL (http://host:8501) and
TFS_GRPC_TARGET (grpc://host:8500) name one; that must serve versions 1, labelled stable, and 2 of the export in the
folder that TFS_EXPORT names.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from serving import publish
from serving.client import CCVAEClient
from serving.errors import ServerAway, ServingError
from tests.serving.double import Batching, ServerDouble

ROOT = Path(__file__).resolve().parents[2]
BATCHING = Batching(64, (1, 2, 4, 8, 16, 32, 64), 0.002)


@dataclass(frozen=True)
class Server:
    """A server of `ccvae`, and the folder of its models if it is ours to change."""

    kind: str
    rest: str
    grpc: str
    base: Path | None = None

    def target(self, way):
        return self.rest if way == "rest" else self.grpc

    def client(self, way, **settings):
        return CCVAEClient(self.target(way), **settings)


def engine():
    """The container engine that runs here, or None."""
    for name in ("docker", "podman"):
        if shutil.which(name) and not subprocess.run([name, "info"], capture_output=True, timeout=20).returncode:
            return name
    return None


def own_kinds():
    """Servers that can be started here; all but the double run with --system alone."""
    found = []
    if shutil.which("tensorflow_model_server"):
        found.append("binary")
    if engine():
        found.append("container")
    return ["double", *(pytest.param(kind, marks=pytest.mark.system) for kind in found)]


def kinds():
    """Servers that can be reached here."""
    return own_kinds() + (["external"] if {"TFS_REST_URL", "TFS_GRPC_TARGET"} <= set(os.environ) else [])


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextlib.contextmanager
def started(kind, base):
    """A server of a kind for the models in `base`, which were published with the mount that `mount_of` says."""
    if kind == "external":
        yield Server(kind, os.environ["TFS_REST_URL"], os.environ["TFS_GRPC_TARGET"])
    elif kind == "double":
        with ServerDouble(base / publish.CONFIG, BATCHING) as double:
            yield Server(kind, double.rest, double.grpc, base)
    elif kind == "binary":
        with running(kind, base, binary_command, {}) as server:
            yield server
    else:
        with running(kind, base, container_command, {"MODEL_BASE": str(base)}) as server:
            yield server


def binary_command(base, grpc, rest):
    return [
        "tensorflow_model_server",
        *(f"--port={grpc}", f"--rest_api_port={rest}", f"--model_config_file={base / publish.CONFIG}"),
        *("--model_config_file_poll_wait_seconds=1", "--file_system_poll_wait_seconds=1", "--enable_batching=true"),
        f"--batching_parameters_file={ROOT / 'serving' / 'servers' / 'batching_parameters.txt'}",
        f"--monitoring_config_file={ROOT / 'serving' / 'servers' / 'monitoring.config'}",
        "--allow_version_labels_for_unavailable_models=true",
    ]


def container_command(base, grpc, rest):
    compose = [str(engine()), "compose", "--file", str(ROOT / "serving" / "servers" / "docker-compose.yaml")]
    return [*compose, "--project-name", f"ccvae-test-{rest}", "up"]


@contextlib.contextmanager
def running(kind, base, command, environment):
    grpc, rest = free_port(), free_port()
    ports = {"GRPC_PORT": str(grpc), "REST_PORT": str(rest)}
    process = subprocess.Popen(command(base, grpc, rest), env={**os.environ, **environment, **ports})
    server = Server(kind, f"http://127.0.0.1:{rest}", f"grpc://127.0.0.1:{grpc}", base)
    try:
        wait_for(server)
        yield server
    finally:
        process.terminate()
        process.wait(60)


def wait_for(server, seconds=120):
    until = time.monotonic() + seconds
    with server.client("rest", retries=0) as client:
        while True:
            try:
                if any(x.state == "AVAILABLE" for x in client.status()):
                    return
            except (ServerAway, ServingError):
                assert time.monotonic() < until, f"{server.kind} does not start"
            time.sleep(0.2)


def mount_of(kind, base):
    return publish.MOUNT if kind == "container" else PurePosixPath(base)


@pytest.fixture(scope="session")
def export(request):
    """An export, version 1; of a run on the tiny folder, or the one that an external server has."""
    if "TFS_EXPORT" in os.environ:
        return Path(os.environ["TFS_EXPORT"])
    return request.getfixturevalue("exported").folder


@pytest.fixture(scope="session")
def as_version(export, tmp_path_factory):
    """The same export as another version."""

    def make(version):
        folder = tmp_path_factory.mktemp(f"version{version}") / "export"
        shutil.copytree(export, folder)
        os.rename(folder / "saved_model" / "1", folder / "saved_model" / str(version))
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["version"] = version
        manifest["files"] = {
            name.replace("saved_model/1/", f"saved_model/{version}/"): x for name, x in manifest["files"].items()
        }
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    return make


@pytest.fixture(scope="session", params=kinds())
def server(request, export, as_version, tmp_path_factory):
    """A server of versions 1, labelled stable, and 2; an external one has what it has."""
    base = tmp_path_factory.mktemp(f"models-{request.param}")
    if request.param != "external":
        mount = mount_of(request.param, base)
        publish.prepare(export, base, label=("stable", 1), mount=mount)
        publish.prepare(as_version(2), base, mount=mount)
    with started(request.param, base) as made:
        yield made


@pytest.fixture(scope="session")
def description(export):
    """ccvae.json of the export."""
    return json.loads((export / "ccvae.json").read_text())


@pytest.fixture(scope="session")
def pixels(tiny):
    """float32 test images in [0, 1]."""
    return tiny.test.images.astype(np.float32) / 255
