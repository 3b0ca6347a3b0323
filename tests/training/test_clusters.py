"""How the workers of a cluster find each other and leave, and the examples for clusters."""

import contextlib
import json
import os
import socket
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from tf_ccvae.settings import ConfigError
from tf_ccvae.training import strategies

ROOT = Path(__file__).resolve().parents[2]
JOB = ROOT / "examples" / "clusters" / "kubernetes.yaml"
SCRIPT = ROOT / "examples" / "clusters" / "slurm.sbatch"


# Workers --------------------------------------------------------------------------------------------------------------


def test_workers_from_tf_config(monkeypatch):
    cluster = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    workers = strategies.find_workers()
    assert workers == strategies.Workers({"worker": ["a:1", "b:2"]}, "worker", 1)
    assert workers.count == 2 and not workers.chief


def test_a_chief_of_its_own_kind_is_the_chief(monkeypatch):
    cluster = {"chief": ["c:1"], "worker": ["a:1", "b:2"]}
    kinds = [("chief", 0), ("worker", 0), ("worker", 1)]
    found = [strategies.Workers(cluster, kind, index) for kind, index in kinds]
    assert [workers.chief for workers in found] == [True, False, False]
    assert found[0].count == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "TF_CONFIG: not understood"),
        ("{}", "TF_CONFIG: not understood"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', "TF_CONFIG: not understood"),
        (
            '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker", "index": 0}}',
            "TF_CONFIG: ps: only chief and worker take part here",
        ),
    ],
)
def test_a_wrong_tf_config_is_refused_in_one_line(monkeypatch, text, message):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError, match=message) as error:
        strategies.find_workers()
    assert "\n" not in str(error.value)


def test_no_cluster_is_refused_in_one_line():
    with pytest.raises(ConfigError, match="multi_worker finds no workers; set TF_CONFIG"):
        strategies.make("multi_worker")


@pytest.mark.parametrize("gpus", [None, "0,1"])
def test_workers_from_slurm_in_the_order_of_their_ranks(monkeypatch, gpus):
    monkeypatch.setenv("SLURM_STEP_NODELIST", "n[9-11],m2")
    monkeypatch.setenv("SLURM_STEP_TASKS_PER_NODE", "2,1(x3)")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "5")
    monkeypatch.setenv("SLURM_PROCID", "3")
    monkeypatch.setenv("SLURM_JOB_ID", "7002")
    if gpus is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    workers = strategies.find_workers()
    assert workers.addresses == {"worker": ["n9:12032", "n9:12033", "n10:12032", "n11:12032", "m2:12032"]}
    assert (workers.kind, workers.index, workers.count) == ("worker", 3, 5)


def test_what_slurm_leaves_out_is_named(monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NODELIST", "n1")
    monkeypatch.delenv("SLURM_PROCID", raising=False)
    with pytest.raises(ConfigError, match="Slurm: SLURM_PROCID not found"):
        strategies.find_workers()


def test_workers_from_a_kubernetes_job(monkeypatch):
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "10")
    monkeypatch.setenv("CCVAE_WORKERS", "12")
    monkeypatch.setenv("CCVAE_SERVICE", "ccvae-training")
    monkeypatch.setattr(socket, "gethostname", lambda: "faces-2-10")
    workers = strategies.find_workers()
    assert workers.addresses["worker"][2] == "faces-2-2.ccvae-training:2222"
    assert workers.addresses["worker"][10] == "faces-2-10.ccvae-training:2222"
    assert (workers.index, workers.count, workers.chief) == (10, 12, False)


@pytest.mark.parametrize(("count", "service"), [("", "s"), ("2", ""), ("two", "s"), ("1", "s")])
def test_a_kubernetes_job_without_number_or_service_is_refused(monkeypatch, count, service):
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "1")
    monkeypatch.setenv("CCVAE_WORKERS", count)
    monkeypatch.setenv("CCVAE_SERVICE", service)
    with pytest.raises(ConfigError, match="Kubernetes: set CCVAE_WORKERS"):
        strategies.find_workers()


@pytest.mark.parametrize(("lost_at", "raised"), [(1, True), (2, False), (None, False)])
def test_a_worker_that_has_left_is_missed_only_by_those_who_have_not_met_it(monkeypatch, lost_at, raised):
    meetings = []

    def wait(devices):
        meetings.append(devices)
        if len(meetings) == lost_at:
            raise strategies.WorkerLost

    monkeypatch.setattr(strategies.Devices, "wait", wait)
    with pytest.raises(strategies.WorkerLost) if raised else contextlib.nullcontext():
        strategies.Devices(workers=2).leave()
    assert len(meetings) == (1 if raised else 2)


# Examples -------------------------------------------------------------------------------------------------------------


def test_the_kubernetes_example_is_valid_and_fits_together(monkeypatch):
    service, job = yaml.safe_load_all(JOB.read_text())
    for version in ("1.30", "1.35"):
        for part in (service, job):
            kubernetes_validate.validate(part, version, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**job, "specs": job["spec"]}, "1.35", strict=True)
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    assert spec["completionMode"] == "Indexed" and spec["completions"] == spec["parallelism"]
    assert int(environment["CCVAE_WORKERS"]) == spec["completions"]
    assert environment["CCVAE_SERVICE"] == pod["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"] == {"batch.kubernetes.io/job-name": job["metadata"]["name"]}
    assert service["spec"]["clusterIP"] == "None" and service["spec"]["publishNotReadyAddresses"] is True
    assert service["spec"]["ports"][0]["port"] == strategies.POD_PORT
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "1")
    monkeypatch.setattr(socket, "gethostname", lambda: f"{job['metadata']['name']}-1")
    assert strategies.find_workers().addresses["worker"][1].startswith(f"{job['metadata']['name']}-1.")


@pytest.mark.system  # bash
@pytest.mark.parametrize(("codes", "expected"), [([137, 75, 0], 0), ([2], 2), ([137] * 5, 137)])
def test_the_slurm_example_goes_on_after_the_loss_of_a_worker(tmp_path, codes, expected):
    srun = tmp_path / "srun"
    srun.write_text(
        '#!/bin/bash\necho "$*" >> "$LOG"\nmkdir -p "$RUN" && touch "$RUN/config.yaml"\n'
        'codes=($CODES)\nexit "${codes[$(wc -l < "$LOG") - 1]}"\n'
    )
    srun.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "LOG": str(tmp_path / "log"),
        "RUN": str(tmp_path / "run"),
        "CODES": " ".join(map(str, codes)),
        "SLURM_JOB_ID": "7",
    }
    done = subprocess.run(["bash", str(SCRIPT), "--config", "x.yaml"], env=environment, capture_output=True)
    assert done.returncode == expected
    program = "--kill-on-bad-exit=1 python -m tf_ccvae.fit"
    first = f"{program} --config x.yaml --strategy multi_worker --run-dir {tmp_path}/run"
    again = [f"{program} --resume {tmp_path}/run"] * (len(codes) - 1)
    assert (tmp_path / "log").read_text().splitlines() == [first, *again]
