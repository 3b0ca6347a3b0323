"""The models that the paper compares with: M2, DIVA, MVAE and a variational auto-encoder with a classifier on top.

All are trained, measured and intervened on by the same programs as `CCVAE`.
"""

from tf_ccvae.models.baselines.diva import DIVA
from tf_ccvae.models.baselines.m2 import M2
from tf_ccvae.models.baselines.mvae import MVAE
from tf_ccvae.models.baselines.vae_classifier import VAEClassifier

__all__ = ["DIVA", "M2", "MVAE", "VAEClassifier"]
