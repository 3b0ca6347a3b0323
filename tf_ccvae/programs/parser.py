"""What all command lines share: a parser whose mistakes are one line, and how a program ends with one."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from tf_ccvae.support.errors import UserError, exit_with
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
<<<<<<< HEAD
        with mistakes_in_one_line(arguments.run):
            return work(arguments)
=======
        return work(arguments)
    except (ConfigError, DataError) as error:
        exit_with(error)


def load_data(config: Config) -> Dataset:
    """The data of a run.

    Raises:
      ConfigError, DataError: they are not there, or malformed.
    """
    from tf_ccvae.data import sources

    check_data(config)
    return sources.load(config.data, config.seed, progress=True)


def read_images(
    names: Sequence[str], image_shape: tuple[int, int, int], config: Config, split: str = "test"
) -> tuple[np.ndarray, list[str]]:
    """Images by file, by folder (all images in it, by name) or by index in a split of the run's data.

    Files of any size are brought to the model's as `data.folder` says: the shorter side scaled, the centre cut out.

    Args:
      names: files, folders and indices, in order.
      image_shape: of the model.
      config: of the run, for its data.
      split: which split indices count in.

    Returns:
      uint8 (n, height, width, channels), and a short name for each.

    Raises:
      ConfigError, DataError: nothing is given, or something cannot be read; the message says what.
    """
    from tf_ccvae.data.folder import read_image

    if not names:
        raise ConfigError("name at least one image: a file, a folder, or an index into the test split such as 0")
    dataset = None
    images, titles = [], []
    for name in names:
        path = Path(name)
        if name.isdigit() and not path.exists():
            dataset = dataset or load_data(config)
            pictures = dataset.split(split).images
            if int(name) >= len(pictures):
                raise ConfigError(f"{name}: no such image; the {split} split has {len(pictures)}, counted from 0")
            images.append(np.asarray(pictures[int(name)]))
            titles.append(f"{split} {name}")
            continue
        files = [path]
        if path.is_dir():
            files = sorted(x for x in path.iterdir() if x.suffix.lower() in IMAGE_SUFFIXES)
            if not files:
                raise ConfigError(f"{path}: no images in this folder ({', '.join(IMAGE_SUFFIXES)})")
        for file in files:
            if not file.is_file():
                raise ConfigError(f"{file}: no such file; name an image, a folder, or an index into the {split} split")
            try:
                images.append(read_image(file, image_shape[0], image_shape[2]))
            except DataError as error:
                raise DataError(f"{file}: {error}") from None
            titles.append(file.stem)
    return np.stack(images), titles
>>>>>>> labels
