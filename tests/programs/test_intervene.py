"""`python -m tf_ccvae.intervene`: every sub-command on a small run, and one line for every mistake."""

import csv

import numpy as np
import pytest
from PIL import Image

from tf_ccvae import intervene, interventions
from tf_ccvae.training import run_directory


@pytest.fixture
def photo(tmp_path, tiny):
    """An image file that does not have the model's size."""
    path = tmp_path / "photo.png"
    Image.fromarray(tiny.test.images[0, ..., 0]).resize((60, 45)).save(path)
    return path


def call(run, *arguments):
    return intervene.main([str(run), *map(str, arguments)])


def picture_size(path):
    with Image.open(path) as image:
        return image.size


@pytest.mark.parametrize(
    "arguments",
    [
        ("traverse", "0", "1", "--label", "Top"),
        ("traverse", "2", "--label", "Top", "--label", "Bright", "--steps", "4"),
        ("traverse", "2", "--label", "Top", "--from", "1", "--to", "0", "--direction", "0", "--alone"),
        ("set", "0", "1", "--label", "Top=1", "--label", "Bright=off"),
        ("set", "0", "--label", "Top=1", "--mode", "sample", "--seed", "3"),
        ("generate", "--label", "Top=1", "--count", "5"),
        ("generate", "--unspecified", "missing", "--style", "3"),
        ("swap", "0", "1", "--donors", "2", "3", "--label", "Top"),
        ("variation", "0", "--label", "Bright"),
        ("variation", "0", "--label", "Bright=1", "--draws", "8"),
    ],
)
def test_every_picture_is_written_with_its_parts(tiny_run, tmp_path, arguments):
    out = tmp_path / "deep" / "picture.png"
    assert call(tiny_run, *arguments, "--out", out, "--separate", "--npz") == 0
    assert min(picture_size(out)) > 28
    with np.load(out.with_suffix(".npz")) as arrays:
        images = arrays["images"]
    singles = sorted(out.with_suffix("").glob("*.png"))
    assert len(singles) == images.shape[0] * images.shape[1]
    assert picture_size(singles[0]) == (28, 28)
    assert images.min() >= 0 and images.max() <= 1


def test_files_folders_and_indices_mix_and_are_brought_to_size(tiny_run, tmp_path, photo):
    out = tmp_path / "edited.png"
    assert call(tiny_run, "set", photo, tmp_path, "1", "--label", "Top=0", "--out", out, "--npz") == 0
    with np.load(out.with_suffix(".npz")) as arrays:
        assert arrays["images"].shape == (3, 3, 28, 28, 1)
        assert list(arrays["rows"]) == ["photo", "photo", "test 1"]


def test_the_grid_holds_what_the_functions_return(tiny_run, tmp_path, tiny):
    out = tmp_path / "swapped.png"
    assert call(tiny_run, "swap", "0", "1", "--donors", "2", "--label", "Top", "--out", out, "--npz") == 0
    _, model = run_directory.load(tiny_run)
    images = tiny.test.images
    expected = interventions.swap_matrix(model, images[:2], images[2:3], ["Top"])
    with np.load(out.with_suffix(".npz")) as arrays:
        np.testing.assert_allclose(arrays["images"][1:, 1:], expected, atol=1e-5)


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_latents_go_out_and_come_back(tiny_run, tmp_path, tiny, suffix):
    latents, out = tmp_path / f"latents{suffix}", tmp_path / "decoded.png"
    assert call(tiny_run, "encode", "0", "1", "2", "--out", latents) == 0
    assert call(tiny_run, "decode", latents, "--out", out, "--npz") == 0
    _, model = run_directory.load(tiny_run)
    with np.load(out.with_suffix(".npz")) as arrays:
        rebuilt = interventions.reconstruct(model, tiny.test.images[:3])
        np.testing.assert_allclose(arrays["images"].reshape(-1, 28, 28, 1)[:3], rebuilt, atol=1e-5)
    if suffix == ".csv":
        with latents.open() as file:
            rows = list(csv.reader(file))
        assert rows[0] == ["name", "Top", "Bright", "style_0", "style_1", "style_2", "style_3"]
        assert [row[0] for row in rows[1:]] == ["test 0", "test 1", "test 2"]


def test_without_out_files_go_into_the_run(tiny_run):
    assert call(tiny_run, "generate", "--count", "2") == 0
    assert (tiny_run / "interventions" / "generate.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("traverse", "0", "--label", "Tob"), "no label 'Tob'; nearest: Top"),
        (("traverse", "0"), "--label: give one or two, got 0"),
        (("traverse", "0", "--label", "Top", "--to", "2"), "label 'Top': '2' is not one of off, on"),
        (("traverse", "0", "1", "--label", "Top", "--label", "Bright"), "give one image for a grid"),
        (("traverse", "0", "--label", "Top", "--direction", "1"), "direction must be 0 to 0"),
        (("traverse", "--label", "Top"), "name at least one image"),
        (("set", "64", "--label", "Top=1"), "64: no such image; the test split has 64, counted from 0"),
        (("set", "0", "--label", "Top"), "'Top' has no value; write NAME=VALUE"),
        (("set", "0", "--label", "Top=1", "--label", "Top=0"), "Top is given twice"),
        (("set", "0"), "--label: give at least one NAME=VALUE"),
        (("set", "0", "--label", "Top=1", "--mode", "mix"), "mode must be one of transport, mean, sample"),
        (("set", "nowhere.png", "--label", "Top=1"), "nowhere.png: no such file"),
        (("set", "0", "--label", "Top=1", "--out", "x.jpg"), "--out: x.jpg must end with .png"),
        (("generate", "--count", "0"), "--count: must be at least 1"),
        (("generate", "--count", "many"), "--count: invalid int value: 'many'"),
        (("generate", "--unspecified", "all"), "unspecified must be one of prior, missing"),
        (("swap", "0", "--label", "Top"), "name at least one image"),
        (("swap", "0", "--donors", "1"), "--label: name at least one label to carry over"),
        (("variation", "0", "--label", "Top", "--draws", "1"), "draws must be at least 2"),
        (("decode", "nothing.npz"), "nothing.npz: no such file"),
        (("swop", "0"), "invalid choice: 'swop'"),
        (("generate", "--seed", "-1"), "--seed: must be at least 0"),
    ],
)
def test_mistakes_end_in_one_line_and_code_2_and_leave_nothing(
    tiny_run, tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    out = () if "--out" in arguments else ("--out", tmp_path / "picture.png")
    with pytest.raises(SystemExit) as stopped:
        call(tiny_run, *arguments, *out)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_files_that_hold_no_images_or_latents_are_named(tiny_run, tmp_path, capsys):
    text, table = tmp_path / "text.png", tmp_path / "table.csv"
    text.write_text("no image")
    table.write_text("name,Top\nx,1.0\n")
    for arguments, message in (
        (("set", text, "--label", "Top=1"), "text.png: is not a PNG"),
        (("decode", table), "this model needs (n, 6)"),
        (("decode", text), "must be .npz or .csv"),
    ):
        with pytest.raises(SystemExit):
            call(tiny_run, *arguments)
        assert message in capsys.readouterr().err


def test_a_folder_that_is_no_run_or_has_no_model_is_named(tmp_path, capsys):
    for path, message in ((tmp_path / "none", "no such run directory"), (tmp_path, "not a run directory")):
        with pytest.raises(SystemExit):
            call(path, "generate")
        assert message in capsys.readouterr().err
