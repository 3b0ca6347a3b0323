"""Image measures with known answers, and the bound counted exactly."""

import keras
import numpy as np
import pytest

from tf_ccvae import interventions
from tf_ccvae.evaluation import reconstruction
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.models.counting import TERMS


def test_equal_images_have_no_error():
    images = np.random.default_rng(0).integers(0, 255, (5, 28, 28, 3), np.uint8)
    error, psnr, ssim = reconstruction.per_image(images, images.astype(np.float32) / 255).T
    np.testing.assert_allclose(error, 0, atol=1e-7)
    assert (psnr > 100).all()
    np.testing.assert_allclose(ssim, 1, atol=1e-5)


def test_a_constant_shift_has_known_error_and_psnr():
    images = np.full((2, 28, 28, 1), 0.4, np.float32)
    error, psnr, ssim = reconstruction.per_image(images, images + 0.1).T
    np.testing.assert_allclose(error, 0.1, rtol=1e-5)
    np.testing.assert_allclose(psnr, 20.0, rtol=1e-5)
    np.testing.assert_allclose(ssim, (2 * 0.4 * 0.5 + 1e-4) / (0.4**2 + 0.5**2 + 1e-4), rtol=1e-3)  # luminance alone


@pytest.mark.programs
def test_terms_are_those_of_the_model_and_sum_to_the_bound(tiny):
    keras.utils.set_random_seed(0)
    model = CCVAE((28, 28, 1), tiny.labels, latents=4, widths=(4, 4, 4), hidden=8)
    rebuilt = interventions.reconstruct(model, tiny.test.images)
    result = reconstruction.from_arrays(model, tiny.test, rebuilt)
    terms = result["terms"]
    assert set(terms) == set(TERMS)
    total = terms["reconstruction"] - terms["style_divergence"] + terms["characteristic"]
    assert terms["bound"] == pytest.approx(total + terms["log_label_marginal"] + terms["label_prior"], rel=1e-5)
    assert result["mean_absolute_error"]["low"] < result["mean_absolute_error"]["mean"]
    error = np.abs(tiny.test.images / 255.0 - rebuilt).mean()
    assert result["mean_absolute_error"]["mean"] == pytest.approx(error, rel=1e-5)
