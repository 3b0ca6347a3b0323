"""What is exported: one table of names, functions, input specifications, outputs and documentation.

Every format is generated from it. The functions are those of `export.uses`; a row with a NaN or an infinite number in
it gives NaN, in every format.
"""

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from export.guards import checked, marked
from export.uses import Outputs, Uses
from tf_ccvae.labels import Labels
from tf_ccvae.models.ccvae import CCVAE


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

    def traced(self, check: bool = False) -> tf.types.experimental.PolymorphicFunction:
        """The function as a graph; with `check` it raises an error for inputs of another shape (see `checked`).

        Without AutoGraph, which takes a quarter of an export's time: no Python condition or loop is on a tensor.
        """
        function = checked(self.function, self.inputs) if check else self.function
        return tf.function(function, input_signature=list(self.inputs), autograph=False)


def table(model: CCVAE, layout: str = "nhwc", white: int | None = None) -> tuple[Signature, ...]:
    """Everything that is exported but `describe` and `describe_rows`, which need no model: see `saved_model`.

    Args:
      model: in float32.
      layout: of images, 'nhwc' or 'nchw'.
      white: as `Uses` takes it.
    """
    uses = Uses(model, layout, white)
    height, width, channels = model.image_shape
    image_shape = (height, width, channels) if layout == "nhwc" else (channels, height, width)
    count, size = len(model.labels), model.decoder_inputs

    def spec(name: str, *shape: int, dtype: tf.DType = tf.float32) -> tf.TensorSpec:
        return tf.TensorSpec((None, *shape), dtype, name=name)

    image, latents = spec("image", *image_shape), spec("latents", size)
    labels, mask = spec("labels", count, dtype=label_dtype(model.labels)), spec("mask", count, dtype=tf.bool)
    numbers = ("numbers",) if model.labels.numbers else ()
    of_numbers = "; numbers: mean and deviation of q(y given x) of each number label" if numbers else ""
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
                ("probabilities", "logits", *numbers),
                "exact q(y given x) of each label and value; softmax over values of the logits is the probabilities"
                + of_numbers,
            ),
            (
                "encode",
                ("saved_model",),
                uses.encode,
                (image,),
                ("loc", "scale", "probabilities", *numbers),
                "mean and standard deviation of each latent, and the labels' probabilities" + of_numbers,
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
                ("probabilities", "logits", *numbers, "decoded"),
                "as classify, of PNG or JPEG files; decoded is 0 and the rest NaN for a file that cannot be read",
            ),
            (
                "encoder",
                everywhere,
                uses.encoder,
                (image,),
                ("loc", "scale", "probabilities", "logits", *numbers),
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


def label_dtype(labels: Labels) -> tf.DType:
    """Of `labels`, what goes in: int32, or float32 where a number label is among them."""
    return tf.float32 if labels.numbers else tf.int32


def of_format(signatures: tuple[Signature, ...], name: str) -> tuple[Signature, ...]:
    """The lines of the table that a format has."""
    return tuple(x for x in signatures if name in x.formats)
