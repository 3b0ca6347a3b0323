"""Grades through the whole program: from a CSV file by training to edits, measures and refusals."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from tests import grades_made_up
from tests.made_up import made_once
from tests.programs.test_numbers import SMALL, call, refused
from tf_ccvae import evaluate, fit, interventions
from tf_ccvae.training import run_directory

KINDS = ["--data.label-kinds", "{stage: [none, little, some, much, all]}"]
LATENTS = ["--model.latents", "8"]


@pytest.fixture(scope="session")
def stages_folder(tmp_path_factory):
    """Pictures with labels of every kind; returns command-line arguments that read them, without the order of words."""
    place, data = tmp_path_factory.mktemp("stages"), grades_made_up.dataset()
    lines = [f"file,split,{','.join(data.labels.names)}"]
    for name, count in (("train", 200), ("validation", 30), ("test", 50)):
        split = data.split(name)
        for i in range(count):
            Image.fromarray(split.images[i, ..., 0]).save(place / f"{name}{i}.png")
            bright, shape, stage, age = split.labels[i]
            words = (x.classes for x in data.labels.items[1:3])
            named = ["" if np.isnan(x) else names[int(x)] for names, x in zip(words, (shape, stage), strict=True)]
            cells = ["" if np.isnan(bright) else str(int(bright)), *named, "" if np.isnan(age) else str(age)]
            lines.append(f"{name}{i}.png,{name},{','.join(cells)}")
    (place / "labels.csv").write_text("\n".join(lines) + "\n")
    return [*SMALL, *LATENTS, "--data.images", str(place), "--data.labels", str(place / "labels.csv")]


@pytest.fixture(scope="session")
def stages_run(tmp_path_factory, stages_folder):
    """A short training on them."""
    with made_once(tmp_path_factory, "stages_run") as (path, needed):
        arguments = [*stages_folder, *KINDS, "--training.epochs", "2", "--run-dir", str(path)]
        assert not needed or fit.main(arguments) == 0
    return path


def test_a_run_keeps_the_order_and_has_the_measures_of_a_grade(stages_run):
    model = run_directory.load(stages_run)[1]
    assert [label.kind for label in model.labels] == ["binary", "class", "grade", "number"]
    assert model.labels.items[2].classes == ("none", "little", "some", "much", "all")
    measured = json.loads((stages_run / "results.json").read_text())["test"]["labels"]
    shared = {"accuracy", "balanced_accuracy", "majority", "examples"}
    assert set(measured["stage"]) == {*shared, "steps_off", "rank_correlation"} and set(measured["shape"]) == shared
    header = (stages_run / "history.csv").read_text().splitlines()[0].split(",")
    assert "validation_accuracy_stage" in header
    assert "[none, little, some, much, all]" in (stages_run / "config.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "columns"),
    [
        (("set", "0", "1", "--label", "stage=much", "--label", "age=30"), ["image", "reconstruction", "edited"]),
        (("traverse", "0", "--label", "stage", "--steps", "3"), ["image", "none", "", "all"]),
        (("traverse", "0", "--label", "stage", "--from", "much", "--to", "little", "--steps", "2"), None),
        (("traverse", "0", "--label", "stage", "--label", "bright", "--steps", "2"), ["off", "on"]),
        (("swap", "0", "--donors", "1", "--label", "stage"), None),
        (("variation", "0", "--label", "stage=3", "--draws", "2"), None),
        (("generate", "--label", "stage=ALL", "--count", "2"), None),
    ],
)
def test_every_intervention_takes_a_grade_as_it_takes_a_class(stages_run, tmp_path, arguments, columns):
    out = tmp_path / "picture.png"
    assert call(stages_run, *arguments, "--out", out, "--npz") == 0
    with np.load(out.with_suffix(".npz")) as arrays:
        assert np.isfinite(arrays["images"]).all()
        assert columns is None or arrays["columns"].tolist() == columns


def test_encode_writes_what_a_table_of_labels_would_hold(stages_run, tmp_path):
    table = tmp_path / "latents.csv"
    assert call(stages_run, "encode", *range(6), "--out", table) == 0
    model = run_directory.load(stages_run)[1]
    rows = list(csv.DictReader(table.read_text().splitlines()))
    latents = np.array([[float(x) for x in list(row.values())[1:9]] for row in rows], np.float32)
    for row, values in zip(rows, np.asarray(model.values_of(latents)), strict=True):
        bright, shape, stage = (row[f"{name} (predicted)"] for name in ("bright", "shape", "stage"))
        assert bright in ("0", "1") and int(bright) == values[0]
        assert shape == ("bar", "dots", "frame")[int(values[1])]
        assert stage == ("none", "little", "some", "much", "all")[int(values[2])]
        assert float(row["age (predicted)"]) == pytest.approx(values[3], rel=1e-5)


def test_a_word_that_is_no_grade_is_refused_with_all_of_them_in_order(stages_run, capsys):
    said = refused(lambda x: call(stages_run, *x), ["set", "0", "--label", "stage=most"], capsys)
    assert "label 'stage': 'most' is not one of none, little, some, much, all" in said


def test_evaluation_measures_grades_beside_what_it_measures_of_classes(stages_run, capsys):
    assert evaluate.main([str(stages_run), "--generated", "24"]) == 0
    assert "stage: " in (said := capsys.readouterr().out) and "steps off, rank correlation" in said
    results = json.loads((stages_run / "evaluation.json").read_text())
    assert set(results["grades"]) == {"stage"}
    row = results["grades"]["stage"]
    assert {"steps_off", "rank_correlation", "judge_steps_off", "set", "swap", "examples"} == set(row)
    assert row["steps_off"]["low"] <= row["steps_off"]["mean"] <= row["steps_off"]["high"] <= 4
    assert set(results["set_success"]["labels"]) == {"bright", "shape", "stage"}
    assert "stage" in results["classification"]["exact"]["accuracy"]["labels"]
    assert "<h2>Grades</h2>" in (stages_run / "report.html").read_text()


def test_python_sets_a_grade_by_name(stages_run):
    model = run_directory.load(stages_run)[1]
    images = grades_made_up.split(3, 7).images
    by_name = interventions.set_labels(model, images, {"stage": "some"})
    np.testing.assert_array_equal(by_name, interventions.set_labels(model, images, {"stage": 2}))


def test_a_word_column_without_an_order_is_refused_in_one_line(stages_folder, tmp_path, capsys):
    arguments = [*stages_folder, "--data.label-kinds", "{stage: grade}", "--run-dir", str(tmp_path / "x")]
    said = refused(fit.main, arguments, capsys)
    assert "column 'stage': holds words, of which a grade has to know the order; list all of them" in said


def test_official_estimators_refuse_a_grade_by_name_before_anything_is_written(stages_folder, tmp_path, capsys):
    arguments = [*stages_folder, *KINDS, "--data.label-names", "[stage, bright]", "--run-dir", str(tmp_path / "x")]
    said = refused(fit.main, [*arguments, "--objective.estimator", "pyro"], capsys)
    assert "objective.estimator pyro knows no grades, and 'stage' is one; set it to exact" in said
    assert not (tmp_path / "x").exists()
