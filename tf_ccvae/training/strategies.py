"""Which devices train: one, all of a machine, or those of several machines, and who of them writes.

`none` is one device. `mirrored` is every GPU of this machine. `multi_worker` is one process on each of several machines
(or several on one), called workers; the environment tells each the addresses of all and which one it is: `TF_CONFIG`,
Slurm's variables, or the index of a pod in a Kubernetes Indexed Job. The first worker is the chief; it alone writes.
"""

import contextlib
import functools
import json
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import tensorflow as tf

from tf_ccvae.data.pipeline import WHOLE, Share
from tf_ccvae.settings import ConfigError

POD_PORT = 2222
SLURM_PORTS, PORTS_PER_JOB = 12000, 16  # jobs that share a machine get ports of their own


GONE = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError)


class WorkerLost(Exception):
    """Another worker has gone; the message is one line that says what to do."""


@dataclass(frozen=True)
class Devices:
    """The devices of a training.

    strategy: None for one device.
    chief: whether this process is the one that writes.
    workers: number of processes.
    """

    strategy: tf.distribute.Strategy | None = None
    chief: bool = True
    workers: int = 1

    @property
    def replicas(self) -> int:
        """Number of parts that every batch is cut into."""
        return int(self.strategy.num_replicas_in_sync) if self.strategy else 1

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Where models, optimizers and their weights have to be made and loaded."""
        with self.strategy.scope() if self.strategy else contextlib.nullcontext():
            yield

    def batches(self, make: Callable[[Share], tf.data.Dataset]) -> tf.data.Dataset | tf.distribute.DistributedDataset:
        """The batches of `make`, each cut into one part per replica; without end if there are several.

        Args:
          make: from the share of this process to its parts of every batch, in order.
        """
        if self.strategy is None:
            return make(WHOLE)

        def parts(context: tf.distribute.InputContext) -> tf.data.Dataset:
            here = context.num_replicas_in_sync // context.num_input_pipelines
            share = Share(context.num_replicas_in_sync, here * context.input_pipeline_id, here)
            # Without an end, replicas need not ask each other before every step whether there is one more.
            return make(share).repeat()

        return self.strategy.distribute_datasets_from_function(parts)

    @property
    def _strategy(self) -> tf.distribute.Strategy:
        """The strategy, that of TensorFlow's default for one device."""
        return self.strategy or tf.distribute.get_strategy()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What all workers do at the same time.

        Raises:
          WorkerLost: another worker has gone meanwhile.
        """
        try:
            yield
        except tf.errors.OpError as error:
            if self.workers == 1 or not isinstance(error, GONE):
                raise
            raise WorkerLost(
                "another worker has gone; start all of them again, with --resume once an epoch was finished"
            ) from error

    @functools.cached_property
    def _everyone(self) -> Callable[[], tf.Tensor]:
        """A graph whose result needs all workers."""

        def step() -> tf.Tensor:
            return tf.distribute.get_replica_context().all_reduce("SUM", tf.ones([]))

        return tf.function(functools.partial(self._strategy.run, step), autograph=False)

    def wait(self) -> None:
        """Returns once every worker has called it; raises `WorkerLost` if one has gone."""
        if self.workers > 1:
            with self.together():
                self._strategy.experimental_local_results(self._everyone())[0].numpy()

    def leave(self) -> None:
        """To be called last: as `wait`, after which this process may end.

        Whoever ends as soon as its own part of a sum is done may take along what another is still waiting for. So all
        meet a second time: nobody comes there before everybody is through the first, and only that one has to succeed.

        Raises:
          WorkerLost: another worker has gone before it came here.
        """
        self.wait()
        with contextlib.suppress(WorkerLost, tf.errors.OpError):
            self.wait()

    def described(self) -> str:
        """Such as ', on 4 replicas of 2 workers'; nothing for one device."""
        if self.strategy is None:
            return ""
        return f", on {self.replicas} replicas" + (f" of {self.workers} workers" if self.workers > 1 else "")


ONE = Devices()


@dataclass(frozen=True)
class Workers:
    """All workers, and which of them this process is.

    addresses: for each kind, 'worker' and where there is one 'chief', their host:port in order.
    kind, index: of this process.
    """

    addresses: dict[str, list[str]]
    kind: str
    index: int

    @property
    def count(self) -> int:
        return len(self.addresses.get("chief", ())) + len(self.addresses.get("worker", ()))

    @property
    def chief(self) -> bool:
        return self.kind == "chief" or ("chief" not in self.addresses and self.index == 0)


def make(name: str) -> Devices:
    """The devices of a strategy; returns once all workers are connected.

    To be called before TensorFlow has done anything else in this process.

    Args:
      name: 'none', 'mirrored' or 'multi_worker'; with one worker in all, 'multi_worker' is 'mirrored'.

    Raises:
      ConfigError: `multi_worker`, and the environment describes no workers, or badly.
    """
    if name == "none":
        return ONE
    workers = find_workers() if name == "multi_worker" else None
    if workers is None or workers.count == 1:
        return Devices(tf.distribute.MirroredStrategy())
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(workers.addresses),
        task_type=workers.kind,
        task_id=workers.index,
        num_accelerators={"GPU": len(tf.config.get_visible_devices("GPU"))},
    )
    return Devices(tf.distribute.MultiWorkerMirroredStrategy(resolver), workers.chief, workers.count)


def find_workers() -> Workers:
    """The workers that the environment describes.

    Raises:
      ConfigError: it describes none, or badly.
    """
    if "TF_CONFIG" in os.environ:
        return from_tf_config(os.environ["TF_CONFIG"])
    if "JOB_COMPLETION_INDEX" in os.environ:
        return from_kubernetes()
    if "SLURM_STEP_NODELIST" in os.environ:
        return from_slurm()
    raise ConfigError(
        "strategy: multi_worker finds no workers; set TF_CONFIG, or start it by srun or in a Kubernetes Indexed Job "
        "(see docs/scale.md)"
    )


def from_tf_config(text: str) -> Workers:
    """Workers as TensorFlow writes them: {"cluster": {"worker": ["host:port", ...]}, "task": {"type", "index"}}.

    Raises:
      ConfigError: it is not that.
    """
    try:
        content = json.loads(text)
        addresses = {str(kind): [str(x) for x in content["cluster"][kind]] for kind in content["cluster"]}
        workers = Workers(addresses, str(content["task"]["type"]), int(content["task"]["index"]))
        addresses[workers.kind][workers.index]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ConfigError(
            f"TF_CONFIG: not understood ({type(error).__name__}: {error}); it is written "
            '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
        ) from error
    if unknown := set(addresses) - {"chief", "worker"}:
        raise ConfigError(f"TF_CONFIG: {', '.join(sorted(unknown))}: only chief and worker take part here")
    return workers


def from_slurm() -> Workers:
    """The tasks of this Slurm job step, in the order of their ranks.

    Raises:
      ConfigError: variables of Slurm are missing or contradict each other.
    """
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", "1"))
    first = SLURM_PORTS + int(os.environ.get("SLURM_JOB_ID", "0")) % 1000 * PORTS_PER_JOB
    try:
        # GPUs are Slurm's to bind to tasks; with these numbers the resolver neither counts nor hides any.
        slurm = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=first, gpus_per_node=tasks, gpus_per_task=1, auto_set_gpu=False
        )
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"Slurm: {error}") from error
    # Its cluster_spec() sorts hosts by name, n10 before n2, which is not how Slurm gives out ranks.
    hosts = slurm._resolve_task_configuration()
    addresses = [f"{host}:{first + task}" for host, count in hosts.items() for task in range(count)]
    return Workers({"worker": addresses}, "worker", int(os.environ["SLURM_PROCID"]))


def from_kubernetes() -> Workers:
    """The pods of this Kubernetes Indexed Job, by the host names that Kubernetes gives them.

    TensorFlow's KubernetesClusterResolver is of no use for pods: it lists those of all namespaces, which takes rights
    that pods should not have, gives the addresses of their machines, and sorts pod 10 before pod 2.

    Raises:
      ConfigError: CCVAE_WORKERS or CCVAE_SERVICE is not set, or not as it should be.
    """
    index = int(os.environ["JOB_COMPLETION_INDEX"])
    service, count = os.environ.get("CCVAE_SERVICE", ""), os.environ.get("CCVAE_WORKERS", "")
    if not service or not count.isdecimal() or int(count) <= index:
        raise ConfigError(
            "Kubernetes: set CCVAE_WORKERS to the number of pods and CCVAE_SERVICE to the headless service; see "
            "examples/clusters/kubernetes.yaml"
        )
    job = socket.gethostname().partition(".")[0].removesuffix(f"-{index}")
    return Workers({"worker": [f"{job}-{i}.{service}:{POD_PORT}" for i in range(int(count))]}, "worker", index)
