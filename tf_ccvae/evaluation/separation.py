"""Is each label's information in its own characteristic latents, and only there?

mutual_information[i, j]: between characteristic latent i and label j, in nats, by scikit-learn's `mutual_info_classif`
  (nearest neighbours, 3 of them); at least 0.
gap: mutual information of label j with the best of its own latents minus that with the best of all other characteristic
  latents, divided by the label's entropy. At most 1; higher is better.
style_auroc: area under the ROC curve of a cross-validated logistic regression of label j on the style latents. 0.5
  means that style knows nothing about the label; lower is better.
style_auroc_nonlinear: the same by a support vector machine with a Gaussian kernel, on at most 3,000 examples; it also
  finds what a linear probe cannot see.

References:
  Ross, "Mutual information between discrete and continuous data sets", PLoS ONE 2014 (the estimator).
  Chen et al., "Isolating sources of disentanglement in VAEs", NeurIPS 2018 (the gap).
"""

import numpy as np
from sklearn.feature_selection import mutual_info_classif
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from tf_ccvae.evaluation.context import Context
from tf_ccvae.labels import MISSING, Labels
from tf_ccvae.support.files import JsonObject

NEIGHBOURS = 3
FOLDS = 5
MOST_NONLINEAR = 3000  # examples of the non-linear probe, whose cost grows with their square


def mutual_information(latents: np.ndarray, truth: np.ndarray, seed: int = 0) -> np.ndarray:
    """float64 (latents, labels), in nats; NaN for labels with fewer than two values that occur often enough.

    Args:
      latents: (n, latents).
      truth: integer (n, labels), `MISSING` where not known.
      seed: of the noise that scikit-learn adds to break ties.
    """
    result = np.full((latents.shape[1], truth.shape[1]), np.nan)
    for j, column in enumerate(truth.T):
        rows = column != MISSING
        if _varies(column[rows], NEIGHBOURS + 1):
            result[:, j] = mutual_info_classif(
                latents[rows], column[rows], discrete_features=False, n_neighbors=NEIGHBOURS, random_state=seed
            )
    return result


def _varies(values: np.ndarray, least: int) -> bool:
    return len(values) > 0 and len(np.unique(values)) > 1 and np.unique(values, return_counts=True)[1].min() >= least


def entropy(values: np.ndarray) -> float:
    """Of a sample of integers, in nats."""
    shares = np.unique(values, return_counts=True)[1] / len(values)
    return float(-(shares * np.log(shares)).sum())


def probe(style: np.ndarray, values: np.ndarray, seed: int = 0, linear: bool = True) -> float:
    """Cross-validated AUROC of a logistic regression, or of a support vector machine with a Gaussian kernel.

    Args:
      style: (n, style latents).
      values: integer (n,); of more than two the mean over values is taken, each against the rest.
      seed: of the folds, and of the examples that the non-linear probe takes.
      linear: which of the two.
    """
    if not linear and len(values) > MOST_NONLINEAR:
        style, _, values, _ = train_test_split(
            style, values, train_size=MOST_NONLINEAR, stratify=values, random_state=seed
        )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000) if linear else SVC())
    method = "predict_proba" if linear else "decision_function"
    scores = cross_val_predict(pipeline, style, values, cv=folds, method=method)
    kinds = np.unique(values)
    if len(kinds) == 2:
        return float(roc_auc_score(values == kinds[1], scores[:, 1] if linear else scores))
    return float(np.mean([roc_auc_score(values == kind, scores[:, k]) for k, kind in enumerate(kinds)]))


def from_arrays(
    characteristic: np.ndarray, style: np.ndarray, truth: np.ndarray, labels: Labels, seed: int = 0
) -> JsonObject:
    """The matrix of mutual information, the gap and the style probes.

    Args:
      characteristic: (n, characteristic latents), label after label as `labels.slices` says.
      style: (n, style latents).
      truth: integer (n, labels), `MISSING` where not known.
      labels: what the labels are.
      seed: of folds and ties.
    """
    information = mutual_information(characteristic, truth, seed)
    gaps: dict[str, float] = {}
    probes: dict[bool, dict[str, float]] = {True: {}, False: {}}
    for j, (label, where) in enumerate(zip(labels, labels.slices, strict=True)):
        values = truth[truth[:, j] != MISSING, j]
        if np.isfinite(information[:, j]).all() and len(labels) > 1:
            own = np.zeros(len(information), bool)
            own[where] = True
            best, next_best = information[own, j].max(), information[~own, j].max()
            gaps[label.name] = float((best - next_best) / entropy(values))
        if style.shape[1] and _varies(values, FOLDS):
            for linear, scores in probes.items():
                scores[label.name] = probe(style[truth[:, j] != MISSING], values, seed, linear)
    owners = [label.name for label in labels for _ in range(label.latents)]
    return {
        "estimator": f"sklearn.feature_selection.mutual_info_classif, {NEIGHBOURS} neighbours",
        "mutual_information": {
            "latents": owners,
            "labels": list(labels.names),
            "values": [[None if np.isnan(x) else round(float(x), 5) for x in row] for row in information],
        },
        "gap": _with_mean(gaps),
        "style_auroc": _with_mean(probes[True]),
        "style_auroc_nonlinear": _with_mean(probes[False]),
    }


def _with_mean(scores: dict[str, float]) -> JsonObject:
    return {"mean": float(np.mean(list(scores.values()))) if scores else None, "labels": scores}


def measure(context: Context) -> JsonObject:
    """The matrix, the gap and the style probes, as `separation`."""
    arrays = (context.characteristic, context.style, context.truth)
    return {"separation": from_arrays(*arrays, context.labels, context.seed)}
