"""All measures of a model on one split, each by itself."""

import math
from collections.abc import Callable
from typing import NamedTuple

from tf_ccvae.evaluation import (
    classification,
    counterfactual,
    generation,
    grades,
    intervention_effect,
    numbers,
    pictures,
    reconstruction,
    separation,
    style_kept,
    swap_effect,
    within_label_capture,
    within_label_swap,
)
from tf_ccvae.evaluation.context import Context
from tf_ccvae.evaluation.pictures import Sheet
from tf_ccvae.support.files import Json, JsonObject

NOTHING: JsonObject = {"mean": None, "low": None, "high": None, "labels": {}}
MEASURES: tuple[tuple[str, tuple[str, ...], Callable[[Context], JsonObject]], ...] = (
    # what a user reads, the parts of the results, the function
    ("reconstructions", ("reconstruction",), reconstruction.measure),
    ("labels", ("classification",), classification.measure),
    ("interventions", ("set_success", "selectivity", "intervention_matrix"), intervention_effect.measure),
    ("what no label is about", ("style_kept",), style_kept.measure),
    ("swaps", ("swap_success", "swap"), swap_effect.measure),
    ("where the information is", ("separation",), separation.measure),
    ("what latents hold", ("within_label_capture",), within_label_capture.measure),
    ("what swaps carry", ("within_label_swap",), within_label_swap.measure),
    ("edits against the truth", ("counterfactual",), counterfactual.measure),
    ("generated images", ("generation",), generation.measure),
)


class Evaluation(NamedTuple):
    """`results` for evaluation.json, and the sheets of `pictures` by name."""

    results: JsonObject
    pictures: dict[str, Sheet]


def evaluate(context: Context, report: Callable[[str], None] = lambda what: None) -> Evaluation:
    """Runs every measure. One that cannot be taken is None in the results; `not_measured` says why.

    Args:
      context: what to measure.
      report: called with what comes next.
    """
    results: JsonObject = {
        "split": context.split,
        "examples": len(context.part),
        "seed": context.seed,
        "judge": {**context.judge.about, "read_well": list(context.read_well)},
    }
    failed: dict[str, str] = {}
    for name, keys, measure in MEASURES:
        report(name)
        try:
            results.update(measure(context))
        except (ValueError, ArithmeticError) as error:
            reason = " ".join(str(error).split())
            failed.update(dict.fromkeys(keys, reason))
            results.update({key: dict(NOTHING) for key in keys})
    if context.labels.grades:
        report("grades")
        results.update(grades.measure(context))
    if context.whole is not None:
        report("numbers")
        results.update(numbers.measure(context.whole, context.judge))
    if "reason" in results["generation"]:
        failed["generation"] = results["generation"].pop("reason")
    if failed:
        results["not_measured"] = failed
    report("pictures")
    return Evaluation({key: finite(value) for key, value in results.items()}, pictures.of(context))


def finite(content: Json) -> Json:
    """The same with None in place of numbers that are not finite, which JSON does not have."""
    if isinstance(content, dict):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
