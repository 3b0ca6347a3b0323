"""Whether a swap carries the donor's variant: models whose swaps do, and models whose style decides."""

from types import SimpleNamespace

import numpy as np
import pytest

from tf_ccvae.evaluation import within_label_swap
from tf_ccvae.labels import Label, Labels

KINDS = 3
EXAMPLES = 600


class MadeUp:
    """A model whose latents are (own, style) and whose picture shows the kind that one of the two holds."""

    image_shape = (1, 2, 1)
    decoder_inputs = 2
    labels = Labels((Label("Hat"),))

    def __init__(self, shown):
        self.shown = shown

    def decode(self, latents):
        kind = np.asarray(latents)[:, self.shown]
        pictures = np.stack([kind, kind], axis=1).reshape(-1, *self.image_shape).astype(np.float32)
        return SimpleNamespace(mean=lambda: pictures)

    def swap(self, latents, donors, mask, *_):
        return np.stack([np.asarray(donors)[:, 0], np.asarray(latents)[:, 1]], axis=1)


class Judge:
    """Reads the kind from the first pixel."""

    def factor(self, pictures, name):
        first = np.asarray(pictures)[:, 0, 0]
        return first if name == "shade" else np.eye(KINDS)[np.rint(first[:, 0]).astype(int)]


def measured(shown, clear=True):
    """The measure of a model; unless they are clear, the images show other kinds than they have."""
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, (EXAMPLES, 1))
    kind = random.integers(0, KINDS, EXAMPLES).astype(np.int8)
    factors = {"kind": kind, "shade": kind[:, None].astype(np.float32)}
    latents = np.stack([kind, kind], axis=1).astype(np.float32)
    model = MadeUp(shown)
    images = model.decode(latents if clear else random.permutation(latents)).mean()
    belonging = {"Hat": (1, ("kind", "shade"))}
    return within_label_swap.from_model(model, latents, images, Judge(), truth, factors, belonging, 0)


def test_a_model_whose_own_latents_decide_carries_the_donors_variant():
    result = measured(shown=0)
    assert result["mean"] == pytest.approx(1) and result["reconstruction"] == pytest.approx(1)
    assert abs(result["recipient"]) < 0.1
    assert set(result["labels"]["Hat"]["factors"]) == {"kind", "shade"}


def test_a_model_whose_style_decides_keeps_the_recipients():
    result = measured(shown=1)
    assert result["recipient"] == pytest.approx(1) and result["reconstruction"] == pytest.approx(1)
    assert abs(result["mean"]) < 0.1
    entry = result["labels"]["Hat"]["factors"]["kind"]
    assert entry["recipient"] == pytest.approx(1) and abs(entry["donor"]) < 0.1


def test_labels_whose_variants_the_judge_cannot_read_in_images_are_left_out_of_a_second_mean():
    clear, unclear = measured(shown=0), measured(shown=0, clear=False)
    assert clear["read_well"] == {"labels": ["Hat"], **{k: clear[k] for k in ("mean", *within_label_swap.BESIDE)}}
    assert clear["image"] == pytest.approx(1)
    assert unclear["mean"] == clear["mean"] and abs(unclear["image"]) < 0.1 and unclear["read_well"] is None
