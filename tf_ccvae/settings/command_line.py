"""The command line of a training: every setting as an option, on top of a file of settings.

What `--help` says about a setting is its description in `settings.schema`.
"""

import argparse
import json
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, CliSettingsSource, SettingsConfigDict

from tf_ccvae import __version__
from tf_ccvae.settings.checks import check_data, check_strategy, check_terms
from tf_ccvae.settings.errors import (
    ConfigError,
    did_you_mean,
    explain,
    fields,
    kinds,
    option,
)
from tf_ccvae.settings.schema import Config
from tf_ccvae.settings.yaml_files import Loader
from tf_ccvae.support.parser import Parser, mistakes_in_one_line

_PLACES = [place / "configs" for place in Path(__file__).resolve().parents[1:3]]
CONFIGS = next((place for place in _PLACES if (place / "avatars.yaml").is_file()), _PLACES[0])
"""Folder of the configurations: inside the installed package, or beside it in the repository."""
DEFAULT_FILE = CONFIGS / "avatars.yaml"


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
    with mistakes_in_one_line():
        return parse(argv, prog)


def parse(argv: Sequence[str], prog: str | None = None) -> Command:
    """Like `read`, but raises.

    Raises:
      ConfigError: an argument, the config file or the combination of both cannot be used.
    """
    arguments = _arguments(argv, prog)
    for name in ("config", "run_dir"):
        if name in arguments and "resume" in arguments:
            raise ConfigError(f"{option(name)}: cannot be given together with --resume")
    file, named = _config_file(arguments)
    if not file.is_file():
        raise ConfigError(f"{named}: {file}: no such file{_configurations() if named == '--config' else ''}")
    saved = Config.of_run(file) if "resume" in arguments else Config.from_yaml(file)
    overrides = {key: text for key, text in arguments.items() if key not in ONLY_ARGUMENTS}
    config = _override(saved, overrides)
    if not config.name:
        config = config.model_copy(update={"name": _safe_name(file.stem)})
    check_data(config, overrides, file)
    check_strategy(config, arguments)
    if "resume" not in arguments:
        check_terms(config)
    return Command(config, _path(arguments, "run_dir"), _path(arguments, "resume"))


def _add_argument(group: argparse._ArgumentGroup, *names: str, **kwargs: Any) -> None:
    """Adds an argument with its type and default in the words of YAML; hidden ones (a group as JSON) are left out."""
    if kwargs["help"] == argparse.SUPPRESS:
        return
    words = {"None": "null", "False": "false", "True": "true", "()": "[]", "": "''"}
    kwargs["help"] = re.sub(
        r"\(default: (.*)\)$", lambda match: f"(default: {words.get(match[1], match[1])})", kwargs["help"]
    )
    kwargs["metavar"] = re.sub(r"^tuple(?=\[)", "", kwargs["metavar"])
    group.add_argument(*names, **kwargs)


def _parser(prog: str | None) -> Parser:
    parser = Parser(
        prog,
        usage="%(prog)s [--config FILE] [--SETTING VALUE ...]",
        description="Settings come from a YAML file; those given here come on top. Values are written as in YAML: "
        "0.05, 1e-3, true, null, [32, 64]. In a YAML file, --training.batch-size is batch_size under training.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=32, width=100),
        exit_on_error=False,
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
    try:
        namespace, unknown = _parser(prog).parse_known_args(argv)
    except argparse.ArgumentError as error:
        what = "a value is missing" if error.message == "expected one argument" else error.message
        raise ConfigError(f"{error.argument_name}: {what}") from None
    if unknown:
        argument = unknown[0].partition("=")[0]
        if not argument.startswith("-"):
            raise ConfigError(f"{argument}: not a setting; settings are written --training.epochs 10")
        options = [option(key) for key in (*ONLY_ARGUMENTS, *dict(fields(Config)))]
        raise ConfigError(f"{argument}: unknown setting{did_you_mean(argument, [*options, '--help', '--version'])}")
    texts = {key: ",".join(text) if isinstance(text, list) else text for key, text in vars(namespace).items()}
    return {key: text for key, text in texts.items() if not (key in ONLY_ARGUMENTS and text == "null")}


def _config_file(arguments: Mapping[str, str]) -> tuple[Path, str]:
    if "resume" in arguments:
        return Path(arguments["resume"]) / "config.yaml", "--resume"
    return find_config(Path(arguments.get("config", DEFAULT_FILE))), "--config"


def find_config(file: Path) -> Path:
    """The file itself if there is one, else `configs/NAME.yaml` of this installation if that is what is named."""
    own = CONFIGS / file.name
    return own if not file.exists() and file.parent == Path("configs") and own.is_file() else file


def _configurations() -> str:
    return f"; there are {', '.join(f'configs/{x.name}' for x in sorted(CONFIGS.glob('*.yaml')))}"


def _path(arguments: Mapping[str, str], name: str) -> Path | None:
    return Path(arguments[name]) if name in arguments else None


def _safe_name(stem: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in stem)


def _override(config: Config, overrides: Mapping[str, str]) -> Config:
    every = dict(fields(Config))
    content = config.model_dump(mode="json")
    if overrides.get("model.latents", "null") != "null":  # either number of latents replaces the other one of the file
        content["model"]["style_latents"] = "auto"
    elif "model.style_latents" in overrides:
        content["model"]["latents"] = None
    for key, text in overrides.items():
        *section, last = key.split(".")
        (content[section[0]] if section else content)[last] = _value(text, every[key])
    try:
        return Config.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        raise ConfigError(explain(error, Config, overrides, option)) from None


def _value(text: str, field: FieldInfo) -> object:
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
