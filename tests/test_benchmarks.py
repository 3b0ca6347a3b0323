"""How benchmarks compare with what was before."""

import argparse
import importlib
import json
import subprocess
import time

import numpy as np
import pytest

from benchmarks import (
    common,
    comparison,
    default_run,
    device_speed,
    few_labels,
    few_labels_classifier,
    step_profile,
)
from tf_ccvae import settings
from tf_ccvae.data.dataset import Split
from tf_ccvae.data.pipeline import hide_labels
from tf_ccvae.labels import Labels
from tf_ccvae.models.ccvae import CCVAE

HERE = {"processor": "x", "instructions": ["avx2"], "cores": 2, "gpus": [], "tensorflow": "2"}


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository whose last commit holds results of `HERE` and of another machine; uncommitted ones differ."""
    file = tmp_path / "benchmarks" / "results" / "speed.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"machine": HERE, "results": {"a": {"median": 1.0}, "b": {"median": 2.0}}}))
    other = file.parent / "other" / file.name
    other.parent.mkdir()
    other.write_text(json.dumps({"machine": {**HERE, "instructions": ["avx512f"]}, "results": {"a": {"median": 7.0}}}))
    for command in (
        ("init", "--quiet"),
        ("add", "."),
        ("-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "-m", "results"),
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    file.write_text("not committed")
    monkeypatch.setattr(common, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.system
def test_a_row_that_is_more_than_ten_percent_slower_than_the_last_commit_is_named(repository):
    now = {"a": {"median": 1.2}, "b": {"median": 2.1}, "new": {"median": 9.0}}
    found = common.ratios(now, common.last_committed("speed.json", {**HERE, "tensorflow": "3"}))
    assert found == pytest.approx({"a": 1.2, "b": 1.05})
    assert common.last_committed("speed.json", {**HERE, "instructions": ["avx512f"]}) == {"a": {"median": 7.0}}
    assert common.verdict(found, "then") == "WARNING: more than 10 % slower than then: a (1.20)"
    assert common.verdict({"b": 1.05}, "then") == "No row is more than 10 % slower than then."
    assert (common.ratio_cell(found, "b"), common.ratio_cell(found, "new")) == ("1.05", "-")


@pytest.mark.parametrize(
    ("name", "machine"),
    [("speed.json", {**HERE, "cores": 4}), ("speed.json", {**HERE, "instructions": []}), ("none.json", HERE)],
)
@pytest.mark.system
def test_other_machines_and_new_benchmarks_are_not_compared(repository, name, machine):
    assert common.last_committed(name, machine) == {}
    assert common.verdict({}, "then").startswith("Not compared with then")


@pytest.mark.system
def test_a_worktree_holds_the_revision_and_goes_away(repository):
    with common.worktree("HEAD") as place:
        assert json.loads((place / "benchmarks" / "results" / "speed.json").read_text())["machine"] == HERE
    assert not place.exists()
    assert len(common.git("worktree", "list").stdout.splitlines()) == 1
    with pytest.raises(SystemExit, match="no such revision"), common.worktree("nowhere"):
        pass


@pytest.mark.parametrize("model", list(comparison.MODELS))
def test_comparison_asks_for_a_training_that_fit_accepts_and_goes_on_with_one_that_was_begun(
    model, tmp_path, monkeypatch
):
    asked = []
    monkeypatch.setattr(comparison.fit, "main", lambda arguments: asked.append(arguments) or 0)
    given = argparse.Namespace(runs=tmp_path, seed=3, steps=20, examples=240)
    run = comparison.train(model, 0.05, given)
    config = settings.parse(asked[0]).config
    found = (config.model.name, config.data.labelled_fraction, config.seed, config.training.steps)
    assert found == (model.removesuffix("_bound"), 0.05, 3, 20) and config.data.examples == 240
    assert (config.objective.consistency_weight == 0) == (model == "ccvae_bound")
    run.path.mkdir()
    config.to_yaml(run.config)
    comparison.train(model, 0.05, given)
    assert asked[1] == ["--resume", str(run.path)]
    run.results.write_text("{}")
    comparison.train(model, 0.05, given)
    assert len(asked) == 2


def test_committed_rows_of_ccvae_have_every_column_of_the_comparison():
    """A column that names nothing would be a dash, as what a model does not define is."""
    rows = common.finished(common.RESULTS / "comparison.jsonl").values()
    assert {"ccvae", "mvae"} <= {row["model"] for row in rows}
    assert all(row[name] is not None for row in rows if row["model"] == "ccvae" for name in comparison.COLUMNS)


def test_a_run_is_set_beside_the_targets_that_it_can_have():
    test = {"accuracy": 0.98, "balanced_accuracy": 0.9, "mean_absolute_error": 0.03}
    evaluation = {name: {"mean": 0.95} for name in ("set_success", "swap_success")}
    evaluation |= {"selectivity": {"mean": None}, "within_label_capture": {"labels": {}}}  # there is one label
    evaluation["intervention_matrix"] = {"names": ["a"], "values": [[0.8]]}
    found = default_run.targets({"test": test, "training": {"seconds": 1.0}}, evaluation)
    holds = {row["measure"]: row["holds"] for row in found if "holds" in row}
    assert "change of other labels above reconstruction" not in holds and holds["set success"]
    assert [name for name, held in holds.items() if not held] == ["test balanced accuracy"]


def test_operations_of_a_step_are_those_of_the_layers_of_the_paper():
    model = CCVAE((64, 64, 3), Labels.of_binary(f"label{i}" for i in range(18)), latents=45)
    image_layer = 32 * 32 * 4 * 4 * 3 * 32
    strided = 16 * 16 * 4 * 4 * 32 * 32 + 8 * 8 * 4 * 4 * 32 * 64 + 4 * 4 * 4 * 4 * 64 * 128
    features = 4 * 4 * 128 * 256
    forward = 2 * (image_layer + strided + features) + 2 * 256 * 45 + 45 * 256
    assert device_speed.step_flops(model) == 2 * (3 * forward - image_layer)


def test_blocks_give_seconds_of_one_call():
    counts = []

    def run(count):
        counts.append(count)
        time.sleep(0.002 * count)

    times = device_speed.blocks(run, 0.2)
    assert len(times) == len(counts) - 2 and max(counts[2:]) > 1
    assert all(seconds >= 0.002 for seconds in times)


def test_profile_counts_the_calls_in_the_log_of_onednn():
    shape = "mb64_ic3oc32_ih64oh32kh4sh2dh0ph1_iw64ow32kw4sw2dw0pw1"
    formats = "src:f32::blocked:acdb::f0 wei:f32:a:blocked:Acdb8a::f0,,alg:convolution_direct"
    log = [
        "onednn_verbose,v1,info,cpu,isa:Intel AVX2",
        f"onednn_verbose,v1,primitive,exec,cpu,convolution,jit:avx2,backward_weights,{formats},{shape},4.0\n",
        f"onednn_verbose,v1,primitive,exec,cpu,convolution,jit:avx2,backward_weights,{formats},{shape},2.0\n",
        "onednn_verbose,v1,primitive,exec,cpu,gemm_api,,undef,src_f32::blocked:ab:f0,,,64x2048:2048x256,0.5",
        "something else that was printed",
    ]
    found = step_profile.per_step(step_profile.primitives(log), steps=2)
    assert [kind.what for kind in found] == ["convolution", "gemm_api"]
    convolution, product = found
    assert convolution.flops == 2 * 64 * 3 * 32 * 32 * 32 * 4 * 4 and product.flops == 0
    assert found[convolution] == {"calls": 1.0, "median": 3.0, "ms": 3.0}
    assert found[product] == {"calls": 0.5, "median": 0.5, "ms": 0.25}


@pytest.fixture
def few(tiny, monkeypatch):
    """Arguments of `benchmarks.few_labels`, which then takes the tiny data for Fashion-MNIST."""
    program = importlib.import_module("benchmarks.few_labels")
    monkeypatch.setattr(program, "dataset_of", lambda case, arguments: tiny)
    plain = settings.Config.model_validate({"model": {"encoder_widths": [4, 4, 4], "hidden": 8, "backbone": "paper"}})
    monkeypatch.setattr(few_labels.settings.Config, "from_yaml", lambda file: plain)
    return ["--cases", "fashion_mnist/100", "--steps", "3", "--seeds", "0"]


def test_few_labels_adds_one_row_at_a_time_and_runs_none_twice(few, tmp_path, monkeypatch):
    given = [*few, "--models", "mvae", "classifier", "--runs", str(tmp_path / "runs"), "--results", str(tmp_path)]
    few_labels.main([*given, "--rows", "1"])
    assert list(common.finished(tmp_path / "few_labels.jsonl")) == ["fashion_mnist/100/mvae/3/0"]
    few_labels.main(given)
    rows = common.finished(tmp_path / "few_labels.jsonl")
    assert list(rows) == ["fashion_mnist/100/mvae/3/0", "fashion_mnist/100/classifier/3/0"]
    for row in rows.values():
        assert 0 <= row["accuracy"] <= 1 and 0 <= row["calibration_error"] <= 1 and row["steps"] > 0
    page = (tmp_path / "few_labels.md").read_text()
    assert "| MVAE | 1 |" in page and "| classifier alone | 1 |" in page
    monkeypatch.setattr(few_labels, "measure", lambda *_: pytest.fail("run again"))
    few_labels.main(given)


def test_a_classifier_that_was_trained_is_not_trained_again(few, tiny, tmp_path, monkeypatch):
    config = few_labels.configured(few_labels.CASES[0], "classifier", 0, tiny, 3)
    first = few_labels.train_classifier(config, tiny, tmp_path / "classifier")
    monkeypatch.setattr(few_labels_classifier.build, "build_optimizer", lambda *_: pytest.fail("trained again"))
    again = few_labels.train_classifier(config, tiny, tmp_path / "classifier")
    found = first.probabilities(tiny.test.images)
    np.testing.assert_allclose(found, again.probabilities(tiny.test.images), atol=1e-6)
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)
    assert again.training == first.training


@pytest.mark.parametrize(("labelled", "kept"), [(100, 100), (0.05, 50), (55000, 1000)])
def test_a_case_keeps_as_many_labels_as_it_says(labelled, kept):
    split = Split(np.zeros((1000, 1, 1, 1), np.uint8), np.zeros((1000, 1), np.int16), {})
    fraction = few_labels.Case("fashion_mnist", labelled).fraction(1000)
    assert hide_labels(split, fraction, 0.0, 0).observed.all(1).sum() == kept


def test_seeds_are_three_where_labels_are_few_and_the_table_says_how_far_they_are_apart():
    rows = [{"case": "fashion_mnist/100", "model": "ccvae", "steps": 9, "accuracy": x} for x in (0.5, 0.6, 0.7)]
    page = few_labels.summarise(rows, {})
    assert "| fashion_mnist/100 | 9 | CCVAE | 3 | 0.6000 (0.5000 to 0.7000) | - |" in page


@pytest.mark.parametrize("model", few_labels.MODELS)
@pytest.mark.parametrize("case", few_labels.CASES, ids=lambda case: case.name)
def test_few_labels_asks_for_settings_that_there_are(case, model, tiny):
    config = few_labels.configured(case, model, 2, tiny, 3000)
    assert settings.Config.model_validate_json(config.model_dump_json()) == config
    assert config.data.labelled_fraction == case.fraction(len(tiny.train)) and config.seed == 2
