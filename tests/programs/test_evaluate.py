"""`python -m tf_ccvae.evaluate` on a small run: all numbers, the page, and one line for every mistake."""

import json
import re

import numpy as np
import pytest

from tf_ccvae import evaluate
from tf_ccvae.evaluation import judge as judges
from tf_ccvae.evaluation import suite

HEADLINES = ("set_success", "selectivity", "swap_success", "within_label_capture")


@pytest.fixture(scope="module")
def evaluated(tiny_run):
    assert evaluate.main([str(tiny_run), "--generated", "60"]) == 0
    return tiny_run


def test_every_number_is_there_with_its_interval(evaluated):
    results = json.loads((evaluated / "evaluation.json").read_text())
    for name in HEADLINES[:3]:
        entry = results[name]
        assert entry["low"] <= entry["mean"] <= entry["high"]
        assert set(entry["labels"]) == {"Top", "Bright"}
        assert all(x["low"] <= x["mean"] <= x["high"] for x in entry["labels"].values())
    assert results["within_label_capture"] == {"mean": None, "low": None, "high": None, "labels": {}}
    assert results["split"] == "test" and results["examples"] == 64
    assert 0 <= results["classification"]["exact"]["accuracy"]["mean"] <= 1
    assert 0 <= results["classification"]["posterior_mean"]["auroc"]["mean"] <= 1
    assert len(results["intervention_matrix"]["values"]) == 2
    assert results["generation"]["frechet"] >= 0
    assert results["separation"]["gap"]["labels"].keys() == {"Top", "Bright"}


def test_the_page_is_one_file_that_needs_no_other(evaluated):
    text = (evaluated / "report.html").read_text()
    assert text.startswith("<!doctype html>")
    assert not re.findall(r'(?:src|href)="(?!data:)', text) and "http" not in text.replace("http-equiv", "")
    for word in ("Top", "Bright", "set success", "swap success"):
        assert word in text
    assert text.count("data:image/png;base64,") >= 5
    assert (evaluated / "figures" / "evaluation" / "intervention_matrix.png").is_file()


def test_the_judge_is_kept_and_may_be_borrowed(evaluated, monkeypatch, tmp_path):
    before = (evaluated / "evaluation.json").read_text()
    monkeypatch.setattr(judges, "train", lambda *_: pytest.fail("trained again"))
    assert evaluate.main([str(evaluated), "--generated", "60", "--judge", str(evaluated / "judge")]) == 0
    assert (evaluated / "evaluation.json").read_text() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--split", "all"), "no split 'all'; choose one of train, validation, test"),
        (("--generated", "3"), "--generated: must be at least 24"),
        (("--seed", "-3"), "--seed: must be at least 0"),
        (("--spilt", "test"), "unrecognized arguments: --spilt test"),
    ],
)
def test_mistakes_end_in_one_line_and_code_2(tiny_run, capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        evaluate.main([str(tiny_run), *arguments])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_folder_that_is_no_run_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit):
        evaluate.main([str(tmp_path)])
    assert "not a run directory" in capsys.readouterr().err


@pytest.mark.parametrize("examples", [1, 3])
def test_with_few_images_what_cannot_be_measured_says_why_and_the_rest_is_written(evaluated, capsys, examples):
    assert evaluate.main([str(evaluated), "--generated", "60", "--examples", str(examples)]) == 0
    text = (evaluated / "evaluation.json").read_text()
    assert "NaN" not in text and "Infinity" not in text
    results = json.loads(text)
    assert results["examples"] == examples
    assert results["not_measured"] == {"generation": f"distances need at least 4 real images, there are {examples}"}
    assert f"not measured: generation: distances need at least 4 real images, there are {examples}" in (
        capsys.readouterr().out
    )
    assert results["generation"]["frechet"] is None
    assert 0 <= results["generation"]["agreement"]["mean"] <= 1
    assert results["reconstruction"]["mean_absolute_error"]["mean"] > 0
    assert "distances need at least 4 real images" in (evaluated / "report.html").read_text()


def test_a_measure_that_fails_takes_no_other_with_it(evaluated, monkeypatch):
    def fail(context):
        raise np.linalg.LinAlgError("did not\nconverge")

    monkeypatch.setattr(suite, "MEASURES", [(a, b, fail if "swap" in b else c) for a, b, c in suite.MEASURES])
    assert evaluate.main([str(evaluated), "--generated", "60", "--examples", "20"]) == 0
    results = json.loads((evaluated / "evaluation.json").read_text())
    assert results["not_measured"] == dict.fromkeys(("swap_success", "swap"), "did not converge")
    assert results["swap_success"] == {"mean": None, "low": None, "high": None, "labels": {}}
    assert results["generation"]["frechet"] > 0
