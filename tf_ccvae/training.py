"""From settings to a trained run: build the model, train it with checkpoints, measure it."""

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_ccvae.base import LabelledVAE
from tf_ccvae.baselines import M2, VAEClassifier
from tf_ccvae.config import Config, ConfigError, check_latents
from tf_ccvae.data.dataset import Dataset, Split
from tf_ccvae.data.pipeline import evaluation_batches, hide_labels, training_batches
from tf_ccvae.model import CCVAE
from tf_ccvae.optimizers import FusedAdam
from tf_ccvae.runs import Run, RunError, State
from tf_ccvae.strategies import ONE, Devices

EVALUATION_BATCH = 200
MEASURES = (
    "bound",
    "reconstruction",
    "style_divergence",
    "characteristic",
    "log_label_marginal",
    "label_prior",
    "mean_absolute_error",
    "accuracy",
    "balanced_accuracy",
)


def resolve_precision(precision: str) -> str:
    """'auto' to 'mixed_float16' on a GPU with tensor cores (compute capability 7 or more), else to 'float32'."""
    if precision != "auto":
        return precision
    for device in tf.config.list_physical_devices("GPU"):
        capability = tf.config.experimental.get_device_details(device).get("compute_capability", (0, 0))
        if capability[0] >= 7:
            return "mixed_float16"
    return "float32"


def build_model(config: Config, dataset: Dataset, train: Split) -> LabelledVAE:
    """An untrained model that fits the data set.

    Args:
      config: settings.
      dataset: for image shape and labels.
      train: the training split with labels hidden; gives p(y).

    Raises:
      ConfigError: fewer latents than characteristic ones.
    """
    check_latents(config, dataset.labels)
    settings, objective = config.model, config.objective
    keras.utils.set_random_seed(config.seed)  # initial weights
    shared: dict[str, Any] = {
        "image_shape": dataset.image_shape,
        "latents": settings.latents,
        "widths": settings.encoder_widths,
        "hidden": settings.hidden,
        "likelihood": settings.likelihood,
        "likelihood_scale": settings.likelihood_scale,
        "seed": config.seed,
        "dtype": resolve_precision(config.training.precision),
    }
    if objective.label_weight != "auto":
        shared["label_weight"] = objective.label_weight
    model: LabelledVAE
    if settings.name == "ccvae":
        model = CCVAE(
            labels=dataset.labels.with_latents(settings.latents_per_label),
            estimator=objective.estimator,
            independence_weight=None if objective.independence_weight == "auto" else objective.independence_weight,
            nodes=objective.nodes,
            samples=objective.samples,
            proposals=objective.proposals,
            **shared,
        )
    else:
        model = (M2 if settings.name == "m2" else VAEClassifier)(labels=dataset.labels, **shared)
    model.label_statistics.learn(train.labels)
    return model


def steps_per_epoch(config: Config, train: Split) -> int:
    """Steps in which as many images are drawn as the training split has, to the nearest whole number."""
    return max(1, round(len(train) / config.training.batch_size))


def build_optimizer(config: Config, steps: int) -> keras.optimizers.Optimizer:
    """Adam with the configured schedule over `steps` steps; loss scaling is added by Keras where the precision asks."""
    training = config.training
    rate: Any = training.learning_rate
    warmup = min(training.warmup_steps, steps - 1)
    if training.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else training.learning_rate,
            max(steps - warmup, 1),
            warmup_target=training.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    elif warmup:
        rate = keras.optimizers.schedules.PolynomialDecay(0.0, warmup, training.learning_rate)
    return FusedAdam(rate, global_clipnorm=training.clip_norm)


def compile_model(model: LabelledVAE, config: Config, steps: int) -> None:
    """Gives the model its optimizer, ready for weights; `training.jit` 'auto' is XLA on a GPU without a strategy."""
    model.compile(optimizer=build_optimizer(config, steps), jit_compile=config.training.jit)
    model.optimizer.build(model.trainable_variables)


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
        report: Callable[[dict[str, float]], None],
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

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = logs or {}
        row = {"epoch": epoch + 1, "loss": float(logs["loss"])}
        per_label = [f"{name}_{label}" for label in self.model.labels.names for name in MEASURES[-2:]]
        row.update({f"validation_{name}": float(logs[f"val_{name}"]) for name in (*MEASURES, *per_label)})
        row["seconds"] = round(time.monotonic() - self.started, 2)
        history = (*self.state.history, row)
        if not (np.isfinite(row["loss"]) and np.isfinite(row["validation_bound"])):
            self.model.stop_training = True
            self.diverged = True
            return
        self.state = State(epoch + 1, int(np.argmax([r["validation_bound"] for r in history])) + 1, history)
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

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        super().on_train_batch_end(batch, {})

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        super().on_test_batch_end(batch, {})


class Interruption(keras.callbacks.Callback):
    """Ends a training with the step during which Ctrl-C was pressed, if nothing else has ended it before.

    Python raises KeyboardInterrupt wherever it is at that moment, and drops it where it happens to be in a finalizer or
    in a function that C++ has called.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked = False

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Takes note of Ctrl-C in this block, if Python's own handler is in place, and restores that at the end."""
        ours = threading.current_thread() is threading.main_thread()
        if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield
            return

        def note(number: int, frame: Any) -> None:
            self.asked = True
            signal.default_int_handler(number, frame)

        signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.asked:
            raise KeyboardInterrupt


class Trained(NamedTuple):
    """A model with the weights of its best epoch, and whether Ctrl-C ended its training."""

    model: LabelledVAE
    interrupted: bool


def train(
    config: Config,
    dataset: Dataset,
    run: Run,
    report: Callable[[dict[str, float]], None] = lambda row: None,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
    devices: Devices = ONE,
) -> Trained:
    """Trains from where the run stands to the configured number of epochs and leaves the best epoch's weights.

    Args:
      config: settings.
      dataset: the data.
      run: run directory; if it holds a checkpoint, training goes on from there, and if it holds a model alone, from
        its weights.
      report: called with the measures of each epoch.
      callbacks: more Keras callbacks; they are told about steps, but not what these measured.
      devices: what trains; every worker calls this function alike.

    Returns:
      The model with the weights of the epoch that has the highest validation bound.

    Raises:
      ConfigError: settings that do not fit the data, or a batch smaller than the number of replicas.
      RunError: the run's checkpoint is damaged, or training diverged.
    """
    for setting, size in (
        ("training.batch_size", config.training.batch_size),
        ("validation examples", len(dataset.validation)),
    ):
        if size < devices.replicas:
            raise ConfigError(f"{setting}: {size} is too few for {devices.replicas} replicas")
    split = hide_labels(dataset.train, config.data.labelled_fraction, config.data.missing_rate, config.seed)
    per_epoch = steps_per_epoch(config, split)
    steps = per_epoch * config.training.epochs
    with devices.scope():
        model = build_model(config, dataset, split)
        compile_model(model, config, steps)
        state = run.state()
        if state.epoch:
            model.load_weights(run.weights(state.epoch))
        elif run.model.is_file():  # imported, and not trained here yet
            start_from(model, run, split)
    interrupted = False
    if state.epoch < config.training.epochs:
        checkpoints = Checkpoints(run, state, config.training.early_stopping, report, devices)
        batches = devices.batches(
            lambda here: training_batches(
                split,
                config.training.batch_size,
                steps,
                config.seed,
                config.data.labelled_share,
                start_step=state.epoch * per_epoch,
                here=here,
            )
        )
        validation = devices.batches(lambda here: evaluation_batches(dataset.validation, EVALUATION_BATCH, here))
        validation_steps = math.ceil(len(dataset.validation) / EVALUATION_BATCH)
        tensorboard = keras.callbacks.TensorBoard(run.tensorboard, write_graph=False)
        wanted = devices.chief and config.tracking.tensorboard
        interruption = Interruption()
        try:
            with devices.together(), interruption.heard():
                model.fit(
                    batches,
                    initial_epoch=state.epoch,
                    epochs=config.training.epochs,
                    steps_per_epoch=per_epoch,
                    shuffle=False,
                    validation_data=validation,
                    validation_steps=validation_steps if devices.strategy else None,
                    verbose=0,
                    callbacks=Unmeasured(
                        [checkpoints, *([tensorboard] if wanted else []), *callbacks, interruption],
                        add_history=True,
                        model=model,
                        epochs=config.training.epochs,
                        steps=per_epoch,
                    ),
                )
        except KeyboardInterrupt:
            interrupted = True
        state = checkpoints.state
        if checkpoints.diverged:
            raise RunError(
                f"epoch {state.epoch + 1}: the loss is not finite; lower training.learning_rate or set "
                f"training.clip_norm. {run.path} stands at epoch {state.epoch}"
            )
    if state.best_epoch:
        with devices.scope():
            model.load_weights(run.weights(state.best_epoch))
    return Trained(model, interrupted)


def start_from(model: LabelledVAE, run: Run, train: Split) -> None:
    """Gives a new model the weights of the run's imported model, and p(y) of the training split."""
    imported = keras.models.load_model(run.model)
    for part in ("encoder", "posterior_head", "decoder", "label_distributions"):
        getattr(model, part).set_weights(getattr(imported, part).get_weights())
    model.label_statistics.learn(train.labels)


def measure(model: LabelledVAE, split: Split) -> dict[str, Any]:
    """All measures over a split, counted exactly; `labels` holds those of each label.

    Terms are in nats per image, the error in pixels of [0, 1].
    """
    if not model.compiled:
        model.compile(jit_compile=False)
    logs = model.evaluate(evaluation_batches(split, EVALUATION_BATCH), verbose=0, return_dict=True)
    results: dict[str, Any] = {name: float(logs[name]) for name in MEASURES}
    results["labels"] = model.label_counts.per_label()
    return results
