"""What is exported: one table of names, pure functions, input specifications, outputs and documentation.

Every format is generated from it. All functions take and return batches, batch first, and none has a scalar input.
`D` latents, `L` labels, `V` values of the label with most. Images are float32 in [0, 1], (batch, height, width,
channels) or, with layout 'nchw', (batch, channels, height, width).

`labels` are values as integers, `mask` says which of them are asked for; a value that a label does not have counts as
not asked for. A row with a NaN or an infinite number in it gives NaN, in every format.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from export import pictures
from export.guards import checked, marked
from tf_ccvae import objective
from tf_ccvae.labels import MISSING, value_mask
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.objective.label_model import NEVER, Noise

DRAWS = 256  # for q(y|x) of a categorical label with several latents, the only one without a one-dimensional integral
Outputs = dict[str, tf.Tensor]


@dataclass(frozen=True)
class Signature:
    """One line of the table.

    Args:
      name: of the signature in a SavedModel, or of the file in other formats.
      formats: the formats that have it.
      function: tensors by the names of `inputs` -> tensors by the names of `outputs`.
      inputs: what goes in; None is the batch.
      outputs: names of what comes out.
      documentation: what it does, for people.
    """

    name: str
    formats: tuple[str, ...]
    function: Callable[..., Outputs]
    inputs: tuple[tf.TensorSpec, ...]
    outputs: tuple[str, ...]
    documentation: str

    def traced(self, check: bool = False) -> Any:
        """The function as a graph; with `check` it raises an error for inputs of another shape (see `checked`)."""
        function = checked(self.function, self.inputs) if check else self.function
        return tf.function(function, input_signature=list(self.inputs))


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
    """

    def __init__(self, model: CCVAE, layout: str = "nhwc"):
        self.model = model
        self.layout = layout
        count = objective.needed_draws("exact", model.labels, 0, DRAWS)
        shape = (count, 1, model.labels.characteristic)  # the same for every row, whatever its batch
        self.draws = np.random.default_rng(model.seed).normal(size=shape).astype(np.float32)

    # On images --------------------------------------------------------------------------------------------------------

    def classify(self, image: tf.Tensor) -> Outputs:
        """Image -> probabilities and logits of q(y_i = v | x), (batch, L, V)."""
        return self._label_outputs(self.posterior(image))

    def encode(self, image: tf.Tensor) -> Outputs:
        """Image -> loc and scale of q(z|x), (batch, D), and probabilities."""
        outputs = self.encoder(image)
        return {name: outputs[name] for name in ("loc", "scale", "probabilities")}

    def reconstruct(self, image: tf.Tensor) -> Outputs:
        """Image -> the image at its posterior mean."""
        return {"reconstruction": self._image(self.posterior(image).loc)}

    def set_labels(self, image: tf.Tensor, labels: tf.Tensor, mask: tf.Tensor) -> Outputs:
        """Image, labels (batch, L), mask (batch, L) -> the image with the asked labels set."""
        edited = self.set_labels_of_latents(self.posterior(image).loc, labels, mask)
        return {"edited": self._image(edited["edited_latents"])}

    def swap(self, image: tf.Tensor, donor_image: tf.Tensor, mask: tf.Tensor) -> Outputs:
        """Image, donor's image, mask (batch, L) -> the image with the donor's characteristics of the asked labels."""
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
        pixels, read = tf.map_fn(
            lambda content: pictures.read(content, height, width, channels),
            image_bytes,
            fn_output_signature=(tf.TensorSpec((height, width, channels)), tf.TensorSpec((), tf.bool)),
        )
        outputs = self._label_outputs(self.model.encode(pixels))
        known = {name: tf.where(read[:, None, None], rows, np.nan) for name, rows in outputs.items()}
        return {**known, "decoded": tf.cast(read, tf.float32)}

    # On latents -------------------------------------------------------------------------------------------------------

    def encoder(self, image: tf.Tensor) -> Outputs:
        """Image -> loc, scale, probabilities and logits."""
        posterior = self.posterior(image)
        return {"loc": posterior.loc, "scale": posterior.scale, **self._label_outputs(posterior)}

    def decode(self, latents: tf.Tensor) -> Outputs:
        """Latents (batch, D) -> image."""
        return {"image": self._image(latents)}

    def prior(self, labels: tf.Tensor, mask: tf.Tensor, noise: tf.Tensor) -> Outputs:
        """Labels, mask, standard normal noise (batch, D + L) -> latents from p(z|y), (batch, D).

        The last L columns of the noise decide the values of labels that are not asked for, by p(y).
        """
        asked = self._possible(labels, mask)
        split = self.model.decoder_inputs
        uniform = 0.5 * (1 + tf.math.erf(noise[:, split:] * np.float32(np.sqrt(0.5))))
        drawn = Noise(noise[:, :split], uniform, tf.zeros([0]))
        return {"latents": self.model.draw(tf.where(asked, labels, MISSING), drawn)}

    def set_labels_of_latents(self, latents: tf.Tensor, labels: tf.Tensor, mask: tf.Tensor) -> Outputs:
        """Latents (batch, D), labels, mask -> the latents with the asked labels set, by transport.

        Labels that an asked value excludes by the training labels change too.
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
        model = self.model
        log_marginals = objective.log_label_marginals(posterior, model.label_model(), model.nodes, self.draws)
        real = value_mask(model.labels)
        logits = tf.where(real, log_marginals - log_marginals[:, :, :1], NEVER)
        return {"probabilities": tf.where(real, tf.exp(log_marginals), 0.0), "logits": logits}

    def _possible(self, labels: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        return mask & (labels >= 0) & (labels < np.array([x.values for x in self.model.labels], np.int32))


def continuous_bernoulli_mean(logits: tf.Tensor) -> tf.Tensor:
    """1 / (1 - exp(-x)) - 1 / x at logits x, by its series where both terms are large."""
    near = tf.abs(logits) < 1
    x = tf.where(near, 1.0, logits)
    series = 0.5 + logits / 12 - logits**3 / 720 + logits**5 / 30240 - logits**7 / 1209600
    return tf.where(near, series, 0.5 / tf.tanh(x / 2) - 1 / x)


def table(model: CCVAE, layout: str = "nhwc") -> tuple[Signature, ...]:
    """Everything that is exported but `describe` and `describe_rows`, which need no model: see `saved_model`.

    Args:
      model: in float32.
      layout: of images, 'nhwc' or 'nchw'.
    """
    uses = Uses(model, layout)
    height, width, channels = model.image_shape
    image_shape = (height, width, channels) if layout == "nhwc" else (channels, height, width)
    count, size = len(model.labels), model.decoder_inputs

    def spec(name: str, *shape: int, dtype: Any = tf.float32) -> tf.TensorSpec:
        return tf.TensorSpec((None, *shape), dtype, name=name)

    image, latents = spec("image", *image_shape), spec("latents", size)
    labels, mask = spec("labels", count, dtype=tf.int32), spec("mask", count, dtype=tf.bool)
    donor_image, donor_latents = spec("donor_image", *image_shape), spec("donor_latents", size)
    seed, image_bytes = spec("seed", 2, dtype=tf.int32), spec("image_bytes", dtype=tf.string)
    noise = spec("noise", size + count)
    everywhere, graphs = ("onnx", "litert"), ("onnx",)
    return tuple(
        Signature(name, formats, marked(function), inputs, outputs, documentation)
        for name, formats, function, inputs, outputs, documentation in (
            (
                "classify",
                ("saved_model",),
                uses.classify,
                (image,),
                ("probabilities", "logits"),
                "exact q(y given x) of each label and value; softmax over values of the logits is the probabilities",
            ),
            (
                "encode",
                ("saved_model",),
                uses.encode,
                (image,),
                ("loc", "scale", "probabilities"),
                "mean and standard deviation of each latent, and the labels' probabilities",
            ),
            ("decode", ("saved_model",), uses.decode, (latents,), ("image",), "the image of latents"),
            (
                "reconstruct",
                ("saved_model",),
                uses.reconstruct,
                (image,),
                ("reconstruction",),
                "the image decoded from its posterior mean",
            ),
            (
                "generate",
                ("saved_model",),
                uses.generate,
                (labels, mask, seed),
                ("image", "latents"),
                "new images with the asked labels; a row depends on its own seed alone",
            ),
            (
                "set_labels",
                ("saved_model",),
                uses.set_labels,
                (image, labels, mask),
                ("edited",),
                "the image with the asked labels set, by transport, and labels that these exclude set free",
            ),
            (
                "swap",
                ("saved_model",),
                uses.swap,
                (image, donor_image, mask),
                ("swapped",),
                "the image with the donor's characteristics of the asked labels",
            ),
            (
                "classify_bytes",
                ("saved_model",),
                uses.classify_bytes,
                (image_bytes,),
                ("probabilities", "logits", "decoded"),
                "as classify, of PNG or JPEG files; decoded is 0 and the rest NaN for a file that cannot be read",
            ),
            (
                "encoder",
                everywhere,
                uses.encoder,
                (image,),
                ("loc", "scale", "probabilities", "logits"),
                "encode and classify in one",
            ),
            ("decoder", everywhere, uses.decode, (latents,), ("image",), "the image of latents"),
            (
                "prior",
                graphs,
                uses.prior,
                (labels, mask, noise),
                ("latents",),
                "latents of new images with the asked labels, from standard normal noise; decode them",
            ),
            (
                "set_labels",
                graphs,
                uses.set_labels_of_latents,
                (latents, labels, mask),
                ("edited_latents",),
                "the latents with the asked labels set, by transport, and labels that these exclude set free",
            ),
            (
                "swap",
                graphs,
                uses.swap_latents,
                (latents, donor_latents, mask),
                ("swapped_latents",),
                "the latents with the donor's characteristics of the asked labels",
            ),
        )
    )


def of_format(signatures: tuple[Signature, ...], name: str) -> tuple[Signature, ...]:
    """The lines of the table that a format has."""
    return tuple(x for x in signatures if name in x.formats)
