"""The fused Adam is Adam."""

import keras
import numpy as np
import pytest

from tf_ccvae.training.optimizer import FusedAdam


def trained(optimizer, steps=20):
    """Weights after some steps on fixed gradients."""
    random = np.random.default_rng(0)
    variables = [keras.Variable(random.normal(size=shape).astype(np.float32)) for shape in ((3, 4), (5,), ())]
    optimizer.build(variables)
    for _ in range(steps):
        gradients = [random.normal(size=v.shape).astype(np.float32) * 10 for v in variables]
        optimizer.apply_gradients(
            [(keras.ops.convert_to_tensor(g), v) for g, v in zip(gradients, variables, strict=True)]
        )
    return [np.asarray(v) for v in variables], optimizer


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": 0.01},
        {"learning_rate": keras.optimizers.schedules.CosineDecay(0.1, 15), "global_clipnorm": 1.0},
        {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3},
    ],
)
def test_weights_and_moments_equal_those_of_keras_adam(settings):
    fused, one = trained(FusedAdam(**settings))
    composed, other = trained(keras.optimizers.Adam(**settings))
    # Both take 1 - 0.999^t in float32, which leaves four digits in the first steps.
    for a, b in zip([*fused, *one.variables], [*composed, *other.variables], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_config_round_trips():
    optimizer = FusedAdam(0.003, beta_2=0.98, global_clipnorm=2.0)
    assert FusedAdam.from_config(optimizer.get_config()).get_config() == optimizer.get_config()


def test_amsgrad_is_refused():
    with pytest.raises(ValueError, match="amsgrad"):
        FusedAdam(amsgrad=True)
