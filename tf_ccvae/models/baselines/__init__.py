"""The models that the paper compares with: M2, and a variational auto-encoder with a classifier on its latents.

Both are trained, measured and intervened on by the same programs as `CCVAE`.
"""

from tf_ccvae.models.baselines.m2 import M2
from tf_ccvae.models.baselines.vae_classifier import VAEClassifier

__all__ = ["M2", "VAEClassifier"]
