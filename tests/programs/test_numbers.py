"""Number labels through the whole program: from a CSV file by training to edits, measures and refusals."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from tests import numbers_made_up
from tests.made_up import made_once
from tf_ccvae import evaluate, fit, intervene, interventions
from tf_ccvae.programs.sweep_settings import less_is_better
from tf_ccvae.support.errors import Caution
from tf_ccvae.training import run_directory

SMALL = [
    *("--data.name", "folder", "--data.image-size", "28", "--data.channels", "1", "--model.latents", "6"),
    *("--model.hidden", "32", "--model.encoder-widths", "[8, 16]", "--training.batch-size", "32"),
    *("--model.latents-per-label", "1", "--tracking.pictures", "0"),
]


@pytest.fixture(scope="session")
def ages_folder(tmp_path_factory):
    """Pictures with an age and whether they are bright; returns command-line arguments that read them."""
    place, data = tmp_path_factory.mktemp("ages"), numbers_made_up.dataset()
    lines = ["file,split,age,bright"]
    for name, count in (("train", 256), ("validation", 40), ("test", 60)):
        split = data.split(name)
        for i in range(count):
            Image.fromarray(split.images[i, ..., 0]).save(place / f"{name}{i}.png")
            age, bright = split.labels[i]
            lines.append(
                f"{name}{i}.png,{name},{'' if np.isnan(age) else age},{'' if np.isnan(bright) else int(bright)}"
            )
    (place / "labels.csv").write_text("\n".join(lines) + "\n")
    return [*SMALL, "--data.images", str(place), "--data.labels", str(place / "labels.csv")]


@pytest.fixture(scope="session")
def ages_run(tmp_path_factory, ages_folder):
    """A short training on them."""
    with made_once(tmp_path_factory, "ages_run") as (path, needed):
        arguments = [*ages_folder, "--training.epochs", "2", "--run-dir", str(path)]
        assert not needed or fit.main(arguments) == 0
    return path


def call(run, *arguments):
    return intervene.main([str(run), *map(str, arguments)])


def refused(program, arguments, capsys):
    """The one line of a program that ends with code 2."""
    try:
        code = program(arguments)
    except SystemExit as error:
        code = error.code
    lines = capsys.readouterr().err.strip().splitlines()
    assert code == 2 and lines
    return lines[-1]


def test_a_run_keeps_the_units_and_measures_of_a_number(ages_run):
    model = run_directory.load(ages_run)[1]
    scale = model.labels.items[0].scale
    assert scale.low + 10 > 20 and scale.high < 80 and 40 < scale.mean < 50
    measured = json.loads((ages_run / "results.json").read_text())["test"]["labels"]
    assert set(measured["age"]) == {"absolute_error", "r2", "coverage", "examples"}
    assert set(measured["bright"]) == {"accuracy", "balanced_accuracy", "majority", "examples"}
    header = (ages_run / "history.csv").read_text().splitlines()[0].split(",")
    assert {"validation_absolute_error_age", "validation_r2_age", "validation_accuracy_bright"} <= set(header)
    kept = run_directory.Run(ages_run).read_examples()
    assert kept.labels.dtype == np.float32 and np.isnan(kept.labels).any()


@pytest.mark.parametrize(
    ("arguments", "columns"),
    [
        (("set", "0", "1", "--label", "age=60", "--label", "bright=on"), ["image", "reconstruction", "edited"]),
        (
            ("traverse", "0", "--label", "age", "--from", "20", "--to", "70", "--steps", "3"),
            ["image", "20", "45", "70"],
        ),
        (
            ("traverse", "0", "--label", "bright", "--label", "age", "--from", "0", "--from", "30", "--to", "1", "--to",
             "40", "--steps", "2"),
            ["30", "40"],
        ),
        (("swap", "0", "--donors", "1", "--label", "age"), None),
        (("variation", "0", "--label", "age=33.5", "--draws", "2"), None),
        (("variation", "0", "--label", "age", "--draws", "2"), None),
        (("generate", "--label", "age=40", "--count", "2"), None),
        (("generate", "--count", "2", "--unspecified", "missing"), None),
    ],
)  # fmt: skip
def test_every_intervention_takes_a_number_in_its_own_units(ages_run, tmp_path, arguments, columns):
    out = tmp_path / "picture.png"
    assert call(ages_run, *arguments, "--out", out, "--npz") == 0
    with np.load(out.with_suffix(".npz")) as arrays:
        assert np.isfinite(arrays["images"]).all()
        assert columns is None or arrays["columns"].tolist() == columns


def test_encode_writes_predicted_values_and_decode_leaves_them_aside(ages_run, tmp_path):
    table = tmp_path / "latents.csv"
    assert call(ages_run, "encode", "0", "1", "--out", table) == 0
    header, *rows = list(csv.reader(table.read_text().splitlines()))
    assert header[-2:] == ["age (predicted)", "bright (predicted)"] and len(header) == 1 + 6 + 2
    model = run_directory.load(ages_run)[1]
    latents = np.array([row[1:7] for row in rows], np.float32)
    np.testing.assert_allclose([float(row[-2]) for row in rows], model.values_of(latents)[:, 0], rtol=1e-5)
    assert [row[-1] for row in rows] == [str(int(x)) for x in np.asarray(model.values_of(latents))[:, 1]]
    assert call(ages_run, "decode", table, "--out", tmp_path / "decoded.png") == 0


@pytest.mark.parametrize(
    ("arguments", "far"),
    [
        (("set", "0", "--label", "age=300"), ["age=300"]),
        (("traverse", "0", "--label", "age", "--from", "-200", "--to", "300", "--steps", "2"), ["age=-200", "age=300"]),
        (("generate", "--label", "age=300", "--count", "1"), ["age=300"]),
        (("variation", "0", "--label", "age=300", "--draws", "2"), ["age=300"]),
        (("set", "0", "--label", "age=75", "--label", "bright=on"), []),
    ],
)
def test_a_number_far_outside_the_training_values_is_warned_of(ages_run, tmp_path, capsys, arguments, far):
    assert call(ages_run, *arguments, "--out", tmp_path / "x.png") == 0
    scale = run_directory.load(ages_run)[1].labels.items[0].scale
    between = f"far outside the training values, {scale.low:g} to {scale.high:g}; no picture has taught the model"
    assert capsys.readouterr().err.splitlines() == [f"warning: {x} is {between} what it looks like" for x in far]


def test_python_is_warned_of_it_where_it_asks(ages_run):
    model = run_directory.load(ages_run)[1]
    images = numbers_made_up.split(1, 7).images
    calls = (
        lambda: interventions.set_labels(model, images, {"age": 300}),
        lambda: interventions.traverse(model, images, "age", 30, 300, steps=2),
        lambda: interventions.choose_values(model, {"age": 300}, 1, seed=0),
        lambda: interventions.variation(model, images, "age", 300, draws=2),
    )
    for ask in calls:
        with pytest.warns(Caution, match="age=300 is far outside the training values") as caught:
            ask()
        assert [x.filename for x in caught] == [__file__]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("old", "label 'age': 'old' is not a number; training values were"),
        ("nan", "label 'age': 'nan' is not a number"),
    ],
)
def test_what_is_no_number_is_refused_in_one_line(ages_run, capsys, value, message):
    assert message in refused(lambda x: call(ages_run, *x), ["set", "0", "--label", f"age={value}"], capsys)


def test_python_takes_numbers_by_name_and_as_arrays(ages_run):
    model = run_directory.load(ages_run)[1]
    images = numbers_made_up.split(3, 7).images
    pictures = interventions.set_labels(model, images, {"age": 60.0})
    np.testing.assert_allclose(pictures, interventions.set_labels(model, images, {"age": "60"}), atol=1e-6)
    values = interventions.choose_values(model, {"age": 30}, 4, seed=0)
    assert values.dtype == np.float64 and (values[:, 0] == 30).all() and set(values[:, 1]) <= {0, 1}
    drawn = interventions.choose_values(model, {}, 200, seed=0)[:, 0]
    scale = model.labels.items[0].scale
    assert scale.low <= drawn.min() < scale.mean < drawn.max() <= scale.high
    new = interventions.generate(model, [[np.nan, 1], [50, -1]], seed=0)
    assert new.images.shape == (2, 28, 28, 1) and np.isnan(new.labels[1, 1])
    with pytest.raises(ValueError, match="one of a label's values"):
        interventions.generate(model, [[50, 2]], seed=0)


def test_evaluation_measures_numbers_beside_the_other_labels(ages_run, capsys):
    assert evaluate.main([str(ages_run), "--generated", "24"]) == 0
    assert "age: R2 " in capsys.readouterr().out
    results = json.loads((ages_run / "evaluation.json").read_text())
    row = results["numbers"]["age"]
    assert {"absolute_error", "r2", "rank_correlation", "coverage", "judge_r2", "set", "swap"} <= set(row)
    assert row["r2"]["low"] <= row["r2"]["mean"] <= row["r2"]["high"] <= 1
    assert set(results["set_success"]["labels"]) == {"bright"}
    assert "not_measured" not in results or "set_success" not in results["not_measured"]
    assert "<h2>Numbers</h2>" in (ages_run / "report.html").read_text()


def test_tuning_looks_for_a_small_error_and_a_large_r2():
    assert less_is_better("validation_absolute_error_age") and not less_is_better("validation_r2_age")


def test_what_knows_no_numbers_refuses_them_by_name(ages_folder, tmp_path, capsys):
    for name in ("m2", "diva", "vae_classifier"):
        said = refused(fit.main, [*ages_folder, "--model.name", name, "--run-dir", str(tmp_path / name)], capsys)
        assert f"model.name {name} knows no labels that are numbers, and 'age' is one; set it to ccvae" in said
    said = refused(fit.main, [*ages_folder, "--objective.estimator", "pyro", "--run-dir", str(tmp_path / "x")], capsys)
    assert "objective.estimator pyro knows no labels that are numbers" in said
    assert not (tmp_path / "x").exists()
