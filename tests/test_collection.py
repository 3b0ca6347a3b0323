"""What the suite needs of a machine before a test runs."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_suite_is_collected_where_there_is_nothing_but_python(tmp_path):
    (tmp_path / "python").symlink_to(sys.executable)
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path), "TF_CPP_MIN_LOG_LEVEL": "2"}
    kept = {name: os.environ[name] for name in ("CUDA_VISIBLE_DEVICES", "VIRTUAL_ENV") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-n0", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env=environment | kept,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tests/serving/test_proxy.py" not in done.stdout and "tests/test_collection.py" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.endswith("that need more than pip installs were left out; run them too by: pytest --system")
