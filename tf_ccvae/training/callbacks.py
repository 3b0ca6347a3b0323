"""What happens between steps and after every epoch of a training: checkpoints, early stopping, Ctrl-C."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

import keras
import numpy as np

from tf_ccvae.models.counting import number_or_none
from tf_ccvae.training.measures import MEASURES, names_of_label
from tf_ccvae.training.run_directory import Run, State
from tf_ccvae.training.strategies import ONE, Devices


class Checkpoints(keras.callbacks.Callback):
    """After every epoch: history, weights and optimizer state to the run directory; stops early if told to.

    An epoch that ends with a loss or bound that is not finite is not written: it sets `diverged` and stops.

    Keras's BackupAndRestore and EarlyStopping forget, over a restart, which epoch was best and how long ago.

    Every worker calls it with the same measures and comes to the same conclusions; the chief alone writes, and the
    others wait for it.

    Args:
      run: where to write.
      state: where training stands.
      patience: epochs without a better validation bound after which to stop; None for never.
      report: called with the line of each epoch.
      devices: who trains.
    """

    def __init__(
        self,
        run: Run,
        state: State,
        patience: int | None,
        report: Callable[[dict[str, float | None]], None],
        devices: Devices = ONE,
    ):
        super().__init__()
        self.run = run
        self.devices = devices
        self.state = state
        self.patience = patience
        self.report = report
        self.started = 0.0
        self.diverged = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs or {}
        row: dict[str, float | None] = {"epoch": epoch + 1}
        loss, bound = float(logs["loss"]), float(logs["val_bound"])
        row["loss"] = loss
        per_label = [f"{name}_{label.name}" for label in self.model.labels for name in names_of_label(label)]
        row.update({f"validation_{name}": number_or_none(logs[f"val_{name}"]) for name in (*MEASURES, *per_label)})
        row["seconds"] = round(time.monotonic() - self.started, 2)
        history = (*self.state.history, row)
        bounds = [x["validation_bound"] for x in history if x["validation_bound"] is not None]
        if not (np.isfinite(loss) and np.isfinite(bound)):
            self.model.stop_training = True
            self.diverged = True
            return
        self.state = State(epoch + 1, int(np.argmax(bounds)) + 1, history)
        if self.devices.chief:
            self.run.save_checkpoint(self.model, self.state)
        self.devices.wait()
        self.report(row)
        if self.patience is not None and self.state.epoch - self.state.best_epoch >= self.patience:
            self.model.stop_training = True


class Unmeasured(keras.callbacks.CallbackList):
    """Callbacks that are not told what single steps measured.

    Keras makes numbers of it first, for which the host has to wait for the device after every step.
    """

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        super().on_train_batch_end(batch, {})

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        super().on_test_batch_end(batch, {})


class Interruption(keras.callbacks.Callback):
    """Ends a training with the step during which Ctrl-C was pressed; pressed once more, it ends at once.

    Python raises KeyboardInterrupt wherever it is at that moment: where it is lost, in a finalizer or a function that
    C++ has called, or where TensorFlow does not survive it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.interrupted = False

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Takes note of Ctrl-C in this block, if Python's own handler is in place, and restores that at the end."""
        ours = threading.current_thread() is threading.main_thread()
        if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield
            return

        def note(number: int, frame: FrameType | None) -> None:
            if self.interrupted:
                signal.default_int_handler(number, frame)
            self.interrupted = True

        signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if self.interrupted:
            raise KeyboardInterrupt

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.on_train_batch_end(batch, logs)
