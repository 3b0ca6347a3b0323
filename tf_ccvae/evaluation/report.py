"""The report as one HTML file that holds everything it shows, and as figures."""

import base64
import io
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from matplotlib.figure import Figure

from tf_ccvae import __version__
from tf_ccvae.evaluation.suite import Evaluation
from tf_ccvae.labels import Labels
from tf_ccvae.support import figures
from tf_ccvae.support.files import write_text

HEADLINES = (  # key, name, which way is better, what it means
    ("set_success", "set success", "higher", "edits after which the judge sees the value that was set"),
    ("selectivity", "selectivity", "lower", "change of the other labels beyond plain reconstruction"),
    ("swap_success", "swap success", "higher", "donor's value arrived times recipient's other labels kept"),
    ("within_label_capture", "within-label capture", "higher", "variants within a label read from its own latents"),
)


def draw(evaluation: Evaluation, labels: Labels) -> dict[str, Figure]:
    """All figures by name."""
    results, pictures = evaluation
    values = max(min(labels.values, 5), 2)
    edited = ["off", "on"] if labels.values == 2 else [f"value {v}" for v in range(values)]
    drawn = {
        "reconstructions": figures.grid(pictures["reconstructions"], ("image", "reconstruction")),
        "edits": figures.grid(pictures["edits"], labels.names, ("image", "rebuilt", *edited)),
        "samples": figures.grid(pictures["samples"]),
    }
    if "variations" in pictures:
        columns = ("image", *(f"draw {i + 1}" for i in range(pictures["variations"].shape[1] - 1)))
        drawn["variations"] = figures.grid(pictures["variations"], labels.names, columns)
    matrix = results["intervention_matrix"]
    drawn["intervention_matrix"] = figures.heat_map(
        np.array(matrix["values"]), matrix["names"], matrix["names"], "mean change of the judge's probability", 1.0
    )
    information = results["separation"]["mutual_information"]
    table = np.array(information["values"], float)
    drawn["mutual_information"] = figures.heat_map(
        table, information["latents"], information["labels"], "mutual information (nats)", np.log(2), both_signs=False
    )
    capture = results["within_label_capture"]["labels"]
    if capture:
        series = {
            "characteristic": [x["mean"] for x in capture.values()],
            "style": [x["style"] for x in capture.values()],
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
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["number"] = number
    text = environment.get_template("report.html.jinja").render(
        name=name,
        version=__version__,
        results=evaluation.results,
        labels=labels.names,
        headlines=[x for x in HEADLINES if evaluation.results[x[0]]["mean"] is not None],
        figures={title: _as_data(figure) for title, figure in drawn.items()},
    )
    write_text(page, text)


def number(value: Any, digits: int = 3) -> str:
    """A number for a table; a dash where there is none."""
    return "-" if value is None or not np.isfinite(value) else f"{value:,.{digits}f}"


def _as_data(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode()
