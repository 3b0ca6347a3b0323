"""Settings: frozen, typed models; a YAML file in, overrides from the command line on top, resolved YAML out.

A setting is written `training.learning_rate` in a YAML file and `--training.learning-rate` on the command line. Values
are written alike in both places: `0.05`, `1e-3`, `true`, `null`, `[32, 64]`. Anything unknown, of the wrong type or
impossible is refused by one line which names the setting. Paths are relative to the current directory, wherever the
file that holds them is. Nothing here imports TensorFlow.
"""

import argparse
import json
import os
import re
import sys
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, CliSettingsSource, SettingsConfigDict

from tf_ccvae import __version__
from tf_ccvae.files import write_text
from tf_ccvae.labels import Labels
from tf_ccvae.setting_errors import (
    ConfigError,
    did_you_mean,
    explain,
    fields,
    file_form,
    is_section,
    kinds,
    lookup,
    option,
)
from tf_ccvae.yaml_files import Dumper, Loader, read_mapping

_PLACES = [place / "configs" for place in Path(__file__).resolve().parents[:3]]
CONFIGS = next((place for place in _PLACES if (place / "avatars.yaml").is_file()), _PLACES[0])
"""Folder of the configurations: inside the installed package, or beside it in the repository."""
DEFAULT_FILE = CONFIGS / "avatars.yaml"


class Settings(BaseModel):
    """What all settings share: no unknown keys, no changes, no infinities."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Above0 = Annotated[float, Field(gt=0)]
Between0And1 = Annotated[float, Field(gt=0, lt=1)]
AtLeast1 = Annotated[int, Field(ge=1)]
Catalogued = Annotated[
    str, Field(pattern=r"^(tfds|huggingface):.+$", examples=["tfds:<name>", "huggingface:<name or folder>"])
]


class Data(Settings):
    """Where images and labels come from, and how many of the labels are seen in training."""

    name: Literal["avatars", "folder", "celeba", "chexpert", "mnist", "fashion_mnist"] | Catalogued = Field(
        default="avatars",
        description="source: avatars (faces drawn on this machine), folder (your images and a CSV file), celeba, "
        "chexpert, mnist, fashion_mnist, tfds:<name> (tensorflow-datasets) or huggingface:<name or folder>; "
        "docs/data.md says what each needs",
    )
    path: Path | None = Field(
        default=None,
        description="folder with the raw files of celeba, chexpert, mnist or fashion_mnist, with a data set for "
        "huggingface, or data_dir for tfds; null to go through tensorflow-datasets' own folder, not for chexpert; "
        "relative to the current directory",
    )
    label_names: tuple[str, ...] = Field(
        default=(),
        description="labels to use, in this order, such as [Smiling, Young]; empty for the default of the source",
    )
    uncertain: Literal["missing", "positive", "negative"] = Field(
        default="missing", description="what a label is that the report calls uncertain, for chexpert"
    )
    unmentioned: Literal["missing", "negative"] = Field(
        default="missing", description="what a label is that the report does not mention, for chexpert"
    )
    images: Path | None = Field(
        default=None, description="folder of images, for folder; relative to the current directory"
    )
    labels: Path | None = Field(
        default=None,
        description="CSV file with a column 'file', an optional column 'split' and one column per label, for folder; "
        "relative to the current directory",
    )
    image_size: Literal[28, 32, 64, 128] = Field(default=64, description="height and width of the images, in pixels")
    channels: Literal[1, 3] = Field(default=3, description="1 for grey, 3 for colour")
    examples: int = Field(default=12000, ge=120, description="how many faces to draw, for avatars; at least 120")
    labelled_fraction: float = Field(
        default=1.0, ge=0, le=1, description="share of training examples that keep their labels, 0 to 1"
    )
    missing_rate: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of single labels hidden in the training examples that keep theirs, at least 0 and below 1",
    )
    labelled_share: Between0And1 | Literal["auto"] = Field(
        default="auto",
        description="share of each training batch drawn from the examples with labels, above 0 and below 1, or auto",
    )
    validation_fraction: Between0And1 = Field(
        default=0.1,
        description="share of examples for validation, above 0 and below 1, where the source has no such split",
    )
    test_fraction: Between0And1 = Field(
        default=0.1,
        description="share of examples for the test, above 0 and below 1, where the source has no such split",
    )


USED_BY = {  # which sources read a setting; refused with the others
    "images": ("folder",),
    "labels": ("folder",),
    "path": ("celeba", "chexpert", "mnist", "fashion_mnist", "tfds", "huggingface"),
    "uncertain": ("chexpert",),
    "unmentioned": ("chexpert",),
}


class Model(Settings):
    """The networks and distributions; `model: m2` is short for its name alone."""

    name: Literal["ccvae", "m2", "vae_classifier"] = Field(
        default="ccvae",
        description="ccvae, or a baseline: m2 (labels enter encoder and decoder), vae_classifier (a classifier on all "
        "latents)",
    )
    latents: int = Field(
        default=45, ge=1, description="number of latents, characteristic and style together; at least 1"
    )
    latents_per_label: int = Field(
        default=1, ge=1, description="number of characteristic latents per label; at least 1"
    )
    encoder_widths: tuple[AtLeast1, ...] = Field(
        default=(),
        description="filters of each stage of the encoder, mirrored in the decoder, such as [32, 64, 128]; "
        "empty for the widths that suit the image size",
    )
    hidden: int = Field(default=256, ge=1, description="units of the dense layer next to the latents; at least 1")
    likelihood: Literal["laplace", "gaussian", "bernoulli", "continuous_bernoulli"] = Field(
        default="laplace", description="distribution of a pixel given the latents"
    )
    likelihood_scale: Above0 | Literal["learned"] = Field(
        default=1.0,
        description="scale of the laplace or gaussian likelihood where a pixel is 0 to 1, above 0, or learned",
    )


class Objective(Settings):
    """The bound that training maximises."""

    estimator: Literal["exact", "pytorch", "pyro"] = Field(
        default="exact", description="how the bound is estimated: exact, or as either official program does"
    )
    label_weight: Annotated[float, Field(ge=0)] | Literal["auto"] = Field(
        default="auto",
        description="adds this times log q(y | x) to what is maximised, at least 0; auto is 1000 for exact and 0 for "
        "the official estimators, whose gradient holds a hidden weight of its own",
    )
    independence_weight: Annotated[float, Field(ge=0)] | Literal["auto"] = Field(
        default="auto",
        description="weight of the penalty on what other latents tell about a label, at least 0; auto is 30 for exact "
        "and 0 for the official estimators",
    )
    nodes: int = Field(
        default=64, ge=8, le=1024, description="nodes of the one-dimensional integrals in exact; 8 to 1024"
    )
    samples: int = Field(default=100, ge=1, description="draws for q(y | x) in pytorch and pyro; at least 1")
    proposals: int = Field(
        default=16, ge=1, description="draws per categorical label with more than one latent in exact; at least 1"
    )


class Training(Settings):
    """The optimiser and how long it runs."""

    epochs: int = Field(default=24, ge=1, description="passes over the training examples; at least 1")
    batch_size: int = Field(default=64, ge=1, description="examples per step; at least 1")
    learning_rate: float = Field(default=1e-3, gt=0, description="peak step size of Adam; above 0")
    schedule: Literal["constant", "cosine"] = Field(
        default="cosine", description="learning rate after the warm-up: constant, or cosine down to 0 at the last step"
    )
    warmup_steps: int = Field(
        default=0, ge=0, description="steps over which the learning rate rises from 0; at least 0"
    )
    clip_norm: Above0 | None = Field(
        default=None, description="largest norm of a gradient, above 0, or null for no limit"
    )
    precision: Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"] = Field(
        default="auto", description="number format of the networks; auto picks one that is fast on the device"
    )
    early_stopping: AtLeast1 | None = Field(
        default=None,
        description="stop after this many epochs without a better validation bound, at least 1, or null for never",
    )
    jit: bool | Literal["auto"] = Field(
        default="auto",
        description="compile the training step with XLA: true, false, or auto: on a GPU, without a strategy",
    )


class Export(Settings):
    """What is exported when training has ended; see `python -m export --help` for more."""

    formats: tuple[Literal["saved_model", "onnx", "litert"], ...] = Field(
        default=(), description="formats to export the trained model in, such as [saved_model, onnx]; empty for none"
    )
    to: Path | None = Field(default=None, description="folder for them; null for the folder export in the run")


class Tracking(Settings):
    """Where the course of a training is recorded; see docs/tracking.md."""

    tensorboard: bool = Field(
        default=True, description="write TensorBoard events into the run directory: true or false"
    )
    mlflow: bool = Field(default=False, description="record the run in MLflow: true or false")
    wandb: bool | Literal["offline"] = Field(
        default=False,
        description="record the run in Weights & Biases: true, false, or offline: in the run directory, for wandb sync",
    )
    experiment: str = Field(
        default="tf_ccvae",
        description="MLflow's experiment and W&B's project; empty for what the environment says",
    )
    uri: str | None = Field(
        default=None,
        description="MLflow's server, database or folder; null for MLFLOW_TRACKING_URI or MLflow's default",
    )
    model: bool = Field(default=False, description="send the trained model to the trackers too: true or false")


class Config(Settings):
    """All settings of a run."""

    name: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9._-]*$",
        description="prefix of the run's name: letters, digits, '.', '_', '-'; empty for the name of the config file",
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="seed of everything random; 0 to 4294967295")
    strategy: Literal["none", "mirrored", "multi_worker"] = Field(
        default="none",
        description="what trains: none (one device), mirrored (all GPUs of this machine) or multi_worker (several "
        "machines); batch_size is that of all together; see docs/scale.md",
    )
    data: Data = Data()
    model: Model = Model()
    objective: Objective = Objective()
    training: Training = Training()
    export: Export = Export()
    tracking: Tracking = Tracking()

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> "Config":
        """The settings in a file; those that it leaves out have their defaults.

        Whether the data are there is not looked at, so that a finished run can be read on any machine; see
        `check_data`.

        Raises:
          ConfigError: the file is missing, is not YAML, or holds an unknown key, a wrong type or an impossible value.
        """
        content = read_yaml(Path(path))
        try:
            return cls.model_validate_json(json.dumps(content), strict=True)
        except ValidationError as error:
            raise ConfigError(f"{path}: {explain(error, Config, content, file_form)}") from None

    def dump(self) -> str:
        """Every setting as YAML, in the order of the classes above."""
        return yaml.dump(self.model_dump(mode="json"), Dumper=Dumper, sort_keys=False, width=100)

    def to_yaml(self, path: str | os.PathLike[str]) -> None:
        """Writes every setting to a file, which is replaced at once or not at all."""
        write_text(Path(path), self.dump())


class _Arguments(BaseSettings, Config):
    """The command line: every setting, and what is not part of the saved settings."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    config: Path | None = Field(
        default=None, description="YAML file of settings; configs/avatars.yaml unless --resume is given"
    )
    run_dir: Path | None = Field(default=None, description="where to put this run; null for runs/<name>-<time>")
    resume: Path | None = Field(
        default=None, description="directory of a run to continue, with its own settings and the changes given here"
    )


ONLY_ARGUMENTS = tuple(name for name in _Arguments.model_fields if name not in Config.model_fields)


@dataclass(frozen=True)
class Command:
    """A command line that was read.

    Args:
      config: the resolved settings.
      run_dir: where to put the run; None for runs/<name>-<time>.
      resume: directory of the run to continue; None for a new run.
    """

    config: Config
    run_dir: Path | None
    resume: Path | None


def read(argv: Sequence[str], prog: str | None = None) -> Command:
    """The command line, or one line on standard error and exit code 2 if there is anything wrong with it.

    Args:
      argv: the arguments without the program's name; `--help` and `--version` print and exit with code 0.
      prog: what `--help` calls the program.
    """
    try:
        return parse(argv, prog)
    except ConfigError as error:
        exit_with(error)


def exit_with(error: Exception) -> NoReturn:
    """Prints `error: ...` as one line on standard error and exits with code 2."""
    print("error:", " ".join(str(error).split()), file=sys.stderr)
    sys.exit(2)


def parse(argv: Sequence[str], prog: str | None = None) -> Command:
    """Like `read`, but raises.

    Raises:
      ConfigError: an argument, the config file or the combination of both cannot be used.
    """
    given = _arguments(argv, prog)
    for name in ("config", "run_dir"):
        if name in given and "resume" in given:
            raise ConfigError(f"{option(name)}: cannot be given together with --resume")
    file, named = _config_file(given)
    if not file.is_file():
        raise ConfigError(f"{named}: {file}: no such file{_configurations() if named == '--config' else ''}")
    saved = Config.from_yaml(file)
    overrides = {key: text for key, text in given.items() if key not in ONLY_ARGUMENTS}
    config = _override(saved, overrides)
    if not config.name:
        config = config.model_copy(update={"name": _safe_name(file.stem)})
    check_data(config, overrides, file)
    check_strategy(config, given)
    return Command(config, _path(given, "run_dir"), _path(given, "resume"))


def check_data(config: Config, overrides: Iterable[str] = (), file: Path | None = None) -> None:
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
    for setting in ("images", "path"):
        value = getattr(data, setting)
        if value is not None and not value.is_dir():
            fail(f"data.{setting}", f"{value}: no such folder (current directory: {Path.cwd()})")
    if data.labels is not None and not data.labels.is_file():
        fail("data.labels", f"{data.labels}: no such file (current directory: {Path.cwd()})")
    if data.name == "folder" and data.validation_fraction + data.test_fraction >= 1:
        fail("data.validation_fraction", "together with data.test_fraction must leave examples for training")


def check_strategy(config: Config, given: Iterable[str]) -> None:
    """Checks that the strategy fits the other settings.

    Args:
      config: resolved settings.
      given: arguments that were given, such as `run_dir`.

    Raises:
      ConfigError: XLA with a strategy, or workers that are not told a common run directory.
    """
    if config.strategy != "none" and config.training.jit is True:
        raise ConfigError(f"training.jit: true (XLA) does not work with --strategy {config.strategy}; leave it at auto")
    if config.strategy == "multi_worker" and not {"run_dir", "resume"} & set(given):
        raise ConfigError("--run-dir: missing; --strategy multi_worker needs a directory that all workers share")


def flatten(config: Config) -> dict[str, Any]:
    """Every setting by its dotted name, such as `training.epochs`, as it would stand in a file."""
    content = config.model_dump(mode="json")
    return {name: lookup(content, name) for name, _ in fields(Config)}


def check_latents(config: Config, labels: Labels) -> None:
    """Checks that the characteristic latents of all labels fit into the latents.

    Raises:
      ConfigError: `model.latents` is too small for `labels` with `model.latents_per_label` latents each.
    """
    if config.model.name == "vae_classifier":
        needed = sum(label.values - 1 for label in labels)
        if config.model.latents < needed:
            raise ConfigError(
                f"model.latents: {config.model.latents} is too small for the {needed} logits of {len(labels)} labels"
            )
    needed = labels.with_latents(config.model.latents_per_label).characteristic
    if config.model.name == "ccvae" and config.model.latents < needed:
        raise ConfigError(
            f"model.latents: {config.model.latents} is too small for {len(labels)} labels with "
            f"model.latents_per_label {config.model.latents_per_label}; at least {needed} are needed"
        )


# The command line.


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        argument, _, what = message.removeprefix("argument ").partition(": ")
        raise ConfigError(f"{argument}: {'a value is missing' if what == 'expected one argument' else what}")


def _add_argument(group: Any, *names: str, **kwargs: Any) -> None:
    """Adds an argument with its type and default in the words of YAML; hidden ones (a group as JSON) are left out."""
    if kwargs["help"] == argparse.SUPPRESS:
        return
    words = {"None": "null", "False": "false", "True": "true", "()": "[]", "": "''"}
    kwargs["help"] = re.sub(
        r"\(default: (.*)\)$", lambda found: f"(default: {words.get(found[1], found[1])})", kwargs["help"]
    )
    kwargs["metavar"] = re.sub(r"^tuple(?=\[)", "", kwargs["metavar"])
    group.add_argument(*names, **kwargs)


def _parser(prog: str | None) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=prog,
        usage="%(prog)s [--config FILE] [--SETTING VALUE ...]",
        description="Settings come from a YAML file; those given here come on top. Values are written as in YAML: "
        "0.05, 1e-3, true, null, [32, 64]. In a YAML file, --training.batch-size is batch_size under training.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=32, width=100),
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"tf_ccvae {__version__}")
    CliSettingsSource(
        _Arguments,
        root_parser=parser,
        add_argument_method=_add_argument,
        cli_avoid_json=True,
        cli_kebab_case=True,
        cli_parse_none_str="null",
        cli_use_class_docs_for_groups=True,
    )
    return parser


def _arguments(argv: Sequence[str], prog: str | None) -> dict[str, str]:
    """The arguments as they were written, such as `{"training.epochs": "10"}`."""
    argv = [re.sub(r"^--model(?==|$)", "--model.name", argument) for argument in argv]
    namespace, unknown = _parser(prog).parse_known_args(argv)
    if unknown:
        argument = unknown[0].partition("=")[0]
        if not argument.startswith("-"):
            raise ConfigError(f"{argument}: not a setting; settings are written --training.epochs 10")
        options = [option(key) for key in (*ONLY_ARGUMENTS, *dict(fields(Config)))]
        raise ConfigError(f"{argument}: unknown setting{did_you_mean(argument, [*options, '--help', '--version'])}")
    given = {key: ",".join(text) if isinstance(text, list) else text for key, text in vars(namespace).items()}
    return {key: text for key, text in given.items() if not (key in ONLY_ARGUMENTS and text == "null")}


def _config_file(given: Mapping[str, str]) -> tuple[Path, str]:
    if "resume" in given:
        return Path(given["resume"]) / "config.yaml", "--resume"
    return find_config(Path(given.get("config", DEFAULT_FILE))), "--config"


def find_config(file: Path) -> Path:
    """The file itself if there is one, else `configs/NAME.yaml` of this installation if that is what is named."""
    own = CONFIGS / file.name
    return own if not file.exists() and file.parent == Path("configs") and own.is_file() else file


def _configurations() -> str:
    return f"; there are {', '.join(f'configs/{x.name}' for x in sorted(CONFIGS.glob('*.yaml')))}"


def _path(given: Mapping[str, str], name: str) -> Path | None:
    return Path(given[name]) if name in given else None


def _safe_name(stem: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in stem)


def _override(config: Config, overrides: Mapping[str, str]) -> Config:
    known = dict(fields(Config))
    content = config.model_dump(mode="json")
    for key, text in overrides.items():
        *section, last = key.split(".")
        (content[section[0]] if section else content)[last] = _value(text, known[key])
    try:
        return Config.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        raise ConfigError(explain(error, Config, overrides, option)) from None


def _value(text: str, field: FieldInfo) -> Any:
    """What a value on the command line means: text for settings that are text, else as in YAML."""
    allowed = list(kinds(field.annotation))
    if text == "null" and types.NoneType in allowed:
        return None
    if any(kind in (str, Path) for kind in allowed) or all(isinstance(kind, str) for kind in allowed):
        return text
    loader: type[yaml.BaseLoader | yaml.SafeLoader] = Loader
    if tuple in allowed:
        text = f"[{text.removeprefix('[').removesuffix(']')}]"
        loader = yaml.BaseLoader if str in get_args(field.annotation) else Loader  # a name may look like a number
    try:
        return yaml.load(text, Loader=loader)
    except yaml.YAMLError:
        return text


def read_yaml(path: Path) -> dict[str, Any]:
    """What a file of settings holds, as JSON would.

    Raises:
      ConfigError: it cannot be read, is not YAML, or holds something other than a mapping.
    """
    content = read_mapping(path)
    if isinstance(content.get("model"), str):
        content["model"] = {"name": content["model"]}
    sections = {key for key, field in Config.model_fields.items() if is_section(field)}
    return {key: {} if value is None and key in sections else value for key, value in content.items()}
