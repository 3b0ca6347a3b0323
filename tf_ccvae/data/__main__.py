"""Looks at data before training: `python -m tf_ccvae.data inspect CONFIG [--SETTING VALUE ...] [--to FOLDER]`.

Says what in the labels was taken for what, and lists what training would refuse, such as images that are not there, and
goes on without it. Says how many examples there are, how often each label is on and how often it is not known, which
labels go together, and warns of those that are too rare or too correlated to separate. Writes inspection.json and
contact_sheet.png, a row of training images for each label, into FOLDER, by default runs/<name of the config
file>-inspection. Settings are those of tf_ccvae.fit.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from tf_ccvae import settings
from tf_ccvae.settings import ConfigError
from tf_ccvae.support.errors import reason
from tf_ccvae.support.startup import prepare


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns its exit code: 0, or 2 for bad input."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "--help" in arguments or "-h" in arguments:
        print(__doc__.rstrip())
        return 0
    try:
        command, folder = parse(arguments)
    except ConfigError as error:
        settings.exit_with(error)
    prepare()
    from tf_ccvae.data.dataset import DataError

    try:
        run_command(command, folder)
    except (ConfigError, DataError) as error:
        settings.exit_with(error)
    except OSError as error:
        settings.exit_with(ConfigError(f"{error.filename or folder}: {reason(error)}"))
    return 0


def parse(arguments: list[str]) -> tuple[settings.Command, Path]:
    """The settings and the folder to write to.

    Raises:
      ConfigError: an argument is missing or cannot be used.
    """
    if arguments[:1] != ["inspect"]:
        raise ConfigError(f"{' '.join(arguments[:1]) or 'no argument'}: write python -m tf_ccvae.data inspect CONFIG")
    if len(arguments) < 2 or arguments[1].startswith("-"):
        raise ConfigError("CONFIG: missing; write the config file behind inspect, then settings")
    rest, to = [], None
    given = iter(arguments[2:])
    for argument in given:
        option, found, value = argument.partition("=")
        if option == "--to":
            to = value if found else next(given, None)
            if not to:
                raise ConfigError("--to: a value is missing")
        else:
            rest.append(argument)
    command = settings.parse(["--config", arguments[1], *rest], "python -m tf_ccvae.data inspect CONFIG")
    if command.run_dir:
        raise ConfigError("--run-dir: not used here; write --to FOLDER")
    return command, Path(to or f"runs/{command.config.name}-inspection")


def run_command(command: settings.Command, folder: Path) -> None:
    """Loads the data, counts, writes and prints; see `tf_ccvae.data.inspection`."""

    from tf_ccvae.data import inspection, sources
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
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "inspection.json", results)
    names = [value.name for value in values[: len(sheet)]]
    figures.save(figures.grid(sheet, rows=names, scale=0.75), folder / "contact_sheet.png")
    console = plain_console()
    for line in inspection.lines(results):
        console.print(line)
    console.print(f"\nNumbers: {folder / 'inspection.json'}   Pictures: {folder / 'contact_sheet.png'}")


if __name__ == "__main__":
    sys.exit(main())
