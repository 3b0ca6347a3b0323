"""Sweeps: what a sweep file may hold, which trials it gives, what it leaves behind."""

import csv

import pytest
import yaml

from tf_ccvae import settings, tune
from tf_ccvae.programs.sweep import ranking, search
from tf_ccvae.programs.sweep_settings import check, configure, read_sweep
from tf_ccvae.programs.tune import remember
from tf_ccvae.training import run_directory


@pytest.fixture
def sweep_file(tmp_path, tiny_arguments):
    """Writes a sweep over the tiny data, with changes, and returns its path."""
    base = tmp_path / "base.yaml"
    settings.parse([*tiny_arguments, "--training.epochs", "1"]).config.to_yaml(base)

    def write(**changes):
        content = {
            "config": str(base),
            "search": {"training.learning_rate": {"min": 1e-4, "max": 1e-2, "scale": "log"}},
            "tuner": "random",
            "trials": 2,
            **changes,
        }
        path = tmp_path / "sweep.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


def best_rate(arguments):
    return settings.parse(arguments).config.training.learning_rate


def test_a_sweep_leaves_runs_a_table_and_settings_that_fit_accepts_and_goes_on(sweep_file, tmp_path, capsys):
    to = tmp_path / "sweep"
    assert tune.main([str(sweep_file()), "--to", str(to), "--trials", "1"]) == 0
    first = (to / "results.csv").read_text().splitlines()[1]
    assert tune.main([str(sweep_file()), "--to", str(to)]) == 0
    rows = list(csv.DictReader((to / "results.csv").read_text().splitlines()))
    assert len(rows) == 2 and first in (to / "results.csv").read_text()
    values = [float(row["validation_bound"]) for row in rows]
    assert values == sorted(values, reverse=True)
    assert best_rate(["--config", str(to / "best.yaml")]) == float(rows[0]["training.learning_rate"])
    for row in rows:
        history = run_directory.Run(to / "runs" / f"sweep-{row['trial']}").state().history
        assert history[0]["validation_bound"] == pytest.approx(float(row["validation_bound"]))
    assert not list(to.rglob("results.json"))  # nothing looked at the test split
    assert "--config" in capsys.readouterr().out


def searched(sweep, to, score, fixed=()):
    """The trials of a sweep in which training is replaced by `score`, a function of the settings."""
    to.mkdir()
    return search(sweep, fixed, to, lambda name, config: score(config), lambda line: None)


@pytest.mark.parametrize("tuner", ["random", "bayesian"])
def test_the_best_of_all_trials_comes_first_and_the_seed_decides(sweep_file, tmp_path, tuner):
    sweep = read_sweep(sweep_file(tuner=tuner, trials=6, seed=3))
    found = []
    for name in ("one", "two"):
        tuned = searched(sweep, tmp_path / name, lambda config: -abs(config.training.learning_rate - 1e-3))
        rates = [trial.hyperparameters.values["training.learning_rate"] for trial in ranking(sweep, tuned.oracle)]
        found.append(rates)
    assert found[0] == found[1]
    assert len(found[0]) == 6 and all(1e-4 <= rate <= 1e-2 for rate in found[0])
    assert abs(found[0][0] - 1e-3) == min(abs(rate - 1e-3) for rate in found[0])


def test_less_error_is_better(sweep_file, tmp_path):
    sweep = read_sweep(sweep_file(objective="validation_mean_absolute_error", trials=4))
    tuned = searched(sweep, tmp_path / "to", lambda config: config.training.learning_rate)
    scores = [trial.score for trial in ranking(sweep, tuned.oracle)]
    assert scores == sorted(scores)


def test_hyperband_trains_few_trials_to_the_end_and_the_best_is_one_of_them(sweep_file, tmp_path):
    sweep = read_sweep(sweep_file(tuner="hyperband", settings={"training.epochs": 3}))
    seen = []

    def score(config):
        seen.append(config.training.epochs)
        return config.training.learning_rate

    searched(sweep, tmp_path / "to", score)
    assert min(seen) == 1 and max(seen) == 3
    assert settings.Config.from_yaml(tmp_path / "to" / "best.yaml").training.epochs == 3


def test_values_of_every_kind_reach_the_settings(sweep_file, tmp_path):
    search = {
        "training.clip_norm": [None, 1.0],
        "training.schedule": ["constant", "cosine"],
        "model.encoder_widths": [[8, 8, 8], [8, 8, 16]],
        "training.batch_size": {"min": 8, "max": 32, "step": 8},
    }
    sweep = read_sweep(sweep_file(search=search, trials=8))
    seen = []
    searched(sweep, tmp_path / "to", lambda config: float(len(seen) + (seen.append(config) or 0)))
    assert {config.training.clip_norm for config in seen} == {None, 1.0}
    assert {config.training.schedule for config in seen} == {"constant", "cosine"}
    assert {config.model.encoder_widths for config in seen} == {(8, 8, 8), (8, 8, 16)}
    assert {config.training.batch_size for config in seen} <= {8, 16, 24, 32}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"search": {"training.learning_rat": [1e-3, 1e-2]}}, "learning-rate"),
        ({"search": {"training.learning_rate": {"min": -1.0, "max": 1.0}}}, "must be above 0"),
        ({"search": {"training.learning_rate": {"min": 1.0, "max": 0.1}}}, "min must be below max"),
        ({"search": {"training.learning_rate": [1e-3]}}, "at least two values"),
        ({"search": {}}, "search"),
        ({"objective": "test_accuracy"}, "objective"),
        ({"objective": "validation_acuracy"}, "did you mean validation_accuracy?"),
        ({"tuner": "grid"}, "tuner"),
        ({"tuner": "hyperband", "search": {"training.epochs": [1, 2]}}, "hyperband sets it itself"),
        ({"trails": 3}, "trails"),
    ],
)
def test_a_sweep_that_cannot_be_run_ends_in_one_line(sweep_file, tmp_path, capsys, changes, message):
    with pytest.raises(SystemExit, match="2"):
        tune.main([str(sweep_file(**changes)), "--to", str(tmp_path / "to")])
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and message in said
    assert not (tmp_path / "to").exists()


def test_the_command_line_comes_before_the_file_but_not_in_place_of_the_search(sweep_file):
    file = sweep_file(settings={"training.epochs": 5})
    sweep = read_sweep(file)
    assert configure(sweep, {}, ["--training.epochs", "3"]).training.epochs == 3
    with pytest.raises(settings.ConfigError, match="searches it"):
        check(sweep, file, ["--training.learning-rate", "0.1"])


def test_a_folder_with_another_sweep_is_refused(sweep_file, tmp_path):
    remember(read_sweep(sweep_file()), (), tmp_path / "to")
    remember(read_sweep(sweep_file(trials=9)), (), tmp_path / "to")
    with pytest.raises(settings.ConfigError, match="other settings"):
        remember(read_sweep(sweep_file(seed=9)), (), tmp_path / "to")
