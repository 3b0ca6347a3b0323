"""Settings: frozen, typed models; a YAML file in, overrides from the command line on top, resolved YAML out.

A setting is written `training.learning_rate` in a YAML file and `--training.learning-rate` on the command line. Values
are written alike in both places: `0.05`, `1e-3`, `true`, `null`, `[32, 64]`. Anything unknown, of the wrong type or
impossible is refused by one line which names the setting. Paths are relative to the current directory, wherever the
file that holds them is. Nothing here imports TensorFlow.
"""

import json
import os
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError

from tf_ccvae.settings.base import Above0, AtLeast0, AtLeast1, Settings
from tf_ccvae.settings.errors import ConfigError, explain, fields, file_form, is_section, lookup
from tf_ccvae.settings.model_settings import Model
from tf_ccvae.settings.objective_settings import Objective
from tf_ccvae.settings.yaml_files import Dumper, read_mapping
from tf_ccvae.support.files import JsonObject, write_text

Between0And1 = Annotated[float, Field(gt=0, lt=1)]
BEFORE = {("model", "backbone"): "paper"}  # what runs had that were made before there was such a setting
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
    unmarked: Literal["off"] | None = Field(
        default=None,
        description="off if what is not marked means off in a column that has no 0 (1 and -1, or 1 and empty), for "
        "folder and huggingface; null to refuse such a column, or to leave it out for huggingface",
    )
    label_kinds: dict[str, Literal["binary", "class", "number", "grade"] | tuple[str | int | float, ...]] = Field(
        default={},
        description="which kind some labels are, such as {breed: class, age: number, stage: grade}, for folder, "
        "tfds and huggingface; a list such as {harm: [none, mild, severe]} has the words of a grade in order; the kind "
        "of the others is seen from their values",
    )
    white: Annotated[int, Field(ge=255, le=65535)] | None = Field(
        default=None,
        description="value that is white in images of 16 bits, 255 to 65535, such as 4095 for 12 bits; null for the "
        "largest of 8, 10, 12, 14 or 16 bits, whichever are the fewest that hold all of them",
    )
    image_size: Literal[28, 32, 64, 128, 256] = Field(
        default=64, description="height and width of the images, in pixels"
    )
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
    augment: tuple[Literal["shift", "flip", "colour"], ...] = Field(
        default=(),
        description="how training images are changed at random, such as [shift, flip, colour]; empty for not at all; "
        "docs/data.md says what each does",
    )
    sided: tuple[str, ...] = Field(
        default=(),
        description="labels that flip in data.augment would make wrong, such as [Looks_Left]; an example that knows "
        "one of them is not flipped",
    )
    validation_fraction: Between0And1 = Field(
        default=0.1,
        description="share of examples for validation, above 0 and below 1, where the source has no such split",
    )
    test_fraction: Between0And1 = Field(
        default=0.1,
        description="share of examples for the test, above 0 and below 1, where the source has no such split",
    )


class Training(Settings):
    """The optimiser and how long it runs."""

    epochs: AtLeast1 | Literal["auto"] = Field(
        default="auto",
        description="passes over the training examples, at least 1, or auto: as many as it takes to reach the number "
        "of steps, and at least 3",
    )
    steps: int = Field(default=3000, ge=1, description="steps of training where epochs is auto; at least 1")
    batch_size: int = Field(default=32, ge=1, description="examples per step; at least 1")
    optimizer: Literal["auto", "adam", "muon"] = Field(
        default="auto",
        description="what moves the weights: adam, muon (the decoder's kernels by Muon, all else by Adam), or auto: "
        "muon for residual networks, else adam; docs/results.md has the measures",
    )
    learning_rate: Above0 | Literal["auto"] = Field(
        default="auto", description="peak step size, above 0; or auto: 2.5e-3 with muon, 1.5e-3 with adam"
    )
    schedule: Literal["constant", "cosine"] = Field(
        default="cosine", description="learning rate after the warm-up: constant, or cosine down to 0 at the last step"
    )
    warmup_steps: AtLeast0 | Literal["auto"] = Field(
        default="auto",
        description="steps over which the learning rate rises from 0, at least 0; or auto: 100 where a label is a "
        "number, which without one may leave units of the encoder dead, else 0",
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
    pictures: int = Field(
        default=5,
        ge=0,
        description="every how many epochs the figures are drawn, in TensorBoard too; 0 for at the end alone",
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
    def of_run(cls, path: str | os.PathLike[str]) -> "Config":
        """The settings of a run from its config.yaml, which may be of a version that knew fewer settings.

        Raises:
          ConfigError: as `from_yaml`.
        """
        content = read_yaml(Path(path))
        for (section, name), value in BEFORE.items():
            if isinstance(content.get(section), dict):
                content[section].setdefault(name, value)
        return cls._checked(content, path)

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> "Config":
        """The settings in a file; those that it leaves out have their defaults.

        Whether the data are there is not looked at, so that a finished run can be read on any machine; see
        `check_data`.

        Raises:
          ConfigError: the file is missing, is not YAML, or holds an unknown key, a wrong type or an impossible value.
        """
        return cls._checked(read_yaml(Path(path)), path)

    @classmethod
    def _checked(cls, content: JsonObject, path: str | os.PathLike[str]) -> "Config":
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


def flatten(config: Config) -> JsonObject:
    """Every setting by its dotted name, such as `training.epochs`, as it would stand in a file."""
    content = config.model_dump(mode="json")
    return {name: lookup(content, name) for name, _ in fields(Config)}


def read_yaml(path: Path) -> JsonObject:
    """What a file of settings holds, as JSON would.

    Raises:
      ConfigError: it cannot be read, is not YAML, or holds something other than a mapping.
    """
    content = read_mapping(path)
    if isinstance(content.get("model"), str):
        content["model"] = {"name": content["model"]}
    sections = {key for key, field in Config.model_fields.items() if is_section(field)}
    return {key: {} if value is None and key in sections else value for key, value in content.items()}
