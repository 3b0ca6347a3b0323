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


@pytest.mark.parametrize("names", [{"rows": ["a"]}, {"rows": ["a", "b", "c"]}, {"columns": ["a", "b"]}])
def test_a_grid_refuses_other_numbers_of_names_than_of_images(names):
    with pytest.raises(ValueError, match=r"images have \d names"):
        figures.grid(np.zeros((2, 3, 8, 8, 1)), **names)


def test_names_are_drawn_as_they_are():
    name = r"$5 and $x^2 \$ [/cap] 100%"
    figure = figures.grid(np.zeros((1, 1, 8, 8, 1)), rows=[name], title=name)
    assert figure.axes[0].get_yticklabels()[0].get_text() == name
    assert not figure.axes[0].get_yticklabels()[0].get_parse_math()
    assert figures.png(figures.bars([name], {name: [1.0]}, name)).startswith(b"\x89PNG")


def test_characters_without_a_font_are_said_once_in_one_line(capsys):
    for _ in range(2):
        figures.png(figures.grid(np.zeros((1, 1, 8, 8, 1)), rows=["\U000f0000\ufdd0\U0001f9ff\U00020000"]))
    error = capsys.readouterr().err
    assert error.count("\n") <= 1
    assert not error or error.startswith("note: no font of this machine has")


@pytest.mark.parametrize("name", ["n" * 150, "W" * 60, "a usual name"])
def test_long_names_leave_room_for_what_is_drawn(name):
    names, values = [name, "b", "c"], [0.1, 0.2, 0.3]
    for figure in (
        figures.heat_map(np.eye(3), names, names, "T", 1.0),
        figures.bars(names, {"one": values}, "T"),
    ):
        figures.png(figure)  # the layout is computed when it is drawn, and warns where there is no room
        box = figure.axes[0].get_window_extent()
        assert box.width > 60 and box.height > 40
