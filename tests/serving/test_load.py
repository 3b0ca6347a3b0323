"""The load test, run for a moment against the test double."""

import json
import os
import subprocess
import sys
from pathlib import Path

from serving import publish
from tests.serving.conftest import BATCHING
from tests.serving.double import ServerDouble

ROOT = Path(__file__).resolve().parents[2]


def test_results_name_machine_and_server_and_have_percentiles_of_both_ways(export, tmp_path):
    publish.prepare(export, tmp_path, mount=tmp_path)
    out = tmp_path / "load.json"
    with ServerDouble(tmp_path / publish.CONFIG, BATCHING) as double:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "serving.load_test", "--target", double.grpc, "--target", double.rest),
                *("--server", "test double", "--users", "2", "--seconds", "1", "--out", str(out)),
            ],
            cwd=ROOT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    content = json.loads(out.read_text())
    assert content["server"] == "test double" and "CPUs" in content["machine"]
    assert set(content["targets"]) == {double.grpc, double.rest}
    for rows in content["targets"].values():
        assert rows["all"]["requests"] > 0 and set(rows["all"]["milliseconds"]) == {"p50", "p90", "p95", "p99"}
