"""The load test, run for a moment against the test double, as the benchmark runs it."""

import json

from tests import processes


def test_results_name_machine_and_server_and_have_percentiles_of_both_ways(export, tmp_path):
    small = ("--users", "2", "--images", "1", "--seconds", "2", "--results", tmp_path)
    processes.run("benchmarks.serving_load", "--export", export, *small, output=tmp_path / "said.txt")
    assert (tmp_path / "serving_load.md").is_file()
    (content,) = json.loads((tmp_path / "serving_load.json").read_text())["results"]
    assert content["server"].startswith("test double") and "CPUs" in content["machine"]
    assert {target.partition(":")[0] for target in content["targets"]} == {"grpc", "http"}
    for rows in content["targets"].values():
        assert rows["all"]["requests"] > 0 and set(rows["all"]["milliseconds"]) == {"p50", "p90", "p95", "p99"}
