"""Which devices train and how workers find each other, as far as that needs no second device."""

import contextlib
import json
import os
import socket
import subprocess
from pathlib import Path

import kubernetes_validate
import numpy as np
import pytest
import tensorflow as tf
import yaml

from tf_ccvae import settings
from tf_ccvae.data.pipeline import Share, evaluation_batches, training_batches
from tf_ccvae.programs import fit as fit_program
from tf_ccvae.settings import ConfigError
from tf_ccvae.training import build, loop, run_directory, strategies

ROOT = Path(__file__).resolve().parent.parent.parent
JOB = ROOT / "examples" / "clusters" / "kubernetes.yaml"
SCRIPT = ROOT / "examples" / "clusters" / "slurm.sbatch"


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    for name in ("TF_CONFIG", "JOB_COMPLETION_INDEX", "SLURM_STEP_NODELIST"):
        monkeypatch.delenv(name, raising=False)


def rows(batches):
    return [batch["index"].numpy().tolist() for batch in batches]


# Input ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("workers", "replicas"), [(1, 2), (2, 2), (3, 6), (2, 4)])
@pytest.mark.parametrize("batch", [16, 13])
def test_parts_of_all_workers_put_together_are_the_batches_of_one_device(tiny, workers, replicas, batch):
    here = replicas // workers
    whole = rows(training_batches(tiny.train, batch, 5, seed=3))
    shares = [Share(replicas, worker * here, here) for worker in range(workers)]
    parts = [rows(training_batches(tiny.train, batch, 5, seed=3, here=share)) for share in shares]
    for step, batch_rows in enumerate(whole):
        of_step = [part for worker in parts for part in worker[step * here : (step + 1) * here]]
        assert [row for part in of_step for row in part] == batch_rows
        assert max(map(len, of_step)) - min(map(len, of_step)) <= 1


def test_evaluation_sees_every_example_once_and_no_part_is_empty(tiny):
    shares = [Share(4, worker * 2, 2) for worker in range(2)]
    parts = [rows(evaluation_batches(tiny.test, 21, share)) for share in shares]  # 64 = 3 * 21 + 1
    assert [len(part) for part in parts] == [8, 8]
    assert sorted(row for worker in parts for part in worker for row in part) == list(range(64))
    assert {len(part) for worker in parts for part in worker} == {4}


def test_parts_of_equal_size_have_a_static_shape(tiny):
    of = {share: training_batches(tiny.train, 16, 5, 0, here=share).element_spec for share in (Share(4), Share(3))}
    assert of[Share(4)]["image"].shape == (4, 28, 28, 1)
    assert of[Share(3)]["image"].shape[0] is None


# Settings -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--strategy", "mirored"],
            "--strategy: 'mirored' is not one of none, mirrored, multi_worker; did you mean mirrored?",
        ),
        (
            ["--strategy", "mirrored", "--training.jit", "true"],
            "training.jit: true (XLA) does not work with --strategy mirrored; leave it at auto",
        ),
        (
            ["--strategy", "multi_worker"],
            "--run-dir: missing; --strategy multi_worker needs a directory that all workers share",
        ),
        (
            ["--strategy", "mirrored", "--training.steps-per-execution", "8"],
            "--training.steps-per-execution: unknown setting; did you mean --training.precision?",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_line(arguments, message):
    with pytest.raises(ConfigError) as error:
        settings.parse(arguments)
    assert str(error.value) == message


def test_the_strategy_is_saved_and_may_change_when_a_run_is_continued(tmp_path):

    config = settings.parse(["--strategy", "multi_worker", "--run-dir", str(tmp_path)]).config
    config.to_yaml(tmp_path / "config.yaml")
    continued = settings.parse(["--resume", str(tmp_path), "--strategy", "none"]).config
    assert (config.strategy, continued.strategy) == ("multi_worker", "none")
    fit_program.check_unchanged(config, continued)


@pytest.mark.parametrize(
    ("kinds", "strategy", "jit", "expected"),
    [
        (["CPU"], False, "auto", False),
        (["CPU", "GPU"], False, "auto", True),
        (["CPU", "GPU"], True, "auto", False),
        (["CPU"], False, "true", True),
        (["CPU", "GPU"], False, "false", False),
    ],
)
def test_xla_is_the_default_on_one_gpu_only(tiny, tiny_arguments, monkeypatch, kinds, strategy, jit, expected):
    config = settings.parse([*tiny_arguments, "--training.jit", jit, "--training.precision", "float32"]).config
    one = tf.distribute.OneDeviceStrategy("/cpu:0")
    with one.scope() if strategy else contextlib.nullcontext():
        model = build.build_model(config, tiny, tiny.train)
        devices = [tf.config.PhysicalDevice(f"/physical_device:{kind}:0", kind) for kind in kinds]
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda *kind: devices)
        build.compile_model(model, config, steps=10)
    assert model.jit_compile is expected


def test_one_device_is_used_as_without_strategies(tiny):
    assert strategies.make("none") is strategies.ONE
    assert strategies.ONE.replicas == 1 and strategies.ONE.chief
    assert strategies.ONE.batches(lambda here: here) == Share(1, 0, 1)
    strategies.ONE.wait()


def test_a_batch_must_have_an_example_for_every_replica(tiny, tiny_arguments, tmp_path):
    class Four:
        num_replicas_in_sync = 4

    config = settings.parse([*tiny_arguments, "--training.batch-size", "3"]).config
    with pytest.raises(ConfigError, match=r"^training.batch_size: 3 is too few for 4 replicas$"):
        loop.train(config, tiny, run_directory.Run(tmp_path), devices=strategies.Devices(Four()))


def test_no_step_is_waited_for_to_read_what_it_measured(tiny, tiny_arguments, tmp_path, monkeypatch):
    from keras.src.utils import python_utils

    read, number = [], python_utils.pythonify_logs
    monkeypatch.setattr(python_utils, "pythonify_logs", lambda logs: (read.append(bool(logs)), number(logs))[1])
    config = settings.parse([*tiny_arguments, "--training.epochs", "1"]).config
    run = run_directory.create(tmp_path / "run", "tiny")
    loop.train(config, tiny, run)
    assert read.count(False) >= 2 * (8 + 1)  # begin and end of 8 steps and of a batch of validation
    assert read.count(True) <= 3  # at the end of the epoch and of validation
    assert run.state().history[0]["loss"] > 0


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


def test_parts_of_a_batch_keep_its_labels(tiny):
    batch = next(iter(training_batches(tiny.train, 8, 1, 0)))
    parts = list(training_batches(tiny.train, 8, 1, 0, here=Share(2, 0, 2)))
    for name in batch:
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), batch[name])
