"""Which devices train and how workers find each other, as far as that needs no second device."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tf_ccvae import settings
from tf_ccvae.data.pipeline import Share, evaluation_batches, training_batches
from tf_ccvae.programs import fit as fit_program
from tf_ccvae.settings import ConfigError
from tf_ccvae.training import build, loop, run_directory, strategies

ROOT = Path(__file__).resolve().parent.parent.parent


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


def test_parts_of_a_batch_keep_its_labels(tiny):
    batch = next(iter(training_batches(tiny.train, 8, 1, 0)))
    parts = list(training_batches(tiny.train, 8, 1, 0, here=Share(2, 0, 2)))
    for name in batch:
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), batch[name])
