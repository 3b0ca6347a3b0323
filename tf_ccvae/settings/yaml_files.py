"""YAML as settings are written in it: 1e-3 is a number, a key given twice is an error, lists stand on one line."""

import json
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from tf_ccvae.settings.errors import ConfigError
from tf_ccvae.support.errors import reason
from tf_ccvae.support.files import JsonObject


class Loader(yaml.SafeLoader):
    """YAML in which 1e-3 is a number, and a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise ConstructorError(None, None, f"{name} is given twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


class Dumper(yaml.SafeDumper):
    """YAML with lists on one line, and text that looks like a number in quotes."""


def _list_on_one_line(dumper: yaml.SafeDumper, values: list[object]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)


_EXPONENT = re.compile(r"^[-+]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$")
for _class in (Loader, Dumper):
    _class.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+.0123456789"))
Dumper.add_representer(list, _list_on_one_line)


def read_mapping(path: Path) -> JsonObject:
    """What a YAML file holds, as JSON would.

    Raises:
      ConfigError: it cannot be read, is not YAML, or holds something other than a mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=Loader)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text file in UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: {reason(error)}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {_yaml_problem(error)}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: must hold settings, one a line, such as 'seed: 0'")
    try:
        return dict(json.loads(json.dumps(content, default=str)))
    except (TypeError, ValueError, RecursionError):
        raise ConfigError(f"{path}: holds more than names, numbers, lists and groups") from None


def _yaml_problem(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem or error.context}"
    return " ".join(str(error).split())
