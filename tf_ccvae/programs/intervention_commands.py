"""What each sub-command of `intervene` does with a model and images."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tf_ccvae.programs.intervention_files import read_latents, save_arrays, write_sheet
from tf_ccvae.programs.run_inputs import RunSettings, read_images, settings_of
from tf_ccvae.settings import ConfigError


def _one_label(arguments: argparse.Namespace, most: int = 1) -> list[str]:
    if not 1 <= len(arguments.label) <= most:
        raise ConfigError(f"--label: give {'one' if most == 1 else 'one or two'}, got {len(arguments.label)}")
    return list(arguments.label)


def _images(arguments: argparse.Namespace, model: Any, config: RunSettings) -> tuple[Any, list[str]]:
    return read_images(arguments.images, model.image_shape, config)


def _as_floats(images: Any) -> Any:
    return images.astype("float32") / 255


def traverse(arguments: argparse.Namespace, model: Any, config: RunSettings, out: Path) -> None:
    import numpy as np

    from tf_ccvae import interventions
    from tf_ccvae.interventions import values_by_name

    names = _one_label(arguments, most=2)
    images, titles = _images(arguments, model, config)
    labels = [model.labels.items[values_by_name.label_index(model, name)] for name in names]
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
        write_sheet(arguments, out, shown, titles, ["image", first, *[""] * (arguments.steps - 2), last], names[0])
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
    write_sheet(arguments, out, grid, rows, columns, f"{names[0]} (rows), {names[1]} (columns)")


def _value_name(label: Any, value: str) -> str:
    if label.binary:
        return {"0": "off", "1": "on"}.get(value, value)
    return label.classes[int(value)] if value.isdigit() else value


def set_labels(arguments: argparse.Namespace, model: Any, config: RunSettings, out: Path) -> None:
    import numpy as np

    from tf_ccvae import interventions

    asked = settings_of(arguments.label)
    if not asked:
        raise ConfigError("--label: give at least one NAME=VALUE")
    images, titles = _images(arguments, model, config)
    edited = interventions.set_labels(model, images, asked, arguments.mode, arguments.seed, not arguments.alone)
    shown = np.stack([_as_floats(images), interventions.reconstruct(model, images), edited], axis=1)
    title = ", ".join(f"{name}={value}" for name, value in asked.items())
    write_sheet(arguments, out, shown, titles, ["image", "reconstruction", "edited"], title)


def generate(arguments: argparse.Namespace, model: Any, config: RunSettings, out: Path) -> None:
    import numpy as np

    from tf_ccvae import interventions
    from tf_ccvae.interventions import values_by_name

    if arguments.count < 1:
        raise ConfigError("--count: must be at least 1")
    asked = settings_of(arguments.label)
    values = values_by_name.choose_values(model, asked, arguments.count, arguments.seed, arguments.unspecified)
    style = read_images([arguments.style], model.image_shape, config)[0] if arguments.style else None
    if style is not None and len(style) != 1:
        raise ConfigError("--style: name one image")
    made = interventions.generate(model, values, arguments.seed, style)
    across = min(8, arguments.count)
    rows = -(-arguments.count // across)
    sheet = np.ones((rows * across, *model.image_shape), np.float32)
    sheet[: arguments.count] = made.images
    title = ", ".join(f"{name}={value}" for name, value in asked.items()) or "labels from p(y)"
    write_sheet(
        arguments,
        out,
        sheet.reshape(rows, across, *model.image_shape),
        [],
        [],
        title,
        labels=made.labels,
        latents=made.latents,
    )


def swap(arguments: argparse.Namespace, model: Any, config: RunSettings, out: Path) -> None:
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
    write_sheet(arguments, out, sheet, ["", *of_donors], ["", *of_recipients], title)


def variation(arguments: argparse.Namespace, model: Any, config: RunSettings, out: Path) -> None:
    import numpy as np

    from tf_ccvae import interventions
    from tf_ccvae.support import figures

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
    write_sheet(
        arguments,
        out,
        np.stack([*colour, heat], axis=1),
        titles,
        columns,
        title,
        mean=result.mean,
        deviation=result.deviation,
    )


def encode(arguments: argparse.Namespace, model: Any, config: RunSettings, out: Path) -> None:
    import csv
    import io

    import numpy as np

    from tf_ccvae import interventions
    from tf_ccvae.support.files import write_text

    images, titles = _images(arguments, model, config)
    latents = interventions.encode(model, images)
    columns = latent_names(model)
    if out.suffix == ".npz":
        save_arrays(out, latents=latents, names=np.array(titles, str), columns=np.array(columns, str))
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


def decode(arguments: argparse.Namespace, model: Any, config: RunSettings, out: Path) -> None:
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
    write_sheet(
        arguments, out, sheet.reshape(rows, across, *model.image_shape), [], [], "", latents=latents, names=titles
    )


COMMANDS: dict[str, Callable[..., None]] = {
    "traverse": traverse,
    "set": set_labels,
    "generate": generate,
    "swap": swap,
    "variation": variation,
    "encode": encode,
    "decode": decode,
}
