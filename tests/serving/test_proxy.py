"""The nginx example, run in front of the test double: TLS, API key, request size, rate, and what stays hidden."""

import os
import shutil
import ssl
import subprocess
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from serving import errors, publish
from serving.client import CCVAEClient
from tests.serving.conftest import BATCHING, free_port
from tests.serving.double import ServerDouble

pytestmark = pytest.mark.system
CONFIG = Path(__file__).resolve().parents[2] / "serving" / "servers" / "nginx.conf"
KEY = "a-key-for-tests"


class Proxy:
    """nginx in a folder of its own, and the double behind it."""

    def __init__(self, folder, double):
        self.folder, self.port = folder, free_port()
        self.ca = folder / "server.crt"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
                *("-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "server.key", "-out", self.ca),
            ],
            check=True,
            capture_output=True,
        )
        (folder / "api_keys.conf").write_text(f'"{KEY}" 1;\n')
        text = CONFIG.read_text()
        for old, new in (
            ("listen 8443", f"listen 127.0.0.1:{self.port}"),
            ("127.0.0.1:8501", f"127.0.0.1:{double.rest_port}"),
            ("127.0.0.1:8500", f"127.0.0.1:{double.grpc_port}"),
            ("worker_processes auto", "worker_processes 1"),
        ):
            assert text.count(old) == 1
            text = text.replace(old, new)
        (folder / "nginx.conf").write_text(text)

    def command(self, *more):
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        return [program, "-p", str(self.folder), "-c", "nginx.conf", "-e", "error.log", *more]

    def request(self, path, key=KEY, **settings):
        headers = {"x-api-key": key} if key else {}
        trusted = ssl.create_default_context(cafile=self.ca)
        method = "POST" if settings else "GET"
        with httpx.Client(verify=trusted, trust_env=False, timeout=30) as http:
            return http.request(method, f"https://localhost:{self.port}{path}", headers=headers, **settings)

    def client(self, scheme, key=KEY, ca=True):
        return CCVAEClient(
            f"{scheme}://localhost:{self.port}", api_key=key, ca=self.ca if ca else None, timeout=20, retries=0
        )


@pytest.fixture(scope="module")
def proxy(export, tmp_path_factory):
    base, folder = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("nginx")
    folder.chmod(0o755)
    folder.parent.chmod(0o755)
    publish.prepare(export, base, mount=base)
    with ServerDouble(base / publish.CONFIG, BATCHING) as double:
        made = Proxy(folder, double)
        process = subprocess.Popen(made.command("-g", "daemon off;" + user_setting()))
        try:
            for _ in range(100):
                try:
                    made.request("/v1/models/ccvae")
                    break
                except httpx.ConnectError:
                    time.sleep(0.1)
            yield made
        finally:
            process.terminate()
            process.wait(20)


def user_setting():
    """Workers run as whoever runs the tests, so that they may write into the test's folder."""
    return " user root;" if os.getuid() == 0 else ""


@pytest.fixture(autouse=True)
def rested(proxy):
    """Lets the rate limit of the test before recover."""
    time.sleep(0.3)


def test_nginx_finds_nothing_wrong_with_the_example(proxy):
    done = subprocess.run(proxy.command("-t"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("scheme", ["grpcs", "https"])
def test_the_client_gets_through_with_its_key(proxy, scheme, pixels):
    with proxy.client(scheme) as client:
        assert client.classify(pixels[:2])["probabilities"].shape[0] == 2
        assert [x.state for x in client.status()] == ["AVAILABLE"]


@pytest.mark.parametrize("scheme", ["grpcs", "https"])
@pytest.mark.parametrize("key", [None, "a-wrong-key"])
def test_without_the_key_nobody_does(proxy, scheme, key):
    with proxy.client(scheme, key=key) as client, pytest.raises(errors.Refused, match="API key"):
        client.status()


@pytest.mark.parametrize("scheme", ["grpcs", "https"])
def test_a_certificate_that_nobody_trusts_is_refused(proxy, scheme):
    with proxy.client(scheme, ca=False) as client, pytest.raises(errors.ServerAway):
        client.status()


def test_the_largest_request_of_the_client_passes_and_a_larger_body_does_not(proxy, pixels):
    images = np.resize(pixels, (64, *pixels.shape[1:]))
    with proxy.client("https") as client:
        assert len(client.encode(images)["loc"]) == 64
    answer = proxy.request("/v1/models/ccvae:predict", content=b" " * (33 * 2**20))
    assert answer.status_code == 413 and "too large" in answer.json()["error"]


def test_metrics_and_unknown_paths_are_hidden(proxy):
    for path in ("/monitoring/prometheus/metrics", "/", "/v1/models", "/tensorflow.serving.ModelService/HandleReload"):
        assert proxy.request(path).status_code == 404
    assert proxy.request("/tensorflow.serving.ModelService/HandleReloadConfigRequest", content=b"").status_code == 404


def test_errors_of_the_server_come_through_as_they_are(proxy, pixels):
    assert "not found" in proxy.request("/v1/models/none:predict", json={"instances": [1]}).json()["error"]


def test_too_many_requests_are_refused_and_then_taken_again(proxy):
    codes = [proxy.request("/v1/models/ccvae").status_code for _ in range(90)]
    assert set(codes) == {200, 429}
    time.sleep(1)
    assert proxy.request("/v1/models/ccvae").status_code == 200
