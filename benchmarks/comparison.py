"""CCVAE against M2 and against a VAE with a classifier: `python -m benchmarks.comparison`

Every model is trained by `tf_ccvae.fit` on the drawn faces with the paper's networks (`SETTINGS`), at shares f of
labelled examples, and measured by the same evaluation with the same judge. Runs are kept in `--runs`; what is there is
not run again, results are appended to results/comparison.jsonl, and results/comparison.md is written from it.
"""

import argparse
import itertools
from dataclasses import replace
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

MODELS = ("ccvae", "m2", "diva", "mvae", "vae_classifier")
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
    "capture": (("within_label_capture", "mean"), 3),
    "variant after swap": (("within_label_swap", "mean"), 3),
    "gap": (("separation", "gap", "mean"), 3),
    "style AUROC": (("separation", "style_auroc", "mean"), 3),
    "Fréchet": (("generation", "frechet"), 1),
    "labels seen": (("generation", "agreement", "mean"), 3),
    "diversity": (("generation", "diversity_features"), 3),
    "pixel diversity": (("generation", "diversity_pixels"), 3),
}


SETTINGS = (  # of the paper's networks: the table was made before the residual networks were the default
    *("--model.backbone", "paper", "--model.latents", "45", "--model.likelihood-scale", "0.4"),
    *("--objective.label-weight", "250", "--objective.independence-weight", "150"),
)


def train(model: str, fraction: float, arguments: argparse.Namespace) -> run_directory.Run:
    """Trains one model, unless its run is there."""
    run = run_directory.Run(arguments.runs / f"{model}-{fraction:g}-{arguments.seed}")
    if run.results.is_file():
        return run
    where = ["--resume", str(run.path)] if run.config.is_file() else ["--run-dir", str(run.path)]
    if where[0] == "--run-dir":
        where += ["--model.name", model, "--data.labelled-fraction", str(fraction), "--seed", str(arguments.seed)]
        where += ["--training.epochs", str(arguments.epochs), "--data.examples", str(arguments.examples), *SETTINGS]
    if fit.main(where):
        raise SystemExit(1)
    return run


def evaluate(run: run_directory.Run, arguments: argparse.Namespace) -> dict[str, Any]:
    """All measures of a run that are in the table."""
    _, model = run_directory.load(run.path)
    config = settings.Config.from_yaml(run.config)
    dataset = sources.load(config.data, config.seed)
    judge = judges.cached(dataset, arguments.runs / "judge")
    dataset = replace(
        dataset, renderer=None
    )  # the table has no counterfactual scores, whose pictures take long to draw
    results = suite.evaluate(Context(model, dataset, judge, seed=arguments.seed, count=arguments.generated)).results
    row: dict[str, Any] = {name: at(results, path) for name, (path, _) in COLUMNS.items()}
    row["bound"] = results["reconstruction"]["terms"]["bound"]
    return row


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
            body.append([f"{fraction:g}", model, *cells])
    epochs = ", ".join(map(str, sorted({r["epochs"] for r in rows})))
    text = [
        "# CCVAE, M2 and a VAE with a classifier",
        "",
        f"Made by `python -m benchmarks.comparison`; see its docstring. Test split of avatars, {epochs} epochs.",
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
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--examples", type=int, default=12000, help="how many faces; fewer only to try it out")
    parser.add_argument("--generated", type=int, default=2000, help="images for Fréchet distances")
    parser.add_argument("--runs", type=Path, default=Path("runs/comparison"), help="folder for the runs")
    arguments = parser.parse_args()
    path = arguments.results / "comparison.jsonl"
    for fraction, model in itertools.product(arguments.fractions, arguments.models):
        key = f"{model}/{fraction:g}/{arguments.epochs}/{arguments.seed}"
        if key in finished(path):
            continue
        row = evaluate(train(model, fraction, arguments), arguments)
        about = {"key": key, "model": model, "fraction": fraction, "epochs": arguments.epochs, "seed": arguments.seed}
        append(path, {**about, **row})
        print(key, row, flush=True)
        keras.backend.clear_session()
    write_text(arguments.results / "comparison.md", summarise(list(finished(path).values()), machine()))


if __name__ == "__main__":
    main()
