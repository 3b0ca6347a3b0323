"""Figures: image grids and curves, written as PNG without a display. Names are drawn as they are."""

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tf_ccvae.support.files import replacing
from tf_ccvae.support.fonts import columns_of, plain_text


def _figure(width: float, height: float, layout: Literal["constrained"] | None = None) -> Figure:
    """An empty figure, its size in inches, that needs no display."""
    figure = Figure(figsize=(width, height), dpi=96, layout=layout)
    FigureCanvasAgg(figure)
    return figure


def _beyond(names: Sequence[str]) -> float:
    """Inches that the longest name, written small, needs beyond those of a usual one."""
    return 0.11 * max(0, max(map(columns_of, names), default=0) - 20)


@plain_text
def grid(
    images: np.ndarray, rows: Sequence[str] = (), columns: Sequence[str] = (), title: str = "", scale: float = 1.5
) -> Figure:
    """Images in a grid with names of rows and columns.

    Args:
      images: (rows, columns, height, width, 1 or 3), floats in [0, 1] or uint8.
      rows: a name for each row, or none.
      columns: a name for each column, or none.
      title: above everything.
      scale: points per pixel of an image.

    Raises:
      ValueError: there are names, but not one for each row or column.
    """
    count_rows, count_columns, height, width, channels = images.shape
    for what, names, count in (("rows", rows, count_rows), ("columns", columns, count_columns)):
        if len(names) not in (0, count):
            raise ValueError(f"{count} {what} of images have {len(names)} names")
    pixels = images if images.dtype == np.uint8 else (np.clip(images, 0, 1) * 255).round().astype(np.uint8)
    gap = 2
    sheet = np.full((count_rows * (height + gap) - gap, count_columns * (width + gap) - gap, channels), 255, np.uint8)
    for i in range(count_rows):
        for j in range(count_columns):
            top, left = i * (height + gap), j * (width + gap)
            sheet[top : top + height, left : left + width] = pixels[i, j]
    margin = 10 + 6.2 * max((columns_of(name) for name in rows), default=0)  # points
    head = 10 + 14 * bool(title) + 12 * bool(columns)
    size = (sheet.shape[1] * scale + margin + 10, sheet.shape[0] * scale + head + 10)
    figure = _figure(size[0] / 72, size[1] / 72)
    axes = figure.add_axes(
        (margin / size[0], 10 / size[1], sheet.shape[1] * scale / size[0], sheet.shape[0] * scale / size[1])
    )
    axes.imshow(sheet.squeeze(-1) if channels == 1 else sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_yticks([(i + 0.5) * (height + gap) for i in range(len(rows))], rows)
    axes.set_xticks([(j + 0.5) * (width + gap) for j in range(len(columns))], columns)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=9)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if title:
        figure.suptitle(title, fontsize=11, y=1 - 4 / size[1])
    return figure


@plain_text
def curves(history: Sequence[Mapping[str, float | None]], panels: Mapping[str, Sequence[str]]) -> Figure:
    """Measures over epochs, one panel for each group.

    Args:
      history: one dict per epoch with `epoch` and the measures, None where one is not known.
      panels: title to the names of the measures in that panel.
    """
    figure = _figure(4 * len(panels), 3.2, "constrained")
    for axes, (title, names) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True):
        for name in names:
            label = name.removeprefix("validation_").replace("_", " ")
            values = [np.nan if row[name] is None else row[name] for row in history]
            axes.plot([row["epoch"] for row in history], values, marker=".", label=label)
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return figure


@plain_text
def heat_map(
    values: np.ndarray, rows: Sequence[str], columns: Sequence[str], title: str, limit: float, both_signs: bool = True
) -> Figure:
    """A matrix in colours, with numbers in the cells.

    Args:
      values: (rows, columns); NaN is left blank.
      rows, columns: their names.
      title: above everything.
      limit: value of the strongest colour.
      both_signs: whether negative values have a colour of their own.
    """
    width = 2.4 + 0.42 * len(columns) + _beyond(rows) + _beyond(columns) / 2  # these stand at 60 degrees
    figure = _figure(width, 1.8 + 0.36 * len(rows) + _beyond(columns), "constrained")
    axes = figure.subplots()
    low = -limit if both_signs else 0.0
    axes.imshow(values, cmap="RdBu" if both_signs else "Blues", vmin=low, vmax=limit, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            text = f"{value:.2f}".replace("0.", ".").replace("-.00", ".00")
            strong = abs(value) > 0.6 * limit
            axes.text(j, i, text, ha="center", va="center", fontsize=7, color="white" if strong else "black")
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="left", rotation_mode="anchor", fontsize=8)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_title(title, fontsize=11)
    return figure


@plain_text
def bars(groups: Sequence[str], series: Mapping[str, Sequence[float]], title: str) -> Figure:
    """Horizontal bars, one group for each name and one bar in it for each series.

    Args:
      groups: names of the groups, from top to bottom.
      series: name to one value per group.
      title: above everything.
    """
    figure = _figure(6.4 + _beyond(groups), 0.8 + 0.32 * len(groups), "constrained")
    axes = figure.subplots()
    height = 0.8 / max(len(series), 1)
    for k, (name, values) in enumerate(series.items()):
        axes.barh(np.arange(len(groups)) + (k - (len(series) - 1) / 2) * height, values, height, label=name)
    axes.set_yticks(range(len(groups)), groups, fontsize=8)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize=8)
    axes.set_title(title, fontsize=11)
    return figure


def heat_colours(values: np.ndarray, limit: float | None = None) -> np.ndarray:
    """Numbers (...,) as colours (..., 3) in [0, 1], black for 0, bright for `limit` (by default the largest)."""
    limit = float(values.max()) if limit is None else limit
    return matplotlib.colormaps["inferno"](values / max(limit, 1e-12))[..., :3].astype(np.float32)


def png(figure: Figure) -> bytes:
    """A figure as the content of a PNG file."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # said once, by `fonts`
        figure.savefig(buffer, format="png")
    return buffer.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Writes a figure as PNG."""
    write(png(figure), path)


def write(content: bytes, path: Path) -> None:
    """Writes the content of a PNG file."""
    with replacing(path) as beside:
        beside.write_bytes(content)
