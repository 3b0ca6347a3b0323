"""Publishing: all of a version or nothing, warm-up requests that the signatures answer, labels forward and back."""

import contextlib
import json
import resource
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from serving import publish
from serving.__main__ import main
from serving.errors import PublishError
from tests.serving.conftest import mount_of, own_kinds, started
from tests.serving.double import Failure, ServerDouble


def config_of(base):
    config = text_format.Parse((base / "models.config").read_text(), model_server_config_pb2.ModelServerConfig())
    return config.model_config_list.config


def warm_up_of(folder):
    records = tf.data.TFRecordDataset(str(folder / publish.WARM_UP)).as_numpy_iterator()
    return [prediction_log_pb2.PredictionLog.FromString(x).predict_log.request for x in records]


@pytest.fixture(scope="module")
def base(export, tmp_path_factory):
    made = tmp_path_factory.mktemp("models")
    publish.prepare(export, made, label=("stable", 1))
    return made


@pytest.fixture
def unanswered(monkeypatch):
    """Publishing does not load the model and answer its warm-up requests, which tests of those look at."""
    monkeypatch.setattr(publish, "replay", lambda folder, requests: None)


def test_the_published_version_is_the_exported_one(export, base):
    for path in (export / "saved_model" / "1").rglob("*"):
        if path.is_file():
            copy = base / "ccvae" / "1" / path.relative_to(export / "saved_model" / "1")
            assert copy.read_bytes() == path.read_bytes()
    assert sorted(x.name for x in (base / "ccvae").iterdir()) == ["1"]


def test_every_signature_with_inputs_has_one_warm_up_request_that_it_answers(base):
    folder = base / "ccvae" / "1"
    requests = warm_up_of(folder)
    loaded = tf.saved_model.load(str(folder))
    with_inputs = {name for name, x in loaded.signatures.items() if x.structured_input_signature[1]}
    assert sorted(x.model_spec.signature_name for x in requests) == sorted(with_inputs)
    assert {x.model_spec.name for x in requests} == {"ccvae"}
    publish.replay(folder, requests)


def test_a_request_that_a_signature_does_not_take_is_found(base):
    folder = base / "ccvae" / "1"
    request = warm_up_of(folder)[0]
    request.inputs["picture"].CopyFrom(tf.make_tensor_proto([0.0]))
    with pytest.raises(PublishError, match=request.model_spec.signature_name):
        publish.replay(folder, [request])


def test_configuration_has_name_place_label_and_versions(base):
    (entry,) = config_of(base)
    assert (entry.name, entry.base_path, entry.model_platform) == ("ccvae", "/models/ccvae", "tensorflow")
    assert dict(entry.version_labels) == {"stable": 1}
    assert entry.model_version_policy.WhichOneof("policy_choice") == "all"


@pytest.mark.usefixtures("unanswered")
def test_labels_go_forward_and_back_and_all_versions_stay_loaded(export, as_version, tmp_path):
    publish.prepare(export, tmp_path, label=("stable", 1))
    publish.prepare(as_version(3), tmp_path)
    assert config_of(tmp_path)[0].model_version_policy.WhichOneof("policy_choice") == "all"
    publish.set_label(tmp_path, ("stable", 3))
    assert dict(config_of(tmp_path)[0].version_labels) == {"stable": 3}
    publish.set_label(tmp_path, ("stable", 1))
    assert dict(config_of(tmp_path)[0].version_labels) == {"stable": 1}
    with pytest.raises(PublishError, match="published: 1, 3"):
        publish.set_label(tmp_path, ("stable", 2))


@pytest.mark.usefixtures("unanswered")
def test_labels_move_at_a_server_that_refuses_what_is_not_available(export, as_version, tmp_path):
    publish.prepare(export, tmp_path, label=("stable", 1), mount=tmp_path)
    with ServerDouble(tmp_path / publish.CONFIG, poll=1000) as double:  # each look is by hand
        labels = double.models["ccvae"]

        def after(looks):
            for _ in range(looks):
                with contextlib.suppress(Failure):
                    double.look()
            return labels.labels["stable"], sorted(labels.loaded)

        publish.prepare(as_version(2), tmp_path, mount=tmp_path)
        publish.set_label(tmp_path, ("stable", 2), mount=tmp_path)  # before the server has seen the version
        assert after(1) == (1, [1, 2]) and "not currently available" in double.refused
        assert after(1) == (2, [1, 2])
        publish.set_label(tmp_path, ("stable", 1), mount=tmp_path)
        assert after(1) == (1, [1, 2])
        publish.prepare(as_version(3), tmp_path, label=("stable", 3), mount=tmp_path)
        assert after(2) == (3, [1, 2, 3])


@pytest.mark.usefixtures("unanswered")
def test_an_older_configuration_loads_all_versions_after_the_next_publication(export, as_version, tmp_path):
    publish.prepare(export, tmp_path, label=("stable", 1))
    path = tmp_path / publish.CONFIG
    path.write_text(path.read_text().replace("all {", "specific { versions: 1"))
    assert config_of(tmp_path)[0].model_version_policy.WhichOneof("policy_choice") == "specific"
    publish.prepare(as_version(2), tmp_path)
    (entry,) = config_of(tmp_path)
    assert entry.model_version_policy.WhichOneof("policy_choice") == "all"
    assert dict(entry.version_labels) == {"stable": 1}


@pytest.mark.usefixtures("unanswered")
def test_a_label_of_an_older_configuration_moves_in_two_steps(export, as_version, tmp_path):
    publish.prepare(export, tmp_path, label=("stable", 1), mount=tmp_path)
    path = tmp_path / publish.CONFIG
    path.write_text(path.read_text().replace("all {", "specific { versions: 1"))
    with ServerDouble(path, poll=1000) as double:
        with pytest.raises(PublishError, match="AVAILABLE, do this again: python -m serving label"):
            publish.prepare(as_version(2), tmp_path, label=("stable", 2), mount=tmp_path)
        (entry,) = config_of(tmp_path)
        assert entry.model_version_policy.WhichOneof("policy_choice") == "all"
        assert dict(entry.version_labels) == {"stable": 1}
        double.look()
        publish.set_label(tmp_path, ("stable", 2), mount=tmp_path)
        double.look()
        assert double.models["ccvae"].labels == {"stable": 2}


@pytest.mark.parametrize("most", [20_000, 2_000_000])
def test_a_disk_that_is_full_is_said_in_one_line_and_leaves_nothing(export, tmp_path, most, capsys):
    largest = max(x.stat().st_size for x in (export / "saved_model").rglob("*"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (min(most, largest - 1), before[1]))
    try:
        code = main(["prepare", str(export), "--to", str(tmp_path / "models")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    said = capsys.readouterr().err
    assert code == 2 and said.count("\n") == 1 and "File too large" in said and "None" not in said
    assert not list((tmp_path / "models" / "ccvae").iterdir())


@pytest.mark.usefixtures("unanswered")
def test_an_older_or_equal_version_is_refused_unless_asked(export, as_version, tmp_path):
    publish.prepare(as_version(2), tmp_path)
    for source in (export, as_version(2)):
        with pytest.raises(PublishError, match="--force"):
            publish.prepare(source, tmp_path)
    assert publish.prepare(export, tmp_path, force=True).name == "1"
    assert publish.prepare(as_version(2), tmp_path, force=True).name == "2"
    assert sorted(x.name for x in (tmp_path / "ccvae").iterdir()) == ["1", "2"]


@pytest.mark.usefixtures("unanswered")
def test_other_models_in_the_configuration_stay(export, tmp_path):
    publish.prepare(export, tmp_path, name="faces")
    publish.prepare(export, tmp_path, name="others")
    assert [x.name for x in config_of(tmp_path)] == ["faces", "others"]


@pytest.mark.parametrize("what", ["no manifest", "changed file", "missing file", "bad label", "bad name", "bad config"])
def test_nothing_is_published_of_what_cannot_be(what, export, tmp_path):
    copy, base, settings = tmp_path / "export", tmp_path / "models", {}
    shutil.copytree(export, copy)
    if what == "no manifest":
        (copy / "manifest.json").unlink()
    if what == "changed file":
        (copy / "saved_model" / "1" / "saved_model.pb").write_bytes(b"something else")
    if what == "missing file":
        (copy / "saved_model" / "1" / "variables" / "variables.index").unlink()
    if what == "bad label":
        settings["label"] = ("stable", 7)
    if what == "bad name":
        settings["name"] = "../ccvae"
    if what == "bad config":
        base.mkdir()
        (base / "models.config").write_text("model_config_lists {}")
    with pytest.raises(PublishError):
        publish.prepare(copy, base, **settings)
    assert not list(base.glob("*/*"))


def test_a_failure_half_way_leaves_nothing(export, tmp_path, monkeypatch):
    def fail(folder, requests):
        raise PublishError("a signature does not answer")

    monkeypatch.setattr(publish, "replay", fail)
    with pytest.raises(PublishError, match="does not answer"):
        publish.prepare(export, tmp_path)
    assert not list((tmp_path / "ccvae").iterdir()) and not (tmp_path / "models.config").exists()


def test_an_export_without_saved_model_says_what_is_missing(export, tmp_path):
    (tmp_path / "export").mkdir()
    manifest = json.loads((export / "manifest.json").read_text())
    manifest["files"] = {name: x for name, x in manifest["files"].items() if not name.startswith("saved_model")}
    (tmp_path / "export" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(PublishError, match="--formats saved_model"):
        publish.prepare(tmp_path / "export", tmp_path / "models")


@pytest.mark.parametrize("kind", own_kinds())
def test_versions_are_swapped_and_rolled_back_under_load_without_a_failed_request(
    kind, export, as_version, tmp_path, pixels
):
    mount = mount_of(kind, tmp_path)
    publish.prepare(export, tmp_path, label=("stable", 1), mount=mount)
    newer = as_version(3)
    with started(kind, tmp_path) as server:
        done = threading.Event()

        def keep_asking(settings):
            seen = []
            with server.client("grpc", retries=0, **settings) as client:
                while not done.is_set():
                    seen.append(client.predict("classify", {"image": pixels[:1]}).version)
            return seen

        def wait_for(version, **settings):
            with server.client("grpc", **settings) as client:
                for _ in range(600):
                    if client.predict("classify", {"image": pixels[:1]}).version == version:
                        return
                    done.wait(0.1)
            raise AssertionError(f"version {version} does not come")

        with ThreadPoolExecutor(4) as pool:
            loads = [pool.submit(keep_asking, settings) for settings in ({}, {}, {"label": "stable"})]
            try:
                publish.prepare(newer, tmp_path, mount=mount)
                wait_for(3)
                publish.set_label(tmp_path, ("stable", 3), mount=mount)
                wait_for(3, label="stable")
                publish.prepare(export, tmp_path, mount=mount, label=("stable", 1), force=True)
                wait_for(1, label="stable")
            finally:
                done.set()
            seen = [set(x.result()) for x in loads]
    assert seen == [{1, 3}, {1, 3}, {1, 3}]
