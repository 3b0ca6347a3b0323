"""A test split without labels, and a label without a positive test example, from `fit` to `evaluate`."""

import json

import pytest

from tests import made_up
from tf_ccvae import evaluate, fit
from tf_ccvae.programs.sweep_settings import check_objective
from tf_ccvae.settings import ConfigError


@pytest.fixture(scope="module")
def measured(tmp_path_factory, tiny_folder):
    """A run of one epoch: nobody knows `Top` in the test split, and no picture there is `Bright`; what it printed."""
    place = tmp_path_factory.mktemp("unlabelled")
    images, labels = tiny_folder
    lines = [line.rsplit(",", 2)[0] + ",,0" if ",test," in line else line for line in labels.read_text().splitlines()]
    (place / "labels.csv").write_text("\n".join(lines) + "\n")
    arguments = [
        *("--data.name", "folder", "--data.images", str(images), "--data.labels", str(place / "labels.csv")),
        *("--data.image-size", "28", "--data.channels", "1", "--model.latents", "6", "--model.hidden", "16"),
        *("--model.encoder-widths", "[4, 4, 8]", "--training.epochs", "1", "--training.batch-size", "64"),
    ]
    assert fit.main([*arguments, "--run-dir", str(place / "run")]) == 0
    return place / "run"


def test_what_nobody_knows_is_null_in_results_and_left_out_of_means(measured):
    results = json.loads((measured / "results.json").read_text())["test"]
    assert results["labels"]["Top"] == {"accuracy": None, "balanced_accuracy": None, "majority": None, "examples": 0}
    assert results["accuracy"] == results["labels"]["Bright"]["accuracy"]
    assert results["balanced_accuracy"] == results["labels"]["Bright"]["balanced_accuracy"]


def test_evaluate_writes_the_rest_without_nan(measured):
    assert evaluate.main([str(measured), "--generated", "24", "--examples", "16"]) == 0
    text = (measured / "evaluation.json").read_text()
    assert "NaN" not in text and "Infinity" not in text
    results = json.loads(text)
    assert "Bright" in results["set_success"]["labels"]
    assert (measured / "report.html").is_file()


@pytest.mark.parametrize(
    ("objective", "possible"),
    [
        ("validation_accuracy_Top", False),
        ("validation_balanced_accuracy_Top", False),
        ("validation_accuracy_Bright", True),
        ("validation_accuracy", True),
        ("validation_bound", True),
    ],
)
def test_a_sweep_does_not_begin_for_a_measure_that_no_validation_label_decides(objective, possible):
    dataset = made_up.tiny()
    dataset.validation.labels[:, dataset.labels.names.index("Top")] = -1
    if possible:
        check_objective(objective, dataset)
        return
    with pytest.raises(ConfigError, match=f"objective: {objective} is not known: no validation example has a label"):
        check_objective(objective, dataset)


def test_a_sweep_does_not_begin_for_accuracy_if_the_validation_split_has_no_labels():
    dataset = made_up.tiny()
    dataset.validation.labels[:] = -1
    with pytest.raises(ConfigError, match="objective: validation_accuracy is not known"):
        check_objective("validation_accuracy", dataset)
