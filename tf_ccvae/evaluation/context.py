"""What the measures of a model look at: images, latents, reconstructions and readings, each computed once."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tf_ccvae import interventions
from tf_ccvae.data.dataset import Dataset, Split
from tf_ccvae.evaluation.judge import Judge
from tf_ccvae.interventions import Generated, values_by_name
from tf_ccvae.labels import MISSING, Labels
from tf_ccvae.models.labelled_vae import LabelledVAE

GENERATED = 2000  # images for Fréchet distances
BATCH = 250  # images that go through the model at once
READ_WELL = 0.9


@dataclass(frozen=True)
class Context:
    """A model, a split of its data and a judge; what several measures need is computed when the first asks for it.

    Args:
      model: a trained model.
      dataset: the data it was trained on.
      judge: who looks at images; see `evaluation.judge`.
      split: name of the split.
      seed: of everything that is drawn.
      count: number of generated images.
      examples: of the split, drawn by the seed and kept in order; None for all.
      whole: the same with number labels, where model and data are views without them; see `evaluation.plain_view`.
    """

    model: LabelledVAE
    dataset: Dataset
    judge: Judge
    split: str = "test"
    seed: int = 0
    count: int = GENERATED
    examples: int | None = None
    whole: "Context | None" = None

    @functools.cached_property
    def rows(self) -> np.ndarray:
        """The examples that are looked at, as rows of the split: int64 (n,), ascending."""
        count = len(self.dataset.split(self.split))
        if self.examples is None or self.examples >= count:
            return np.arange(count)
        return np.sort(np.random.default_rng(self.seed).choice(count, self.examples, replace=False))

    @functools.cached_property
    def part(self) -> Split:
        """The examples that are looked at."""
        split = self.dataset.split(self.split)
        if len(self.rows) == len(split):
            return split
        factors = {name: np.asarray(values)[self.rows] for name, values in split.factors.items()}
        return Split(split.images[self.rows], split.labels[self.rows], factors)

    @property
    def labels(self) -> Labels:
        return self.model.labels

    @functools.cached_property
    def images(self) -> np.ndarray:
        """uint8 (n, height, width, channels)."""
        return np.asarray(self.part.images)

    @functools.cached_property
    def truth(self) -> np.ndarray:
        """int64 (n, labels), `MISSING` where a label is not known."""
        return self.part.labels.astype(np.int64)

    @functools.cached_property
    def latents(self) -> np.ndarray:
        """At the posterior mean, float32 (n, D)."""
        return interventions.encode(self.model, self.images)

    @functools.cached_property
    def characteristic(self) -> np.ndarray:
        """The latents of the labels, (n, characteristic)."""
        return np.asarray(self.model.characteristic(self.latents))

    @functools.cached_property
    def style(self) -> np.ndarray:
        """All other latents, (n, any)."""
        return np.asarray(self.model.style(self.latents))

    @functools.cached_property
    def rebuilt(self) -> np.ndarray:
        """The reconstructions, float32 (n, height, width, channels) in [0, 1]."""
        return interventions.decode(self.model, self.latents)

    @functools.cached_property
    def probabilities(self) -> np.ndarray:
        """q(y|x), float32 (n, labels, values)."""
        images = self.images
        parts = [self.model(images[i : i + BATCH]).label_probabilities for i in range(0, len(images), BATCH)]
        return np.concatenate([np.asarray(x) for x in parts])

    @functools.cached_property
    def seen(self) -> np.ndarray:
        """The judge's probabilities for the images, float32 (n, labels, values)."""
        return self.judge.probabilities(self.images)

    @functools.cached_property
    def read_well(self) -> tuple[str, ...]:
        """The labels that the judge reads right on at least `READ_WELL` of the images of which they are known."""
        known = self.truth != MISSING
        right = (self.seen.argmax(-1) == self.truth) & known
        shares = right.sum(0) / np.maximum(known.sum(0), 1)
        return tuple(name for name, share in zip(self.labels.names, shares, strict=True) if share >= READ_WELL)

    @functools.cached_property
    def seen_rebuilt(self) -> np.ndarray:
        """The judge's probabilities for the reconstructions, float32 (n, labels, values)."""
        return self.judge.probabilities(self.rebuilt)

    @functools.cached_property
    def incompatible(self) -> np.ndarray:
        """(T, T), 1 where two values exclude each other by the training labels; see `objective.exclusions`."""
        return np.asarray(self.model.label_statistics.incompatible)

    @functools.cached_property
    def generated(self) -> Generated:
        """New images with labels from p(y)."""
        values = values_by_name.choose_values(self.model, {}, self.count, self.seed)
        return interventions.generate(self.model, values, self.seed)

    @property
    def label_factors(self) -> Mapping[str, tuple[int, Sequence[str]]]:
        """For each label that has some: at which value it is looked at, and its ground-truth factors."""
        there = self.dataset.about.get("label_factors", {})
        return {name: there[name] for name in self.labels.names if name in there}
