"""The measures of a model over a split, as `fit` and every epoch report them."""

from tf_ccvae.data.dataset import Split
from tf_ccvae.data.pipeline import evaluation_batches
from tf_ccvae.labels import Label
from tf_ccvae.models.counting import number_or_none
from tf_ccvae.models.labelled_vae import LabelledVAE
from tf_ccvae.models.number_counting import NUMBER_MEASURES
from tf_ccvae.support.files import JsonObject

EVALUATION_BATCH = 200
MEASURES = (
    "bound",
    "reconstruction",
    "style_divergence",
    "characteristic",
    "log_label_marginal",
    "label_prior",
    "mean_absolute_error",
    "accuracy",
    "balanced_accuracy",
)


def names_of_label(label: Label) -> tuple[str, ...]:
    """What every epoch reports of one label."""
    return NUMBER_MEASURES if label.scale else MEASURES[-2:]


def measure(model: LabelledVAE, split: Split) -> JsonObject:
    """All measures over a split, counted exactly; `labels` holds those of each label.

    Terms are in nats per image, the error in pixels of [0, 1]. What is not known is None: the accuracy where no example
    has a label.
    """
    if not model.compiled:
        model.compile(jit_compile=False)
    logs = model.evaluate(evaluation_batches(split, EVALUATION_BATCH), verbose=0, return_dict=True)
    results: JsonObject = {name: number_or_none(logs[name]) for name in MEASURES}
    results["labels"] = model.measures_of_labels()
    return results
