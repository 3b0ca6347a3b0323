"""Programs in processes of their own, forked from one that has imported TensorFlow but not started it.

A fresh interpreter takes some six seconds to import what the programs need. What depends on a fresh one, such as the
environment that is set before TensorFlow is imported, is tested in test_startup.py.
"""

import gc
import multiprocessing
import os
import resource
import runpy
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
IMPORTED = ("tensorflow", "keras", "tensorflow_probability", "sklearn.metrics", "matplotlib.pyplot", "rich.progress")

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([*IMPORTED, __name__])


@dataclass(frozen=True)
class Program:
    """A program that was started. `output` is the file with what it says, standard error included."""

    process: multiprocessing.Process
    output: Path

    def said(self):
        return self.output.read_text()

    def running(self):
        return self.process.is_alive()

    def wait(self, seconds=600):
        """The exit code; a signal that ended it as a negative number."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, self.said()
        return self.process.exitcode

    def stop(self):
        self.process.kill()
        self.process.join()


def start(module, *arguments, output, environment=(), inherited=os.environ, largest_file=None):
    """Starts `python -m module arguments` in the project's root, with the environment `inherited` and more of it.

    With `largest_file` its writes fail beyond that many bytes in a file, as they do on a full disk.
    """
    job = (module, list(map(str, arguments)), str(output), {**inherited, **dict(environment)}, largest_file)
    process = _context.Process(target=_be, args=job)
    output.touch()
    with mock.patch.dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3"):  # which counts when TensorFlow is imported
        process.start()
    return Program(process, output)


def run(module, *arguments, output):
    """What `python -m module arguments` says; its exit code must be 0."""
    program = start(module, *arguments, output=output)
    try:
        code = program.wait()
    finally:
        program.stop()
    assert code == 0, program.said()
    return program.said()


def _be(module, arguments, output, environment, largest_file):
    gc.freeze()  # as in conftest.py
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(environment)
    sys.stdout.flush()
    sys.stderr.flush()
    file = os.open(output, os.O_WRONLY | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(file, descriptor)
    os.close(file)
    if largest_file is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
