"""How many requests a server takes: classify and generate over every target that is given, with locust.

python -m serving.load_test --target grpc://localhost:8500 --target http://localhost:8501 --server "TF Serving 2.21"
                            [--model ccvae] [--users 8] [--seconds 20] [--images 1] [--out FILE.json]

The numbers mean something only where client and server have their CPUs to themselves; the results name the machine of
the client, and the server as `--server` calls it.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tf_ccvae.support.packages import missing_package
from tf_ccvae.support.parser import Parser, report

try:
    import gevent
    import grpc.experimental.gevent
    import numpy as np
    from locust import User, constant, task
    from locust.env import Environment
    from locust.stats import StatsEntry
except ModuleNotFoundError as error:
    if __name__ != "__main__" or not missing_package(error.name):
        raise
    sys.exit(report(error))

from serving.client import CCVAEClient
from serving.errors import BadInput, ServingError
from tf_ccvae.support.errors import UserError
from tf_ccvae.support.files import JsonObject, write_json

PERCENTILES = (0.5, 0.9, 0.95, 0.99)


class CCVAEUser(User):
    """Sends one request after the other: three times classify for each generate."""

    abstract = True
    wait_time = constant(0)
    target = ""
    model = ""
    images = np.zeros((0, 0, 0, 0), np.float32)

    def on_start(self) -> None:
        """Connects."""
        self.client = CCVAEClient(self.target, model=self.model, retries=0)
        self.sent = 0

    def on_stop(self) -> None:
        """Disconnects."""
        self.client.close()

    @task(3)
    def classify(self) -> None:
        """Random images to probabilities."""
        self._timed("classify", lambda: self.client.classify(self.images))

    @task(1)
    def generate(self) -> None:
        """As many new images, of another seed each time."""
        self.sent += 1
        self._timed("generate", lambda: self.client.generate(count=len(self.images), seed=self.sent * len(self.images)))

    def _timed(self, name: str, run: Callable[[], object]) -> None:
        started = time.perf_counter()
        failure = None
        try:
            run()
        except ServingError as error:
            failure = error
        self.environment.events.request.fire(
            request_type=self.target.partition(":")[0],
            name=name,
            response_time=(time.perf_counter() - started) * 1000,
            response_length=0,
            exception=failure,
            context={},
        )


def parser() -> Parser:
    """The command line."""
    command_line = Parser("python -m serving.load_test", __doc__)
    command_line.add_argument(
        "--target", action="append", required=True, help="such as grpc://localhost:8500; may be repeated"
    )
    command_line.add_argument("--server", required=True, help="what answers there, for the results")
    command_line.add_argument("--model", default="ccvae", help="name of the model (default: ccvae)")
    command_line.add_argument("--users", type=int, default=8, help="at the same time (default: 8)")
    command_line.add_argument("--seconds", type=float, default=20.0, help="for each target (default: 20)")
    command_line.add_argument("--images", type=int, default=1, help="in a request (default: 1)")
    command_line.add_argument("--out", type=Path, help="results file (default: only printed)")
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns its exit code: 0, 1 if a request failed, 2 for bad input."""
    try:
        arguments = parser().parse_args(sys.argv[1:] if argv is None else argv)
        if arguments.users < 1 or arguments.seconds <= 0 or not 1 <= arguments.images <= 64:
            raise BadInput("--users and --seconds: must be above 0; --images: 1 to 64")
        results = {target: measure(target, arguments) for target in arguments.target}
    except UserError as error:
        return report(error)
    content = {
        "server": arguments.server,
        "machine": machine(),
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "users": arguments.users,
        "images": arguments.images,
        "seconds": arguments.seconds,
        "targets": results,
    }
    print(json.dumps(content, indent=2))
    if arguments.out is not None:
        write_json(arguments.out, content)
    return 1 if any(row["failures"] for rows in results.values() for row in rows.values()) else 0


def measure(target: str, arguments: argparse.Namespace) -> dict[str, JsonObject]:
    """Loads one target.

    Returns:
      for `classify`, `generate` and `all`: requests, failures, requests a second and percentiles in milliseconds.

    Raises:
      ServingError: the target does not answer at all.
    """
    with CCVAEClient(target, model=arguments.model) as client:
        shape = client.generate()["image"].shape[1:]
    pixels = np.random.default_rng(0).random((arguments.images, *shape)).astype(np.float32)
    user = type("Target", (CCVAEUser,), {"target": target, "model": arguments.model, "images": pixels})
    environment = Environment(user_classes=[user])
    runner = environment.create_local_runner()
    runner.start(arguments.users, spawn_rate=arguments.users)
    gevent.sleep(arguments.seconds)
    runner.quit()
    entries = {name: entry for (name, _), entry in environment.stats.entries.items()}
    return {name: _row(entry, arguments.seconds) for name, entry in {**entries, "all": environment.stats.total}.items()}


def _row(entry: StatsEntry, seconds: float) -> JsonObject:
    times = {f"p{round(100 * x)}": entry.get_response_time_percentile(x) for x in PERCENTILES}
    return {
        "requests": entry.num_requests,
        "failures": entry.num_failures,
        "per_second": round(entry.num_requests / seconds, 2),
        "milliseconds": times,
    }


def machine() -> str:
    """The client's processor, number of CPUs and system."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    model = next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), platform.processor())
    return f"{model}, {os.cpu_count()} CPUs, {platform.system()}, Python {platform.python_version()}"


if __name__ == "__main__":
    grpc.experimental.gevent.init_gevent()
    sys.exit(main())
