"""What a sweep file holds, and whether it can be searched."""

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError

from tf_ccvae import settings
from tf_ccvae.settings.schema import read_yaml
from tf_ccvae.support.files import Json, JsonObject

if TYPE_CHECKING:
    from tf_ccvae.data.dataset import Dataset

LEAST = ("validation_mean_absolute_error", "validation_style_divergence", "validation_absolute_error_")


def less_is_better(objective: str) -> bool:
    """Whether a measure is one of which less is better."""
    return objective.startswith(LEAST)


class Range(settings.Settings):
    """Numbers from `min` to `max`; whole numbers if both are."""

    min: int | float
    max: int | float
    scale: Literal["linear", "log"] = "linear"
    step: int | float | None = None


class Sweep(settings.Settings):
    """What a sweep file holds.

    config: YAML file of settings to start from; relative to the current directory.
    settings: changes of it for all trials, such as `{training.epochs: 6}`.
    search: for each setting to vary a list of values or a `Range`.
    tuner: how settings are proposed; hyperband trains most trials for a few epochs only.
    trials: how many; hyperband has a number of its own, from `training.epochs`.
    objective: a column of history.csv that begins with `validation_`, taken at the epoch that the run keeps.
    seed: of the proposals.
    """

    config: Path
    settings: Annotated[JsonObject, Field(default_factory=dict)]
    search: Annotated[dict[str, Range | list[Any]], Field(min_length=1)]
    tuner: Literal["random", "bayesian", "hyperband"] = "bayesian"
    trials: Annotated[int, Field(ge=1)] = 20
    objective: Annotated[str, Field(pattern="^validation_")] = "validation_bound"
    seed: Annotated[int, Field(ge=0)] = 0


def read_sweep(path: Path) -> Sweep:
    """The sweep in a file.

    Raises:
      ConfigError: it cannot be read, or holds something that a sweep has not.
    """
    content = read_yaml(path)
    try:
        return Sweep.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise settings.ConfigError(f"{path}: {'.'.join(map(str, first['loc'][:2]))}: {first['msg']}") from None


def text_of(value: Json) -> str:
    """A value as it is written on the command line: `0.1`, `true`, `null`, `[32, 64]`, `cosine`."""
    return value if isinstance(value, str) else json.dumps(value)


def option(name: str) -> str:
    """A setting as it is written on the command line: `--training.batch-size`."""
    return f"--{name.replace('_', '-')}"


def configure(sweep: Sweep, values: JsonObject, fixed: Sequence[str] = ()) -> settings.Config:
    """The settings of a trial.

    Args:
      sweep: the sweep.
      values: values of settings that are searched, as KerasTuner gives them.
      fixed: arguments such as `--training.epochs 3`; they come before the file.

    Raises:
      ConfigError: they are not settings, or impossible.
    """
    named = {argument.partition("=")[0] for argument in fixed}
    written = {option(name): value for name, value in {**sweep.settings, **values}.items()}
    arguments = [f"{name}={text_of(value)}" for name, value in written.items() if name not in named]
    return settings.parse(["--config", str(sweep.config), *fixed, *arguments]).config


def check(sweep: Sweep, file: Path, fixed: Sequence[str]) -> settings.Config:
    """Checks every value that the search can meet at its ends; returns the settings without the search.

    Raises:
      ConfigError: one of them is not possible.
    """
    base = configure(sweep, {}, fixed)
    if base.strategy != "none":
        raise settings.ConfigError("strategy: a sweep trains on one device; leave it at none")
    if sweep.tuner == "hyperband" and "training.epochs" in sweep.search:
        raise settings.ConfigError(f"{file}: search.training.epochs: hyperband sets it itself; take it out")
    if sweep.tuner == "hyperband" and base.training.epochs == "auto":
        raise settings.ConfigError("training.epochs: hyperband needs a number in place of auto, such as 12")
    for name, values in sweep.search.items():
        if option(name) in {argument.partition("=")[0] for argument in fixed}:
            raise settings.ConfigError(f"{option(name)}: {file} searches it; take it out in one of the two places")
        if isinstance(values, Range):
            if values.min >= values.max:
                raise settings.ConfigError(f"{file}: search.{name}: min must be below max")
            if values.scale == "log" and (values.min <= 0 or values.step is not None):
                raise settings.ConfigError(f"{file}: search.{name}: scale log needs a min above 0 and no step")
        elif len(values) < 2:
            raise settings.ConfigError(f"{file}: search.{name}: needs at least two values")
        for value in (values.min, values.max) if isinstance(values, Range) else values:
            try:
                configure(sweep, {name: value}, fixed)
            except settings.ConfigError as error:
                raise settings.ConfigError(f"{file}: search: {error}") from None
    return base


def check_objective(objective: str, dataset: "Dataset") -> None:
    """Checks that history.csv has such a column, and that the validation split has the labels that it needs.

    Raises:
      ConfigError: it has not.
    """
    from tf_ccvae.training.measures import MEASURES, names_of_label

    per_label = [f"{name}_{label.name}" for label in dataset.labels for name in names_of_label(label)]
    columns = [f"validation_{name}" for name in (*MEASURES, *per_label)]
    if objective not in columns:
        near = difflib.get_close_matches(objective, columns, n=1, cutoff=0)
        raise settings.ConfigError(f"objective: {objective} is not measured; did you mean {near[0]}?")
    position = columns.index(objective)
    known = dataset.validation.observed
    if position >= len(MEASURES):
        known = known[:, (position - len(MEASURES)) // 2]
    if position >= len(MEASURES) - 2 and not known.any():
        raise settings.ConfigError(
            f"objective: {objective} is not known: no validation example has a label for it; choose another"
        )
