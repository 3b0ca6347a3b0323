"""Trains a model from where its run stands, with checkpoints."""

import math
from collections.abc import Callable
from typing import NamedTuple

import keras

from tf_ccvae.data.augmentation import augmentation_of
from tf_ccvae.data.dataset import Dataset, Split
from tf_ccvae.data.pipeline import evaluation_batches, hide_labels, training_batches
from tf_ccvae.models.labelled_vae import LabelledVAE
from tf_ccvae.settings import Config, ConfigError
from tf_ccvae.training.build import build_model, compile_model, number_of_epochs, steps_per_epoch
from tf_ccvae.training.callbacks import Checkpoints, Interruption, Unmeasured
from tf_ccvae.training.measures import EVALUATION_BATCH
from tf_ccvae.training.run_directory import Run, RunError
from tf_ccvae.training.strategies import ONE, Devices


class Trained(NamedTuple):
    """A model with the weights of its best epoch, and whether Ctrl-C ended its training."""

    model: LabelledVAE
    interrupted: bool


def train(
    config: Config,
    dataset: Dataset,
    run: Run,
    report: Callable[[dict[str, float | None]], None] = lambda row: None,
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
      DataError: `data.sided` names a label that the data have not.
      RunError: the run's checkpoint is damaged, or training diverged.
    """
    for setting, size in (
        ("training.batch_size", config.training.batch_size),
        ("validation examples", len(dataset.validation)),
    ):
        if size < devices.replicas:
            raise ConfigError(f"{setting}: {size} is too few for {devices.replicas} replicas")
    split = hide_labels(dataset.train, config.data.labelled_fraction, config.data.missing_rate, config.seed)
    augmentation = augmentation_of(config.data, dataset.labels)
    per_epoch = steps_per_epoch(config, split)
    epochs = number_of_epochs(config, split)
    steps = per_epoch * epochs
    with devices.scope():
        model = build_model(config, dataset, split)
        compile_model(model, config, steps)
        state = run.state()
        if state.epoch:
            run.load_weights(model, state.epoch)
        elif run.model.is_file():  # imported, and not trained here yet
            start_from(model, run, split)
    interrupted = False
    if state.epoch < epochs:
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
                augmentation=augmentation,
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
                    epochs=epochs,
                    steps_per_epoch=per_epoch,
                    shuffle=False,
                    validation_data=validation,
                    validation_steps=validation_steps if devices.strategy else None,
                    verbose=0,
                    callbacks=Unmeasured(
                        [checkpoints, *([tensorboard] if wanted else []), *callbacks, interruption],
                        add_history=True,
                        model=model,
                        epochs=epochs,
                        steps=per_epoch,
                    ),
                )
        except KeyboardInterrupt:
            interrupted = True
        interrupted |= interruption.interrupted  # also after the last step
        state = checkpoints.state
        if checkpoints.diverged:
            raise RunError(
                f"epoch {state.epoch + 1}: the loss is not finite; lower training.learning_rate or set "
                f"training.clip_norm. {run.path} stands at epoch {state.epoch}"
            )
    if state.best_epoch:
        with devices.scope():
            run.load_weights(model, state.best_epoch)
    return Trained(model, interrupted)


def start_from(model: LabelledVAE, run: Run, train: Split) -> None:
    """Gives a new model the weights of the run's imported model, and p(y) of the training split."""
    imported = keras.models.load_model(run.model)
    for part in ("encoder", "posterior_head", "decoder", "label_distributions"):
        getattr(model, part).set_weights(getattr(imported, part).get_weights())
    model.label_statistics.learn(train.labels)
