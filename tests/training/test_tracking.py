"""Records of a training in MLflow and Weights & Biases, both on this machine alone."""

import importlib.util
import json

import pytest

from tf_ccvae import fit, settings
from tf_ccvae.training import run_directory, tracking


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """No tracker calls anybody, whatever the machine is set to."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")


@pytest.fixture
def store(tmp_path):
    return (tmp_path / "mlruns").as_uri()


def recorded(store):
    """The runs in the experiment `faces` of an MLflow store, and a client of it."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=store)
    return client, client.search_runs([client.get_experiment_by_name("faces").experiment_id])


def test_both_trackers_have_the_whole_run_and_a_resumed_run_goes_on_in_the_same_records(
    tiny_arguments, tmp_path, store
):
    path = tmp_path / "run"
    mlflow = ("--tracking.mlflow", "true", "--tracking.uri", store, "--tracking.experiment", "faces")
    more = ("--tracking.wandb", "offline", "--tracking.model", "true", "--training.epochs", "1")
    assert fit.main([*tiny_arguments, *mlflow, *more, "--run-dir", str(path)]) == 0
    first = json.loads((path / "tracking.json").read_text())
    assert fit.main(["--resume", str(path), "--training.epochs", "2"]) == 0
    assert json.loads((path / "tracking.json").read_text()) == first

    client, (run,) = recorded(store)
    assert run.info.run_id == first["mlflow"]["run_id"]
    assert (run.info.status, run.info.run_name) == ("FINISHED", "run")
    assert run.data.params["model.latents"] == "6"
    assert run.data.tags["changed.training.epochs"] == "2"
    history = run_directory.Run(path).state().history
    bounds = {metric.step: metric.value for metric in client.get_metric_history(run.info.run_id, "validation_bound")}
    assert bounds == pytest.approx({row["epoch"]: row["validation_bound"] for row in history})
    test = json.loads((path / "results.json").read_text())["test"]
    assert run.data.metrics["test_accuracy_Top"] == pytest.approx(test["labels"]["Top"]["accuracy"])
    kept = {file.path for folder in ("", "figures") for file in client.list_artifacts(run.info.run_id, folder)}
    assert {"results.json", "config.yaml", "model.keras", "figures/samples.png"} <= kept

    (one, two) = sorted((path / "wandb").glob(f"offline-run-*-{first['wandb']['run_id']}"))
    for record in (one, two):
        content = next(record.glob("*.wandb")).read_bytes()
        assert all(name in content for name in (b"validation_bound", b"model.latents", b"test_accuracy_Top"))
        assert (record / "files" / "media" / "images" / "figures").is_dir()


def test_a_missing_package_ends_in_one_line_before_anything_is_written(tiny_arguments, tmp_path, capsys, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "mlflow" else found(name, *rest)
    )
    with pytest.raises(SystemExit, match="2"):
        fit.main([*tiny_arguments, "--tracking.mlflow", "true", "--run-dir", str(tmp_path / "run")])
    line = "error: tracking.mlflow: needs the package mlflow-skinny; pip install -r requirements-tracking.txt (in an"
    assert capsys.readouterr().err == f"{line} installed tf_ccvae: the extra tracking)\n"
    assert not (tmp_path / "run").exists()


class Broken(tracking.Tracker):
    """Opens, then fails at every epoch."""

    name = "mlflow"
    calls = 0

    def open(self, parameters):
        pass

    def log(self, epoch, values):
        type(self).calls += 1
        raise ConnectionError("the server\nis gone")

    def complete(self, results):
        type(self).calls += 1

    close = complete


def test_a_tracker_that_fails_is_reported_once_and_the_training_goes_on(tiny_arguments, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tracking, "TRACKERS", (Broken,))
    arguments = [*tiny_arguments, "--tracking.mlflow", "true", "--run-dir", str(tmp_path / "run")]
    arguments += ["--tracking.tensorboard", "false"]
    assert fit.main(arguments) == 0
    printed = capsys.readouterr().out
    assert printed.count("warning: tracking.mlflow: the server is gone; this run goes on without it") == 1
    assert Broken.calls == 1
    assert run_directory.Run(tmp_path / "run").state().epoch == 2


def test_an_exception_ends_the_record_as_failed(tmp_path, store):
    config = settings.Config.model_validate({"tracking": {"mlflow": True, "uri": store, "experiment": "faces"}})
    run = run_directory.create(tmp_path / "run", "run")
    with pytest.raises(RuntimeError), tracking.Trackers(config, run):
        raise RuntimeError
    _, (record,) = recorded(store)
    assert record.info.status == "FAILED"
    assert not (tmp_path / "run" / "tensorboard").exists()


def test_of_several_workers_only_the_chief_tracks(tiny_arguments, tmp_path, store):
    place = ("--tracking.uri", store, "--tracking.experiment", "faces")
    config = settings.parse([*tiny_arguments, "--tracking.mlflow", "true", *place]).config
    run = run_directory.create(tmp_path / "run", "run")
    with tracking.Trackers(config, run, chief=False) as other:
        assert other.callbacks == ()
    assert not (tmp_path / "mlruns").exists() and not (run.path / "tracking.json").exists()
    with tracking.Trackers(config, run, chief=True) as chief:
        assert len(chief.callbacks) == 1
    assert len(recorded(store)[1]) == 1
