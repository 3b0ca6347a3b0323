"""Does the default run hold what it promises? `python -m benchmarks.default_run [--run RUN]`

Trains `python -m tf_ccvae.fit` as it comes (or takes the run that is given), measures it by
`python -m tf_ccvae.evaluate` unless that was done, and sets the measures beside the targets of the project: training of
at most nine minutes with accuracy, error, and edits that an independent judge agrees with.
"""

import json
from pathlib import Path
from typing import Any

from benchmarks.common import keep, machine, parser_of, table


def targets(results: dict[str, Any], evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    """Every target: what is measured, what it should be, what it is, and whether it holds."""
    test, capture = results["test"], evaluation["within_label_capture"].get("labels", {})
    names, matrix = evaluation["intervention_matrix"]["names"], evaluation["intervention_matrix"]["values"]
    off = [name for i, name in enumerate(names) if max(map(abs, matrix[i])) > abs(matrix[i][i])]
    missed = [name for name, x in capture.items() if x["mean"] <= x["label_alone"]]
    unsure = [name for name, x in capture.items() if x["low"] <= x["label_alone"] < x["mean"]]
    rows = [
        ("seconds of fit, with drawing if faces were not there", "<=", 540, results["training"]["seconds"]),
        ("test accuracy", ">=", 0.97, test["accuracy"]),
        ("test balanced accuracy", ">=", 0.955, test["balanced_accuracy"]),
        ("mean absolute error of reconstructions", "<=", 0.03, test["mean_absolute_error"]),
        ("set success", ">=", 0.93, evaluation["set_success"]["mean"]),
        ("change of other labels above reconstruction", "<=", 0.05, evaluation["selectivity"]["mean"]),
        ("swap success", ">=", 0.92, evaluation["swap_success"]["mean"]),
        ("Fréchet distance of generated faces", "<=", 110, evaluation.get("generation", {}).get("frechet")),
        ("labels whose row of the intervention matrix has its largest entry elsewhere", "<=", 0, len(off)),
        ("labels whose capture is not above that of the label alone", "<=", 0, len(missed)),
    ]
    found: list[dict[str, Any]] = []
    for name, sign, bound, value in rows:
        if value is None:  # such as the change of other labels where there is one label
            continue
        holds = value >= bound if sign == ">=" else value <= bound
        found.append({"measure": name, "target": f"{sign} {bound:g}", "value": value, "holds": holds})
    found[-2]["labels"], found[-1]["labels"] = off, missed
    return [*found, {"measure": "labels above it whose interval reaches it", "value": len(unsure), "labels": unsure}]


def summarise(found: list[dict[str, Any]], evaluation: dict[str, Any], where: dict[str, Any]) -> str:
    """The Markdown page."""
    text = [
        "# The default run",
        "",
        "Made by `python -m benchmarks.default_run`; see its docstring. Test split.",
    ]
    body = [
        [
            row["measure"] + (f": {', '.join(row['labels'])}" if row.get("labels") else ""),
            row.get("target", ""),
            f"{row['value']:.4g}",
            {True: "yes", False: "no", None: ""}[row.get("holds")],
        ]
        for row in found
    ]
    capture = [
        [name, f"{x['mean']:.3f}", f"{x['low']:.3f} to {x['high']:.3f}", f"{x['style']:.3f}", f"{x['label_alone']:.3f}"]
        for name, x in evaluation["within_label_capture"].get("labels", {}).items()
    ]
    text += [f"Machine: {where}", "", table(["measure", "target", "measured", "holds"], body)]
    header = ["label", "capture of its own latents", "95 % interval", "of style", "of the label alone"]
    text += ["## Variants within a label", "", table(header, capture)]
    return "\n".join(text)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--run", type=Path, help="a finished run (default: trains one)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder for the run that is trained")
    given = parser.parse_args()
    from tf_ccvae import evaluate, fit
    from tf_ccvae.support.startup import prepare

    prepare()
    run = given.run or given.runs / "default_run"
    if given.run is None and not (run / "results.json").is_file():
        begun = (run / "config.yaml").is_file()
        if code := fit.main(["--resume" if begun else "--run-dir", str(run)]):
            raise SystemExit(code)
    if not (run / "evaluation.json").is_file() and (code := evaluate.main([str(run)])):
        raise SystemExit(code)
    results, evaluation = (json.loads((run / name).read_text()) for name in ("results.json", "evaluation.json"))
    found = targets(results, evaluation)
    where = machine()
    text = summarise(found, evaluation, where)
    print(text)
    keep(given.results, "default_run", {"machine": where, "targets": found, "evaluation": evaluation}, text)


if __name__ == "__main__":
    main()
