"""What all command lines share: a parser whose mistakes are one line, and how a program ends with one."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from tf_ccvae.support.errors import UserError, exit_with
from tf_ccvae.support.packages import missing_package
from tf_ccvae.support.startup import prepare


class Parser(argparse.ArgumentParser):
    """An argument parser that raises `UserError` where argparse would print its usage and exit.

    It keeps the lines of the description, and takes no shortened options.
    """

    def __init__(self, prog: str | None = None, description: str | None = None, **settings: Any):
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        settings.setdefault("allow_abbrev", False)
        super().__init__(prog, description=description, **settings)

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message.removeprefix('argument ')}; see --help")


@contextlib.contextmanager
def mistakes_in_one_line(place: object = None) -> Iterator[None]:
    """Ends the program with one line and exit code 2 where the block meets something that the user can mend.

    Args:
      place: the file or folder that the program is at, for errors of the operating system that name none.
    """
    try:
        yield
    except (UserError, OSError) as error:
        exit_with(error, place)
    except ModuleNotFoundError as error:
        needs = missing_package(error.name)
        if needs is None:
            raise
        exit_with(UserError(f"this program {needs}"))


def main_of(command_line: Parser, argv: Sequence[str] | None, work: Callable[[argparse.Namespace], int]) -> int:
    """A program whose first argument is a run: parses, starts TensorFlow, works; mistakes end in one line and code 2.

    Args:
      command_line: its parser, with the arguments `run` and `--seed`.
      argv: its arguments; by default those of the process.
      work: what it does with them.
    """
    with mistakes_in_one_line():
        arguments = command_line.parse_args(sys.argv[1:] if argv is None else argv)
        if not arguments.run.is_dir():
            raise UserError(f"{arguments.run}: no such run directory")
        if arguments.seed < 0:
            raise UserError("--seed: must be at least 0")
        prepare()
        with mistakes_in_one_line(arguments.run):
            return work(arguments)
