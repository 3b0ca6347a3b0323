"""q(y_i | z_i), the linear classifier that sees a label's own latents alone.

    logit_v = kernel_v . z_i + bias_v,   q(y_i = v | z_i) = softmax_v(logit),   logit_0 = 0

so that a binary label is a categorical one with two values. For a grade logit_v is the cumulative logit of y_i >= v,
and `grades` has what follows from it. Shapes: D latents, C of them characteristic, L labels,
V values of the label with most.
"""

import tensorflow as tf

from tf_ccvae.labels import Labels, owner_matrix, value_mask
from tf_ccvae.objective.grades import with_grades
from tf_ccvae.objective.label_model import NEVER, LabelModel


def label_logits(latents: tf.Tensor, model: LabelModel) -> tf.Tensor:
    """Logits of every value given each label's latents: (n, C or more) -> (n, L, V), padding as it comes."""
    labels = model.labels
    products = latents[:, : labels.characteristic, None] * model.kernel
    if labels.characteristic != len(labels):
        products = tf.einsum("njv,jl->nlv", products, tf.constant(owner_matrix(labels), latents.dtype))
    return products + model.bias


def masked(logits: tf.Tensor, labels: Labels) -> tf.Tensor:
    """Logits (..., L, V), -1e9 for values that a label does not have."""
    return tf.where(value_mask(labels), logits, NEVER)


def log_values(logits: tf.Tensor, labels: Labels) -> tf.Tensor:
    """log q(y_i = v | z_i) of logits (..., L, V), in nats; about -1e9 for values that a label does not have."""
    if labels.values == 2:
        log_one = tf.math.log_sigmoid(logits[..., 1])
        return tf.stack([log_one - logits[..., 1], log_one], axis=-1)
    return with_grades(tf.nn.log_softmax(masked(logits, labels), axis=-1), logits, labels)


def log_values_at_nodes(logits: tf.Tensor, labels: Labels) -> tf.Tensor:
    """As `log_values` for logits at the nodes of an integral: (batch, L, V, K) -> (batch, L, V, K)."""
    table = tf.nn.log_softmax(tf.where(value_mask(labels)[..., None], logits, NEVER), axis=2)
    return with_grades(table, logits, labels, axis=-2)


def log_values_of_label(index: int, latents: tf.Tensor, model: LabelModel) -> tf.Tensor:
    """As `log_values` for one categorical label, from draws of its own latents: (S, batch, d) -> (S, batch, V)."""
    where = model.labels.slices[index]
    logits = tf.einsum("sbj,jv->sbv", latents, model.kernel[where]) + model.bias[index]
    return tf.nn.log_softmax(tf.where(value_mask(model.labels)[index], logits, NEVER), axis=-1)
