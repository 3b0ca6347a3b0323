"""p(z_i | y_i) and q(y_i | z_i) of grades, in an order that no weights can change; see `objective.grades`."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.labels import LabelConfig, Labels
from tf_ccvae.models.posterior import positive
from tf_ccvae.objective.grades import ordered_means

LEAST = 1e-2  # slope, gap between thresholds, step between means: more than rounding to float32 could lose


@keras.saving.register_keras_serializable("tf_ccvae")
class GradeDistributions(keras.layers.Layer):
    """What ties grades to their latents.

    With n values, q(y >= v | z_i) = sigmoid(a . z_i - t_v) and p(z_j | y = v) = N(z_j; loc_vj, P_j^2), where

        a_j = 0.01 + softplus(raw_slope_j)
        t_1 = first_threshold,   t_{v+1} = t_v + 0.01 + softplus(raw_gap_v)
        s_0 = first_place,       s_{v+1} = s_v + 0.01 + softplus(raw_step_v)
        loc_v = s_v d + f_v - (d . f_v) d,   d = a / |a|,   f = free
        P_j = positive(raw_scale_j), the same for all v

    so that thresholds and a . loc_v rise with v whatever the weights are. That every slope is positive costs nothing:
    the encoder is free in the sign of a latent, and d never is 0 over 0. Means may lie on any curve that rises along d.

    Args:
      labels: the grades alone (or their config).
      separation: distance between the first and last value's initial prior mean, centred on 0.
      pace: the prior's parameters and the thresholds are held divided by this, as those of `LabelDistributions`:
        latents and thresholds have to spread together before a grade between others can be read with any certainty.
      **kwargs: `name` and `trainable`, as for any Keras layer; `dtype` is float32 whatever is passed.
    """

    def __init__(self, labels: Labels | list[LabelConfig], separation: float = 2.0, pace: float = 1.0, **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.labels = labels if isinstance(labels, Labels) else Labels.from_config(labels)
        self.separation = separation
        self.pace = pace

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        labels, values = self.labels, self.labels.values
        latents, count = [x.latents for x in labels], len(labels)
        even = np.repeat([1 / np.sqrt(x) for x in latents], latents)  # |a| is 1
        step = np.array([[max(self.separation / (x.values - 1), 2 * LEAST)] for x in labels])
        first = -self.separation / 2

        def weight(name: str, initial: np.ndarray) -> keras.Variable:
            start = keras.initializers.Constant(np.asarray(initial, np.float32))
            return self.add_weight(autocast=False, shape=initial.shape, initializer=start, name=name)

        self.raw_slope = weight("raw_slope", raw(even))
        self.paced_first_threshold = weight("paced_first_threshold", (first + step[:, 0] / 2) / self.pace)
        self.paced_raw_gap = weight("paced_raw_gap", np.tile(raw(step), (1, values - 2)) / self.pace)
        self.paced_first_place = weight("paced_first_place", np.full(count, first) / self.pace)
        self.paced_raw_step = weight("paced_raw_step", np.tile(raw(step), (1, values - 1)) / self.pace)
        self.paced_free = weight("paced_free", np.zeros((values, labels.characteristic)))
        self.paced_raw_scale = weight("paced_raw_scale", np.ones(labels.characteristic) / self.pace)
        self.built = True

    def _unpaced(self, weight: keras.Variable) -> tf.Tensor:
        return self.pace * tf.convert_to_tensor(weight)

    @property
    def slope(self) -> tf.Tensor:
        """a, float32 (characteristic,), above 0."""
        return LEAST + tf.nn.softplus(tf.convert_to_tensor(self.raw_slope))

    @property
    def kernel(self) -> tf.Tensor:
        """Slopes of the cumulative logits of each value, float32 (characteristic, values); the first column is 0."""
        return tf.pad(tf.tile(self.slope[:, None], [1, self.labels.values - 1]), [[0, 0], [1, 0]])

    @property
    def bias(self) -> tf.Tensor:
        """-t_v, float32 (labels, values); the first column is 0."""
        thresholds = rising(self._unpaced(self.paced_first_threshold), self._unpaced(self.paced_raw_gap))
        return tf.pad(-thresholds, [[0, 0], [1, 0]])

    @property
    def prior(self) -> tfd.Normal:
        """p(z | y = v) for every value v: batch shape (values, characteristic)."""
        places = rising(self._unpaced(self.paced_first_place), self._unpaced(self.paced_raw_step))
        loc = ordered_means(self.slope, places, self._unpaced(self.paced_free), self.labels)
        return tfd.Normal(loc, tf.broadcast_to(positive(self._unpaced(self.paced_raw_scale)), tf.shape(loc)))

    def get_config(self) -> dict[str, Any]:
        config = {"labels": self.labels.get_config(), "separation": self.separation, "pace": self.pace}
        return {**super().get_config(), **config}


def raw(values: np.ndarray) -> np.ndarray:
    """What `LEAST` + softplus gives these values of."""
    return np.log(np.expm1(values - LEAST))


def rising(first: tf.Tensor, raw_steps: tf.Tensor) -> tf.Tensor:
    """(labels,) and (labels, n) -> (labels, n + 1): each is 0.01 + softplus of a step above the last."""
    steps = LEAST + tf.nn.softplus(raw_steps)
    return tf.cumsum(tf.concat([first[:, None], steps], axis=1), axis=1)
