"""Runs a training on the workers of a Ray cluster, and what each of them does there.

Ray sends functions and classes of this module to the workers by value, so that a worker starts without this package on
its path: `worker` and what it uses import the package inside of functions alone.
"""

import json
import logging
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tf_ccvae import settings
from tf_ccvae.programs.fit import LOST
from tf_ccvae.support.packages import missing_package
from tf_ccvae.support.startup import held_back_stderr

BAD_INPUT = 2
OBJECT_STORE = 100 * 2**20  # bytes of shared memory of a cluster that is started here; workers exchange nothing by it


@dataclass(frozen=True)
class Job:
    """What is trained, and by whom.

    run: directory of the run, which all workers share.
    settings: arguments of `tf_ccvae.fit`.
    workers, cpus, gpus: how many workers, with how many processor cores and GPUs each.
    restarts: how often lost workers are started again.
    """

    run: Path
    settings: tuple[str, ...]
    workers: int = 1
    cpus: int = 1
    gpus: int = 0
    restarts: int = 3

    def of_worker(self) -> list[str]:
        """The arguments of `tf_ccvae.fit` for every worker: begins the run, or goes on with it if it is there."""
        if (self.run / "config.yaml").is_file():
            return ["--resume", str(self.run), *without_config(self.settings), "--strategy", "multi_worker"]
        return [*self.settings, "--strategy", "multi_worker", "--run-dir", str(self.run)]


def without_config(arguments: Sequence[str]) -> list[str]:
    """Arguments without --config and its file, whose settings a run that is continued has already."""
    kept, skip = [], False
    for argument in arguments:
        if not skip and argument != "--config" and not argument.startswith("--config="):
            kept.append(argument)
        skip = argument == "--config"
    return kept


def worker(job: Job, folder: str, one_machine: bool) -> int:
    """What every worker does, in a process of its own where Ray has set TF_CONFIG; returns the exit code of `fit`.

    Args:
      job: what is trained.
      folder: where the program was started, to which paths among the settings are relative.
      one_machine: all workers are on one machine, and are to talk over its loopback interface.

    Raises:
      RuntimeError: something that may go well next time, so that Ray starts all workers again.
    """
    os.environ.pop("TF_USE_LEGACY_KERAS", None)  # which Ray sets: the model is one of Keras 3
    if one_machine:
        os.environ["TF_CONFIG"] = on_loopback(os.environ["TF_CONFIG"])
    if os.path.isdir(folder):
        os.chdir(folder)
    from tf_ccvae.programs import fit

    try:
        code = fit.main(job.of_worker())
    except SystemExit as end:  # bad input, and it has been said what is wrong
        code = end.code if isinstance(end.code, int) else BAD_INPUT
    if code not in (0, BAD_INPUT):
        raise RuntimeError(f"tf_ccvae.fit ended with code {code}")
    return code


def on_loopback(text: str) -> str:
    """TF_CONFIG with the same ports at 127.0.0.1."""
    content = json.loads(text)
    for addresses in content["cluster"].values():
        addresses[:] = [f"127.0.0.1:{address.rpartition(':')[2]}" for address in addresses]
    return json.dumps(content)


def quiet() -> None:
    """What every process of Ray does first: says only what matters."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    # without a dashboard, Ray's process that tidies up would say every second that it has none to ask
    logging.getLogger("ray.train").setLevel(logging.ERROR)


def launch(job: Job) -> int:
    """Runs the workers until they have finished; returns the exit code.

    Raises:
      ConfigError: Ray is not installed, its cluster is not found, or this machine has too few GPUs.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would tell its makers how it is used
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as tf_ccvae.support.startup, for Ray imports TensorFlow first
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    one_machine = "RAY_ADDRESS" not in os.environ
    if one_machine:
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # as Ray does by itself, but not in silence
    try:
        with held_back_stderr():
            import ray
            from ray import cloudpickle
            from ray.train import FailureConfig, RunConfig, ScalingConfig
            from ray.train.tensorflow import TensorflowTrainer
            from ray.train.v2.api.exceptions import TrainingFailedError
    except ImportError as error:
        raise settings.ConfigError(f"this program {missing_package('ray')}: {error}") from error
    resources = {"CPU": float(job.cpus)} | ({"GPU": float(job.gpus)} if job.gpus else {})
    # This module's functions and classes go to the workers by value: they start without this package on their path.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    own = job.run.parent / f".{job.run.name}.ray"  # Ray's notes on this training, of no use after it
    loop: Any = lambda given: worker(**given)  # noqa: E731  pickled by value, as Ray needs it
    connect(ray, job)
    try:
        trainer: Any = TensorflowTrainer(
            loop,
            train_loop_config={"job": job, "folder": os.getcwd(), "one_machine": one_machine},
            scaling_config=ScalingConfig(num_workers=job.workers, use_gpu=job.gpus > 0, resources_per_worker=resources),
            run_config=RunConfig(
                name=job.run.name, storage_path=str(own), failure_config=FailureConfig(max_failures=job.restarts)
            ),
        )
        return int(trainer.fit().return_value)
    except TrainingFailedError as error:
        print(f"error: lost workers more than {job.restarts} times:", " ".join(str(error).split()), file=sys.stderr)
        return LOST
    finally:
        ray.shutdown()
        shutil.rmtree(own, ignore_errors=True)


def connect(ray: ModuleType, job: Job) -> None:
    """Connects to the cluster that RAY_ADDRESS names, or starts one on this machine.

    Raises:
      ConfigError: it is not found, or this machine has too few GPUs.
    """
    passed = {name: os.environ[name] for name in ("TF_ENABLE_ONEDNN_OPTS", "TF_CPP_MIN_LOG_LEVEL")}
    common: dict[str, object] = {
        "logging_level": "WARNING",
        "runtime_env": {"env_vars": passed, "worker_process_setup_hook": quiet},
    }
    address = os.environ.get("RAY_ADDRESS")
    try:
        if address:
            ray.init(address=address, **common)
            return
        ray.init(
            address="local",
            num_cpus=max(os.cpu_count() or 1, job.workers * job.cpus),
            object_store_memory=OBJECT_STORE,
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            **common,
        )
    except Exception as error:  # Ray raises that kind itself, such as when a start takes it more than half a minute
        where = f"RAY_ADDRESS {address}" if address else "this machine"
        raise settings.ConfigError(f"Ray: no cluster at {where} ({' '.join(str(error).split())})") from error
    found = int(ray.cluster_resources().get("GPU", 0))
    if found < job.workers * job.gpus:
        ray.shutdown()
        raise settings.ConfigError(
            f"--gpus-per-worker: {job.workers} workers with {job.gpus} each need {job.workers * job.gpus} GPUs, this "
            f"machine has {found}; set RAY_ADDRESS for a cluster"
        )
