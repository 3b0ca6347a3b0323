"""Writes that fail: one line, exit code 2, nothing half-written, and the run goes on afterwards."""

import errno
import resource
import signal
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from export import __main__ as exporting
from tests import processes
from tf_ccvae import fit, settings
from tf_ccvae.support import files, keras_files
from tf_ccvae.support.errors import failed_write, line_of
from tf_ccvae.training import run_directory


@pytest.fixture
def small_files():
    """A function that limits the size of files of this process, as a full disk does; the limit ends with the test."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that writing fails in place of ending the process
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def fill_disk(monkeypatch, name):
    """From now on files called like `name` cannot be written: the disk is full."""
    write = Path.write_bytes

    def full(path, content):
        if name in path.name:
            write(path, bytes(content)[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)


def test_a_full_disk_at_a_checkpoint_is_one_line_and_the_run_goes_on_from_the_epoch_before(
    tiny_arguments, tmp_path, capsys, monkeypatch
):
    run = tmp_path / "run"
    with monkeypatch.context() as patched:
        fill_disk(patched, "epoch-0002")
        with pytest.raises(SystemExit, match="2"):
            fit.main([*tiny_arguments, "--run-dir", str(run)])
    line = capsys.readouterr().err
    assert line == (
        f"error: {run}/checkpoints/epoch-0002.weights.h5: No space left on device; once that is mended go on by: "
        f"python -m tf_ccvae.fit --resume {run}\n"
    )
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"epoch-0001.weights.h5", "state.json"}
    assert run_directory.Run(run).state().epoch == 1
    assert fit.main(["--resume", str(run)]) == 0
    assert run_directory.Run(run).state().epoch == 2


def test_a_program_that_meets_a_full_disk_ends_with_one_line_and_code_2(tiny_arguments, tmp_path):
    arguments = (*tiny_arguments, "--model.hidden", "256", "--run-dir", tmp_path / "run")
    program = processes.start("tf_ccvae.fit", *arguments, output=tmp_path / "said.txt", largest_file=100_000)
    assert program.wait(120) == 2
    said = program.said()
    assert said.count("error: ") == 1 and "epoch-0001.weights.h5: File too large" in said
    assert "Traceback" not in said and "Segmentation" not in said
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


def test_a_full_disk_under_the_curves_of_tensorboard_is_one_line_and_the_run_goes_on(
    tiny_arguments, tmp_path, capsys, monkeypatch, small_files
):
    save = run_directory.Run.save_checkpoint

    def with_room(run, model, state):
        small_files(resource.RLIM_INFINITY)
        save(run, model, state)
        small_files(500)

    run = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(run_directory.Run, "save_checkpoint", with_room)
        with pytest.raises(SystemExit, match="2"):
            fit.main([*tiny_arguments, "--run-dir", str(run), "--tracking.tensorboard", "true"])
    small_files(resource.RLIM_INFINITY)
    line = capsys.readouterr().err
    assert line.startswith("error: ") and f"{run}/tensorboard/" in line and line.count("\n") == 1
    assert "File too large" in line and f"python -m tf_ccvae.fit --resume {run}" in line
    reached = run_directory.Run(run).state().epoch
    assert reached >= 1
    assert fit.main(["--resume", str(run)]) == 0
    assert run_directory.Run(run).state().epoch == 2


def test_an_export_onto_a_full_disk_is_one_line_and_leaves_nothing(tiny_run, tmp_path, capsys, small_files):
    small_files(20_000)
    code = exporting.main([str(tiny_run), "--to", str(tmp_path / "export"), "--formats", "saved_model"])
    line = capsys.readouterr().err
    assert code == 2 and line.startswith(f"error: --to: {tmp_path / 'export'} cannot be written (")
    assert line.count("\n") == 1 and "Traceback" not in line
    assert not (tmp_path / "export").exists()


def test_files_of_keras_are_written_and_read_where_hdf5_can_lock_nothing(tmp_path, monkeypatch):
    opened = h5py.File.__init__

    def without_locks(self, name, *arguments, **keywords):
        if isinstance(name, (str, Path)):
            raise OSError(errno.ENOLCK, "unable to lock file")
        opened(self, name, *arguments, **keywords)

    monkeypatch.setattr(h5py.File, "__init__", without_locks)
    model, other = (keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]) for _ in range(2))
    keras_files.save_weights(model, tmp_path / "x.weights.h5")
    keras_files.load_weights(other, tmp_path / "x.weights.h5")
    keras_files.save_model(model, tmp_path / "x.keras")
    again = keras.models.load_model(tmp_path / "x.keras")
    for one, two, three in zip(model.get_weights(), other.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, three)
    assert {path.name for path in tmp_path.iterdir()} == {"x.weights.h5", "x.keras"}


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), "a/b: No space left on device"),
        (OSError(errno.ENOLCK, "No locks available"), "here: No locks available"),
        (OSError("Unable to create file\n(no locks)"), "here: Unable to create file (no locks)"),
        (OSError([("a", "b", "[Errno 28] No space left on device")]), "here: [Errno 28] No space left on device"),
        (OSError(), "here: OSError"),
        (settings.ConfigError("seed: must be\nat least 0"), "seed: must be at least 0"),
    ],
)
def test_every_error_of_the_system_is_one_line_with_its_cause(error, line):
    assert line_of(error, "here") == line


@pytest.mark.parametrize("path", ["/a/events.v2", "/my runs/one more/events.v2", "runs/a b/events.v2", "events.v2"])
@pytest.mark.parametrize("before", ["", "{{function_node __device_/job:local/cpu:0}} ", "Failed to flush "])
def test_a_full_disk_that_tensorflow_meets_is_an_error_of_the_system_and_full_memory_is_not(path, before):
    full = tf.errors.ResourceExhaustedError(None, None, f"{before}{path}; No space left on device\n\tFailed")
    assert line_of(failed_write(full)) == f"{path}: No space left on device"
    assert failed_write(tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")) is None


def test_runs_that_start_in_the_same_second_have_directories_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files.time, "strftime", lambda form: "20260102-030405")
    names = [run_directory.create(None, "faces").path.name for _ in range(3)]
    assert names == ["faces-20260102-030405", "faces-20260102-030405-2", "faces-20260102-030405-3"]


def test_of_two_runs_that_are_told_the_same_directory_one_gets_it(tmp_path):
    run_directory.create(tmp_path / "run", "x")
    with pytest.raises(run_directory.RunError, match="is not empty; choose another"):
        run_directory.create(tmp_path / "run", "x")


def test_a_damaged_checkpoint_is_named(tmp_path):
    run = run_directory.create(tmp_path / "run", "x")
    run.weights(1).write_bytes(b"nothing")
    with pytest.raises(run_directory.RunError, match=r"epoch-0001\.weights\.h5: not readable"):
        run.load_weights(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]), 1)
