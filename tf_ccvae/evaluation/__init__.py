"""Measures of a trained model, one per file; `python -m tf_ccvae.evaluate` runs them all."""
