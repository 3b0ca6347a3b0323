"""What each sub-command of `intervene` does with a model and images."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tf_ccvae.programs.intervention_files import PREDICTED, cell_of, read_latents, save_arrays, write_sheet
from tf_ccvae.programs.run_inputs import RunSettings, read_images
from tf_ccvae.settings import ConfigError

if TYPE_CHECKING:
    from numpy import ndarray

    from tf_ccvae.labels import Label
    from tf_ccvae.models.labelled_vae import LabelledVAE


def _one_label(arguments: argparse.Namespace, most: int = 1) -> list[str]:
    if not 1 <= len(arguments.label) <= most:
        raise ConfigError(f"--label: give {'one' if most == 1 else 'one or two'}, got {len(arguments.label)}")
    return list(arguments.label)


def _images(arguments: argparse.Namespace, model: "LabelledVAE", config: RunSettings) -> tuple["ndarray", list[str]]:
    return read_images(arguments.images, model.image_shape, config)


def _as_floats(images: "ndarray") -> "ndarray":
    return images.astype("float32") / 255


def traverse(arguments: argparse.Namespace, model: "LabelledVAE", config: RunSettings, out: Path) -> None:
    import numpy as np

    from tf_ccvae import interventions
    from tf_ccvae.interventions import values_by_name

    names = _one_label(arguments, most=2)
    images, titles = _images(arguments, model, config)
    labels = [model.labels.items[values_by_name.label_index(model, name)] for name in names]
    for option, texts in (("--from", arguments.start), ("--to", arguments.end)):
        if texts and len(texts) != len(names):
            raise ConfigError(f"{option}: give one for each label, got {len(texts)} for {len(names)}")
    starts = [x.meant(text) for x, text in zip(labels, arguments.start or [x.ends[0] for x in labels], strict=True)]
    ends = [x.meant(text) for x, text in zip(labels, arguments.end or [x.ends[1] for x in labels], strict=True)]
    along = [titles_along(*what, arguments.steps) for what in zip(labels, starts, ends, strict=True)]
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
        write_sheet(arguments, out, shown, titles, ["image", *along[0]], names[0])
        return
    if arguments.direction is not None:
        raise ConfigError("--direction: only for one label, not for a grid")
    if len(images) != 1:
        raise ConfigError(f"give one image for a grid of two labels, got {len(images)}")
    pair = (names[0], names[1])
    grid = interventions.traverse_grid(
        model, images, pair, (starts[0], starts[1]), (ends[0], ends[1]), arguments.steps, arguments.deviations
    )[0]
    write_sheet(arguments, out, grid, along[0], along[1], f"{names[0]} (rows), {names[1]} (columns)")


def titles_along(label: "Label", start: float, end: float, steps: int) -> list[str]:
    """Titles of the pictures of a traversal: the values at its ends, and of a number label all values."""
    if label.scale is None:
        return [label.written(start), *[""] * (steps - 2), label.written(end)]
    return [label.written(start + (end - start) * step / (steps - 1)) for step in range(steps)]


def _settings(model: "LabelledVAE", texts: Sequence[str]) -> dict[str, float]:
    """Values by label name from texts NAME=VALUE.

    Raises:
      ConfigError: a text without '=', or a label twice.
      ValueError: an unknown label or value.
    """
    from tf_ccvae.interventions import values_by_name

    result: dict[str, float] = {}
    for text in texts:
        setting = values_by_name.setting_of(model, text)
        if setting is None:
            raise ConfigError(f"--label: {text!r} has no value; write NAME=VALUE, such as Smiling=1")
        name, value = setting
        if name in result:
            raise ConfigError(f"--label: {name} is given twice")
        result[name] = values_by_name.label_value(model, name, value)
    return result


def _described(model: "LabelledVAE", values: Mapping[str, float]) -> str:
    """Settings as a title: names of labels and values."""
    labels = {label.name: label for label in model.labels}
    return ", ".join(f"{name}={labels[name].written(value)}" for name, value in values.items())


def set_labels(arguments: argparse.Namespace, model: "LabelledVAE", config: RunSettings, out: Path) -> None:
    import numpy as np

    from tf_ccvae import interventions

    by_label = _settings(model, arguments.label)
    if not by_label:
        raise ConfigError("--label: give at least one NAME=VALUE")
    images, titles = _images(arguments, model, config)
    edited = interventions.set_labels(model, images, by_label, arguments.mode, arguments.seed, not arguments.alone)
    shown = np.stack([_as_floats(images), interventions.reconstruct(model, images), edited], axis=1)
    columns = ["image", "reconstruction", "edited"]
    write_sheet(arguments, out, shown, titles, columns, _described(model, by_label))


def generate(arguments: argparse.Namespace, model: "LabelledVAE", config: RunSettings, out: Path) -> None:
    import numpy as np

    from tf_ccvae import interventions
    from tf_ccvae.interventions import values_by_name

    if arguments.count < 1:
        raise ConfigError("--count: must be at least 1")
    by_label = _settings(model, arguments.label)
    values = values_by_name.choose_values(model, by_label, arguments.count, arguments.seed, arguments.unspecified)
    style = read_images([arguments.style], model.image_shape, config)[0] if arguments.style else None
    if style is not None and len(style) != 1:
        raise ConfigError("--style: name one image")
    new = interventions.generate(model, values, arguments.seed, style)
    across = min(8, arguments.count)
    rows = -(-arguments.count // across)
    sheet = np.ones((rows * across, *model.image_shape), np.float32)
    sheet[: arguments.count] = new.images
    title = _described(model, by_label) or "labels from p(y)"
    write_sheet(
        arguments,
        out,
        sheet.reshape(rows, across, *model.image_shape),
        [],
        [],
        title,
        labels=new.labels,
        latents=new.latents,
    )


def swap(arguments: argparse.Namespace, model: "LabelledVAE", config: RunSettings, out: Path) -> None:
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


def variation(arguments: argparse.Namespace, model: "LabelledVAE", config: RunSettings, out: Path) -> None:
    import numpy as np

    from tf_ccvae import interventions
    from tf_ccvae.interventions import values_by_name
    from tf_ccvae.support import figures

    (text,) = _one_label(arguments)
    setting = None if text in model.labels.names else values_by_name.setting_of(model, text)
    name, value = setting or (text, None)
    images, titles = _images(arguments, model, config)
    result = interventions.variation(model, images, name, value, arguments.draws, arguments.seed)
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


def encode(arguments: argparse.Namespace, model: "LabelledVAE", config: RunSettings, out: Path) -> None:
    import csv
    import io

    import numpy as np

    from tf_ccvae import interventions
    from tf_ccvae.support.files import write_text

    images, titles = _images(arguments, model, config)
    latents = interventions.encode(model, images)
    columns = latent_names(model)
    read = np.asarray(model.values_of(latents))
    if out.suffix == ".npz":
        more = {"values": read, "labels": np.array(model.labels.names, str)} if model.labels.numbers else {}
        save_arrays(out, latents=latents, names=np.array(titles, str), columns=np.array(columns, str), **more)
    else:
        rows = [[repr(float(x)) for x in row] for row in latents]
        if model.labels.numbers:
            columns = [*columns, *(f"{name}{PREDICTED}" for name in model.labels.names)]
            rows = [row + list(map(cell_of, model.labels, values)) for row, values in zip(rows, read, strict=True)]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["name", *columns])
        writer.writerows([title, *row] for title, row in zip(titles, rows, strict=True))
        write_text(out, text.getvalue())
    print(out)


def latent_names(model: "LabelledVAE") -> list[str]:
    """A name for each latent: the label's (with a number if it has several), then style_0, style_1, ...

    Where a label's name would come twice so, such as of one called style_0, the latent is `style_0 (style)`.
    """
    names = []
    for label in model.labels:
        names += [label.name] if label.latents == 1 else [f"{label.name}_{k}" for k in range(label.latents)]
    style = [f"style_{k}" for k in range(model.decoder_inputs - len(names))]
    return [*names, *(f"{name} (style)" if name in names else name for name in style)]


def decode(arguments: argparse.Namespace, model: "LabelledVAE", config: RunSettings, out: Path) -> None:
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
