"""What no label is about, as a judge reads it before and after edits."""

from types import SimpleNamespace

import numpy as np
import pytest

from tf_ccvae.data.dataset import Dataset, Split
from tf_ccvae.evaluation import style_kept
from tf_ccvae.evaluation.context import Context
from tf_ccvae.labels import MISSING, Labels

LABELS = Labels.of_binary(("spoils", "keeps"))
IMAGES = np.random.default_rng(0).integers(0, 200, (60, 2, 2, 1), np.uint8)


class MadeUp:
    """A model whose latents are pixels; setting the first label changes what `spoil` does."""

    image_shape, decoder_inputs, labels = (2, 2, 1), 4, LABELS

    def __init__(self, spoil):
        self.spoil = spoil

    def latents_of(self, images):
        return np.asarray(images, np.float32).reshape(len(images), -1) / 255

    def decode(self, latents):
        pictures = np.asarray(latents).reshape(-1, 2, 2, 1)
        return SimpleNamespace(mean=lambda: pictures)

    def set_values(self, latents, values, mask, *_):
        changed = latents.copy()
        return self.spoil(changed) if mask[0, 0] else changed


class Reader:
    """Reads a continuous factor from the first pixel, and a category from the second: bright or dark."""

    def __init__(self):
        self.factors = {"light": None, "kind": ("dark", "bright"), "hat": ("none", "cap")}

    def factor(self, images, name):
        pixels = np.asarray(images).reshape(len(images), 4)
        bright = (pixels[:, 1] > 0.4).astype(float)
        return pixels[:, :1] if name == "light" else np.stack([1 - bright, bright], axis=1)


def measured(spoil, values=None, style=("light", "kind", "not read")):
    values = np.zeros((60, 2), np.int8) if values is None else values
    part = Split(IMAGES, values)
    dataset = Dataset("made", LABELS, part, part, part, {"style_factors": style})
    return style_kept.measure(Context(MadeUp(spoil), dataset, Reader()))


def flattened(latents):
    latents[:, 0] = latents[:, 0].mean()
    return latents


def turned(latents):
    latents[:, 1] = np.where(latents[:, 1] > 0.4, 0.0, 0.9)
    return latents


@pytest.mark.parametrize(("spoil", "factors"), [(flattened, (0.5, 1)), (turned, (1, 0.5))])
def test_of_two_factors_one_that_is_lost_leaves_half(spoil, factors):
    result = measured(spoil)["style_kept"]
    assert result["labels"]["spoils"]["mean"] == pytest.approx(0.5, abs=1e-6)
    assert result["labels"]["keeps"]["mean"] == pytest.approx(1)
    assert tuple(result["factors"].values()) == pytest.approx(factors, abs=1e-6)  # means over both labels


def test_other_pixels_do_not_count():
    def elsewhere(latents):
        latents[:, 2:] = 0
        return latents

    assert measured(elsewhere)["style_kept"]["mean"] == pytest.approx(1)


def test_a_label_that_is_never_known_has_no_score():
    values = np.zeros((60, 2), np.int8)
    values[:, 0] = MISSING
    assert set(measured(turned, values)["style_kept"]["labels"]) == {"keeps"}


def test_data_without_factors_of_style_that_the_judge_reads_go_without():
    assert measured(turned, style=()) == {} and measured(turned, style=("not read",)) == {}
