"""The report as one HTML file that holds everything it shows, and as figures."""

import base64
from pathlib import Path
from typing import NamedTuple

import jinja2
import numpy as np
from matplotlib.figure import Figure

from tf_ccvae import __version__
from tf_ccvae.evaluation.suite import Evaluation
from tf_ccvae.labels import Labels
from tf_ccvae.support import figures
from tf_ccvae.support.files import JsonObject, write_text

HEADLINES = (  # where in the results, name, which way is better, what it means
    (("set_success",), "set success", "higher", "edits after which the judge sees the value that was set"),
    (("selectivity",), "selectivity", "lower", "change of the other labels beyond plain reconstruction"),
    (("swap_success",), "swap success", "higher", "donor's value arrived times recipient's other labels kept"),
    (("within_label_capture",), "within-label capture", "higher", "variants within a label read from its own latents"),
    (("within_label_swap",), "within-label swap", "higher", "donor's variant seen on somebody who has the label too"),
    (
        ("counterfactual", "set_on", "inside"),
        "true set on",
        "higher",
        "0: the face left alone, 1: drawn with the label",
    ),
    (("counterfactual", "set_off", "inside"), "true set off", "higher", "the same against the face without the label"),
    (("counterfactual", "swap", "inside"), "true swap", "higher", "the same against the face with the donor's variant"),
)
COUNTERFACTUAL = {  # kinds of edits as the table of the report names them
    "set_on": "set on",
    "set_off": "set off",
    "traverse": "traversal's end",
    "swap": "swap",
    "swap_within": "swap, both have the label",
}


class Headline(NamedTuple):
    """A measure in one line: its name, `higher` or `lower`, what it means, and its `mean`, `low` and `high`."""

    name: str
    better: str
    what: str
    row: JsonObject


def headlines(results: JsonObject) -> list[Headline]:
    """Those of `HEADLINES` that were measured."""
    shown = []
    for path, name, better, what in HEADLINES:
        row = results
        for part in path:
            row = row.get(part, {})
        if row.get("mean") is not None:
            shown.append(Headline(name, better, what, row))
    return shown


def draw(evaluation: Evaluation, labels: Labels) -> dict[str, Figure]:
    """All figures by name."""
    results = evaluation.results
    drawn = {name: figures.grid(*sheet) for name, sheet in evaluation.pictures.items()}
    matrix = results["intervention_matrix"]
    if matrix.get("names"):
        drawn["intervention_matrix"] = figures.heat_map(
            np.array(matrix["values"], float),
            matrix["names"],
            matrix["names"],
            "mean change of the judge's probability",
            1.0,
        )
    information = results["separation"].get("mutual_information", {"labels": []})
    if information["labels"]:
        drawn["mutual_information"] = figures.heat_map(
            np.array(information["values"], float),
            information["latents"],
            information["labels"],
            "mutual information (nats)",
            np.log(2),
            both_signs=False,
        )
    capture = results["within_label_capture"]["labels"]
    if capture:
        series = {
            "characteristic": [x["mean"] for x in capture.values()],
            "style": [x["style"] for x in capture.values()],
            "other labels' latents": [x["others"] for x in capture.values()],
            "label alone": [x["label_alone"] for x in capture.values()],
        }
        drawn["within_label_capture"] = figures.bars(list(capture), series, "variants within a label, read from")
    return drawn


def write(evaluation: Evaluation, labels: Labels, name: str, folder: Path, page: Path) -> None:
    """Writes the figures to `folder` and the page.

    Args:
      evaluation: what was measured.
      labels: what the labels are.
      name: of the run, for the title.
      folder: for the figures; made if it is not there.
      page: the HTML file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = draw(evaluation, labels)
    for title, figure in drawn.items():
        figures.save(figure, folder / f"{title}.png")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.ChainableUndefined
    )
    environment.filters["number"] = number
    text = environment.get_template("report.html.jinja").render(
        name=name,
        version=__version__,
        results=evaluation.results,
        labels=labels.names,
        headlines=headlines(evaluation.results),
        counterfactual=COUNTERFACTUAL,
        figures={title: _as_data(figure) for title, figure in drawn.items()},
    )
    write_text(page, text)


def number(value: float | jinja2.Undefined | None, digits: int = 3) -> str:
    """A number for a table; a dash where there is none."""
    if value is None or isinstance(value, jinja2.Undefined) or not np.isfinite(value):
        return "-"
    return f"{value:,.{digits}f}"


def _as_data(figure: Figure) -> str:
    return base64.b64encode(figures.png(figure)).decode()
