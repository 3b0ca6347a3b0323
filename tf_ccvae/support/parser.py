"""The parser of all programs, whose mistakes are one line, and how a program ends with such a line.

It needs the standard library alone, so that a client of a server runs without TensorFlow.
"""

import argparse
import contextlib
import io
import sys
import warnings
from collections.abc import Iterator
from typing import Any, NoReturn

from tf_ccvae.support.errors import Caution, UserError, line_of
from tf_ccvae.support.packages import missing_package


class Parser(argparse.ArgumentParser):
    """An argument parser that raises `UserError` where argparse would print its usage and exit.

    It keeps the lines of the description, and takes no shortened options.
    """

    def __init__(self, prog: str | None = None, description: str | None = None, **settings: Any):
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        settings.setdefault("allow_abbrev", False)
        super().__init__(prog, description=description, **settings)

    def parse_known_args(self, *arguments: Any, **named: Any) -> Any:
        escape_what_cannot_be_shown()
        return super().parse_known_args(*arguments, **named)

    def error(self, message: str) -> NoReturn:
        message = message.removeprefix("argument ").replace("expected one argument", "a value is missing")
        raise UserError(f"{message}; see --help")


def escape_what_cannot_be_shown() -> None:
    """Lets the terminal write `\\u8868` where its encoding lacks a character of a name, instead of raising an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def report(error: UserError | OSError | ModuleNotFoundError, place: object = None) -> int:
    """Prints `error: ...` as one line on standard error and returns the exit code that goes with it; see `line_of`.

    Args:
      error: a `UserError`, an error of the operating system, or the import of a package that is not installed.
      place: the file or folder that the program was at, for errors of the operating system that name none.

    Raises:
      ModuleNotFoundError: the error itself if no file of requirements has the package.
    """
    if isinstance(error, ModuleNotFoundError):
        needs = missing_package(error.name)
        if needs is None:
            raise error
        error = UserError(f"this program {needs}")
    print("error:", line_of(error, place), file=sys.stderr, flush=True)
    return error.exit_code if isinstance(error, UserError) else UserError.exit_code


@contextlib.contextmanager
def mistakes_in_one_line(place: object = None) -> Iterator[None]:
    """Ends the program with one line and an exit code where the block meets something that the user can mend.

    Args:
      place: the file or folder that the program is at, for errors of the operating system that name none.

    Raises:
      SystemExit: with the code of the error, 2 unless it is of a class with another.
    """
    try:
        yield
    except (UserError, OSError, ModuleNotFoundError) as error:
        sys.exit(report(error, place))


@contextlib.contextmanager
def cautions_in_one_line() -> Iterator[None]:
    """Prints each `Caution` inside the block as one line `warning: ...` on standard error."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", Caution)
        show = warnings.showwarning

        def said(message: Warning | str, kind: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(kind, Caution):
                print("warning:", message, file=sys.stderr, flush=True)
            else:
                show(message, kind, *where, **more)

        warnings.showwarning = said  # type: ignore[assignment]
        yield
