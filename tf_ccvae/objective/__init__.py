"""The mathematics of CCVAE as pure functions: tensors and distributions in, named terms in nats out.

`bound` has the evidence lower bound and its exact estimator, `official` the estimators of the authors' programs,
`classifier` q(y|z), `grades` that of grades, `tilting` and `integrals` the Gaussians tilted by it, `numbers` all
of this for number labels, `characteristics` what interventions do to latents.
"""

from tf_ccvae.objective.bound import Terms, exact, log_label_marginals, number_marginals, style_divergence
from tf_ccvae.objective.estimators import ESTIMATORS, check_estimator, default_label_weight, estimate, needed_draws
from tf_ccvae.objective.label_model import Example, LabelModel, Noise
from tf_ccvae.objective.official import official

__all__ = [
    "ESTIMATORS",
    "Example",
    "LabelModel",
    "Noise",
    "Terms",
    "check_estimator",
    "default_label_weight",
    "estimate",
    "exact",
    "log_label_marginals",
    "needed_draws",
    "number_marginals",
    "official",
    "style_divergence",
]
