"""Trains with workers that Ray starts: `python -m tf_ccvae.launch_ray --workers 2 --run-dir RUN [--SETTING VALUE ...]`.

Every worker is `python -m tf_ccvae.fit --strategy multi_worker`, and the settings are those of that program. Ray finds
machines for the workers, tells each of the others, and starts all of them again if one is lost: they go on from the
last finished epoch. A run directory that holds a run already is continued, so that the same command can be given again.
The cluster is the one that RAY_ADDRESS names; without it, one is started on this machine that listens on the loopback
interface only. Needs `pip install -r requirements-ray.txt`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from tf_ccvae import settings
from tf_ccvae.programs.fit import INTERRUPTED
from tf_ccvae.programs.ray_cluster import Job, launch
from tf_ccvae.support.parser import Parser, mistakes_in_one_line


def read(argv: Sequence[str] | None = None) -> Job:
    """The command line.

    Raises:
      ConfigError: an argument, or a setting of the training, cannot be used.
    """
    parser = Parser("python -m tf_ccvae.launch_ray", __doc__)
    parser.add_argument("--run-dir", type=Path, required=True, help="directory of the run, which all workers share")
    parser.add_argument("--workers", type=int, default=1, help="number of workers")
    parser.add_argument("--cpus-per-worker", type=int, default=1, help="processor cores of each")
    parser.add_argument("--gpus-per-worker", type=int, default=0, help="GPUs of each; 0 trains on the processor")
    parser.add_argument("--restarts", type=int, default=3, help="how often lost workers are started again")
    given, others = parser.parse_known_args(sys.argv[1:] if argv is None else argv)
    for name, least in (("workers", 1), ("cpus_per_worker", 1), ("gpus_per_worker", 0), ("restarts", 0)):
        if getattr(given, name) < least:
            raise settings.ConfigError(f"--{name.replace('_', '-')}: {getattr(given, name)}: at least {least}")
    job = Job(
        given.run_dir.absolute(),
        tuple(others),
        given.workers,
        given.cpus_per_worker,
        given.gpus_per_worker,
        given.restarts,
    )
    settings.parse(job.of_worker())
    return job


def main(argv: Sequence[str] | None = None) -> int:
    """The program; returns its exit code: 0, 2 for bad input, 75 if workers were lost too often, 130 after Ctrl-C."""
    try:
        with mistakes_in_one_line():
            return launch(read(argv))
    except KeyboardInterrupt:
        return INTERRUPTED
