"""What is wrong with settings, in one line each that names the setting and the nearest valid one."""

import difflib
import json
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from tf_ccvae.support.errors import UserError


class ConfigError(UserError):
    """Settings that cannot be used; the message is one line that names the setting and says what is wrong with it."""


def option(key: str) -> str:
    """A dotted name as it is written on the command line."""
    return f"--{key.replace('_', '-')}"


def file_form(key: str) -> str:
    """A dotted name as it is written in a file."""
    return key


def is_section(field: FieldInfo) -> bool:
    """Whether it is a group of settings."""
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def fields(settings: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every setting with its dotted name."""
    for name, field in settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name, field


def kinds(annotation: object) -> Iterator[object]:
    """The types and literal values that an annotation allows, such as float and "auto"; text by its examples."""
    origin = get_origin(annotation)
    if origin is Annotated:
        kind, *details = get_args(annotation)
        examples = [text for detail in details for text in getattr(detail, "examples", None) or ()]
        yield from examples or kinds(kind)
    elif origin in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from kinds(part)
    elif origin is Literal:
        yield from get_args(annotation)
    else:
        yield origin or annotation


_KINDS = {
    int: "an integer",
    float: "a number",
    bool: "true or false",
    str: "text",
    Path: "a path",
    tuple: "a list of integers such as [32, 64]",
    types.NoneType: "null",
}
_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}


def explain(
    error: ValidationError, settings: type[BaseModel], content: Mapping[str, object], form: Callable[[str], str]
) -> str:
    """One line about the first thing that is wrong.

    Args:
      error: from a validation of `settings`.
      settings: all of them.
      content: what was validated, nested as in a file or with dotted names as on the command line.
      form: how a dotted name is written where the settings came from.
    """
    problems = error.errors(include_url=False)
    first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    every = dict(fields(settings))
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "contradiction":
        return f"{form('.'.join(filter(None, (key, first['ctx']['setting']))))}: {first['msg']}"
    if first["type"] == "extra_forbidden":
        groups = (name for name, field in settings.model_fields.items() if is_section(field))
        return f"{form(key)}: unknown setting{did_you_mean(key, [*every, *groups])}"
    name = next((n for n in every if key == n or key.startswith(f"{n}.")), None)
    if name is None:
        return f"{form(key)}: {_show(first['input'])} is not a group of settings"
    value = lookup(content, name)
    length = len(name.split("."))
    for problem in problems:
        if problem["type"] in _BOUNDS and problem["loc"][:length] == first["loc"][:length]:
            words, bound = _BOUNDS[problem["type"]]
            got = value if isinstance(value, str) else _show(value)
            return f"{form(name)}: must be {words} {problem['ctx'][bound]:.10g}, got {got}"
    if first["type"] == "string_pattern_mismatch":
        return f"{form(name)}: {_show(value)} may only hold letters, digits, '.', '_' and '-'"
    if first["type"] == "finite_number":
        return f"{form(name)}: {_show(value)} is not a finite number"
    return f"{form(name)}: {_show(value)} is not {_expected(every[name].annotation, value)}"


def _expected(annotation: object, value: object) -> str:
    """The allowed types or values in words, with the nearest one if `value` looks like a misspelt one."""
    allowed = list(kinds(annotation))
    literal = [str(kind) for kind in allowed if not isinstance(kind, type)]
    if choices := _choices(annotation):
        text = f"a list of {', '.join(choices)}"
    elif get_origin(annotation) is dict:
        names = ", ".join(str(kind) for kind in kinds(get_args(annotation)[1]) if not isinstance(kind, type))
        text = f"a mapping from names to one of {names} or a list of words, such as {{age: number}}; 'no' needs quotes"
    elif str in get_args(annotation):
        text = "a list of names such as [Smiling, Young]"
    elif len(literal) == len(allowed):
        text = f"one of {', '.join(literal)}"
    else:
        text = " or ".join(_KINDS[kind] if isinstance(kind, type) else str(kind) for kind in allowed)
    nearest = difflib.get_close_matches(str(value), literal, n=1)
    return f"{text}; did you mean {nearest[0]}?" if nearest else text


def _choices(annotation: object) -> list[str]:
    """What the items of a list may be, if they are a choice of names."""
    items = get_args(annotation)[:1] if get_origin(annotation) is tuple else ()
    return [str(choice) for item in items if get_origin(item) is Literal for choice in get_args(item)]


def lookup(content: Mapping[str, object], name: str) -> object:
    """The value of a setting by its dotted name, nested as in a file or with dotted names as on the command line."""
    if name in content:
        return content[name]
    value: Any = content
    for part in name.split("."):
        value = value[part]
    return value


def _show(value: object) -> str:
    return repr(value) if isinstance(value, str) else json.dumps(value, default=str)


def did_you_mean(key: str, names: Sequence[str]) -> str:
    """The one of `names` nearest to `key`, compared in full first and then by the part behind the last dot."""
    nearest = difflib.get_close_matches(key, names, n=1, cutoff=0.8)
    if not nearest:
        last = {name.rpartition(".")[2].removeprefix("--"): name for name in reversed(names)}
        matches = difflib.get_close_matches(key.rpartition(".")[2].removeprefix("--"), last, n=1, cutoff=0.7)
        nearest = [last[name] for name in matches] or difflib.get_close_matches(key, names, n=1, cutoff=0.6)
    return f"; did you mean {nearest[0]}?" if nearest else "; --help lists all settings"
