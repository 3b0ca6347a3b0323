"""Figures: image grids and curves, written as PNG without a display."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tf_ccvae.files import replacing


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
    """
    count_rows, count_columns, height, width, channels = images.shape
    pixels = images if images.dtype == np.uint8 else (np.clip(images, 0, 1) * 255).round().astype(np.uint8)
    gap = 2
    sheet = np.full((count_rows * (height + gap) - gap, count_columns * (width + gap) - gap, channels), 255, np.uint8)
    for i in range(count_rows):
        for j in range(count_columns):
            top, left = i * (height + gap), j * (width + gap)
            sheet[top : top + height, left : left + width] = pixels[i, j]
    margin = 10 + 6.2 * max((len(name) for name in rows), default=0)  # points
    head = 10 + 14 * bool(title) + 12 * bool(columns)
    size = (sheet.shape[1] * scale + margin + 10, sheet.shape[0] * scale + head + 10)
    figure = Figure(figsize=(size[0] / 72, size[1] / 72), dpi=96)
    FigureCanvasAgg(figure)
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


def curves(history: Sequence[dict[str, float]], panels: Mapping[str, Sequence[str]]) -> Figure:
    """Measures over epochs, one panel for each group.

    Args:
      history: one dict per epoch with `epoch` and the measures.
      panels: title to the names of the measures in that panel.
    """
    figure = Figure(figsize=(4 * len(panels), 3.2), dpi=96, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, names) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True):
        for name in names:
            label = name.removeprefix("validation_").replace("_", " ")
            axes.plot([row["epoch"] for row in history], [row[name] for row in history], marker=".", label=label)
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Writes a figure as PNG."""
    with replacing(path) as beside:
        figure.savefig(beside, format="png")
