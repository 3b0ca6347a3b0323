"""The judge learns what can be seen, is kept, and knows what it does not know."""

import dataclasses

import numpy as np
import pytest

from tf_ccvae.data.dataset import Dataset, Split
from tf_ccvae.evaluation import judge as judges
from tf_ccvae.labels import MISSING, Label, Labels

LABELS = Labels((Label("bright"), Label("place", ("left", "middle", "right"))))


def split(count, seed):
    """A square in one of three places, bright or not, of a shade that varies."""
    random = np.random.default_rng(seed)
    labels = np.stack([random.integers(0, 2, count), random.integers(0, 3, count)], axis=1).astype(np.int8)
    shade = random.random(count).astype(np.float32)
    images = np.full((count, 28, 28, 1), 30, np.uint8)
    for image, (bright, place), level in zip(images, labels, shade, strict=True):
        image[8:20, 2 + 9 * place : 8 + 9 * place] = (150 if bright else 60) + 80 * level
    labels[random.random(labels.shape) < 0.1] = MISSING
    kind = (shade > 0.5).astype(np.int8)
    factors = {"shade": np.where(shade < 0.1, np.nan, shade)[:, None].astype(np.float32), "kind": kind}
    return Split(images, labels, factors)


@pytest.fixture(scope="module")
def data():
    about = {"factors": {"shade": "0 to 1, NaN where too dark to tell", "kind": ("dark", "light")}}
    return Dataset("squares", LABELS, split(1600, 0), split(100, 1), split(300, 2), about)


@pytest.fixture(scope="module")
def judge(data):
    return judges.train(data, seed=0, epochs=12)


def test_it_reads_labels_and_factors_of_images_it_has_not_seen(judge, data):
    assert judge.about["accuracy"] > 0.97
    assert judge.about["factors"]["kind"] > 0.9
    assert judge.about["factors"]["shade"] > 0.8
    assert judge.factors == {"shade": None, "kind": ("dark", "light")}


def test_what_it_returns_has_the_right_shapes_and_is_the_same_for_bytes_and_floats(judge, data):
    images = data.test.images[:7]
    probabilities = judge.probabilities(images)
    assert probabilities.shape == (7, 2, 3)
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-5)
    assert probabilities[:, 0, 2].max() == 0  # a binary label has no third value
    np.testing.assert_allclose(judge.probabilities(images / np.float32(255)), probabilities, atol=1e-5)
    assert judge.features(images).shape == (7, judges.FEATURES)
    assert judge.factor(images, "kind").shape == (7, 2)
    assert judge.factor(images, "shade").shape == (7, 1)


def test_it_reads_images_that_are_shifted_and_noisy_as_it_reads_them_clean(judge, data):
    random = np.random.default_rng(0)
    moved, _ = judges.shifted(data.test.images, random)
    noisy = moved / np.float32(255) + random.normal(0, judges.NOISE, moved.shape).astype(np.float32)
    assert (judge.values(noisy) == judge.values(data.test.images)).mean() > 0.95


def test_half_of_the_images_are_shifted_by_a_few_pixels_and_their_edges_repeat():
    image = np.arange(64 * 64, dtype=np.int32).reshape(1, 64, 64, 1)
    made, moved = judges.shifted(np.repeat(image, 400, axis=0), np.random.default_rng(0))
    assert moved.mean() == pytest.approx(0.5, abs=0.1)
    np.testing.assert_array_equal(made[~moved], np.repeat(image, (~moved).sum(), axis=0))
    steps = np.stack([made[:, 10, 10, 0] // 64 - 10, made[:, 10, 10, 0] % 64 - 10], axis=1)
    assert set(np.unique(steps)) == {-2, -1, 0, 1, 2}
    down, right = steps[moved][0]
    first = made[moved][0, ..., 0]
    np.testing.assert_array_equal(first[5:50, 5:50], image[0, 5 + down : 50 + down, 5 + right : 50 + right, 0])
    corner = image[0, max(down, 0), max(right, 0), 0]
    assert first[0, 0] == corner


def test_a_judge_that_was_trained_otherwise_is_trained_again(judge, data, tmp_path, monkeypatch):
    older = judges.Judge(judge.network, judge.labels, judge.factors, {"accuracy": 1.0})
    judges.save(older, tmp_path)
    monkeypatch.setattr(judges, "train", lambda *_: judge)
    assert judges.cached(data, tmp_path) is judge


def test_a_saved_judge_says_the_same_and_is_not_trained_again(judge, data, tmp_path, monkeypatch):
    judges.save(judge, tmp_path)
    monkeypatch.setattr(judges, "train", lambda *_: pytest.fail("trained again"))
    kept = judges.cached(data, tmp_path)
    np.testing.assert_allclose(
        kept.probabilities(data.test.images[:9]), judge.probabilities(data.test.images[:9]), atol=1e-6
    )
    assert kept.about == judge.about


def test_a_judge_of_other_labels_is_replaced(judge, data, tmp_path, monkeypatch):
    judges.save(judge, tmp_path)
    other = dataclasses.replace(data, labels=Labels((Label("dark"), LABELS.items[1])))
    monkeypatch.setattr(judges, "train", lambda dataset, seed: judges.Judge(judge.network, dataset.labels, {}, {}))
    assert judges.cached(other, tmp_path).labels == other.labels
    assert judges.load(tmp_path).labels == other.labels


def test_a_damaged_judge_is_replaced(judge, data, tmp_path, monkeypatch):
    (tmp_path / "judge.json").write_text("{")
    monkeypatch.setattr(judges, "train", lambda dataset, seed: judge)
    assert judges.cached(data, tmp_path) is judge


def test_missing_labels_teach_nothing(data):
    hidden = dataclasses.replace(data.train, labels=np.full_like(data.train.labels, MISSING), factors={})
    blind = dataclasses.replace(data, train=hidden, test=dataclasses.replace(data.test, factors={}))
    assert judges.train(blind, seed=0, epochs=1).about["accuracy"] < 0.7


def test_a_position_is_learned_from_images_that_were_not_shifted(data, monkeypatch):
    monkeypatch.setattr(judges, "shifted", lambda images, random: (images, np.ones(len(images), bool)))  # all are
    named = dataclasses.replace(data, about={**data.about, "positions": ("shade",)})
    scores = [judges.train(x, seed=0, epochs=4).about["factors"]["shade"] for x in (named, data)]
    assert scores[0] < 0.05 < 0.3 < scores[1]  # where all have moved there is nothing to learn it from
