"""What the client says when a package of requirements-serving.txt is not there."""

import sys

import pytest

from serving import __main__ as program


@pytest.mark.parametrize(
    ("target", "module", "package"),
    [
        ("http://localhost:1", "httpx", "httpx"),
        ("grpc://localhost:1", "grpc", "grpcio"),
        ("grpc://localhost:1", "tensorflow_serving", "tensorflow-serving-api"),
    ],
)
def test_a_missing_package_is_one_line_that_names_the_requirements(monkeypatch, capsys, target, module, package):
    for name in [x for x in sys.modules if x.partition(".")[0] == module or x.startswith("serving.over_")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    assert program.main(["status", "--target", target]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"needs the package {package}; pip install -r requirements-serving.txt" in said
