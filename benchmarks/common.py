"""What the benchmarks share: the machine's name, results that can be continued, tables, ratios to earlier results."""

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tf_ccvae.support.files import write_json, write_text

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAPER_NETWORKS = {  # what benchmarks train whose results were taken before the residual networks were the default
    "backbone": "paper",
    "latents": 45,
    "likelihood_scale": 1.0,
    "latents_per_label": 1,
}
SLOWER = 1.10  # time over what it was before: above this it is called a regression
INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")  # on which the speed of a network depends


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """A parser that shows a benchmark's docstring as it is, with `--results`, the folder that `keep` writes into."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the results")
    return parser


def machine() -> dict[str, Any]:
    """Processor, cores and versions, as results name them."""
    import keras
    import tensorflow as tf

    described = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").is_file() else ""
    said = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in described.splitlines())}
    flags = said.get("flags", "").split()
    return {
        "processor": said.get("model name") or platform.processor() or platform.machine(),
        "instructions": [name for name in INSTRUCTIONS if name in flags],
        "cores": os.cpu_count(),
        "gpus": [device.name for device in tf.config.list_physical_devices("GPU")],
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", ""),
    }


def finished(path: Path) -> dict[str, dict[str, Any]]:
    """Lines of a results file by their `key`, so that a benchmark can go on where it was stopped."""
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {row["key"]: row for row in rows}


def append(path: Path, row: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def keep(folder: Path, name: str, content: Mapping[str, Any], page: str) -> None:
    """Writes results as NAME.json and NAME.md into a folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{name}.json", content)
    write_text(folder / f"{name}.md", page)


def at(results: Any, path: Iterable[str]) -> Any:
    """What stands in nested results at a path of keys."""
    for part in path:
        results = results[part]
    return results


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What git says about this repository; a command that failed where git is not installed."""
    command = ["git", *arguments]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", "git is not installed")


def last_committed(name: str, where: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The results of a benchmark in the last commit.

    Args:
      name: file in benchmarks/results, or in a folder there, with `machine` and `results`, such as training_speed.json.
      where: the present machine, as `machine` says.

    Returns:
      Its `results`; empty if there are none from this machine.
    """
    parts = ("processor", "instructions", "cores", "gpus")
    for path in git("ls-tree", "-r", "--name-only", "HEAD", "benchmarks/results").stdout.splitlines():
        if Path(path).name == name:
            content = json.loads(git("show", f"HEAD:{path}").stdout)
            if all(content["machine"].get(part) == where[part] for part in parts):
                return dict(content.get("results", {}))
    return {}


def ratios(results: Mapping[str, Any], before: Mapping[str, Any], measure: str = "median") -> dict[str, float]:
    """Time now over time before, for every row that both have."""
    return {key: row[measure] / before[key][measure] for key, row in results.items() if key in before}


def verdict(found: Mapping[str, float], before: str) -> str:
    """One line about ratios of times: which are more than 10 % slower, or that none is.

    Args:
      found: ratio by row; may be empty.
      before: what was compared with, such as "the last committed results".
    """
    if not found:
        return f"Not compared with {before}: there are none from this machine."
    slower = [f"{key} ({ratio:.2f})" for key, ratio in found.items() if ratio > SLOWER]
    if slower:
        return f"WARNING: more than 10 % slower than {before}: {', '.join(slower)}"
    return f"No row is more than 10 % slower than {before}."


def ratio_cell(found: Mapping[str, float], key: str) -> str:
    return f"{found[key]:.2f}" if key in found else "-"


def official_program(path: str) -> Any:
    """The class CCVAE of a checkout of github.com/thwjoy/ccvae_pytorch; call this in a process of its own.

    The package torchvision is wanted there for pictures and CelebA only: without it, empty classes stand in.

    Raises:
      SystemExit: there is no such program in `path`, or no PyTorch.
    """
    sys.path.insert(0, path)
    for name in ("torchvision", "torchvision.utils", "torchvision.datasets", "torchvision.transforms"):
        try:
            __import__(name)
        except (ImportError, RuntimeError):
            module = types.ModuleType(name)
            module.make_grid = module.save_image = module.CelebA = object  # type: ignore[attr-defined]
            sys.modules[name] = module
    try:
        from models.ccvae import CCVAE  # type: ignore[import-not-found]
    except ImportError as error:
        raise SystemExit(f"error: --official: {path}: cannot be used ({error})") from error
    return CCVAE


@contextlib.contextmanager
def worktree(revision: str) -> Iterator[Path]:
    """A revision of this repository in a temporary folder, which is removed at the end.

    Raises:
      SystemExit: there is no such revision.
    """
    if git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").returncode:
        raise SystemExit(f"error: --against: {revision}: no such revision")
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary) / "then"
        made = git("worktree", "add", "--detach", str(place), revision)
        if made.returncode:
            raise SystemExit(f"error: --against: {' '.join(made.stderr.split())}")
        try:
            yield place
        finally:
            git("worktree", "remove", "--force", str(place))
