"""Figures show what they are given."""

import numpy as np
import pytest
from PIL import Image

from tf_ccvae.support import figures


@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_holds_every_image_in_its_place(tmp_path, channels):
    images = np.zeros((2, 3, 16, 16, channels), np.float32)
    images[1, 2] = 1.0
    figures.save(figures.grid(images, rows=("first", "second"), columns=("a", "b", "c"), title="T"), tmp_path / "g.png")
    picture = np.asarray(Image.open(tmp_path / "g.png").convert("L"), np.float32)
    axes = figures.grid(images).axes[0]
    assert axes.get_images()[0].get_array().shape[:2] == (2 * 18 - 2, 3 * 18 - 2)
    dark = picture < 30
    assert 4.5 < dark.sum() / (16 * 16 * (1.5 * 96 / 72) ** 2) < 6.0  # five black squares, and the letters
    assert list(tmp_path.iterdir()) == [tmp_path / "g.png"]


def test_curves_draw_each_measure_in_its_panel():
    history = [{"epoch": e, "up": e, "down": -e} for e in (1, 2, 3)]
    figure = figures.curves(history, {"one": ("up",), "two": ("up", "down")})
    assert [len(axes.lines) for axes in figure.axes] == [1, 2]
    np.testing.assert_array_equal(figure.axes[1].lines[1].get_xydata(), [[1, -1], [2, -2], [3, -3]])
