"""Whether settings fit each other, the data and the files that they name."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NoReturn

from tf_ccvae.label_arrays import refuse_grades, refuse_numbers
from tf_ccvae.labels import Labels
from tf_ccvae.settings.errors import ConfigError, option
from tf_ccvae.settings.schema import Config, Data

TERMS_OF_CCVAE = ("consistency_weight", "hiding_weight", "unlabelled_weight")
STYLE_LATENTS = 36  # where neither `model.style_latents` nor `model.latents` says how many
USED_BY = {  # which sources read a setting; refused with the others
    "images": ("folder",),
    "labels": ("folder",),
    "path": ("celeba", "chexpert", "mnist", "fashion_mnist", "tfds", "huggingface"),
    "uncertain": ("chexpert",),
    "unmentioned": ("chexpert",),
    "unmarked": ("folder", "huggingface"),
    "label_kinds": ("folder", "tfds", "huggingface"),
    "white": ("folder", "huggingface"),
}


def check_data(config: Config, overrides: Collection[str] = (), file: Path | None = None) -> None:
    """Checks that the data settings fit each other and that the files they name exist.

    Args:
      config: resolved settings.
      overrides: which settings came from the command line, such as `data.images`, to name them as they were written.
      file: where the other settings came from.

    Raises:
      ConfigError: they do not fit, or a file does not exist.
    """
    data = config.data

    def fail(setting: str, what: str) -> NoReturn:
        where = f"{file}: " if file else ""
        raise ConfigError(f"{option(setting) if setting in overrides else where + setting}: {what}")

    def no_such(kind: str, path: Path, setting: str) -> str:
        moved = "" if f"data.{setting}" in overrides else f"; if it is elsewhere now, say where by --data.{setting}"
        return f"{path}: no such {kind} (current directory: {Path.cwd()}){moved}"

    wanted = {"folder": ("images", "labels"), "chexpert": ("path",)}.get(data.name, ())
    if any(getattr(data, setting) is None for setting in wanted):
        missing = next(setting for setting in wanted if getattr(data, setting) is None)
        needed = ", ".join(option(f"data.{setting}") for setting in wanted)
        raise ConfigError(f"{option(f'data.{missing}')}: missing; --data.name {data.name} needs {needed}")
    for setting, users in USED_BY.items():
        value = getattr(data, setting)
        if value != Data.model_fields[setting].default and data.name.partition(":")[0] not in users:
            one = users[0] if len(users) == 1 else f"one of {', '.join(users)}"
            fail(f"data.{setting}", f"not used with --data.name {data.name}; set --data.name {one}")
    if data.sided and "flip" not in data.augment:
        fail("data.sided", "not used without flip in data.augment; add flip there, or set data.sided to []")
    for setting in ("images", "path"):
        value = getattr(data, setting)
        if value is not None and not value.is_dir():
            fail(f"data.{setting}", no_such("folder", value, setting))
    if data.labels is not None and not data.labels.is_file():
        fail("data.labels", no_such("file", data.labels, "labels"))
    if data.name == "folder" and data.validation_fraction + data.test_fraction >= 1:
        fail("data.validation_fraction", "together with data.test_fraction must leave examples for training")


def check_strategy(config: Config, arguments: Iterable[str]) -> None:
    """Checks that the strategy fits the other settings.

    Args:
      config: resolved settings.
      arguments: names of those on the command line, such as `run_dir`.

    Raises:
      ConfigError: XLA with a strategy, or workers that are not told a common run directory.
    """
    if config.strategy != "none" and config.training.jit is True:
        raise ConfigError(f"training.jit: true (XLA) does not work with --strategy {config.strategy}; leave it at auto")
    if config.strategy == "multi_worker" and not {"run_dir", "resume"} & set(arguments):
        raise ConfigError("--run-dir: missing; --strategy multi_worker needs a directory that all workers share")


def check_terms(config: Config) -> None:
    """Checks that no term is asked for that the model does not have.

    Raises:
      ConfigError: a term beside the bound that only ccvae has, with another model.
    """
    for name in TERMS_OF_CCVAE:
        weight = getattr(config.objective, name)
        if config.model.name != "ccvae" and weight not in ("auto", 0):
            raise ConfigError(
                f"objective.{name}: {weight:g} is not used with model.name {config.model.name}; set it to 0, or "
                "model.name to ccvae"
            )


def check_labels(config: Config, labels: Labels) -> None:
    """Checks that everything that the settings ask for can treat the kinds of the labels.

    Raises:
      LabelsRefused: one is a number label and model or estimator knows none, or a grade and the estimator knows none.
    """
    leave = "or leave the label out by data.label_names"
    refusing = {
        f"model.name {config.model.name}": (config.model.name != "ccvae", "set it to ccvae"),
        f"objective.estimator {config.objective.estimator}": (config.objective.estimator != "exact", "set it to exact"),
    }
    for what, (refuses, remedy) in refusing.items():
        if refuses:
            refuse_numbers(labels, what, f"{remedy}, {leave}")
    if config.model.name == "ccvae" and config.objective.estimator != "exact":
        what = f"objective.estimator {config.objective.estimator}"
        refuse_grades(labels, what, "set it to exact, or take the label as classes by data.label_kinds")


def number_of_latents(config: Config, labels: Labels) -> int:
    """How many latents a model has: `model.latents`, or those of the labels and `model.style_latents` together.

    m2 has no latents of labels, and vae_classifier and mvae have as many of them as they have logits.

    Raises:
      ConfigError: `model.latents` is too small for the labels.
    """
    model = config.model
    needed, what = 0, ""
    if model.name in ("ccvae", "diva"):
        needed = labels.with_latents(model.latents_per_label).characteristic
        own = model.latents_per_label
        what = f"{len(labels)} labels with model.latents_per_label {own}; at least {needed} are needed"
    elif model.name in ("vae_classifier", "mvae"):
        needed = sum(label.values - 1 for label in labels)
        what = f"the {needed} logits of {len(labels)} labels"
    if model.latents is None:
        return needed + (STYLE_LATENTS if model.style_latents == "auto" else model.style_latents)
    if model.latents < needed:
        raise ConfigError(f"model.latents: {model.latents} is too small for {what}")
    return model.latents
