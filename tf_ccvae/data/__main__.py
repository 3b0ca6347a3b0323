"""Looks at data before training: `python -m tf_ccvae.data inspect CONFIG [--SETTING VALUE ...] [--to FOLDER]`.

Says what in the labels was taken for what, and lists what training would refuse, such as images that are not there, and
goes on without it. Says how many examples there are, how often each label is on and how often it is not known, which
labels go together, what numbers range over, and warns of those that are too rare or too correlated to separate. Writes
inspection.json and contact_sheet.png, a row of training images for each label (of a number from low to high), into
FOLDER, by default runs/<name of the config file>-inspection. Settings are those of tf_ccvae.fit.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from tf_ccvae import settings
from tf_ccvae.settings import ConfigError
from tf_ccvae.support.parser import Parser, mistakes_in_one_line
from tf_ccvae.support.startup import prepare

PROGRAM = "python -m tf_ccvae.data inspect"


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns its exit code: 0, or 2 for bad input."""
    with mistakes_in_one_line():
        command, folder = parse(list(sys.argv[1:] if argv is None else argv))
        prepare()
        with mistakes_in_one_line(folder):
            run_command(command, folder)
    return 0


def parser() -> Parser:
    """The command line of `inspect`; what it leaves over are settings."""
    made = Parser(PROGRAM, __doc__, usage="%(prog)s CONFIG [--SETTING VALUE ...] [--to FOLDER]")
    made.add_argument("config", metavar="CONFIG", help="YAML file of settings, such as configs/avatars.yaml")
    made.add_argument("--to", metavar="FOLDER", help="where to write (default: runs/<name of the config>-inspection)")
    return made


def parse(arguments: list[str]) -> tuple[settings.Command, Path]:
    """The settings and the folder to write to.

    Raises:
      UserError: an argument is missing or cannot be used.
    """
    if arguments[:1] in (["--help"], ["-h"]):
        parser().parse_args(["--help"])
    if arguments[:1] != ["inspect"]:
        raise ConfigError(f"{' '.join(arguments[:1]) or 'no argument'}: write {PROGRAM} CONFIG")
    if len(arguments) < 2 or (arguments[1].startswith("-") and arguments[1] not in ("--help", "-h")):
        raise ConfigError("CONFIG: missing; write the config file behind inspect, then settings")
    known, rest = parser().parse_known_args(arguments[1:])
    if known.to == "":
        raise ConfigError("--to: a value is missing")
    command = settings.parse(["--config", known.config, *rest], f"{PROGRAM} CONFIG")
    if command.run_dir:
        raise ConfigError("--run-dir: not used here; write --to FOLDER")
    return command, Path(known.to or f"runs/{command.config.name}-inspection")


def run_command(command: settings.Command, folder: Path) -> None:
    """Loads the data, counts, writes and prints; see `tf_ccvae.data.inspection`."""
    import numpy as np

    from tf_ccvae.data import inspection, inspection_numbers, sources
    from tf_ccvae.data.pipeline import hide_labels
    from tf_ccvae.support import figures
    from tf_ccvae.support.console import plain_console
    from tf_ccvae.support.files import write_json

    config = command.config
    problems: list[str] = []
    dataset = sources.load(config.data, config.seed, progress=True, left_out=problems)
    seen = hide_labels(dataset.train, config.data.labelled_fraction, config.data.missing_rate, config.seed)
    results = inspection.inspect(dataset, seen) | {"problems": problems}
    values = inspection.values_of(dataset.labels)
    sheet = inspection.pictures(dataset.train, values, seed=config.seed)
    titles, of_numbers = inspection_numbers.pictures(dataset.train, dataset.labels, sheet.shape[1])
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "inspection.json", results)
    names = [*titles, *(value.name for value in values[: len(sheet)])]
    whole = np.concatenate([of_numbers, sheet])
    figures.save(figures.grid(whole, rows=names, scale=0.75), folder / "contact_sheet.png")
    console = plain_console()
    for line in inspection.lines(results):
        console.print(line)
    console.print(f"\nNumbers: {folder / 'inspection.json'}   Pictures: {folder / 'contact_sheet.png'}")


if __name__ == "__main__":
    sys.exit(main())
