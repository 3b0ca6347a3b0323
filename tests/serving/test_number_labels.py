"""Number labels through a server: predicted by the client, set by it, and in Triton's files."""

import json

import numpy as np
import onnx
import pytest

from export import manifest
from export.uses import Uses
from serving import description as serving_description
from serving import errors, images, onnx_repository, publish
from serving.__main__ import main
from serving.client import CCVAEClient
from serving.values import setting_of
from tests.serving.conftest import BATCHING
from tests.serving.double import ServerDouble
from tf_ccvae.support.errors import Caution
from tf_ccvae.training import run_directory


@pytest.fixture(scope="module")
def double(numbers_exported, tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    publish.prepare(numbers_exported.folder, base, mount=base)
    with ServerDouble(base / publish.CONFIG, BATCHING) as made:
        yield made


@pytest.fixture(params=["grpc", "rest"])
def client(double, request):
    with CCVAEClient(getattr(double, request.param)) as made:
        yield made


@pytest.fixture(scope="module")
def description(numbers_exported):
    return json.loads((numbers_exported.folder / "ccvae.json").read_text())


@pytest.fixture(scope="module")
def picture(tmp_path_factory, pixels):
    path = tmp_path_factory.mktemp("picture") / "photo.png"
    images.save(path, pixels[0])
    return str(path)


def test_numbers_are_predicted_and_set_in_their_units(client, numbers_exported, pixels):
    with np.load(numbers_exported.folder / "reference.npz") as stored:
        image, numbers = stored["input/image"][:2], stored["output/encoder/numbers"][:2]
    np.testing.assert_allclose(client.classify(image)["numbers"], numbers, rtol=1e-5)
    np.testing.assert_allclose(client.encode(image)["numbers"], numbers, rtol=1e-5)
    uses = Uses(run_directory.load(numbers_exported.run)[1])
    labels, mask = np.array([[0, 0, 60.5, 2]] * 2, np.float32), np.array([[False, False, True, True]] * 2)
    expected = uses.set_labels(image, labels, mask)["edited"]
    for value in (60.5, "60.5", np.float32(60.5)):
        np.testing.assert_allclose(client.set_labels(image, {"age": value, 3: "z"}), expected, atol=1e-5)
    assert client.generate({"size": 0.003, "bright": "on"}, 2)["image"].shape == (2, 28, 28, 1)
    assert client.swap(image, image[::-1], ["age"]).shape == (2, 28, 28, 1)


@pytest.mark.parametrize("value", ["old", "", float("nan"), True, "6,5"])
def test_what_is_no_number_is_refused_with_the_range(double, description, pixels, value):
    with (
        CCVAEClient(double.grpc, description=description) as client,
        pytest.raises(errors.BadInput, match="is not a number; training values were 20 to 70"),
    ):
        client.set_labels(pixels[:1], {"age": value})


def test_a_number_far_outside_the_training_values_is_warned_of_where_it_is_asked_for(client, pixels):
    client.describe()
    for ask in (lambda: client.set_labels(pixels[:1], {"age": 95.5}), lambda: client.generate({"age": -6}, 1)):
        with pytest.warns(Caution, match=r"age=(95\.5|-6) is far outside the training values, 20 to 70; no ") as caught:
            ask()
        assert [x.filename for x in caught] == [__file__]
    client.set_labels(pixels[:1], {"age": 95, "bright": 1})


def test_names_with_equals_signs_are_told_apart_by_what_is_a_number():
    labels = [
        {"name": "a", "kind": "number", "scale": {"low": 0.0, "high": 1.0}},
        {"name": "a=b", "kind": "binary", "values": ["off", "on"]},
    ]
    assert setting_of("a=b=on", lambda: labels) == ("a=b", "on")
    assert setting_of("a=0.5", lambda: labels) == ("a", "0.5")


def test_commands_print_numbers_by_name_and_set_them(double, numbers_exported, picture, tmp_path, capsys):
    line = ["--target", double.rest, "--description", str(numbers_exported.folder / "ccvae.json")]
    assert main(["classify", *line, picture]) == 0
    said = json.loads(capsys.readouterr().out)
    assert set(said["probabilities"]) == {"bright", "kind"} and set(said["numbers"]) == {"size", "age"}
    with np.load(numbers_exported.folder / "reference.npz") as stored:
        mean, deviation = stored["output/encoder/numbers"][0, 1]
    assert said["numbers"]["age"] == pytest.approx({"mean": mean, "deviation": deviation}, rel=1e-4)
    assert main(["set_labels", *line, "--out", str(tmp_path), picture, "--label", "age=60.5"]) == 0
    assert (tmp_path / "photo.png").is_file()
    assert main(["set_labels", *line, "--out", str(tmp_path), picture, "--label", "age=old"]) == 2
    assert "age=old: is not a number; training values were 20 to 70" in capsys.readouterr().err
    assert main(["generate", *line, "--out", str(tmp_path), "--label", "age=300", "--label", "size=0.002"]) == 0
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("warning: age=300 is far outside the training values, 20 to 70; no picture has taught")


@pytest.mark.parametrize("content", [{"format": 4}, {}, []])
def test_a_description_of_another_format_is_refused(tmp_path, content):
    path = tmp_path / "ccvae.json"
    path.write_text(json.dumps(content))
    with pytest.raises(errors.BadInput, match="and this client reads 1, 2, 3; update tf_ccvae"):
        CCVAEClient("grpc://127.0.0.1:9", description=path)


def test_triton_is_told_of_floats_and_numbers(numbers_exported):
    folder = numbers_exported.folder / "onnx"
    said = onnx_repository.configuration("set_labels", onnx.load(folder / "set_labels.onnx"))
    assert '{ name: "labels", data_type: TYPE_FP32, dims: [ 4 ] }' in said
    said = onnx_repository.configuration("encoder", onnx.load(folder / "encoder.onnx"))
    assert '{ name: "numbers", data_type: TYPE_FP32, dims: [ 2, 2 ] }' in said


def test_the_formats_that_export_writes_are_those_that_serving_reads():
    assert serving_description.FORMATS == manifest.FORMATS
