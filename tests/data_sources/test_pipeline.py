"""Which labels are hidden, and in what order examples come."""

from collections import Counter

import numpy as np
import pytest

from tf_ccvae.data.dataset import DataError, Split
from tf_ccvae.data.pipeline import automatic_share, evaluation_batches, hide_labels, training_batches
from tf_ccvae.labels import MISSING


def split_of(examples: int, labelled: int | None = None) -> Split:
    """Images that hold their own number; the first `labelled` have labels."""
    numbers = np.arange(examples)
    images = np.stack([numbers // 256, numbers % 256], axis=1).astype(np.uint8).reshape(examples, 1, 2, 1)
    labels = np.zeros((examples, 3), np.int8)
    labels[labelled if labelled is not None else examples :] = MISSING
    return Split(images, labels)


def indices(batches) -> list[np.ndarray]:
    return [np.asarray(batch["index"]) for batch in batches]


def test_labelled_fraction_hides_all_labels_of_the_rest():
    seen = hide_labels(split_of(1000), labelled_fraction=0.25, missing_rate=0.0, seed=0).observed
    assert seen.all(1).sum() == 250
    assert seen.any(1).sum() == 250


def test_missing_rate_hides_single_labels():
    seen = hide_labels(split_of(2000), labelled_fraction=1.0, missing_rate=0.3, seed=0).observed
    # 6000 independent draws: standard deviation 0.006
    assert abs(1 - seen.mean() - 0.3) < 0.025
    assert 0 < seen.all(1).mean() < 1


def test_hidden_labels_depend_on_the_seed_alone():
    one, same, other = (hide_labels(split_of(500), 0.1, 0.2, seed).labels for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_no_fraction_hides_every_label_and_the_smallest_keeps_one_example():
    assert not hide_labels(split_of(100), 0.0, 0.0, 0).observed.any()
    assert hide_labels(split_of(100), 1e-6, 0.0, 0).observed.any(1).sum() == 1


def test_one_pass_shows_every_example_once_and_the_next_pass_in_another_order():
    rows = np.concatenate(indices(training_batches(split_of(60), batch_size=10, steps=12, seed=0)))
    assert sorted(rows[:60]) == sorted(rows[60:]) == list(range(60))
    assert (rows[:60] != rows[60:]).any()


def test_passes_run_on_across_batches_that_do_not_divide_them():
    rows = np.concatenate(indices(training_batches(split_of(50), batch_size=16, steps=25, seed=0)))
    assert set(Counter(rows.tolist()).values()) == {8}  # 400 draws of 50


def test_starting_at_a_step_shows_what_an_uninterrupted_run_sees():
    split = split_of(70, labelled=20)
    whole = indices(training_batches(split, 8, steps=30, seed=5, labelled_share=0.3))
    rest = indices(training_batches(split, 8, steps=30, seed=5, labelled_share=0.3, start_step=11))
    np.testing.assert_array_equal(np.stack(whole[11:]), np.stack(rest))


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9])
def test_labelled_share_is_kept_over_batches(share):
    split = split_of(1000, labelled=100)
    batches = list(training_batches(split, 16, steps=100, seed=0, labelled_share=share))
    labelled = [int(np.asarray(b["observed"]).any(1).sum()) for b in batches]
    assert abs(sum(labelled) - share * 1600) <= 1
    assert max(labelled) - min(labelled) <= 1
    assert {len(np.asarray(b["index"])) for b in batches} == {16}


def test_labelled_examples_each_come_equally_often():
    rows = np.concatenate(
        indices(training_batches(split_of(200, labelled=10), 20, steps=50, seed=0, labelled_share=0.5))
    )
    counts = Counter(rows.tolist())
    assert {counts[i] for i in range(10)} == {50}


def test_share_has_no_effect_where_all_or_none_have_labels():
    for labelled in (0, 40):
        rows = np.concatenate(indices(training_batches(split_of(40, labelled), 10, 4, seed=0, labelled_share=0.5)))
        assert sorted(rows) == list(range(40))


def test_automatic_share_lies_between_the_fraction_and_one():
    assert automatic_share(0, 100) == 0
    assert automatic_share(100, 100) == 1
    for labelled in (1, 5, 20, 70):
        assert labelled / 100 <= automatic_share(labelled, 100) < 1


def test_batches_carry_the_right_image_labels_and_mask():
    split = split_of(300, labelled=100)
    for batch in training_batches(split, 32, steps=5, seed=1):
        rows = np.asarray(batch["index"])
        np.testing.assert_array_equal(batch["image"], split.images[rows])
        np.testing.assert_array_equal(batch["labels"], split.labels[rows])
        np.testing.assert_array_equal(batch["observed"], split.labels[rows] != MISSING)


def test_evaluation_shows_every_example_once_with_a_smaller_last_batch():
    assert [len(rows) for rows in indices(evaluation_batches(split_of(25), 10))] == [10, 10, 5]


def test_an_empty_training_split_is_refused():
    with pytest.raises(DataError, match="empty"):
        training_batches(split_of(0), 8, 1, 0)
