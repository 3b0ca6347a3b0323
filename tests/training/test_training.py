"""Training: it learns, continues bit-equal, survives being killed, and keeps to the precision it was given."""

import json
import os
import shutil
import signal
import time

import keras
import numpy as np
import pytest

from tests import processes
from tf_ccvae import fit, settings
from tf_ccvae.programs.fit import INTERRUPTED
from tf_ccvae.training import build, loop, measures, run_directory

WHOLE = {"model__backbone": "residual", "objective__independence_weight": 30}  # with a critic that learns too


def trained(config, tiny, path, **keywords):
    run = run_directory.Run(path) if path.exists() else run_directory.create(path, "tiny")
    return loop.train(config, tiny, run, **keywords).model, run


class StopAfter(keras.callbacks.Callback):
    """Interrupts training in the middle of an epoch, as Ctrl-C does."""

    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == self.epochs and batch == 3:
            raise KeyboardInterrupt


def test_the_tiny_labels_are_learned(exported, tiny):
    _, model = run_directory.load(exported.run)
    results = measures.measure(model, tiny.test)
    assert results["accuracy"] > 0.95
    assert results["labels"]["Top"]["examples"] == len(tiny.test)
    kept = json.loads(run_directory.Run(exported.run).results.read_text())["test"]
    assert kept["accuracy"] == pytest.approx(results["accuracy"])


def test_two_epochs_and_two_more_are_bit_equal_to_four(configured, tiny, tmp_path):
    hidden = {"data__labelled_fraction": 0.3, "data__missing_rate": 0.2}
    config = configured(training__epochs=4, data__augment="shift,flip,colour", **hidden, **WHOLE)
    whole = run_directory.create(tmp_path / "whole", "tiny")
    loop.train(config, tiny, whole)
    parts = run_directory.create(tmp_path / "parts", "tiny")
    assert loop.train(config, tiny, parts, callbacks=(StopAfter(2),)).interrupted
    assert parts.state().epoch == 2
    loop.train(config, tiny, parts)
    models = []
    for run in (whole, parts):
        model = build.build_model(config, tiny, tiny.train)
        model.compile(optimizer=build.build_optimizer(config, 32), jit_compile=False)
        model.optimizer.build(model.trainable_variables)
        model.load_weights(run.weights(4))
        models.append(model)
    for one, other in zip(models[0].weights, models[1].weights, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(models[0].optimizer.variables, models[1].optimizer.variables, strict=True):
        np.testing.assert_array_equal(one, other)
    without_time = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in run.state().history] for run in (whole, parts)
    ]
    assert without_time[0] == without_time[1]


def test_training_without_any_label_learns_the_images(configured, tiny, tmp_path):
    _, run = trained(configured(data__labelled_fraction=0, training__epochs=3), tiny, tmp_path / "run")
    history = run.state().history
    assert history[-1]["validation_bound"] > history[0]["validation_bound"]
    assert {"validation_accuracy_Top", "validation_balanced_accuracy_Bright"} <= set(history[0])


def test_early_stopping_counts_from_the_best_epoch_over_a_restart(configured, tiny, tmp_path):
    config = configured(training__epochs=30, training__early_stopping=2, training__learning_rate=1e-12)
    _, run = trained(config, tiny, tmp_path / "run")
    state = run.state()
    assert state.epoch == state.best_epoch + 2 < 30
    trained(config, tiny, tmp_path / "run")  # goes on for one epoch and finds again that it is time to stop
    assert run.state().epoch <= state.epoch + 1


def test_a_run_that_diverges_stops_with_one_line_and_keeps_its_last_good_epoch(configured, tiny, tmp_path):
    config = configured(training__learning_rate=1e30)
    with pytest.raises(run_directory.RunError, match="not finite; lower training"):
        trained(config, tiny, tmp_path / "run")
    assert run_directory.Run(tmp_path / "run").state().epoch == 0


def test_two_epochs_in_mixed_precision_stay_within_two_percent_of_float32(configured, tiny, tmp_path):
    bounds = {}
    for name in ("float32", "mixed_float16", "mixed_bfloat16"):
        model, run = trained(
            configured(training__precision=name, training__batch_size=8, **WHOLE), tiny, tmp_path / name
        )
        bounds[name] = run.state().history[-1]["validation_bound"]
        assert all(np.isfinite(np.asarray(w)).all() for w in model.weights)
        assert model.compute_dtype == name.removeprefix("mixed_")
        assert {w.dtype for w in model.trainable_weights} == {"float32"}
        assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) == (name == "mixed_float16")
        assert int(getattr(model.optimizer, "inner_optimizer", model.optimizer).iterations) > 0
    assert bounds["mixed_float16"] == pytest.approx(bounds["float32"], rel=0.02)
    assert bounds["mixed_bfloat16"] == pytest.approx(bounds["float32"], rel=0.02)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"schedule": "constant"}, [1, 1, 1]),
        ({"schedule": "cosine"}, [1, 0.5, 0]),
        ({"schedule": "constant", "warmup_steps": 10}, [0, 1, 1]),
        ({"schedule": "cosine", "warmup_steps": 50}, [0, 1, 0]),
    ],
)
def test_learning_rate_follows_the_schedule(configured, changes, expected):
    config = configured(**{f"training__{k}": v for k, v in changes.items()}, training__learning_rate=2.0)
    optimizer = build.build_optimizer(config, steps=100)
    rates = []
    for step in (0, 50, 100):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    np.testing.assert_allclose(rates, 2.0 * np.array(expected), atol=1e-6)


def test_gradients_are_clipped_by_their_global_norm(configured):
    assert build.build_optimizer(configured(training__clip_norm=3.0), 10).global_clipnorm == 3.0


# The program ----------------------------------------------------------------------------------------------------------


def test_fit_leaves_everything_that_it_promises_and_the_model_of_the_best_epoch(tiny_arguments, tiny, tmp_path, capsys):
    assert fit.main([*tiny_arguments, "--training.epochs", "3", "--run-dir", str(tmp_path / "run")]) == 0
    run = run_directory.Run(tmp_path / "run")
    results = json.loads(run.results.read_text())["test"]
    assert {"accuracy", "balanced_accuracy", "mean_absolute_error", "bound"} <= set(results)
    assert set(results["labels"]) == {"Top", "Bright"}
    assert len(run.history.read_text().splitlines()) == 4
    assert list(run.tensorboard.rglob("events*"))
    names = {"reconstructions.png", "samples.png", "traversals.png", "learning_curves.png"}
    assert {path.name for path in run.figures.iterdir()} == names
    assert not [path for path in run.path.rglob(".*")]  # nothing half-written
    assert settings.Config.from_yaml(run.config).training.epochs == 3
    printed = capsys.readouterr().out
    longer = "--training.epochs 750   24 steps so far"  # 6,000 steps, epochs of 8
    for part in ("epoch 3/3", "Top", "balanced", str(run.figures), "--resume", longer):
        assert part in printed
    state = run.state()
    bounds = [row["validation_bound"] for row in state.history]
    assert state.best_epoch == 1 + int(np.argmax(bounds))
    kept = {path.name for path in run.checkpoints.glob("*.h5")}
    assert kept == {run.weights(epoch).name for epoch in {3, state.best_epoch}}
    _, model = run_directory.load(run.path)
    assert model.labels.names == ("Top", "Bright")
    assert measures.measure(model, tiny.validation)["bound"] == pytest.approx(max(bounds), rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--model.latents", "7"], "model.latents: cannot change from 6 to 7"),
        (["--data.augment", "[flip]"], "data.augment: cannot change from [] to ['flip']"),
    ],
)
def test_resume_refuses_settings_that_would_make_another_run(arguments, line, tiny_run, capsys):
    before = run_directory.Run(tiny_run).state()
    with pytest.raises(SystemExit, match="2"):
        fit.main(["--resume", str(tiny_run), *arguments])
    assert line in capsys.readouterr().err
    assert run_directory.Run(tiny_run).state() == before


def test_resume_takes_more_epochs(tiny_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    before = run_directory.Run(run).state()
    assert fit.main(["--resume", str(run), "--training.epochs", str(before.epoch + 1)]) == 0
    assert run_directory.Run(run).state().epoch == before.epoch + 1


@pytest.mark.parametrize(("backbone", "widths"), [("paper", "[8, 8]"), ("residual", "[8, 8, 8, 8]")])
def test_widths_that_the_backbone_cannot_have_leave_no_run_behind(backbone, widths, tiny_arguments, tmp_path, capsys):
    arguments = [widths if x == "[8, 8, 16]" else x for x in tiny_arguments]
    with pytest.raises(SystemExit, match="2"):
        fit.main([*arguments, "--model.backbone", backbone, "--run-dir", str(tmp_path / "run")])
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "model.encoder_widths: widths needs" in message
    assert not (tmp_path / "run").exists()


def test_latents_that_do_not_suffice_leave_no_run_behind(tiny_arguments, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        fit.main([*tiny_arguments, "--model.latents", "1", "--run-dir", str(tmp_path / "run")])
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "model.latents" in message
    assert not (tmp_path / "run").exists()


def test_a_sided_label_that_the_data_have_not_leaves_no_run_behind(tiny_arguments, tmp_path, capsys):
    sided = ["--data.augment", "[flip]", "--data.sided", "[Topp]"]
    with pytest.raises(SystemExit, match="2"):
        fit.main([*tiny_arguments, *sided, "--run-dir", str(tmp_path / "run")])
    assert capsys.readouterr().err == "error: data.sided: no label 'Topp'; did you mean 'Top'?\n"
    assert not (tmp_path / "run").exists()


def test_a_run_directory_in_use_is_refused(tiny_arguments, tmp_path, capsys):
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(SystemExit, match="2"):
        fit.main([*tiny_arguments, "--run-dir", str(tmp_path)])
    assert "not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


def start(arguments, folder):
    return processes.start("tf_ccvae.fit", *arguments, "--training.epochs", 10000, output=folder / "said.txt")


def wait_for_epochs(run, program, epochs):
    deadline = time.monotonic() + 120
    while run_directory.Run(run).state().epoch < epochs:
        assert program.running() and time.monotonic() < deadline, program.said()
        time.sleep(0.05)


def test_a_killed_run_goes_on_from_its_last_finished_epoch(tiny_arguments, tmp_path, capsys):
    run = tmp_path / "run"
    program = start([*tiny_arguments, "--run-dir", str(run)], tmp_path)
    try:
        wait_for_epochs(run, program, 2)
    finally:
        program.stop()
    finished = run_directory.Run(run).state().epoch
    history = run_directory.Run(run).state().history
    assert fit.main(["--resume", str(run), "--training.epochs", str(finished + 1)]) == 0
    assert run_directory.Run(run).state().history[:finished] == history
    assert f"epoch {finished + 1}/" in capsys.readouterr().out
    assert run_directory.Run(run).model.is_file()


def test_ctrl_c_ends_cleanly_and_leaves_a_usable_run(tiny_arguments, tmp_path):
    run = tmp_path / "run"
    program = start([*tiny_arguments, "--run-dir", str(run)], tmp_path)
    try:
        wait_for_epochs(run, program, 1)
        os.kill(program.process.pid, signal.SIGINT)
        assert program.wait(60) == INTERRUPTED
    finally:
        program.stop()
    output = program.said()
    assert "Traceback" not in output
    assert f"--resume {run}" in output
    run_directory.load(run)
    noise = [line for line in output.splitlines() if "oneDNN" in line or "cuda" in line or "W0000" in line]
    assert noise == []
