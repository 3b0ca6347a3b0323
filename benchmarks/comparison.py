"""CCVAE against the models that its paper compares it with: `python -m benchmarks.comparison`

Every model is trained by `tf_ccvae.fit` on the drawn faces with its defaults (configs/avatars.yaml), for equally many
steps, at shares f of labelled examples, and measured by the same evaluation with the same judge. `ccvae_bound` is CCVAE
without the terms that stand beside the bound, which the other models do not have. Runs are kept in `--runs`; what is
there is not run again, results are appended to results/comparison.jsonl, and results/comparison.md is written from it.
"""

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.common import append, at, finished, machine, parser_of, table
from tf_ccvae import fit, settings
from tf_ccvae.data import sources
from tf_ccvae.evaluation import judge as judges
from tf_ccvae.evaluation import suite
from tf_ccvae.evaluation.context import Context
from tf_ccvae.support.files import write_text
from tf_ccvae.training import run_directory

BOUND_ALONE = ("--objective.consistency-weight", "0", "--objective.independence-weight", "0")
MODELS = {  # name in the table, and what `fit` is asked for
    "ccvae": ("CCVAE", ("--model.name", "ccvae")),
    "ccvae_bound": ("CCVAE, the bound alone", ("--model.name", "ccvae", *BOUND_ALONE)),
    "m2": ("M2", ("--model.name", "m2")),
    "diva": ("DIVA", ("--model.name", "diva")),
    "mvae": ("MVAE", ("--model.name", "mvae")),
    "vae_classifier": ("VAE with a classifier", ("--model.name", "vae_classifier")),
}
EDITS = ("set_on", "set_off", "swap", "swap_within")
COLUMNS = {  # name in the table: where in the evaluation, digits
    "accuracy": (("classification", "exact", "accuracy", "mean"), 3),
    "balanced accuracy": (("classification", "exact", "balanced_accuracy", "mean"), 3),
    "average precision": (("classification", "exact", "average_precision", "mean"), 3),
    "AUROC": (("classification", "exact", "auroc", "mean"), 3),
    "calibration error": (("classification", "exact", "calibration_error", "mean"), 3),
    "error": (("reconstruction", "mean_absolute_error", "mean"), 4),
    "PSNR": (("reconstruction", "psnr", "mean"), 2),
    "SSIM": (("reconstruction", "ssim", "mean"), 3),
    "set success": (("set_success", "mean"), 3),
    "change of others": (("selectivity", "mean"), 3),
    "swap success": (("swap_success", "mean"), 3),
    **{f"true {kind.replace('_', ' ')}": (("counterfactual", kind, "inside", "mean"), 3) for kind in EDITS},
    "capture": (("within_label_capture", "mean"), 3),
    "capture of style": (("within_label_capture", "style"), 3),
    "capture of others": (("within_label_capture", "others"), 3),
    "within-label swap": (("within_label_swap", "mean"), 3),
    "recipient's variant": (("within_label_swap", "recipient"), 3),
    "gap": (("separation", "gap", "mean"), 3),
    "style AUROC": (("separation", "style_auroc", "mean"), 3),
    "Fréchet": (("generation", "frechet"), 1),
    "labels seen": (("generation", "agreement", "mean"), 3),
    "diversity": (("generation", "diversity_features"), 3),
    "pixel diversity": (("generation", "diversity_pixels"), 3),
}


def train(model: str, fraction: float, arguments: argparse.Namespace) -> run_directory.Run:
    """Trains one model, unless its run is there."""
    run = run_directory.Run(arguments.runs / f"{model}-{fraction:g}-{arguments.steps}-{arguments.seed}")
    if run.results.is_file():
        return run
    where = ["--resume", str(run.path)] if run.config.is_file() else ["--run-dir", str(run.path)]
    if where[0] == "--run-dir":
        where += [*MODELS[model][1], "--data.labelled-fraction", str(fraction), "--seed", str(arguments.seed)]
        where += ["--training.steps", str(arguments.steps), "--data.examples", str(arguments.examples)]
    if fit.main(where):
        raise SystemExit(1)
    return run


def measured(results: dict[str, Any], path: Sequence[str]) -> Any:
    """A number of an evaluation; None where the model does not define it, as MVAE defines no swaps."""
    try:
        return at(results, path)
    except KeyError:
        return None


def evaluate(run: run_directory.Run, arguments: argparse.Namespace) -> dict[str, Any]:
    """All measures of a run that are in the table."""
    _, model = run_directory.load(run.path)
    config = settings.Config.from_yaml(run.config)
    dataset = sources.load(config.data, config.seed)
    judge = judges.cached(dataset, arguments.runs / "judge")
    results = suite.evaluate(Context(model, dataset, judge, seed=arguments.seed, count=arguments.generated)).results
    row = {name: measured(results, path) for name, (path, _) in COLUMNS.items()}
    row["bound"] = results["reconstruction"]["terms"]["bound"]
    return {name: suite.finite(value) for name, value in row.items()}


def summarise(rows: list[dict[str, Any]], where: dict[str, Any]) -> str:
    """The Markdown page."""
    body = []
    for fraction, model in itertools.product(sorted({r["fraction"] for r in rows}, reverse=True), MODELS):
        same = [r for r in rows if (r["fraction"], r["model"]) == (fraction, model)]
        if same:
            cells = [
                "-" if same[0][name] is None else f"{np.mean([r[name] for r in same]):.{digits}f}"
                for name, (_, digits) in COLUMNS.items()
            ]
            body.append([f"{fraction:g}", MODELS[model][0], *cells])
    steps = ", ".join(f"{count:,}" for count in sorted({r["steps"] for r in rows}))
    text = [
        "# CCVAE and the models that its paper compares it with",
        "",
        f"Made by `python -m benchmarks.comparison`; see its docstring. Test split of avatars, {steps} steps.",
        f"Machine: {where}",
        "",
        "Lower is better for calibration error, error, change of others, style AUROC and Fréchet distance.",
        "",
        table(["f", "model", *COLUMNS], body),
    ]
    return "\n".join(text)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--fractions", nargs="+", type=float, default=[1.0, 0.2, 0.05])
    parser.add_argument("--steps", type=int, default=3000, help="of each training, as in the default run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--examples", type=int, default=12000, help="how many faces; fewer only to try it out")
    parser.add_argument("--generated", type=int, default=2000, help="images for Fréchet distances")
    parser.add_argument("--runs", type=Path, default=Path("runs/comparison"), help="folder for the runs")
    arguments = parser.parse_args()
    path = arguments.results / "comparison.jsonl"
    for fraction, model in itertools.product(arguments.fractions, arguments.models):
        key = f"{model}/{fraction:g}/{arguments.steps}/{arguments.seed}"
        if key in finished(path):
            continue
        row = evaluate(train(model, fraction, arguments), arguments)
        about = {"key": key, "model": model, "fraction": fraction, "steps": arguments.steps, "seed": arguments.seed}
        append(path, {**about, **row})
        print(key, row, flush=True)
        keras.backend.clear_session()
    write_text(arguments.results / "comparison.md", summarise(list(finished(path).values()), machine()))


if __name__ == "__main__":
    main()
