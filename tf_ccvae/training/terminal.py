"""What a training shows in the terminal: progress, a line per epoch, a summary at the end."""

import contextlib
import math
import shlex
from collections.abc import Iterator, Mapping

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tf_ccvae.support.console import table
from tf_ccvae.support.files import JsonObject
from tf_ccvae.training.run_directory import Run

EPOCH_LINE = (
    ("bound", "bound", ",.1f"),
    ("rec", "reconstruction", ",.1f"),
    ("KL style", "style_divergence", ".2f"),
    ("char", "characteristic", ".2f"),
    ("log q(y|x)", "log_label_marginal", ".3f"),
    ("error", "mean_absolute_error", ".4f"),
    ("accuracy", "accuracy", ".4f"),
    ("balanced", "balanced_accuracy", ".4f"),
)
MANY = 6000  # steps, twice as many as `training.epochs` auto makes


class Bar:
    """A progress bar over steps and the lines of finished epochs above it."""

    def __init__(self, console: Console, bar: Progress, epochs: int, steps: int, done: int):
        self.console = console
        self.epochs = epochs
        task = bar.add_task("training", total=epochs * steps, completed=done * steps)
        self.callback = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: bar.advance(task))

    def epoch(self, row: Mapping[str, float | None]) -> None:
        """Prints the validation measures of one epoch."""
        parts = [f"{short} {shown(row[f'validation_{name}'], form)}" for short, name, form in EPOCH_LINE]
        self.console.print(
            f"epoch {shown(row['epoch'], '.0f')}/{self.epochs}  {'  '.join(parts)}  {shown(row['seconds'], '.0f')} s"
        )


def shown(value: float | None, form: str) -> str:
    """A number for people, a dash where it is not known."""
    return "-" if value is None else f"{value:{form}}"


def option(name: str, value: str) -> str:
    """An option of a command line, so that a shell takes the value as it is."""
    quoted = shlex.quote(value)
    return f"{name}={quoted}" if value.startswith("-") else f"{name} {quoted}"


@contextlib.contextmanager
def progress(console: Console, epochs: int, steps: int, done: int) -> Iterator[Bar]:
    """A progress bar for training: epochs times steps, `done` epochs of them finished before."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield Bar(console, bar, epochs, steps, done)


def summary(
    console: Console, results: JsonObject, run: Run, visible: tuple[int, str] | None = None, edits: bool = True
) -> None:
    """Prints test measures and what to do next.

    Args:
      console: where to.
      results: what stands in results.json.
      run: the run directory.
      visible: a test image and a label whose change can be seen in it, for the command that is suggested.
      edits: whether the model edits labels; a command that makes new images is suggested where it does not.
    """
    test = results["test"]
    rows = [("label", "accuracy", "balanced", "most frequent")]
    numbers = [("number", "R2", "mean absolute error", "inside the 90 % interval")]
    grades = [("grade", "mean steps off", "rank correlation")]
    for name, row in test["labels"].items():
        if "r2" in row:
            parts = (shown(row["r2"], ".3f"), shown(row["absolute_error"], ".4g"), shown(row["coverage"], ".3f"))
            numbers.append((name, *parts))
            continue
        rows.append((name, *(shown(row[key], ".3f") for key in ("accuracy", "balanced_accuracy", "majority"))))
        if "steps_off" in row:
            grades.append((name, *(shown(row[key], ".3f") for key in ("steps_off", "rank_correlation"))))
    rows.append(("all", shown(test["accuracy"], ".3f"), shown(test["balanced_accuracy"], ".3f"), ""))
    if len(rows) > 2 or len(numbers) == 1:
        console.print("\nTest accuracy")
        console.print(table(rows))
    for title, more in (("grades", grades), ("numbers", numbers)):
        if len(more) > 1:
            console.print(f"\nTest of {title}")
            console.print(table(more))
    path = shlex.quote(str(run.path))
    image, label = visible or (0, next(iter(test["labels"]), "LABEL"))
    what = f"traverse {image} {option('--label', label)}" if edits else "generate"
    epochs, steps = (results["training"][name] for name in ("epochs", "steps"))
    longer = max(2 * epochs, math.ceil(MANY * epochs / steps))
    console.print(
        f"\nReconstruction error {shown(test['mean_absolute_error'], '.4f')} per pixel of [0, 1], "
        f"bound {shown(test['bound'], ',.1f')} nats, {results['training']['seconds']:.0f} s in all.\n"
        f"Figures:      {run.figures}\n"
        f"Model:        {run.model}   keras.models.load_model after import tf_ccvae\n"
        f"Measure it:   python -m tf_ccvae.evaluate {path}\n"
        f"Use it:       python -m tf_ccvae.intervene {path} {what}\n"
        f"Train longer: python -m tf_ccvae.fit --resume {path} --training.epochs {longer}"
        f"   {steps:,} steps so far\n"
        f"Curves:       tensorboard --logdir {shlex.quote(str(run.tensorboard))}"
    )
