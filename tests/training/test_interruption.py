"""Ctrl-C in a training: it ends between two steps, and pressed twice at once."""

import os
import signal
import time

import keras
import pytest

from tf_ccvae.training import loop, run_directory


class CtrlC(keras.callbacks.Callback):
    """Ctrl-C as often as `times` when an epoch begins, and what came of it there."""

    def __init__(self, times):
        super().__init__()
        self.times, self.raised, self.batch = times, False, None

    def on_epoch_begin(self, epoch, logs=None):
        try:
            for _ in range(self.times):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.1)
        except KeyboardInterrupt:
            self.raised = True
            raise

    def on_train_batch_end(self, batch, logs=None):
        self.batch = batch


class CtrlCAtTheEnd(keras.callbacks.Callback):
    def on_train_end(self, logs=None):
        os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_after_the_last_step_counts(configured, tiny, tmp_path):
    run = run_directory.create(tmp_path / "run", "tiny")
    assert loop.train(configured(training__epochs=1), tiny, run, callbacks=(CtrlCAtTheEnd(),)).interrupted


@pytest.mark.parametrize(("times", "last_batch"), [(1, 0), (2, None)])
def test_ctrl_c_ends_a_training_with_its_step_and_pressed_twice_at_once(configured, tiny, tmp_path, times, last_batch):
    pressed = CtrlC(times)
    found = loop.train(configured(), tiny, run_directory.create(tmp_path / "run", "tiny"), callbacks=(pressed,))
    assert found.interrupted and pressed.raised == (times == 2) and pressed.batch == last_batch
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
