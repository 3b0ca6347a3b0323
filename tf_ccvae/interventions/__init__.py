"""What a trained model can do with characteristics: arrays in, arrays out, float32, seeds explicit.

Images are (n, height, width, channels), uint8 or float in [0, 1]; what is returned is float32 in [0, 1]. Labels are
given by name, their values as a number from 0 or by the name of a class, "off" or "on"; see `Label.value_of`. All
functions take `CCVAE` and the baselines alike, work in batches and repeat themselves for equal arguments.

    model = keras.models.load_model("runs/few/model.keras")
    pictures = interventions.set_labels(model, images, {"Smiling": 1})
"""

from tf_ccvae.interventions.codec import BATCH, decode, encode, reconstruct
from tf_ccvae.interventions.edits import set_labels, set_values
from tf_ccvae.interventions.generation import Generated, Variation, generate, variation
from tf_ccvae.interventions.swaps import swap, swap_matrix, swap_values
from tf_ccvae.interventions.traversal import traverse, traverse_grid
from tf_ccvae.interventions.values_by_name import choose_values, label_index, label_value, label_values
from tf_ccvae.interventions.visibility import most_visible, visibility

__all__ = [
    "BATCH",
    "Generated",
    "Variation",
    "choose_values",
    "decode",
    "encode",
    "generate",
    "label_index",
    "label_value",
    "label_values",
    "most_visible",
    "reconstruct",
    "set_labels",
    "set_values",
    "swap",
    "swap_matrix",
    "swap_values",
    "traverse",
    "traverse_grid",
    "variation",
    "visibility",
]
