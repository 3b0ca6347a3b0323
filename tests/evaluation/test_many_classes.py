"""Labels of many classes: the table of what excludes what and the record of all edits stay small."""

import numpy as np
import pytest

from tf_ccvae import interventions
from tf_ccvae.data.dataset import Dataset, Split
from tf_ccvae.data.pipeline import training_batches
from tf_ccvae.evaluation import intervention_effect, swap_effect
from tf_ccvae.evaluation.reconstruction import per_image
from tf_ccvae.interventions import values_by_name
from tf_ccvae.labels import Label, Labels
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.models.label_statistics import LabelStatistics, incompatible_values
from tf_ccvae.objective.exclusions import excluding_pairs, exclusion_table

MB = 1_000_000
THOUSAND = Labels((Label("kind", tuple(map(str, range(1000)))),))
TWO = Labels((Label("kind", tuple(map(str, range(100)))), Label("colour", tuple(map(str, range(20))))))
MIXED = Labels((Label("kind", tuple(map(str, range(1000)))), *(Label(f"on {i}") for i in range(40))))


def examples(labels, count):
    random = np.random.default_rng(0)
    return np.stack([random.integers(0, label.values, count) for label in labels], axis=1)


@pytest.fixture(scope="module", params=[THOUSAND, TWO], ids=["1000", "100 and 20"])
def trained(request):
    """An untrained small model after one step, and a split."""
    labels = request.param
    values = examples(labels, 64).astype(np.int16)
    part = Split(np.random.default_rng(1).integers(0, 256, (64, 28, 28, 1), np.uint8), values)
    model = CCVAE((28, 28, 1), labels, latents=6, widths=(4, 4, 8), hidden=16)
    model.label_statistics.learn(values)
    model.compile(optimizer="sgd", run_eagerly=True)
    history = model.fit(
        training_batches(part, 32, 1, seed=0), epochs=1, steps_per_epoch=1, shuffle=False, verbose=0
    ).history
    assert all(np.isfinite(x).all() for name, x in history.items() if name.startswith(("loss", "bound")))
    return model, Dataset("made", labels, part, part, part)


@pytest.mark.parametrize(("labels", "rows"), [(THOUSAND, 1000), (TWO, 120), (MIXED, 1080)])
def test_the_table_of_exclusions_has_a_row_for_each_value_and_no_padding(labels, rows):
    statistics = LabelStatistics(labels)
    statistics.build()
    statistics.learn(examples(labels, 5000))
    table = np.asarray(statistics.incompatible)
    assert table.shape == (rows, rows) and table.nbytes <= 5 * MB


def test_exclusions_between_labels_of_many_classes_are_found():
    values = examples(TWO, 60_000)
    values[(values[:, 0] == 7) & (values[:, 1] == 3), 1] = 4
    assert excluding_pairs(incompatible_values(values, TWO), TWO) == [[0, 7, 1, 3], [1, 3, 0, 7]]


@pytest.mark.programs
def test_labels_are_set_traversed_and_drawn(trained):
    model, dataset = trained
    images, name = dataset.test.images[:2], dataset.labels.names[0]
    assert interventions.set_labels(model, images, {name: "7"}).shape == (2, 28, 28, 1)
    assert interventions.traverse(model, images, name, "3", "99", steps=4).shape == (2, 4, 28, 28, 1)
    drawn = values_by_name.sample_labels(model, 2000, seed=0)
    assert drawn.max(axis=0).tolist() == [label.values - 1 for label in dataset.labels]


@pytest.mark.programs
def test_all_edits_are_kept_in_the_memory_that_the_documentation_states(trained):
    model, dataset = trained
    labels, count = dataset.labels, len(dataset.test)
    total = sum(label.values for label in labels)
    original = np.full((count, len(labels), labels.values), 1 / labels.values, np.float32)
    edits = intervention_effect.look_at(lambda i, v: original, labels, original)
    assert sum(x.nbytes for x in edits) == 4 * count * total * (len(labels) + 1) + 8 * total**2
    incompatible = np.asarray(model.label_statistics.incompatible)
    truth = dataset.test.labels.astype(np.int64)
    effect = intervention_effect.from_arrays(labels, truth, original, original, edits, incompatible)
    assert len(effect["matrix"]["names"]) == total and 0 <= effect["set_success"]["mean"] <= 1
    donors = swap_effect.choose_donors(truth)
    seen = np.repeat(truth[:, None], len(labels), axis=1)
    assert swap_effect.from_arrays(labels, truth, donors, seen, incompatible)["arrived"]["mean"] == 0


def test_weights_of_older_models_with_padding_are_read():
    labels = Labels((Label("a"), Label("b", ("x", "y", "z"))))
    padded = np.zeros((2, 3, 2, 3), np.float32)
    padded[0, 1, 1, 2] = padded[1, 2, 0, 1] = 1
    statistics = LabelStatistics(labels)
    statistics.build()
    prior = np.log(np.full((2, 3), 0.5, np.float32))
    statistics.load_own_variables({"0": prior, "1": padded})
    np.testing.assert_array_equal(statistics.incompatible, exclusion_table([((0, 1), (1, 2))], labels))
    np.testing.assert_array_equal(statistics.log_label_prior, prior)


def test_measures_of_images_are_the_same_for_one_and_for_many_at_a_time():
    random = np.random.default_rng(0)
    images, rebuilt = random.integers(0, 256, (260, 28, 28, 1), np.uint8), random.random((260, 28, 28, 1), np.float32)
    np.testing.assert_allclose(per_image(images, rebuilt)[255:], per_image(images[255:], rebuilt[255:]), rtol=1e-5)
