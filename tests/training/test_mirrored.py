"""Two replicas do what one device does: measured by two_replicas.py in a process of its own."""

import json

import numpy as np
import pytest

from tests import processes


@pytest.fixture(scope="module")
def measured(tmp_path_factory, tiny_folder):
    images, labels = tiny_folder
    arguments = [
        *("--data.name", "folder", "--data.images", str(images), "--data.labels", str(labels)),
        *("--data.image-size", "28", "--data.channels", "1", "--model.latents", "4", "--model.hidden", "8"),
        *("--model.latents-per-label", "1", "--model.backbone", "paper", "--model.encoder-widths", "[4, 4, 4]"),
        *("--training.batch-size", "31", "--tracking.pictures", "0"),
        *("--training.epochs", "2", "--model.likelihood-scale", "1.0", "--objective.label-weight", "100"),
    ]
    folder = tmp_path_factory.mktemp("mirrored")
    said = processes.run("tests.training.two_replicas", folder, *arguments, output=folder / "said.txt")
    return json.loads(said.splitlines()[-1])


@pytest.mark.parametrize("case", ["plain", "clipped"])
def test_steps_of_two_replicas_equal_those_of_one_device(measured, case):
    assert measured["replicas"] == 2
    found = measured[case]
    assert found["moved"] > 1e-3
    assert found["difference"] < 1e-6
    assert found["difference_of_replicas"] == 0
    assert found["losses"][1] == pytest.approx(found["losses"][0], rel=1e-6)


def test_matrices_that_muon_moves_are_the_same_on_all_replicas_and_nearly_those_of_one_device(measured):
    found = measured["muon"]
    assert found["matrices"] > 0
    assert found["difference_of_replicas"] == 0
    assert found["difference"] < 0.005 * found["moved"]  # rounding counts where a direction has next to no gradient


def test_every_replica_draws_noise_of_its_own(measured):
    first, second = np.array(measured["noises"])
    assert first.shape == (3, 4) and np.abs(first - second).min() > 0


def test_an_infinity_on_one_replica_skips_the_step_on_both(measured):
    found = measured["infinities"]
    assert found["difference_of_replicas"] == [0, 0, 0, 0, 0]
    assert [moved > 0 for moved in found["moved"]] == [True, False, True, False, True]
    assert [scale / found["scales"][0] for scale in found["scales"]] == [1, 0.5, 0.5, 0.25, 0.25]
    assert found["iterations"] == [1, 1, 2, 2, 3]


def test_measures_count_every_example_once(measured):
    one, two = measured["evaluated"]
    assert one["examples"] == two["examples"] == 17
    assert one["labels"] == two["labels"] == 2 * 11  # a third has no labels
    assert {name: two[name] for name in one} == pytest.approx(one, rel=1e-5)


def test_what_tensorflow_cannot_do_is_refused_in_one_line(measured):
    xla, steps, optimizer = measured["refused"]
    assert xla == steps and "jit_compile=False and steps_per_execution=1" in xla
    assert optimizer.startswith("SGD sums gradients over replicas by itself")


def test_the_program_trains_with_two_replicas_and_goes_on_with_one(measured):
    found = measured["program"]
    assert found["codes"] == [0, 0]
    assert {"model.keras", "results.json", "figures", "tensorboard", "checkpoints"} <= set(found["files"])
    assert len(found["history"]) == 3 and found["history"][-1] > found["history"][0]
    assert found["best"] == pytest.approx(max(found["history"]), rel=1e-5)
