"""What programs share whose first argument is a run."""

import argparse
import sys
from collections.abc import Callable, Sequence

from tf_ccvae.support.errors import UserError
from tf_ccvae.support.parser import Parser, mistakes_in_one_line
from tf_ccvae.support.startup import prepare


def main_of(made: Parser, argv: Sequence[str] | None, work: Callable[[argparse.Namespace], int]) -> int:
    """A program whose first argument is a run: parses, starts TensorFlow, works; mistakes end in one line and code 2.

    Args:
      made: its parser, with the arguments `run` and `--seed`.
      argv: its arguments; by default those of the process.
      work: what it does with them.
    """
    with mistakes_in_one_line():
        arguments = made.parse_args(sys.argv[1:] if argv is None else argv)
        if not arguments.run.is_dir():
            raise UserError(f"{arguments.run}: no such run directory")
        if arguments.seed < 0:
            raise UserError("--seed: must be at least 0")
        prepare()
        with mistakes_in_one_line(arguments.run):
            return work(arguments)
