"""The uses of a model as pure functions of tensors, which every exported format is made of.

All functions take and return batches, batch first, and none has a scalar input. `D` latents, `L` labels, `V` values of
the label with most. Images are float32 in [0, 1], (batch, height, width, channels) or, with layout 'nchw', (batch,
channels, height, width).

`labels` are values as integers, `mask` says which of them are asked for; a value that a label does not have counts as
not asked for. With number labels, `N` of them, `labels` are floats, those of number labels in the user's units.
"""

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from export import pictures
from tf_ccvae import objective
from tf_ccvae.labels import MISSING, value_mask
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.objective import characteristics
from tf_ccvae.objective.label_model import NEVER, Noise, parts

DRAWS = 256  # for q(y|x) of a categorical label with several latents, the only one without a one-dimensional integral
Outputs = dict[str, tf.Tensor]


def as_float32(model: CCVAE) -> CCVAE:
    """The same model with all networks in float32, whatever it was trained in."""
    rebuilt = type(model).from_config({**model.get_config(), "dtype": "float32"})
    rebuilt.set_weights(model.get_weights())
    return rebuilt


class Uses:
    """The uses of a model as pure functions of tensors.

    Args:
      model: in float32.
      layout: of images, 'nhwc' or 'nchw'.
      white: the value that was white in the 16-bit pictures that the model was trained on; None if there were none.
    """

    def __init__(self, model: CCVAE, layout: str = "nhwc", white: int | None = None):
        self.model = model
        self.layout = layout
        self.white = white
        count = objective.needed_draws("exact", model.labels, 0, DRAWS)
        shape = (count, 1, model.labels.characteristic)  # the same for every row, whatever its batch
        self.draws = np.random.default_rng(model.seed).normal(size=shape).astype(np.float32)

    # On images --------------------------------------------------------------------------------------------------------

    def classify(self, image: tf.Tensor) -> Outputs:
        """Image -> probabilities and logits of q(y_i = v | x), (batch, L, V).

        With number labels also `numbers`, (batch, N, 2): mean and deviation of q(y_i | x), in the user's units.
        """
        return self._label_outputs(self.posterior(image))

    def encode(self, image: tf.Tensor) -> Outputs:
        """Image -> loc and scale of q(z|x), (batch, D), and probabilities; with number labels `numbers` too."""
        outputs = self.encoder(image)
        return {name: rows for name, rows in outputs.items() if name != "logits"}

    def reconstruct(self, image: tf.Tensor) -> Outputs:
        """Image -> the image at its posterior mean."""
        return {"reconstruction": self._image(self.posterior(image).loc)}

    def set_labels(self, image: tf.Tensor, labels: tf.Tensor, mask: tf.Tensor) -> Outputs:
        """Image, labels (batch, L), mask (batch, L) -> the image with the labels in the mask set."""
        edited = self.set_labels_of_latents(self.posterior(image).loc, labels, mask)
        return {"edited": self._image(edited["edited_latents"])}

    def swap(self, image: tf.Tensor, donor_image: tf.Tensor, mask: tf.Tensor) -> Outputs:
        """Image, donor's image, mask (batch, L) -> the image with the donor's characteristics of labels in the mask."""
        latents, donors = self.posterior(image).loc, self.posterior(donor_image).loc
        return {"swapped": self._image(self.swap_latents(latents, donors, mask)["swapped_latents"])}

    def generate(self, labels: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> Outputs:
        """Labels (batch, L), mask (batch, L), seed int32 (batch, 2) -> new images and their latents (batch, D).

        A row is a function of its labels, mask and seed alone.
        """
        width = self.model.decoder_inputs + len(self.model.labels)
        noise = tf.map_fn(
            lambda row: tf.random.stateless_normal([width], row, alg="philox"), seed, fn_output_signature=tf.float32
        )
        latents = self.prior(labels, mask, tf.ensure_shape(noise, [None, width]))["latents"]
        return {"image": self._image(latents), "latents": latents}

    def classify_bytes(self, image_bytes: tf.Tensor) -> Outputs:
        """PNG or JPEG files as strings (batch,) -> as `classify`, and `decoded` (batch,): 1 for a file that was read.

        For any other file `decoded` is 0 and the numbers are NaN; see `export.pictures`.
        """
        height, width, channels = self.model.image_shape
        pixels, read = pictures.read(image_bytes, height, width, channels, self.white)
        outputs = self._label_outputs(self.model.encode(pixels))
        of_readable = {name: tf.where(read[:, None, None], rows, np.nan) for name, rows in outputs.items()}
        return {**of_readable, "decoded": tf.cast(read, tf.float32)}

    # On latents -------------------------------------------------------------------------------------------------------

    def encoder(self, image: tf.Tensor) -> Outputs:
        """Image -> loc, scale, probabilities and logits; with number labels `numbers` too."""
        posterior = self.posterior(image)
        return {"loc": posterior.loc, "scale": posterior.scale, **self._label_outputs(posterior)}

    def decode(self, latents: tf.Tensor) -> Outputs:
        """Latents (batch, D) -> image."""
        return {"image": self._image(latents)}

    def prior(self, labels: tf.Tensor, mask: tf.Tensor, noise: tf.Tensor) -> Outputs:
        """Labels, mask, standard normal noise (batch, D + L) -> latents from p(z|y), (batch, D).

        The last L columns of the noise decide the values of labels outside the mask, by p(y).
        """
        wanted = self._possible(labels, mask)
        split = self.model.decoder_inputs
        uniform = 0.5 * (1 + tf.math.erf(noise[:, split:] * np.float32(np.sqrt(0.5))))
        drawn = Noise(noise[:, :split], uniform, tf.zeros([0]))
        values = tf.where(wanted, labels, np.nan if self.model.labels.numbers else MISSING)
        return {"latents": characteristics.draw(values, self.model.label_model(), drawn, noise[:, split:])}

    def set_labels_of_latents(self, latents: tf.Tensor, labels: tf.Tensor, mask: tf.Tensor) -> Outputs:
        """Latents (batch, D), labels, mask -> the latents with the labels in the mask set, by transport.

        Labels that such a value excludes by the training labels change too.
        """
        return {"edited_latents": self.model.set_values(latents, labels, self._possible(labels, mask))}

    def swap_latents(self, latents: tf.Tensor, donor_latents: tf.Tensor, mask: tf.Tensor) -> Outputs:
        """Latents and donor's latents (batch, D), mask -> the latents with the donor's characteristics."""
        return {"swapped_latents": self.model.swap(latents, donor_latents, mask)}

    # Parts ------------------------------------------------------------------------------------------------------------

    def posterior(self, image: tf.Tensor) -> tfd.Normal:
        """q(z|x) of images in the layout."""
        return self.model.encode(tf.transpose(image, [0, 2, 3, 1]) if self.layout == "nchw" else image)

    def _image(self, latents: tf.Tensor) -> tf.Tensor:
        likelihood = self.model.image_likelihood
        if likelihood.kind == "continuous_bernoulli":
            image = continuous_bernoulli_mean(self.model.decoder(latents))
        else:  # what mean() gives, without operations that other formats lack
            image = tf.sigmoid(self.model.decoder(latents))
        return tf.transpose(image, [0, 3, 1, 2]) if self.layout == "nchw" else image

    def _label_outputs(self, posterior: tfd.Normal) -> Outputs:
        """Probabilities, logits and `numbers`; a number label has no values, so that its row of the first two is
        that of values which a label does not have."""
        model = self.model
        log_marginals = objective.log_label_marginals(posterior, model.label_model(), model.nodes, self.draws)
        real = value_mask(model.labels)
        logits = tf.where(real, log_marginals - log_marginals[:, :, :1], NEVER)
        outputs = {"probabilities": tf.where(real, tf.exp(log_marginals), 0.0), "logits": logits}
        numbers = objective.number_marginals(posterior, model.label_model())
        return outputs if numbers is None else {**outputs, "numbers": tf.stack(parts(numbers), axis=-1)}

    def _possible(self, labels: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """The mask without values that a label does not have; a number label has any number."""
        items = self.model.labels
        dtype = np.float32 if items.numbers else np.int32
        possible = (labels >= 0) & (labels < np.array([x.values for x in items], dtype))
        if items.numbers:
            possible = possible & tf.equal(labels, tf.floor(labels)) | np.array([bool(x.scale) for x in items])
        return mask & possible


def continuous_bernoulli_mean(logits: tf.Tensor) -> tf.Tensor:
    """1 / (1 - exp(-x)) - 1 / x at logits x, by its series where both terms are large."""
    near = tf.abs(logits) < 1
    x = tf.where(near, 1.0, logits)
    series = 0.5 + logits / 12 - logits**3 / 720 + logits**5 / 30240 - logits**7 / 1209600
    return tf.where(near, series, 0.5 / tf.tanh(x / 2) - 1 / x)
