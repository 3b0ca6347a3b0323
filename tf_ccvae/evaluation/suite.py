"""All measures of a model on one split, each by itself."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from tf_ccvae.evaluation import (
    classification,
    generation,
    intervention_effect,
    pictures,
    reconstruction,
    separation,
    swap_effect,
    within_label_capture,
)
from tf_ccvae.evaluation.context import Context
from tf_ccvae.evaluation.pictures import Sheet

NOTHING: dict[str, Any] = {"mean": None, "low": None, "high": None, "labels": {}}
MEASURES: tuple[tuple[str, tuple[str, ...], Callable[[Context], dict[str, Any]]], ...] = (
    # what a user reads, the parts of the results, the function
    ("reconstructions", ("reconstruction",), reconstruction.measure),
    ("labels", ("classification",), classification.measure),
    ("interventions", ("set_success", "selectivity", "intervention_matrix"), intervention_effect.measure),
    ("swaps", ("swap_success", "swap"), swap_effect.measure),
    ("where the information is", ("separation",), separation.measure),
    ("what latents hold", ("within_label_capture",), within_label_capture.measure),
    ("what swaps carry", ("within_label_swap",), within_label_capture.measure_swaps),
    ("generated images", ("generation",), generation.measure),
)


class Evaluation(NamedTuple):
    """`results` for evaluation.json, and the sheets of `pictures` by name."""

    results: dict[str, Any]
    pictures: dict[str, Sheet]


def evaluate(context: Context, report: Callable[[str], None] = lambda what: None) -> Evaluation:
    """Runs every measure. One that cannot be taken is None in the results; `not_measured` says why.

    Args:
      context: what to measure.
      report: called with what comes next.
    """
    results: dict[str, Any] = {
        "split": context.split,
        "examples": len(context.part),
        "seed": context.seed,
        "judge": context.judge.about,
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
    if "reason" in results["generation"]:
        failed["generation"] = results["generation"].pop("reason")
    if failed:
        results["not_measured"] = failed
    report("pictures")
    return Evaluation(known(results), pictures.of(context))


def known(content: Any) -> Any:
    """The same with None in place of numbers that are not finite, which JSON does not have."""
    if isinstance(content, dict):
        return {key: known(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [known(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
