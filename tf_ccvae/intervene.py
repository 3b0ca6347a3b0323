"""Interventions on images: `python -m tf_ccvae.intervene RUN traverse|set|generate|swap|variation|encode|decode ...`

Images are files (PNG, JPEG, WebP, PGM, of any size), folders, or indices into the run's test split. Each sub-command
writes a labelled grid as PNG; `--separate` writes the single images too, and `--npz` the arrays."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tf_ccvae import config as settings
from tf_ccvae.commands import Parser, main_of, read_images, settings_of
from tf_ccvae.config import ConfigError


def parser() -> Parser:
    """The command line."""
    top = Parser("python -m tf_ccvae.intervene", __doc__)
    top.add_argument("run", type=Path, help="run directory that tf_ccvae.fit has made")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    every = Parser(add_help=False)
    every.add_argument("--out", type=Path, help="file to write (default: RUN/interventions/COMMAND.png)")
    every.add_argument("--seed", type=int, default=0, help="of everything that is drawn (default: 0)")
    pictures = Parser(add_help=False)
    pictures.add_argument("--separate", action="store_true", help="write every image as a file of its own, too")
    pictures.add_argument("--npz", action="store_true", help="write the arrays beside the picture, too")
    images = "files, folders, or indices into the test split"

    def add(name: str, what: str, *parents: Parser) -> Any:
        return commands.add_parser(name, help=what, description=what, parents=[every, *parents])

    one = add("traverse", "move labels along their characteristic, from one value's prior to another's", pictures)
    one.add_argument("images", nargs="*", help=images)
    one.add_argument("--label", action="append", default=[], help="name; give two for a grid")
    one.add_argument("--from", action="append", dest="start", help="value to start from, per label (default: 0)")
    one.add_argument("--to", action="append", dest="end", help="value to end at, per label (default: the last)")
    one.add_argument("--steps", type=int, default=8, help="pictures along the way (default: 8)")
    one.add_argument("--deviations", type=float, default=1.0, help="reach beyond the means, in prior deviations")
    one.add_argument("--direction", type=int, help="for labels with several latents, the only one that moves (from 0)")
    one.add_argument("--alone", action="store_true", help="leave labels that the move excludes as they are")

    one = add("set", "turn labels on or off, or set a class", pictures)
    one.add_argument("images", nargs="*", help=images)
    one.add_argument("--label", action="append", default=[], metavar="NAME=VALUE", help="such as Smiling=1")
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
    from tf_ccvae import runs
    from tf_ccvae.data.dataset import DataError

    try:
        run, model = runs.load(arguments.run)
        config = settings.Config.from_yaml(run.config)
        suffix = ".npz" if arguments.command == "encode" else ".png"
        out = arguments.out or run.path / "interventions" / f"{arguments.command}{suffix}"
        known = (".npz", ".csv") if arguments.command == "encode" else (".png",)
        if out.suffix not in known:
            raise ConfigError(f"--out: {out} must end with {' or '.join(known)}")
        work: Callable[..., None] = COMMANDS[arguments.command]
        work(arguments, model, config, _folder_of(out))
    except (ValueError, DataError, runs.RunError) as error:
        settings.exit_with(error)
    except OSError as error:
        settings.exit_with(ConfigError(f"--out: {arguments.out or arguments.run} cannot be written ({error.strerror})"))
    return 0


def _folder_of(out: Path) -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    return out


def _one_label(arguments: argparse.Namespace, most: int = 1) -> list[str]:
    if not 1 <= len(arguments.label) <= most:
        raise ConfigError(f"--label: give {'one' if most == 1 else 'one or two'}, got {len(arguments.label)}")
    return list(arguments.label)


def _write(
    arguments: argparse.Namespace, out: Path, images: Any, rows: Any, columns: Any, title: str, **more: Any
) -> None:
    """A grid (rows, columns, height, width, channels) as PNG, and whatever else was asked for."""
    import numpy as np
    from PIL import Image

    from tf_ccvae import figures
    from tf_ccvae.files import replacing

    figures.save(figures.grid(images, rows, columns, title), out)
    written = [str(out)]
    if arguments.separate:
        folder = out.with_suffix("")
        folder.mkdir(exist_ok=True)
        whole = (np.clip(images, 0, 1) * 255).round().astype(np.uint8) if images.dtype != np.uint8 else images
        for i, row in enumerate(whole):
            for j, picture in enumerate(row):
                with replacing(folder / f"{i:03d}-{j:03d}.png") as beside:
                    Image.fromarray(picture.squeeze(-1) if picture.shape[-1] == 1 else picture).save(beside, "PNG")
        written.append(f"{folder}/")
    if arguments.npz:
        path = out.with_suffix(".npz")
        _save_arrays(path, images=images, rows=np.array(rows, str), columns=np.array(columns, str), **more)
        written.append(str(path))
    print("\n".join(written))


def _save_arrays(path: Path, **arrays: Any) -> None:
    import numpy as np

    from tf_ccvae.files import replacing

    with replacing(path) as beside, beside.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _images(arguments: argparse.Namespace, model: Any, config: settings.Config) -> tuple[Any, list[str]]:
    return read_images(arguments.images, model.image_shape, config)


def _as_floats(images: Any) -> Any:
    return images.astype("float32") / 255


def traverse(arguments: argparse.Namespace, model: Any, config: settings.Config, out: Path) -> None:
    import numpy as np

    from tf_ccvae import interventions, label_settings

    names = _one_label(arguments, most=2)
    images, titles = _images(arguments, model, config)
    labels = [model.labels.items[label_settings.label_index(model, name)] for name in names]
    starts = arguments.start or ["0"] * len(names)
    ends = arguments.end or [str(label.values - 1) for label in labels]
    for option, given in (("--from", starts), ("--to", ends)):
        if len(given) != len(names):
            raise ConfigError(f"{option}: give one for each label, got {len(given)} for {len(names)}")
    if len(names) == 1:
        moved = interventions.traverse(
            model,
            images,
            names[0],
            starts[0],
            ends[0],
            arguments.steps,
            arguments.deviations,
            arguments.direction,
            not arguments.alone,
        )
        shown = np.concatenate([_as_floats(images)[:, None], moved], axis=1)
        first, last = _value_name(labels[0], starts[0]), _value_name(labels[0], ends[0])
        _write(arguments, out, shown, titles, ["image", first, *[""] * (arguments.steps - 2), last], names[0])
        return
    if arguments.direction is not None:
        raise ConfigError("--direction: only for one label, not for a grid")
    if len(images) != 1:
        raise ConfigError(f"give one image for a grid of two labels, got {len(images)}")
    pair = (names[0], names[1])
    grid = interventions.traverse_grid(
        model, images, pair, (starts[0], starts[1]), (ends[0], ends[1]), arguments.steps, arguments.deviations
    )[0]
    rows, columns = (
        [_value_name(label, start), *[""] * (arguments.steps - 2), _value_name(label, end)]
        for label, start, end in zip(labels, starts, ends, strict=True)
    )
    _write(arguments, out, grid, rows, columns, f"{names[0]} (rows), {names[1]} (columns)")


def _value_name(label: Any, value: str) -> str:
    if label.binary:
        return {"0": "off", "1": "on"}.get(value, value)
    return label.classes[int(value)] if value.isdigit() else value


def set_labels(arguments: argparse.Namespace, model: Any, config: settings.Config, out: Path) -> None:
    import numpy as np

    from tf_ccvae import interventions

    asked = settings_of(arguments.label)
    if not asked:
        raise ConfigError("--label: give at least one NAME=VALUE")
    images, titles = _images(arguments, model, config)
    edited = interventions.set_labels(model, images, asked, arguments.mode, arguments.seed, not arguments.alone)
    shown = np.stack([_as_floats(images), interventions.reconstruct(model, images), edited], axis=1)
    title = ", ".join(f"{name}={value}" for name, value in asked.items())
    _write(arguments, out, shown, titles, ["image", "reconstruction", "edited"], title)


def generate(arguments: argparse.Namespace, model: Any, config: settings.Config, out: Path) -> None:
    import numpy as np

    from tf_ccvae import interventions, label_settings

    if arguments.count < 1:
        raise ConfigError("--count: must be at least 1")
    asked = settings_of(arguments.label)
    values = label_settings.choose_values(model, asked, arguments.count, arguments.seed, arguments.unspecified)
    style = read_images([arguments.style], model.image_shape, config)[0] if arguments.style else None
    if style is not None and len(style) != 1:
        raise ConfigError("--style: name one image")
    made = interventions.generate(model, values, arguments.seed, style)
    across = min(8, arguments.count)
    rows = -(-arguments.count // across)
    sheet = np.ones((rows * across, *model.image_shape), np.float32)
    sheet[: arguments.count] = made.images
    title = ", ".join(f"{name}={value}" for name, value in asked.items()) or "labels from p(y)"
    _write(
        arguments,
        out,
        sheet.reshape(rows, across, *model.image_shape),
        [],
        [],
        title,
        labels=made.labels,
        latents=made.latents,
    )


def swap(arguments: argparse.Namespace, model: Any, config: settings.Config, out: Path) -> None:
    import numpy as np

    from tf_ccvae import interventions

    if not arguments.label:
        raise ConfigError("--label: name at least one label to carry over")
    recipients, of_recipients = _images(arguments, model, config)
    donors, of_donors = read_images(arguments.donors, model.image_shape, config)
    matrix = interventions.swap_matrix(model, recipients, donors, arguments.label, not arguments.alone)
    blank = np.ones((1, 1, *model.image_shape), np.float32)
    first = np.concatenate([blank, _as_floats(recipients)[None]], axis=1)
    sheet = np.concatenate([first, np.concatenate([_as_floats(donors)[:, None], matrix], axis=1)])
    title = f"{', '.join(arguments.label)}: donors (rows) to recipients (columns)"
    _write(arguments, out, sheet, ["", *of_donors], ["", *of_recipients], title)


def variation(arguments: argparse.Namespace, model: Any, config: settings.Config, out: Path) -> None:
    import numpy as np

    from tf_ccvae import figures, interventions

    (text,) = _one_label(arguments)
    name, found, value = text.rpartition("=")
    images, titles = _images(arguments, model, config)
    result = interventions.variation(
        model, images, name if found else text, value if found else None, arguments.draws, arguments.seed
    )
    heat = figures.heat_colours(result.deviation)
    plain = [_as_floats(images), result.mean, *np.moveaxis(result.images[:, :4], 1, 0)]
    colour = [np.repeat(x, 3, axis=-1) if x.shape[-1] == 1 else x for x in plain]
    columns = ["image", "mean", *(f"draw {i + 1}" for i in range(len(plain) - 2)), "deviation"]
    title = f"{text}: {arguments.draws} draws, standard deviation up to {result.deviation.max():.2f}"
    _write(
        arguments,
        out,
        np.stack([*colour, heat], axis=1),
        titles,
        columns,
        title,
        mean=result.mean,
        deviation=result.deviation,
    )


def encode(arguments: argparse.Namespace, model: Any, config: settings.Config, out: Path) -> None:
    import csv
    import io

    import numpy as np

    from tf_ccvae import interventions
    from tf_ccvae.files import write_text

    images, titles = _images(arguments, model, config)
    latents = interventions.encode(model, images)
    columns = latent_names(model)
    if out.suffix == ".npz":
        _save_arrays(out, latents=latents, names=np.array(titles, str), columns=np.array(columns, str))
    else:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["name", *columns])
        writer.writerows([title, *(repr(float(x)) for x in row)] for title, row in zip(titles, latents, strict=True))
        write_text(out, text.getvalue())
    print(out)


def latent_names(model: Any) -> list[str]:
    """A name for each latent: the label's (with a number if it has several), then style_0, style_1, ..."""
    names = []
    for label in model.labels:
        names += [label.name] if label.latents == 1 else [f"{label.name}_{k}" for k in range(label.latents)]
    return [*names, *(f"style_{k}" for k in range(model.decoder_inputs - len(names)))]


def decode(arguments: argparse.Namespace, model: Any, config: settings.Config, out: Path) -> None:
    import numpy as np

    from tf_ccvae import interventions

    latents, titles = read_latents(arguments.latents)
    if latents.ndim != 2 or latents.shape[1] != model.decoder_inputs:
        raise ConfigError(
            f"{arguments.latents}: holds latents of shape {latents.shape}; this model needs (n, {model.decoder_inputs})"
        )
    if not len(latents):
        raise ConfigError(f"{arguments.latents}: holds no latents")
    images = interventions.decode(model, latents)
    across = min(8, len(images))
    rows = -(-len(images) // across)
    sheet = np.ones((rows * across, *model.image_shape), np.float32)
    sheet[: len(images)] = images
    _write(arguments, out, sheet.reshape(rows, across, *model.image_shape), [], [], "", latents=latents, names=titles)


def read_latents(path: Path) -> tuple[Any, list[str]]:
    """Latents and their names from a file that `encode` has written.

    Raises:
      ConfigError: it is missing, or holds something else.
    """
    import csv

    import numpy as np

    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                latents = np.asarray(arrays["latents"], np.float32)
                names = [str(x) for x in arrays["names"]] if "names" in arrays else []
        elif path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                rows = list(csv.reader(file))[1:]
            latents = np.array([[float(x) for x in row[1:]] for row in rows], np.float32)
            names = [row[0] for row in rows]
        else:
            raise ConfigError(f"{path}: must be .npz or .csv, as encode writes them")
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError(f"{path}: holds no latents ({' '.join(str(error).split())})") from None
    if not np.isfinite(latents).all():
        raise ConfigError(f"{path}: holds numbers that are not finite")
    return latents, names


COMMANDS: dict[str, Callable[..., None]] = {
    "traverse": traverse,
    "set": set_labels,
    "generate": generate,
    "swap": swap,
    "variation": variation,
    "encode": encode,
    "decode": decode,
}

if __name__ == "__main__":
    sys.exit(main())
