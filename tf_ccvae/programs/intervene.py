"""Interventions on images: `python -m tf_ccvae.intervene RUN traverse|set|generate|swap|variation|encode|decode ...`

Images are files (PNG, JPEG, WebP, PGM, of any size), folders, or indices into the run's test split. Each sub-command
writes a labelled grid as PNG; `--separate` writes the single images too, and `--npz` the arrays."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from tf_ccvae.programs.intervention_commands import COMMANDS
from tf_ccvae.programs.on_run import main_of
from tf_ccvae.programs.run_inputs import add_places, places_of, settings_of_run
from tf_ccvae.support.errors import UserError, reason
from tf_ccvae.support.parser import Parser, cautions_in_one_line


def parser() -> Parser:
    """The command line."""
    top = Parser("python -m tf_ccvae.intervene", __doc__)
    top.add_argument("run", type=Path, help="run directory that tf_ccvae.fit has made")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    every = Parser(add_help=False)
    every.add_argument("--out", type=Path, help="file to write (default: RUN/interventions/COMMAND.png)")
    every.add_argument("--seed", type=int, default=0, help="of everything that is drawn (default: 0)")
    add_places(every)
    pictures = Parser(add_help=False)
    pictures.add_argument("--separate", action="store_true", help="write every image as a file of its own, too")
    pictures.add_argument("--npz", action="store_true", help="write the arrays beside the picture, too")
    images = "files, folders, or indices into the test split"

    def add(name: str, what: str, *parents: Parser) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=what, description=what, parents=[every, *parents])

    one = add("traverse", "move labels along their characteristic, from one value's prior to another's", pictures)
    one.add_argument("images", nargs="*", help=images)
    one.add_argument("--label", action="append", default=[], help="name; give two for a grid")
    one.add_argument("--from", action="append", dest="start", help="value to start from, per label (default: first)")
    one.add_argument("--to", action="append", dest="end", help="value to end at, per label (default: the last)")
    one.add_argument("--steps", type=int, default=8, help="pictures along the way (default: 8)")
    one.add_argument("--deviations", type=float, default=1.0, help="reach beyond the means, in prior deviations")
    one.add_argument("--direction", type=int, help="for labels with several latents, the only one that moves (from 0)")
    one.add_argument("--alone", action="store_true", help="leave labels that the move excludes as they are")

    one = add("set", "turn labels on or off, or set a class", pictures)
    one.add_argument("images", nargs="*", help=images)
    one.add_argument("--label", action="append", default=[], metavar="NAME=VALUE", help="such as Smiling=1 or age=60")
    one.add_argument("--mode", default="transport", help="transport (default), mean or sample")
    one.add_argument("--alone", action="store_true", help="leave labels that a value excludes as they are")

    one = add("generate", "different new images for given labels", pictures)
    one.add_argument("--label", action="append", default=[], metavar="NAME=VALUE", help="such as Smiling=1")
    one.add_argument("--count", type=int, default=24, help="how many (default: 24)")
    one.add_argument("--unspecified", default="prior", help="other labels: prior (drawn, default) or missing")
    one.add_argument("--style", metavar="IMAGE", help="keep the style of this image")

    one = add("swap", "carry labels' characteristics from donors to recipients", pictures)
    one.add_argument("images", nargs="*", help=f"recipients: {images}")
    one.add_argument("--donors", nargs="+", default=[], help=f"donors: {images}")
    one.add_argument("--label", action="append", default=[], help="name; may be given several times")
    one.add_argument("--alone", action="store_true", help="leave labels that a donor's value excludes as they are")

    one = add("variation", "many draws of one characteristic: their mean, and where pictures differ", pictures)
    one.add_argument("images", nargs="*", help=images)
    one.add_argument("--label", action="append", default=[], metavar="NAME[=VALUE]", help="by default its own value")
    one.add_argument("--draws", type=int, default=64, help="how many (default: 64)")

    one = add("encode", "images to latents at the posterior mean, as .npz or .csv")
    one.add_argument("images", nargs="*", help=images)
    one = add("decode", "latents, from .npz or .csv as encode writes them, to images", pictures)
    one.add_argument("latents", type=Path, help="file of latents")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns its exit code: 0, or 2 for bad input."""
    return main_of(parser(), argv, run_command)


def run_command(arguments: argparse.Namespace) -> int:
    """Loads the model, does what the sub-command says, writes the files; see `tf_ccvae.interventions`."""
    from tf_ccvae.training import run_directory

    run, model = run_directory.load(arguments.run)
    config = settings_of_run(run, places_of(arguments))
    suffix = ".npz" if arguments.command == "encode" else ".png"
    out = arguments.out or run.path / "interventions" / f"{arguments.command}{suffix}"
    endings = (".npz", ".csv") if arguments.command == "encode" else (".png",)
    if out.suffix not in endings:
        raise UserError(f"--out: {out} must end with {' or '.join(endings)}")
    work: Callable[..., None] = COMMANDS[arguments.command]
    try:
        with cautions_in_one_line():
            work(arguments, model, config, _folder_of(out))
    except ValueError as error:
        raise UserError(str(error)) from error
    except OSError as error:
        raise UserError(f"--out: {out} cannot be written ({reason(error)})") from error
    return 0


def _folder_of(out: Path) -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    return out
