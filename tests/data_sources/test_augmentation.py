"""What happens to training images at random, against plain NumPy, and that nothing else changes."""

from dataclasses import replace

import numpy as np
import pytest

from tests.made_up import on_tiny_folder
from tf_ccvae.data import sources
from tf_ccvae.data.augmentation import (
    COLOUR,
    GREY,
    Augmentation,
    augmentation_of,
    coloured,
    largest_shift,
    moved,
    random_numbers,
)
from tf_ccvae.data.dataset import DataError, Split
from tf_ccvae.data.pipeline import Share, training_batches
from tf_ccvae.labels import MISSING, Labels
from tf_ccvae.models.labelled_vae import LabelledVAE
from tf_ccvae.settings import Config, parse
from tf_ccvae.training import loop, run_directory

EVERYTHING = Augmentation(("shift", "flip", "colour"))


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def split_of(examples, size=64, channels=3):
    """Noise with two labels, each of which a third of the examples does not know."""
    labels = np.random.default_rng(1).integers(MISSING, 2, (examples, 2)).astype(np.int8)
    return Split(noise(examples, size, size, channels), labels)


def images(batches):
    return [np.asarray(batch["image"]) for batch in batches]


def pairs(split, augmentation, steps=20, **others):
    """Each training image before and after, and the row that it has in the split."""
    for batch in training_batches(split, 16, steps, seed=0, augmentation=augmentation, **others):
        for row, image in zip(batch["index"].numpy(), batch["image"].numpy(), strict=True):
            yield split.images[row], image, row


# Each kind ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_a_shift_repeats_the_pixels_at_the_edge(channels):
    image, down, across = noise(4, 6, 5, channels), np.array([1, -2, 0, 2]), np.array([-1, 2, 1, 0])
    got = moved(image, down.astype(np.int32), across.astype(np.int32)).numpy()
    for before, after, dy, dx in zip(image, got, down, across, strict=True):
        wide = np.pad(before, ((2, 2), (2, 2), (0, 0)), mode="edge")
        np.testing.assert_array_equal(after, wide[2 - dy : 8 - dy, 2 - dx : 7 - dx])


def test_a_flip_turns_left_to_right_and_no_other_example():
    image = noise(3, 4, 5, 3)
    got = moved(image, flipped=np.array([True, False, True])).numpy()
    np.testing.assert_array_equal(got, np.stack([image[0, :, ::-1], image[1], image[2, :, ::-1]]))


def test_a_shift_comes_before_a_flip():
    image = noise(1, 4, 5, 1)
    got = moved(image, np.array([1], np.int32), np.array([2], np.int32), np.array([True])).numpy()
    shifted = np.pad(image[0], ((1, 0), (2, 0), (0, 0)), mode="edge")[:4, :5]
    np.testing.assert_array_equal(got[0], shifted[:, ::-1])


@pytest.mark.parametrize("channels", [1, 3])
def test_colours_are_those_of_plain_numpy(channels):
    image = noise(5, 4, 3, channels)
    brightness, contrast, saturation = np.array([[1, 1.1, 0.9, 1.05, 1], [1, 0.9, 1.1, 1, 1.1], [1, 1.1, 0.9, 1, 0.95]])
    got = coloured(image, *(x.astype(np.float32) for x in (brightness, contrast, saturation))).numpy()
    for n, before in enumerate(image.astype(np.float64)):
        grey = (before @ GREY)[..., None] if channels == 3 else before
        values = brightness[n] * (grey + saturation[n] * (before - grey))
        mean = (brightness[n] * grey).mean()
        expected = np.clip(mean + contrast[n] * (values - mean), 0, 255)
        assert np.abs(got[n] - expected).max() < 0.5 + 1e-3  # rounded to the nearest


def test_a_factor_of_one_leaves_every_colour_as_it_was():
    image = noise(2, 16, 16, 3)
    one = np.ones(2, np.float32)
    np.testing.assert_array_equal(coloured(image, one, one, one), image)


def test_colours_too_bright_or_too_dark_stop_at_white_and_black():
    image = np.array([0, 255], np.uint8).reshape(1, 2, 1, 1)
    got = coloured(image, *(np.array([x], np.float32) for x in (1.1, 1.1, 1.0))).numpy()
    assert got.ravel().tolist() == [0, 255]


# How much -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "pixels"), [(28, 1), (32, 1), (64, 2), (128, 4), (256, 8)])
def test_the_largest_shift_is_a_thirty_second_of_the_side(side, pixels):
    assert largest_shift(side) == pixels


def test_every_shift_up_to_the_largest_is_as_likely_as_the_others():
    side = 64
    ramp = np.arange(side, dtype=np.uint8)
    image = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], np.uint8(0)), axis=-1)  # a pixel holds its place
    split = Split(np.broadcast_to(image, (64, *image.shape)), np.zeros((64, 1), np.int8))
    middle = side // 2
    shifts = [middle - after[middle, middle, :2].astype(int) for _, after, _ in pairs(split, Augmentation(("shift",)))]
    counts = np.zeros((5, 5))
    np.add.at(counts, tuple(np.transpose(shifts) + 2), 1)
    assert counts.sum() == 320
    for direction in (0, 1):
        # 320 draws of 5 shifts: 64 each, standard deviation 7.2
        assert np.abs(counts.sum(direction) - 64).max() < 4 * 7.2


def test_half_of_the_examples_are_flipped():
    kept, flipped = 0, 0
    for before, after, _ in pairs(split_of(64, size=28), Augmentation(("flip",))):
        kept += np.array_equal(after, before)
        flipped += np.array_equal(after, before[:, ::-1])
    assert kept + flipped == 320
    assert abs(flipped - 160) < 4 * 8.9  # standard deviation 8.9


def test_colours_change_by_a_tenth_at_most_and_differ_from_example_to_example():
    split = Split(np.full((64, 28, 28, 1), 200, np.uint8), np.zeros((64, 1), np.int8))
    changes = [float(after[0, 0, 0]) / 200 - 1 for _, after, _ in pairs(split, Augmentation(("colour",)))]
    assert max(np.abs(changes)) <= COLOUR + 1e-6
    assert max(changes) > 0.08 and min(changes) < -0.08
    assert abs(np.mean(changes)) < 4 * COLOUR / np.sqrt(3 * len(changes))  # standard deviation of a mean of uniforms


@pytest.mark.programs
def test_a_change_is_the_same_with_and_without_the_others():
    split = split_of(32, size=28)
    flips, shifts, both = (
        [after for _, after, _ in pairs(split, Augmentation(kinds))]
        for kinds in (("flip",), ("shift",), ("flip", "shift"))
    )
    originals = [before for before, _, _ in pairs(split, None)]
    for original, flipped, shifted, flipped_too in zip(originals, flips, shifts, both, strict=True):
        expected = shifted if np.array_equal(flipped, original) else shifted[:, ::-1]
        np.testing.assert_array_equal(flipped_too, expected)


# The same for everybody -----------------------------------------------------------------------------------------------


@pytest.mark.programs
def test_starting_at_a_step_shows_the_pictures_of_an_uninterrupted_run():
    split = split_of(70, size=28)
    whole = images(training_batches(split, 8, 12, seed=5, augmentation=EVERYTHING))
    rest = images(training_batches(split, 8, 12, seed=5, start_step=7, augmentation=EVERYTHING))
    np.testing.assert_array_equal(np.stack(whole[7:]), np.stack(rest))


@pytest.mark.programs
def test_more_steps_do_not_change_those_before():
    split = split_of(70, size=28)
    short, long = (images(training_batches(split, 8, steps, seed=5, augmentation=EVERYTHING)) for steps in (3, 9))
    np.testing.assert_array_equal(np.stack(short), np.stack(long[:3]))


@pytest.mark.programs
@pytest.mark.parametrize(("workers", "replicas"), [(1, 2), (2, 2), (3, 6), (2, 4)])
@pytest.mark.parametrize("batch", [16, 13])
def test_parts_of_all_workers_put_together_are_the_pictures_of_one_device(workers, replicas, batch):
    split, here = split_of(40, size=28, channels=1), replicas // workers
    whole = images(training_batches(split, batch, 4, seed=3, augmentation=EVERYTHING))
    parts = [
        images(training_batches(split, batch, 4, 3, here=Share(replicas, worker * here, here), augmentation=EVERYTHING))
        for worker in range(workers)
    ]
    for step, together in enumerate(whole):
        of_step = [part for worker in parts for part in worker[step * here : (step + 1) * here]]
        np.testing.assert_array_equal(np.concatenate(of_step), together)


def test_numbers_differ_by_seed_step_and_place():
    one, same, other_step, other_seed = (random_numbers(*key, 16).numpy() for key in ((3, 5), (3, 5), (3, 6), (4, 5)))
    np.testing.assert_array_equal(one, same)
    everything = np.concatenate([one, other_step, other_seed]).ravel()
    assert len(np.unique(everything)) == everything.size
    assert random_numbers(2**32 - 1, 10**9, 4).shape == (4, 6)  # the largest seed


@pytest.mark.programs
def test_an_example_is_changed_anew_in_every_pass():
    seen = {}
    for _, after, row in pairs(split_of(16, size=28), EVERYTHING, steps=4):
        seen.setdefault(row, set()).add(after.tobytes())
    assert {len(pictures) for pictures in seen.values()} == {4}


# What stays as it is --------------------------------------------------------------------------------------------------


@pytest.mark.programs
def test_labels_and_order_are_those_without_it():
    split = split_of(50, size=28)
    plain = training_batches(split, 16, 5, seed=2)
    changed = training_batches(split, 16, 5, seed=2, augmentation=EVERYTHING)
    assert changed.element_spec == plain.element_spec
    for one, other in zip(plain, changed, strict=True):
        for name in ("labels", "observed", "index"):
            np.testing.assert_array_equal(one[name], other[name])


def test_images_of_the_split_are_not_written_to():
    split = split_of(20, size=28)
    before = split.images.copy()
    list(training_batches(split, 8, 5, seed=0, augmentation=EVERYTHING))
    np.testing.assert_array_equal(split.images, before)


def test_an_example_that_knows_a_sided_label_is_never_flipped():
    split = split_of(64, size=28)
    flipped = {True: 0, False: 0}  # by whether the second label is known
    for before, after, row in pairs(split, Augmentation(("flip",), sided=(1,)), steps=40):
        flipped[bool(split.observed[row, 1])] += not np.array_equal(before, after)
    assert flipped[True] == 0 and flipped[False] > 50


@pytest.mark.programs
def test_training_sees_changed_pictures_and_validation_sees_them_as_they_are(tiny, tiny_folder, tmp_path, monkeypatch):
    config = parse([*on_tiny_folder(tiny_folder), "--data.augment", "flip", "--data.sided", "Top"]).config
    batches_of = {}

    def fit(model, batches, validation_data, **others):
        batches_of.update(train=(batches, tiny.train), validation=(validation_data, tiny.validation))

    monkeypatch.setattr(LabelledVAE, "fit", fit)
    half = tiny.train.labels.copy()
    half[::2, 0] = MISSING  # Top is not known, so that these may be flipped
    data = replace(tiny, train=Split(tiny.train.images, half))
    loop.train(config, data, run_directory.create(tmp_path / "run", "tiny"))
    changed = {name: set() for name in batches_of}
    for name, (batches, split) in batches_of.items():
        for batch in batches.take(8):
            rows = batch["index"].numpy()
            differs = (batch["image"].numpy() != split.images[rows]).any(axis=(1, 2, 3))
            changed[name] |= set(rows[differs].tolist())
    assert changed["validation"] == set()
    assert len(changed["train"]) > 30 and {row % 2 for row in changed["train"]} == {0}


# Settings -------------------------------------------------------------------------------------------------------------


def test_sided_labels_are_found_by_name_and_nothing_is_changed_by_default():
    labels = Labels.of_binary(["Smiling", "Looks_Left"])
    data = Config.model_validate({"data": {"augment": ["colour", "flip"], "sided": ["Looks_Left"]}}).data
    assert augmentation_of(data, labels) == Augmentation(("colour", "flip"), (1,))
    assert augmentation_of(Config().data, labels) is None


@pytest.mark.parametrize(
    ("sided", "line"),
    [
        (["Topp"], "data.sided: no label 'Topp'; did you mean 'Top'?"),
        (["Smiling"], "data.sided: no label 'Smiling'; choose from Top, Bright"),
        (["Top", "Top"], "data.sided: 'Top' is given twice; remove one"),
    ],
)
def test_a_sided_label_that_the_data_have_not_is_refused_when_they_are_loaded(sided, line, tiny_folder):
    images, labels = tiny_folder
    chosen = {"name": "folder", "images": images, "labels": labels, "image_size": 28, "channels": 1}
    data = Config.model_validate({"data": {**chosen, "augment": ["flip"], "sided": sided}}).data
    with pytest.raises(DataError) as refused:
        sources.load(data, seed=0)
    assert str(refused.value) == line
