"""What the suite needs of a machine before a test runs."""

import os
import sys

from tests import processes


def test_the_suite_is_collected_where_there_is_nothing_but_python(tmp_path):
    (tmp_path / "python").symlink_to(sys.executable)
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path), "TF_CPP_MIN_LOG_LEVEL": "2"}
    kept = {name: os.environ[name] for name in ("CUDA_VISIBLE_DEVICES", "VIRTUAL_ENV") if name in os.environ}
    arguments = ("--collect-only", "-n0", "-p", "no:cacheprovider")
    pytest = processes.start(
        "pytest", *arguments, output=tmp_path / "said.txt", environment=environment, inherited=kept
    )
    assert pytest.wait() == 0, pytest.said()
    said = pytest.said()
    assert "tests/serving/test_proxy.py" not in said and "tests/test_collection.py" in said
    last = said.splitlines()[-1]
    assert last.endswith("that need more than pip installs were left out; run them too by: pytest --system")
