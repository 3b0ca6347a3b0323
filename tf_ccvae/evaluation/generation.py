"""Are generated images varied and like real ones, and do they show the labels that they should?

frechet: Fréchet distance |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) between Gaussians fitted to the judge's features
of
  generated and of real images. At least 0; lower is better; `frechet_real` is that of two halves of real images, the
  floor that a sample of this size can reach.
diversity: mean distance of two generated images that have the label, in the judge's features and in pixels (root mean
  square), divided by that of two real ones. About 1 is as varied as real images.
agreement: share of the labels of generated images that the judge sees in them. In [0, 1]; higher is better.

References:
  Heusel et al., "GANs trained by a two time-scale update rule", NeurIPS 2017 (Fréchet distance; with Inception features
  there).
"""

import numpy as np
from scipy.spatial.distance import pdist

from tf_ccvae.evaluation.context import Context
from tf_ccvae.evaluation.intervals import label_means
from tf_ccvae.labels import MISSING, Labels
from tf_ccvae.support.files import JsonObject

FEWEST_REAL = 4  # real images, below which distances are left out
DISTANCES = ("frechet", "frechet_real", "diversity_features", "diversity_pixels")
FEWEST = 50  # images of a label, below which its distances are left out
MOST_PAIRS = 500  # images whose pairwise distances are taken


def frechet(features: np.ndarray, others: np.ndarray) -> float:
    """Fréchet distance between Gaussians fitted to two samples, (n, features) each."""
    mean, mean_of_others = features.mean(0, dtype=np.float64), others.mean(0, dtype=np.float64)
    covariance, other = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (features, others))
    shares, directions = np.linalg.eigh(covariance)
    root = (directions * np.sqrt(np.maximum(shares, 0))) @ directions.T
    # C1 C2 has the eigenvalues of the symmetric C1^(1/2) C2 C1^(1/2).
    trace_of_root = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other @ root), 0)).sum()
    squared = np.square(mean - mean_of_others).sum() + np.trace(covariance) + np.trace(other) - 2 * trace_of_root
    return float(max(0.0, squared))


def mean_distance(points: np.ndarray) -> float:
    """Mean Euclidean distance over pairs of the first 500 points, (n, any)."""
    points = points[:MOST_PAIRS].reshape(min(len(points), MOST_PAIRS), -1).astype(np.float64)
    return float(pdist(points).mean())


def from_arrays(
    labels: Labels,
    targets: np.ndarray,
    generated: np.ndarray,
    generated_features: np.ndarray,
    seen: np.ndarray,
    truth: np.ndarray,
    real: np.ndarray,
    real_features: np.ndarray,
    seed: int = 0,
) -> JsonObject:
    """Fréchet distances, diversity and agreement, overall and per label (its highest value, 'on' if it is binary).

    Args:
      labels: what the labels are.
      targets: values that the generated images were to have, integer (m, labels), `MISSING` where any will do.
      generated: images (m, height, width, channels) in [0, 1].
      generated_features: the judge's features of them, (m, features).
      seen: values that the judge sees in them, integer (m, labels).
      truth: labels of real images, integer (n, labels).
      real: images (n, height, width, channels), uint8.
      real_features: the judge's features of them, (n, features).
      seed: of the halves and the bootstrap.

    With fewer than 4 real images there is no distance of their two halves; then `reason` says so, and only the
    agreement is measured.
    """
    agreement = label_means((seen == targets).astype(float), targets != MISSING, labels.names, seed)
    if len(real) < FEWEST_REAL:
        reason = f"distances need at least {FEWEST_REAL} real images, there are {len(real)}"
        return {**dict.fromkeys(DISTANCES), "agreement": agreement, "labels": {}, "reason": reason}
    order = np.random.default_rng(seed).permutation(len(real))
    halves = real_features[order[: len(order) // 2]], real_features[order[len(order) // 2 :]]
    result: JsonObject = {
        "frechet": frechet(generated_features, real_features),
        "frechet_real": frechet(*halves),
        "agreement": agreement,
        "diversity_features": mean_distance(generated_features) / mean_distance(real_features),
        "diversity_pixels": mean_distance(generated) / mean_distance(real[:MOST_PAIRS] / 255.0),
        "labels": {},
    }
    for i, label in enumerate(labels):
        of, there = (np.flatnonzero(x[:, i] == label.values - 1) for x in (targets, truth))
        if min(len(of), len(there)) >= FEWEST:
            result["labels"][label.name] = {
                "frechet": frechet(generated_features[of], real_features[there]),
                "diversity_features": mean_distance(generated_features[of]) / mean_distance(real_features[there]),
                "diversity_pixels": mean_distance(generated[of]) / mean_distance(real[there[:MOST_PAIRS]] / 255.0),
            }
    return result


def measure(context: Context) -> JsonObject:
    """Distances, diversity and agreement, as `generation`."""
    images, targets, _ = context.generated
    judge = context.judge
    seen = judge.features(images), judge.values(images)
    real = context.images, judge.features(context.images)
    result = from_arrays(context.labels, targets, images, *seen, context.truth, *real, context.seed)
    return {"generation": result}
