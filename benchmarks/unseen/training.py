"""Trains our model on one style by the program's own training, with configs/folder.yaml."""

import shutil
import time
from pathlib import Path

from benchmarks.common import ROOT
from tf_ccvae import settings
from tf_ccvae.data.dataset import Dataset
from tf_ccvae.programs import fit
from tf_ccvae.support.console import plain_console
from tf_ccvae.support.files import write_json
from tf_ccvae.training import run_directory, strategies, tracking

CONFIG = ROOT / "configs" / "folder.yaml"
HIDING = "hiding"  # the residual network, trained with `objective.hiding_weight` 1


def configured(model: str, seed: int, epochs: int | None) -> settings.Config:
    """The settings of configs/folder.yaml for a model and a seed, and with other epochs if there are some.

    Args:
      model: a backbone, or `HIDING`.
      seed: of the training.
      epochs: None for as many as the file says.
    """
    config = settings.Config.from_yaml(CONFIG)
    backbone, hiding = ("residual", 1.0) if model == HIDING else (model, config.objective.hiding_weight)
    changed = {
        "name": f"unseen-{model}",
        "seed": seed,
        "model": config.model.model_copy(update={"backbone": backbone}),
        "objective": config.objective.model_copy(update={"hiding_weight": hiding}),
        "training": config.training.model_copy(update={"epochs": epochs} if epochs else {}),
    }
    return config.model_copy(update=changed)


def train(config: settings.Config, dataset: Dataset, folder: Path) -> run_directory.Run:
    """Trains one model, unless its run is there.

    A run that was stopped is begun anew, so that the seconds of a run are those of its whole training. It is the data
    set that is trained on, whatever the settings say about data.

    Raises:
      SystemExit: Ctrl-C.
      UserError: the settings do not fit the data, or the run cannot be written.
    """
    run = run_directory.Run(folder)
    if run.results.is_file():
        return run
    shutil.rmtree(folder, ignore_errors=True)
    started = time.monotonic()
    settings.number_of_latents(config, dataset.labels)
    run = run_directory.create(folder, config.name)
    config.to_yaml(run.config)
    job = fit.Job(config, dataset, run, strategies.make(config.strategy), plain_console(), started)
    with tracking.Trackers(config, run, job.console.print) as trackers:
        model = fit.train(job, trackers)
    if model is None:
        raise SystemExit(fit.INTERRUPTED)
    write_json(run.results, fit.measure(job, model))
    return run
