"""How a label shows, not just whether: do its characteristic latents hold the variants within it?

Among the images on which a label is on (or off, for a label whose name says that something is absent), predictors of
the ground-truth factors that belong to the label are cross-validated: from its characteristic latents, from the style
latents, from the characteristic latents of all other labels, and from the label alone, which there is the same for all
images and so can do no better than the mean or chance.

A categorical factor scores (balanced accuracy - chance) / (1 - chance), chance = 1 / number of categories there; a
continuous one R^2, at least 0 counted. Both are at most 1, higher is better, and 0 is what the label alone gives. There
are two predictors, 15 nearest neighbours in standardised latents and a linear one (logistic or ridge regression); each
fold is predicted by the one that scores better on the other folds, and both are reported beside. A label's capture is
the mean over its factors.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from tf_ccvae.evaluation.context import Context
from tf_ccvae.evaluation.intervals import combine
from tf_ccvae.support.files import JsonObject

NEIGHBOURS = 15
FOLDS = 5
DRAWS = 300
PREDICTORS = ("neighbours", "linear")
FEWEST = 40  # examples, below which a factor is left out
FEWEST_OF_CATEGORY = 8  # examples of a category, below which they are left out


def categorical_score(truth: np.ndarray, predicted: np.ndarray, categories: int) -> float:
    """(balanced accuracy - 1 / categories) / (1 - 1 / categories), at most 1; 0 is chance."""
    right = np.mean([(predicted[truth == k] == k).mean() for k in np.unique(truth)])
    return float((right - 1 / categories) / (1 - 1 / categories))


def continuous_score(truth: np.ndarray, predicted: np.ndarray) -> float:
    """R^2 over all components, at most 1; 0 is the mean's. Floored at 0."""
    spread = np.square(truth - truth.mean(0)).sum()
    return float(max(0.0, 1 - np.square(truth - predicted).sum() / max(spread, 1e-12)))


def folds(factor: np.ndarray, categorical: bool, seed: int = 0) -> np.ndarray:
    """The fold of each example, integer (n,), stratified by category; arguments as in `predictions`."""
    splitter = (StratifiedKFold if categorical else KFold)(FOLDS, shuffle=True, random_state=seed)
    result = np.zeros(len(factor), np.int64)
    for fold, (_, rows) in enumerate(splitter.split(factor, factor if categorical else None)):
        result[rows] = fold
    return result


def predictions(
    latents: np.ndarray, factor: np.ndarray, categorical: bool, linear: bool, fold: np.ndarray
) -> np.ndarray:
    """Cross-validated predictions of a factor: each example's by a predictor that was fitted without its fold.

    Args:
      latents: (n, any); without columns the most frequent category or the mean is predicted.
      factor: integer (n,) if categorical, else float (n, components).
      categorical: which of both.
      linear: logistic or ridge regression instead of nearest neighbours.
      fold: integer (n,), the fold of each example.
    """
    latents = latents if latents.shape[1] else np.zeros((len(factor), 1))
    result = np.zeros_like(factor)
    for k in np.unique(fold):
        train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        predictor: BaseEstimator
        if categorical:
            balanced = LogisticRegression(class_weight="balanced", max_iter=2000)
            neighbours = KNeighborsClassifier(min(NEIGHBOURS, len(train)), weights="distance")
            predictor = balanced if linear else neighbours
        else:
            predictor = Ridge() if linear else KNeighborsRegressor(min(NEIGHBOURS, len(train)), weights="distance")
        pipeline = make_pipeline(StandardScaler(), predictor)
        pipeline.fit(latents[train], factor[train])
        result[test] = _predict(pipeline, latents[test], factor[train], categorical and not linear)
    return result


def better(truth: np.ndarray, guesses: Sequence[np.ndarray], categorical: bool, fold: np.ndarray) -> np.ndarray:
    """Of several predictions of a factor, in each fold those that score best on all other folds: the shape of one."""
    result = np.zeros_like(guesses[0])
    for k in np.unique(fold):
        others, here = fold != k, fold == k
        scores = [score(truth[others], guess[others], categorical) for guess in guesses]
        result[here] = guesses[int(np.argmax(scores))][here]
    return result


def score(truth: np.ndarray, predicted: np.ndarray, categorical: bool, categories: int = 0) -> float:
    """`categorical_score`, of the categories in `truth` unless their number is passed, or `continuous_score`."""
    if categorical:
        return categorical_score(truth, predicted, categories or len(np.unique(truth)))
    return continuous_score(truth, predicted)


def _predict(pipeline: Pipeline, latents: np.ndarray, seen: np.ndarray, neighbours: bool) -> np.ndarray:
    """Predictions; those of nearest neighbours weigh every category alike, as the scores do."""
    if not neighbours:
        return pipeline.predict(latents)
    shares = pipeline.predict_proba(latents)
    classes, counts = np.unique(seen, return_counts=True)
    return classes[(shares / counts).argmax(1)]


def factor_rows(factor: np.ndarray, rows: np.ndarray, categorical: bool) -> np.ndarray:
    """The rows on which a factor is there: finite, of a category that is not too rare; empty if too few are left."""
    values = factor[rows]
    if categorical:
        kinds, counts = np.unique(values, return_counts=True)
        kept = rows[np.isin(values, kinds[counts >= FEWEST_OF_CATEGORY])]
        enough = len(np.unique(factor[kept])) >= 2
    else:
        kept = rows[np.isfinite(values).all(tuple(range(1, values.ndim)))]
        enough = True
    return kept if enough and len(kept) >= FEWEST else rows[:0]


def scored(truth: np.ndarray, predicted: np.ndarray, categorical: bool, seed: int) -> tuple[float, np.ndarray]:
    """A score and its bootstrap draws."""
    categories = len(np.unique(truth)) if categorical else 0
    random = np.random.default_rng(seed)
    resamples = (random.integers(0, len(truth), len(truth)) for _ in range(DRAWS))
    draws = [score(truth[rows], predicted[rows], categorical, categories) for rows in resamples]
    return score(truth, predicted, categorical), np.array(draws)


class Scored(NamedTuple):
    """A label's scores by factor, and bootstrap draws of their mean."""

    name: str
    factors: JsonObject
    draws: np.ndarray


def summary(labels: list[Scored], score: str, more: tuple[str, ...] = ()) -> JsonObject:
    """Means over factors of the score, with intervals, and of `more` without them; per label and over labels."""

    def mean(label: Scored, key: str) -> float:
        return float(np.mean([x[key] for x in label.factors.values()]))

    means = np.array([mean(label, score) for label in labels])
    draws = np.array([label.draws for label in labels]).reshape(len(labels), DRAWS).T
    result = combine(means, draws, [label.name for label in labels])
    for label in labels:
        result["labels"][label.name] |= {key: mean(label, key) for key in more} | {"factors": label.factors}
    result |= {key: float(np.mean([mean(label, key) for label in labels])) for key in more if labels}
    return result


def from_arrays(
    characteristic: np.ndarray,
    style: np.ndarray,
    truth: np.ndarray,
    factors: Mapping[str, np.ndarray],
    label_factors: Mapping[str, tuple[int, Sequence[str]]],
    slices: Mapping[str, slice],
    columns: Mapping[str, int],
    seed: int = 0,
) -> JsonObject:
    """Capture per label from its characteristic latents, style latents, all other labels' latents and the label alone.

    Args:
      characteristic: (n, characteristic latents).
      style: (n, style latents).
      truth: integer (n, labels).
      factors: ground truth, integer (n,) for categorical ones and float (n, components) for continuous ones.
      label_factors: for each label at which value it is looked at, and its factors.
      slices: where each label's latents are.
      columns: where each label is in `truth`.
      seed: of folds and bootstrap.

    Returns:
      `mean`, `low`, `high` and `labels` of the characteristic latents' capture; each label also has `style`,
      `others` and `label_alone`, and its `factors` with the number of `examples`, these scores and `characteristic`,
      and those of each predictor (`characteristic_neighbours`, `characteristic_linear`, ...). Beside `mean`, `style`
      and `others` are means over labels.
    """
    labels = []
    for name, (value, belonging) in label_factors.items():
        rows = np.flatnonzero(truth[:, columns[name]] == value)
        nothing = np.zeros((len(truth), 0))
        own = np.isin(np.arange(characteristic.shape[1]), np.r_[slices[name]])
        sources = {"characteristic": characteristic[:, own], "style": style, "others": characteristic[:, ~own]}
        sources["label_alone"] = nothing
        entries: JsonObject = {}
        sampled, draws = [], {}
        for factor in belonging:
            values = np.asarray(factors[factor])
            categorical = np.issubdtype(values.dtype, np.integer)
            kept = factor_rows(values, rows, categorical)
            if not len(kept):
                continue
            target = values[kept] if categorical else values[kept].reshape(len(kept), -1).astype(np.float64)
            entry: JsonObject = {"kind": "categorical" if categorical else "continuous", "examples": len(kept)}
            fold = folds(target, categorical, seed)
            for source, latents in sources.items():
                guesses = [predictions(latents[kept], target, categorical, linear, fold) for linear in (False, True)]
                guess = better(target, guesses, categorical, fold)
                entry[source], draws[source] = scored(target, guess, categorical, seed)
                for predictor, one in zip(PREDICTORS, guesses, strict=True):
                    if source != "label_alone":
                        entry[f"{source}_{predictor}"] = score(target, one, categorical)
            sampled.append(draws["characteristic"])
            entries[factor] = entry
        if entries:
            labels.append(Scored(name, entries, np.mean(sampled, axis=0)))
    return summary(labels, "characteristic", ("style", "others", "label_alone"))


def measurable(result: JsonObject, context: Context) -> JsonObject:
    """The result; ValueError if there are factors, and too few examples for each."""
    if context.label_factors and not result["labels"]:
        raise ValueError(f"no label has a factor that is known of {FEWEST} examples with it")
    return result


def measure(context: Context) -> JsonObject:
    """What the latents hold, as `within_label_capture`."""
    result = from_arrays(
        context.characteristic,
        context.style,
        context.truth,
        context.part.factors,
        context.label_factors,
        dict(zip(context.labels.names, context.labels.slices, strict=True)),
        {name: i for i, name in enumerate(context.labels.names)},
        context.seed,
    )
    return {"within_label_capture": measurable(result, context)}
