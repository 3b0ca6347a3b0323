"""How many requests are answered over gRPC and over REST? `python -m benchmarks.serving_load --export EXPORT`

Publishes an export's SavedModel, and loads it by `serving.load_test`, classify and generate, with several numbers of
users and of images in a request. Without `--target` the server is the test double of `tests/serving`, which answers the
same protocols in Python, in a process of its own on this machine: its numbers compare the protocols, and say nothing
about TensorFlow Serving. With `--target`, given once for each protocol, that server is loaded as it is.
"""

import contextlib
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from benchmarks.common import ROOT, keep, parser_of, table


@contextlib.contextmanager
def double(exported: Path) -> Iterator[list[str]]:
    """The test double with an export; gives its two targets."""
    from serving import publish

    with tempfile.TemporaryDirectory() as base:
        publish.prepare(exported, Path(base), mount=PurePosixPath(base))
        command = [sys.executable, "-m", "tests.serving.double", base, "--grpc", "0", "--rest", "0"]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                yield server.stdout.readline().split()[-2:]
            finally:
                server.terminate()


def load(targets: list[str], server: str, users: int, images: int, seconds: float) -> dict[str, Any]:
    """What `serving.load_test` measures, in a process of its own."""
    arguments = [part for target in targets for part in ("--target", target)]
    arguments += ["--server", server, "--users", str(users), "--images", str(images), "--seconds", str(seconds)]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "load.json"
        command = [sys.executable, "-m", "serving.load_test", *arguments, "--out", str(out)]
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        return dict(json.loads(out.read_text(encoding="utf-8")))


def summarise(results: list[dict[str, Any]]) -> str:
    """The Markdown page."""
    first = results[0]
    body = [
        [
            str(result["users"]),
            str(result["images"]),
            target.partition(":")[0],
            name,
            f"{row['per_second']:.1f}",
            *(f"{row['milliseconds'][part]:.0f}" for part in ("p50", "p95", "p99")),
            str(row["failures"]),
        ]
        for result in results
        for target, rows in result["targets"].items()
        for name, row in rows.items()
    ]
    header = ["users", "images a request", "protocol", "request", "requests/s", "p50 (ms)", "p95", "p99", "failures"]
    text = ["# Requests over gRPC and REST", "", "Made by `python -m benchmarks.serving_load`; see its docstring.", ""]
    text += [f"Server: {first['server']}. Client: {first['machine']}. {first['seconds']:g} s for each protocol.", ""]
    return "\n".join([*text, table(header, body)])


def main() -> None:
    parser = parser_of(__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--export", type=Path, help="an export, served by the test double on this machine")
    where.add_argument("--target", action="append", help="a server, such as grpc://host:8500; may be repeated")
    parser.add_argument("--server", default="a server", help="what answers at --target, for the results")
    parser.add_argument("--users", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--images", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--seconds", type=float, default=10.0, help="for each protocol and setting")
    given = parser.parse_args()
    name = given.server if given.target else "test double (Python, not TensorFlow Serving), on the client's machine"
    with double(given.export.absolute()) if given.export else contextlib.nullcontext(given.target) as targets:
        settings = itertools.product(given.users, given.images)
        results = [load(targets, name, users, images, given.seconds) for users, images in settings]
    text = summarise(results)
    print(text)
    keep(given.results, "serving_load", {"results": results}, text)


if __name__ == "__main__":
    main()
