"""Names of labels and classes as people have them: from the CSV file to the run, its pictures and its export."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from export import sidecar, signatures
from export.errors import ExportError
from export.run import export_run
from export.uses import as_float32
from tf_ccvae import interventions, settings
from tf_ccvae.data import __main__ as inspect
from tf_ccvae.data import folder
from tf_ccvae.data.dataset import Split
from tf_ccvae.labels import Label, Labels
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.programs import intervene
from tf_ccvae.programs.intervention_commands import latent_names
from tf_ccvae.support.files import write_json
from tf_ccvae.training import run_directory

PRINTABLE = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), min_size=1, max_size=30)
NUMBERS = (
    Label("emotion", tuple("1234567")),
    Label("angle", ("0", "90", "180", "270")),
)
WILD = ("Hat [/cap]", "[bold]", "$5 $HOME", "it's", ":smile:", "表情", "-x", "a=b", "a,b", 'say "cheese"', "n" * 200)


def run_with(place, labels):
    """A run directory of an untrained model with these labels, and its model and test pictures."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (8, 28, 28, 1), np.uint8)
    values = np.stack([random.integers(0, label.values, 8) for label in labels], axis=1).astype(np.int16)
    model = CCVAE((28, 28, 1), labels, latents=labels.characteristic + 2, widths=(4, 4, 8), hidden=16)
    model.build()
    model.label_statistics.learn(values)
    run = run_directory.create(place, "made")
    settings.Config.model_validate({"data": {"name": "folder", "image_size": 28, "channels": 1}}).to_yaml(run.config)
    run.save_examples(Split(images, values))
    run.save_model(model)
    return run, model, images


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    return run_with(tmp_path_factory.mktemp("numbers") / "run", Labels(NUMBERS))


@pytest.fixture(scope="module")
def wild(tmp_path_factory):
    return run_with(tmp_path_factory.mktemp("wild") / "run", Labels.of_binary(WILD))


@pytest.mark.parametrize(
    ("label", "start", "stop", "indices"),
    [("angle", "0", "180", (0, 2)), ("angle", "90", "270", (1, 3)), ("emotion", "1", "7", (0, 6))],
)
def test_traverse_goes_between_the_classes_that_are_named_by_numbers(numbered, tmp_path, label, start, stop, indices):
    run, model, images = numbered
    arguments = ["traverse", "0", "--label", label, "--from", start, "--to", stop, "--steps", "3"]
    assert intervene.main([str(run.path), *arguments, "--out", str(tmp_path / "x.png")]) == 0
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.width > 3 * 28
    named = interventions.traverse(model, images[:1], label, start, stop, steps=3)
    np.testing.assert_array_equal(named, interventions.traverse(model, images[:1], label, *indices, steps=3))


def test_set_takes_a_class_that_is_named_by_a_number_and_refuses_one_that_is_not_there(numbered, tmp_path, capsys):
    run, model, images = numbered
    assert intervene.main([str(run.path), "set", "0", "--label", "emotion=7", "--out", str(tmp_path / "x.png")]) == 0
    named = interventions.set_labels(model, images[:1], {"emotion": "7"})
    np.testing.assert_array_equal(named, interventions.set_labels(model, images[:1], {"emotion": 6}))
    with pytest.raises(SystemExit, match="2"):
        intervene.main([str(run.path), "set", "0", "--label", "angle=2", "--out", str(tmp_path / "y.png")])
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "'2' is not one of 0, 90, 180, 270" in error
    assert not (tmp_path / "y.png").exists()


def test_wild_names_come_back_from_the_run_and_go_through_the_command(wild, tmp_path):
    run = wild[0]
    assert run_directory.load(run.path)[1].labels.names == WILD
    for name in WILD:
        out = tmp_path / "x.png"
        assert intervene.main([str(run.path), "set", "0", f"--label={name}=on", "--out", str(out)]) == 0


def test_terminal_that_lacks_the_characters_of_a_name_shows_their_numbers(tmp_path, monkeypatch):
    for i in range(12):
        Image.new("L", (28, 28), 20 * i).save(tmp_path / f"{i}.png")
    (tmp_path / "labels.csv").write_text(
        "file,表情\n" + "".join(f"{i}.png,{i % 2}\n" for i in range(12)), encoding="utf-8"
    )
    content = {
        "data": {"name": "folder", "image_size": 28, "images": str(tmp_path), "labels": str(tmp_path / "labels.csv")}
    }
    settings.Config.model_validate(content).to_yaml(tmp_path / "made.yaml")
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", terminal)
        assert inspect.main(["inspect", str(tmp_path / "made.yaml"), "--to", str(tmp_path / "out")]) == 0
        terminal.flush()
    assert rb"\u8868\u60c5: '1' is on, '0' is off" in terminal.buffer.getvalue()


def test_wild_names_stand_in_the_description_of_an_export_as_they_are(wild, tmp_path):
    table = signatures.of_format(signatures.table(as_float32(wild[1]), "nhwc"), "onnx")
    run = {"name": "made", "sha256": "0" * 64, "tf_ccvae": "0"}
    files = {"onnx/encoder": "onnx/encoder.onnx", "onnx/decoder": "onnx/decoder.onnx"}
    write_json(tmp_path / "ccvae.json", sidecar.describe(wild[1], table, "nhwc", 1, run, files))
    described = json.loads((tmp_path / "ccvae.json").read_text(encoding="utf-8"))
    assert [label["name"] for label in described["labels"]] == list(WILD)


def test_export_is_told_what_was_white_in_training(wild, tmp_path, monkeypatch):
    shutil.copytree(wild[0].path, tmp_path / "run")
    content = {"data": {"name": "folder", "image_size": 28, "channels": 1, "white": 4095}}
    settings.Config.model_validate(content).to_yaml(tmp_path / "run" / "config.yaml")
    jobs = []

    def stop(job, folder):
        jobs.append(job)
        raise ExportError("enough")

    monkeypatch.setattr("export.artefacts.Job.write", stop)
    with pytest.raises(ExportError, match="enough"):
        export_run(tmp_path / "run", tmp_path / "export")
    assert jobs[0].white == 4095
    described = sidecar.describe(wild[1], (), "nhwc", 1, jobs[0].run, {}, white=jobs[0].white)
    assert described["image"]["white"] == 4095


@given(st.lists(PRINTABLE.map(str.strip).filter(bool), min_size=1, max_size=3, unique=True))
@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_printable_names_go_unchanged_through_csv_settings_and_the_config_of_a_model(tmp_path, names):
    names = [name for name in names if name not in ("file", "split")] or ["a"]
    with (tmp_path / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", *names])
        for i in range(6):
            if not (tmp_path / f"{i}.png").exists():
                Image.new("L", (28, 28), 40 * i).save(tmp_path / f"{i}.png")
            writer.writerow([f"{i}.png", *[str((i + k) % 2) for k in range(len(names))]])
    table = folder.read_table(tmp_path / "labels.csv", tmp_path)
    assert list(table.names) == names
    content = {"data": {"name": "folder", "label_names": names}}
    settings.Config.model_validate(content).to_yaml(tmp_path / "config.yaml")
    assert list(settings.Config.from_yaml(tmp_path / "config.yaml").data.label_names) == names
    labels = Labels((*(Label(name) for name in names), Label("kind of " + names[0], (names[0], "other " + names[0]))))
    assert Labels.from_config(json.loads(json.dumps(labels.get_config()))) == labels


def test_columns_of_latents_have_names_that_differ_where_a_label_is_called_like_style():
    labels = Labels((Label("style_0"), Label("Hat", latents=2)))
    model = CCVAE((28, 28, 1), labels, latents=5, widths=(4, 4, 4), hidden=8)
    assert latent_names(model) == ["style_0", "Hat_0", "Hat_1", "style_0 (style)", "style_1"]
