"""A run of MVAE, which edits no labels: it trains, is measured without edits, draws, and says what it lacks."""

import json

import pytest

from tests.made_up import on_tiny_folder
from tf_ccvae import evaluate, fit, intervene
from tf_ccvae.training import run_directory

SENTENCE = "mvae holds all labels in the same latents and does not define what it is to change one of an image"


@pytest.fixture(scope="module")
def mvae_run(tiny_folder, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "mvae"
    given = [*on_tiny_folder(tiny_folder), "--model", "mvae", "--training.epochs", "2", "--seed", "1"]
    assert fit.main([*given, "--run-dir", str(run)]) == 0
    return run


def test_a_finished_run_has_reconstructions_and_samples_and_goes_on(mvae_run, capsys):
    assert {x.name for x in (mvae_run / "figures").iterdir()} == {
        *("reconstructions.png", "samples.png", "learning_curves.png")
    }
    assert fit.main(["--resume", str(mvae_run), "--training.epochs", "3"]) == 0
    assert len(run_directory.Run(mvae_run).state().history) == 3
    said = capsys.readouterr().out
    assert f"python -m tf_ccvae.intervene {mvae_run} generate" in " ".join(said.split())
    assert "traverse" not in said


def test_what_it_does_not_define_is_not_measured_and_the_results_say_why(mvae_run):
    assert evaluate.main([str(mvae_run), "--generated", "24", "--examples", "24"]) == 0
    results = json.loads((mvae_run / "evaluation.json").read_text())
    edits = {"set_success", "selectivity", "intervention_matrix", "swap_success", "swap"}
    assert edits <= set(results["not_measured"])
    assert all(results["not_measured"][name].startswith(SENTENCE) for name in edits)
    assert results["set_success"]["mean"] is None
    assert 0 <= results["classification"]["exact"]["accuracy"]["mean"] <= 1
    assert results["generation"]["frechet"] >= 0
    assert SENTENCE in (mvae_run / "report.html").read_text()


def test_new_images_with_asked_labels_are_drawn(mvae_run):
    assert intervene.main([str(mvae_run), "generate", "--label", "Top=1", "--count", "3"]) == 0
    assert (mvae_run / "interventions" / "generate.png").is_file()


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "0", "--label", "Top=1"),
        ("traverse", "0", "--label", "Top"),
        ("swap", "0", "--donors", "1", "--label", "Top"),
        ("variation", "0", "--label", "Top"),
        ("generate", "--style", "0"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_edits_are_refused_in_one_line(mvae_run, capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        intervene.main([str(mvae_run), *arguments, "--out", str(mvae_run / "edit.png")])
    assert stopped.value.code == 2
    line = capsys.readouterr().err
    assert line.startswith(f"error: {SENTENCE}") and line.count("\n") == 1
    assert not (mvae_run / "edit.png").exists()
