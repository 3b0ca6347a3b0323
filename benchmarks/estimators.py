"""Which estimator of the bound trains the better model? `python -m benchmarks.estimators`

Same data (avatars), network, batch, learning rate and number of images for `exact`, `pytorch` and `pyro`, at several
shares of labelled examples and seeds; under the project's settings (batch 64, learning rate 1e-3) and under those of
the official programs (batch 200, learning rate 1e-4). The official estimators draw labelled examples in proportion, as
their programs do; `exact` runs with its defaults and, as `exact proportional`, with theirs. Results are appended to
results/estimators.jsonl, what is there is not run again, and results/estimators.md is written from it.
"""

import itertools
import time
from typing import Any

import keras
import numpy as np

from benchmarks.common import PAPER_NETWORKS, append, finished, machine, parser_of, table
from tf_ccvae.data import avatars
from tf_ccvae.data.dataset import Dataset
from tf_ccvae.data.pipeline import hide_labels, training_batches
from tf_ccvae.settings import Config
from tf_ccvae.support.files import write_text
from tf_ccvae.training import build, measures

SETTINGS = {
    "ours": {"batch_size": 64, "learning_rate": 1e-3, "epochs": 3},
    "official": {"batch_size": 200, "learning_rate": 1e-4, "epochs": 10},
}
METHODS = ("exact", "pytorch", "pyro", "exact proportional")
MEASURES = ("accuracy", "balanced_accuracy", "mean_absolute_error", "bound")


def run(dataset: Dataset, setting: str, method: str, fraction: float, seed: int) -> dict[str, Any]:
    """Trains one model from scratch and measures it on the test split."""
    chosen = SETTINGS[setting]
    estimator = method.split()[0]
    config = Config.model_validate(
        {
            "seed": seed,
            "data": {"labelled_fraction": fraction},
            "model": PAPER_NETWORKS,
            "objective": {"estimator": estimator, "independence_weight": 0.0},  # the bound and nothing else
            "training": {**chosen, "schedule": "constant"},
        }
    )
    split = hide_labels(dataset.train, fraction, 0.0, seed)
    model = build.build_model(config, dataset, split)
    epochs = int(chosen["epochs"])
    steps = build.steps_per_epoch(config, split) * epochs
    model.compile(optimizer=build.build_optimizer(config, steps), jit_compile=False)
    proportional = method != "exact" and fraction < 1
    batches = training_batches(
        split, config.training.batch_size, steps, seed, labelled_share=fraction if proportional else "auto"
    )
    started = time.monotonic()
    model.fit(batches, steps_per_epoch=steps, epochs=1, verbose=0, shuffle=False)
    seconds = time.monotonic() - started
    measured = measures.measure(model, dataset.test)
    return {**{name: measured[name] for name in MEASURES}, "seconds": round(seconds, 1), "steps": steps}


def summarise(rows: list[dict[str, Any]], where: dict[str, Any]) -> str:
    """The Markdown page: mean over seeds, and half the range where there are several."""
    text = [
        "# Estimators",
        "",
        "Made by `python -m benchmarks.estimators`; see its docstring. Test split of avatars.",
        "",
    ]
    text.append(f"Machine: {where}")
    for setting, chosen in SETTINGS.items():
        body = []
        for fraction, method in itertools.product(sorted({r["fraction"] for r in rows}, reverse=True), METHODS):
            same = [r for r in rows if (r["setting"], r["fraction"], r["method"]) == (setting, fraction, method)]
            if not same:
                continue
            cells = [
                _cell([r[name] for r in same], digits) for name, digits in zip(MEASURES, (3, 3, 4, 0), strict=True)
            ]
            body.append([f"{fraction:g}", method, *cells, str(len(same))])
        header = ["f", "estimator", "accuracy", "balanced accuracy", "error", "bound (nats)", "seeds"]
        text += ["", f"## {setting}: {', '.join(f'{k} {v:g}' for k, v in chosen.items())}", "", table(header, body)]
    return "\n".join(text)


def _cell(values: list[float], digits: int) -> str:
    spread = f" ± {np.ptp(values) / 2:.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):,.{digits}f}{spread}"


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--fractions", nargs="+", type=float, default=[1.0, 0.2, 0.05, 0.01])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--examples", type=int, default=12000, help="how many faces; fewer only to try it out")
    arguments = parser.parse_args()
    dataset = avatars.load(examples=arguments.examples, progress=True)
    path = arguments.results / "estimators.jsonl"
    for seed, setting, fraction, method in itertools.product(
        arguments.seeds, arguments.settings, arguments.fractions, arguments.methods
    ):
        if method == "exact proportional" and fraction == 1:
            continue  # the same as exact
        key = f"{setting}/{method}/{fraction:g}/{seed}"
        if key in finished(path):
            continue
        row = run(dataset, setting, method, fraction, seed)
        append(path, {"key": key, "setting": setting, "method": method, "fraction": fraction, "seed": seed, **row})
        print(key, row, flush=True)
        keras.backend.clear_session()
    rows = list(finished(path).values())
    write_text(arguments.results / "estimators.md", summarise(rows, machine()))


if __name__ == "__main__":
    main()
