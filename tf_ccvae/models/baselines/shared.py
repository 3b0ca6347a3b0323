"""What both baselines share: the terms of their bounds, and a layer for p(y)."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tf_ccvae.labels import Labels
from tf_ccvae.models.label_statistics import LabelStatistics
from tf_ccvae.models.labelled_vae import LabelledVAE
from tf_ccvae.objective import Terms, style_divergence
from tf_ccvae.objective.characteristics import settle
from tf_ccvae.objective.label_model import TensorLike


class JointTerms(Terms):
    """Terms of a bound on log p(x, y_O) in which log q(y_O|x) has no part; `label_marginal` enters the loss alone."""

    @property
    def bound(self) -> tf.Tensor:
        """The evidence lower bound, (batch,)."""
        per_label = tf.reduce_sum(self.characteristic + self.label_prior, axis=1)
        return self.reconstruction - self.style_divergence + per_label


def standard_divergence(posterior: tfd.Normal) -> tf.Tensor:
    """KL(q(z|x) || N(0, I)) of all latents, (batch,)."""
    return style_divergence(posterior, Labels(()))


class Baseline(LabelledVAE):
    """A `LabelledVAE` whose p(y) stands in a layer of its own, `statistics`, which the subclass makes."""

    statistics: LabelStatistics

    @property
    def label_statistics(self) -> LabelStatistics:
        return self.statistics

    def settled(self, current: TensorLike, values: TensorLike, mask: TensorLike, consistent: bool) -> tf.Tensor:
        """The values of all labels after those in the mask are set; see `characteristics.settle`."""
        statistics = self.statistics
        incompatible = statistics.incompatible if consistent else None
        return settle(current, values, mask, self.labels, statistics.log_label_prior, incompatible)
