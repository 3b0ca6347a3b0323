"""The estimators of the bound by name, and what each needs."""

from tensorflow_probability import distributions as tfd

from tf_ccvae.label_arrays import refuse_grades, refuse_numbers
from tf_ccvae.labels import Labels
from tf_ccvae.objective.bound import Decode, Terms, exact
from tf_ccvae.objective.label_model import Example, LabelModel, sampled_labels
from tf_ccvae.objective.official import official

ESTIMATORS = ("exact", "pytorch", "pyro")


def estimate(
    estimator: str, example: Example, posterior: tfd.Normal, model: LabelModel, decode: Decode, nodes: int = 64
) -> Terms:
    """The terms by one of `ESTIMATORS`; the other arguments as for `exact`.

    Raises:
      ValueError: unknown estimator, or an official one with number labels or grades.
    """
    if estimator == "exact":
        return exact(example, posterior, model, decode, nodes)
    if estimator in ESTIMATORS:
        check_estimator(estimator, model.labels)
        return official(example, posterior, model, decode, pyro=estimator == "pyro")
    raise ValueError(f"estimator must be one of {', '.join(ESTIMATORS)}, got {estimator!r}")


def check_estimator(estimator: str, labels: Labels) -> None:
    """Checks that an estimator can treat the labels.

    Raises:
      ValueError: it is an official one, and there is a number label or a grade.
    """
    if estimator != "exact":
        what = f"estimator {estimator!r}"
        refuse_numbers(labels, what, "use 'exact', or leave it out by data.label_names")
        refuse_grades(labels, what, "use 'exact', or take it as classes by data.label_kinds")


def default_label_weight(estimator: str) -> float:
    """Weight of log q(y_O|x) beside the bound: 1000 for 'exact', measured by `benchmarks/estimators.py`, else 0."""
    return 1000.0 if estimator == "exact" else 0.0


def needed_draws(estimator: str, labels: Labels, samples: int, proposals: int) -> int:
    """How many draws `Noise.draws` must hold for an estimator: `samples`, `proposals` or none."""
    if estimator != "exact":
        return samples
    return proposals if sampled_labels(labels) else 0
