"""Two workers on this machine train one model; one is killed, and all are started again, by hand and by Ray."""

import contextlib
import json
import os
import signal
import socket
import time
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from tests import processes
from tf_ccvae import launch_ray
from tf_ccvae.programs import ray_cluster
from tf_ccvae.programs.fit import LOST
from tf_ccvae.settings import ConfigError
from tf_ccvae.training import run_directory

EXAMPLES, BATCH, EPOCHS = 256, 32, 4


@pytest.fixture(scope="module")
def arguments(tiny_folder):
    images, labels = tiny_folder
    return [
        *("--data.name", "folder", "--data.images", str(images), "--data.labels", str(labels)),
        *("--data.image-size", "28", "--data.channels", "1", "--model.latents", "4", "--model.hidden", "8"),
        *("--model.latents-per-label", "1", "--model.backbone", "paper", "--model.encoder-widths", "[4, 4, 4]"),
        *("--training.batch-size", str(BATCH), "--training.schedule", "constant", "--strategy", "multi_worker"),
        *("--objective.consistency-weight", "0", "--tracking.pictures", "0"),  # neither has to do with workers
    ]


def free_ports(count):
    """Ports of the loopback interface that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextlib.contextmanager
def started(folder, arguments):
    """Two workers that know of each other; none is left running."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    workers = []
    try:
        for index in range(2):
            cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            environment = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_CONFIG": json.dumps(cluster)}
            seen, said = folder / f"seen{index}.json", folder / f"output{index}.txt"
            said.unlink(missing_ok=True)
            command = ("tests.training.worker", seen, *arguments)
            workers.append(processes.start(*command, output=said, environment=environment))
        yield workers
    finally:
        for worker in workers:
            worker.stop()


def output(folder, index):
    return (folder / f"output{index}.txt").read_text()


def said(folder):
    return "".join(path.read_text() for path in sorted(folder.glob("output*.txt")))


def finish(folder, workers):
    codes = [worker.wait() for worker in workers]
    assert codes == [0, 0], said(folder)


def wait_for_epochs(run, workers, folder, epochs):
    deadline = time.monotonic() + 600
    while run_directory.Run(run).state().epoch < epochs:
        assert all(worker.running() for worker in workers), said(folder)
        assert time.monotonic() < deadline
        time.sleep(0.05)


def values(path):
    """All arrays of a file of weights."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory, arguments):
    """A training by two workers that nothing happened to; returns its folder."""
    folder = tmp_path_factory.mktemp("whole")
    with started(folder, [*arguments, "--training.epochs", str(EPOCHS), "--run-dir", str(folder / "run")]) as workers:
        finish(folder, workers)
    return folder


def test_workers_see_every_example_once_an_epoch_between_them(whole):
    seen = [json.loads((whole / f"seen{index}.json").read_text())[: EPOCHS * EXAMPLES // 2] for index in range(2)]
    epochs = np.array(seen).reshape(2, EPOCHS, EXAMPLES // 2)
    for epoch in range(EPOCHS):
        np.testing.assert_array_equal(np.sort(epochs[:, epoch].ravel()), np.arange(EXAMPLES))


def test_only_the_chief_writes_and_speaks(whole):
    assert "on 2 replicas of 2 workers" in output(whole, 0) and "Test accuracy" in output(whole, 0)
    assert output(whole, 1) == ""
    run = run_directory.Run(whole / "run")
    assert run.results.is_file() and len(list(run.tensorboard.rglob("events*"))) == 2  # training and validation
    assert not [path for path in run.path.rglob(".*")]  # nothing half-written


def test_after_the_death_of_a_worker_all_go_on_bit_equal_to_an_uninterrupted_training(whole, arguments, tmp_path):
    run = tmp_path / "run"
    with started(tmp_path, [*arguments, "--training.epochs", "10000", "--run-dir", str(run)]) as workers:
        wait_for_epochs(run, workers, tmp_path, 1)
        workers[1].stop()
        assert workers[0].wait(120) == LOST
    said = output(tmp_path, 0)
    assert said.splitlines()[-1].startswith("error: another worker has gone")
    assert "Traceback" not in said
    assert 1 <= run_directory.Run(run).state().epoch < EPOCHS
    with started(tmp_path, ["--resume", str(run), "--training.epochs", str(EPOCHS)]) as workers:
        finish(tmp_path, workers)
    assert_same_weights(whole / "run", run)


@pytest.mark.system  # minutes, and the tools of a shell
def test_ray_starts_the_workers_and_after_the_death_of_one_starts_all_again(whole, arguments, tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    run, output = tmp_path / "run", tmp_path / "output.txt"
    settings = [*arguments, "--training.epochs", str(EPOCHS), "--run-dir", str(run)]
    program = processes.start("tf_ccvae.launch_ray", "--workers", 2, *settings, output=output)
    try:
        wait_for_epochs(run, [program], tmp_path, 1)
        os.kill(ray_workers()[-1], signal.SIGKILL)
        assert run_directory.Run(run).state().epoch < EPOCHS
        assert program.wait() == 0, program.said()
    finally:
        program.stop()
    assert_same_weights(whole / "run", run)
    assert "Test accuracy" in program.said()
    assert {path.name for path in tmp_path.iterdir()} == {"run", "output.txt"}


def assert_same_weights(expected, found):
    expected, found = (values(run_directory.Run(path).weights(EPOCHS)) for path in (expected, found))
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def ray_workers():
    """The processes in which Ray trains, as numbers."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has just ended
            line = path.read_bytes()
            if line.startswith(b"ray::") and b"TrainWorker" in line:
                found.append(int(path.parent.name))
    return sorted(found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workers", "0"], "--workers: 0: at least 1"),
        (["--training.epoch", "3"], "training.epochs"),
        (["--workers", "many"], "--workers: invalid int value"),
    ],
)
def test_a_command_line_that_ray_cannot_use_is_refused_in_one_line(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        launch_ray.main(["--run-dir", str(tmp_path / "run"), *arguments])
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and said.count("\n") == 1 and message in said
    assert not list(tmp_path.iterdir())


def test_a_cluster_that_does_not_start_in_time_is_said_in_one_line(monkeypatch):
    def init(**_):
        raise Exception("The current node timed out\nduring startup.")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    line = r"^Ray: no cluster at this machine \(The current node timed out during startup\.\)$"
    with pytest.raises(ConfigError, match=line):
        ray_cluster.connect(SimpleNamespace(init=init), ray_cluster.Job(Path("run"), ()))


def test_more_gpus_than_the_machine_has_are_refused_in_one_line(tmp_path):
    arguments = ("--run-dir", tmp_path / "run", "--gpus-per-worker", "99")
    program = processes.start("tf_ccvae.launch_ray", *arguments, output=tmp_path / "output.txt")
    assert program.wait() == 2
    assert program.said().count("\n") == 1
    assert "--gpus-per-worker: 1 workers with 99 each need 99 GPUs" in program.said()
    assert [path.name for path in tmp_path.iterdir()] == ["output.txt"]
