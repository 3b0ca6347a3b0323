"""The client's own part: files and their limits, time-outs, repetitions, and the command line."""

import errno
import io
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from PIL import Image

from serving import errors, images, publish
from serving.__main__ import main
from serving.client import CCVAEClient
from serving.values import value_of
from tests.serving.conftest import BATCHING, free_port
from tests.serving.double import Batching, ServerDouble


@pytest.fixture(scope="module")
def double(export, tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    publish.prepare(export, base, mount=base)
    with ServerDouble(base / publish.CONFIG, BATCHING) as made:
        yield made


@pytest.fixture
def picture(tmp_path, pixels):
    path = tmp_path / "photo.png"
    images.save(path, pixels[0])
    return path


def file_of(image):
    """float (height, width, 1) in [0, 1] as the bytes of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(np.rint(image[..., 0] * 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


# Files ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["rest", "grpc"])
def test_a_file_that_cannot_be_read_fails_no_other_request_of_its_batch(double, pixels, monkeypatch, way):
    files = [file_of(pixels[0]), b"no image", file_of(pixels[1])]
    (version,) = double.models["ccvae"].loaded.values()
    batcher = version.runners["classify_bytes"]
    monkeypatch.setattr(batcher, "batching", Batching(3, (1, 2, 3), timeout=60.0))  # waits until it is full
    monkeypatch.setattr(batcher, "sizes", Counter())
    with CCVAEClient(double.rest if way == "rest" else double.grpc) as client:

        def ask(files):
            return client.predict("classify_bytes", {"image_bytes": np.array(files, object)}).outputs

        alone = ask([files[0], files[2], files[2]])["probabilities"][:2]
        assert batcher.sizes == {3: 1}
        with ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(ask, [[x] for x in files]))
        assert batcher.sizes == {3: 2}  # the three requests were one batch
    assert [x["decoded"].item() for x in answers] == [1, 0, 1]
    assert np.isnan(answers[1]["probabilities"]).all()
    np.testing.assert_allclose(np.concatenate([x["probabilities"] for x in answers[::2]]), alone, atol=1e-6)


# The line -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["grpc", "http"])
def test_nobody_at_the_target_is_said_after_the_repetitions(way):
    target = f"{way}://127.0.0.1:{free_port()}"
    with CCVAEClient(target, retries=2, pause=0.01) as client, pytest.raises(errors.ServerAway) as caught:
        client.status()
    assert caught.value.unavailable and "no server answers" in str(caught.value)


@pytest.mark.parametrize("way", ["grpc", "rest"])
def test_a_request_is_sent_again_while_the_server_is_unavailable(double, way, pixels):
    with CCVAEClient(getattr(double, way), pause=0.01, retries=5) as client:
        client.classify(pixels[:1])
        before, double.refusals = double.requests["classify"], 2
        assert len(client.classify(pixels[:1])["logits"]) == 1
        assert double.requests["classify"] - before == 3


@pytest.mark.parametrize("way", ["grpc", "rest"])
def test_a_late_answer_is_an_error_and_is_not_asked_for_again(double, way, pixels, monkeypatch):
    with CCVAEClient(getattr(double, way), timeout=0.3, retries=5) as client:
        inputs = {"image": pixels[:1]}
        monkeypatch.setattr(double, "delay", 1.0)
        before = double.requests["classify"]
        with pytest.raises(errors.ServerAway, match=r"0\.3 s") as caught:
            client.predict("classify", inputs)
        assert not caught.value.unavailable and double.requests["classify"] - before == 1


@pytest.mark.parametrize(("number", "requests"), [(errno.EBADF, 2), (errno.ECONNRESET, 1)])
def test_a_connection_closed_on_this_side_is_no_fault_of_the_server(double, number, requests, monkeypatch):
    with CCVAEClient(double.rest, pause=0.01) as client:
        answered, asked = client.transport.http.request, []

        def broken_once(*arguments, **keywords):
            asked.append(arguments)
            if len(asked) > 1:
                return answered(*arguments, **keywords)
            try:
                raise OSError(number, "broken")
            except OSError as error:
                raise httpx.ReadError(str(error)) from error

        monkeypatch.setattr(client.transport.http, "request", broken_once)
        if requests > 1:
            assert client.status()[0].state == "AVAILABLE"
        else:
            with pytest.raises(errors.ServerAway, match="the connection broke"):
                client.status()
        assert len(asked) == requests


def test_64_pairs_of_images_of_256_pixels_fit_into_a_message():
    from serving.over_grpc import MAX_MESSAGE

    assert MAX_MESSAGE > 2 * 64 * 256 * 256 * 3 * 4


@pytest.mark.parametrize(
    "settings",
    [
        {"target": "localhost:8500"},
        {"target": "ftp://x"},
        {"target": "grpc://x:1", "version": 1, "label": "stable"},
        {"target": "grpc://x:1", "timeout": 0.0},
    ],
)
def test_a_target_that_cannot_be_is_refused(settings):
    with pytest.raises(errors.BadInput):
        CCVAEClient(**settings)


# Labels ---------------------------------------------------------------------------------------------------------------


def test_labels_are_named_by_name_or_number(double, pixels, description):
    with CCVAEClient(double.grpc, description=description) as client:
        by_name = client.set_labels(pixels[:1], {"Top": "on", "Bright": 0})
        by_number = client.set_labels(pixels[:1], {0: 1, 1: "off"})
        np.testing.assert_array_equal(by_name, by_number)
        for labels in ({"Tip": 1}, {2: 1}, {True: 1}, {"Top": 2}, {0: 2}, {"Top": "2"}, {"Top": 1.0}):
            with pytest.raises(errors.BadInput, match="no such"):
                client.set_labels(pixels[:1], labels)


def test_a_label_that_is_asked_for_twice_is_refused(double, pixels, description):
    with CCVAEClient(double.grpc, description=description) as client:
        with pytest.raises(errors.BadInput, match="0: is asked for twice"):
            client.set_labels(pixels[:1], {"Top": 1, 0: 0})
        with pytest.raises(errors.BadInput, match="Top: is asked for twice"):
            client.swap(pixels[:1], pixels[1:2], ["Top", "Bright", "Top"])


WEEK, WORDS_OF_BINARY = [str(x) for x in range(1, 8)], ["off", "on"]


@pytest.mark.parametrize(
    ("value", "names", "binary", "index"),
    [
        *[(v, WEEK, False, v) for v in range(7)],
        *[(name, WEEK, False, i) for i, name in enumerate(WEEK)],
        ("180", ["0", "90", "180", "270"], False, 2),
        ("b", ["B", "C"], False, 0),
        ("b", ["B", "b"], False, 1),
        ("1", ["B", "C"], False, 1),
        *[(x, WORDS_OF_BINARY, True, 1) for x in (1, True, "1", "on", "ON", "yes", "True")],
        *[(x, WORDS_OF_BINARY, True, 0) for x in (0, False, "0", "off", "No", "false")],
    ],
)
def test_a_value_is_an_index_or_a_name_and_never_a_guess(value, names, binary, index):
    assert value_of(value, names, binary) == index


@pytest.mark.parametrize(
    ("value", "names"),
    [(7, WEEK), (-1, WEEK), ("0", WEEK), ("8", WEEK), (True, WEEK), ("yes", ["B", "C"]), ("xx", ["Xx", "XX"])],
)
def test_a_value_that_is_none_is_refused_with_the_names(value, names):
    with pytest.raises(ValueError, match=", ".join(names)):
        value_of(value, names, binary=False)


def test_no_rows_are_not_sent(double):
    with CCVAEClient(double.grpc) as client, pytest.raises(errors.BadInput, match="no rows"):
        client.predict("classify", {"image": np.zeros((0, 28, 28, 1), np.float32)})


def test_a_server_describes_its_model_over_grpc_and_rest(double, description):
    for target in (double.grpc, double.rest):
        with CCVAEClient(target) as client:
            assert client.describe() == description


# The command line -----------------------------------------------------------------------------------------------------


def test_commands_print_numbers_and_write_pictures(double, picture, tmp_path, export, capsys):
    line = ["--target", double.rest, "--description", str(export / "ccvae.json")]
    assert main(["classify", *line, str(picture)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert set(said["probabilities"]) == {"Top", "Bright"}
    assert sum(said["probabilities"]["Top"].values()) == pytest.approx(1, abs=1e-5)
    assert main(["encode", *line, str(picture)]) == 0
    assert len(json.loads(capsys.readouterr().out)["loc"]) == 6
    latents = tmp_path / "latents.npy"
    np.save(latents, np.zeros((1, 6), np.float32))
    out = ["--out", str(tmp_path / "out")]
    for arguments in (
        ["reconstruct", *line, *out, str(picture)],
        ["set_labels", *line, *out, str(picture), "--label", "Top=1"],
        ["swap", *line, *out, str(picture), "--donors", str(picture), "--label", "Top"],
        ["generate", *line, *out, "--label", "Bright=on", "--count", "2"],
        ["decode", *line, *out, str(latents)],
    ):
        assert main(arguments) == 0
        for path in capsys.readouterr().out.split():
            with Image.open(path) as written:
                assert written.size == (28, 28)
    assert main(["describe", *line]) == 0 and json.loads(capsys.readouterr().out)["latents"] == 6
    assert main(["status", *line]) == 0 and "version 1: AVAILABLE" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["classify", "--target", "http://127.0.0.1:9", "--retries", "0", "photo.png"],
        ["classify", "photo.png"],
        ["generate", "--target", "http://127.0.0.1:9", "--out", "x", "--label", "Top"],
        ["prepare", "nothing", "--to", "models"],
        ["prepare", "nothing", "--to", "models", "--label", "stable"],
        ["triton", "nothing", "--to", "models"],
        ["prophesy"],
    ],
)
def test_a_mistake_ends_in_one_line_and_code_2(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [*("generate", "--target", "http://127.0.0.1:9", "--out", "x"), *("--label", "Top=1", "--label", "Top=0")],
            "--label: Top is given twice",
        ),
        (["label", "models", "sta/ble=1"], "LABEL=VERSION: must be such as stable=3, got 'sta/ble=1'"),
        (["label", "models", "stable =1"], "LABEL=VERSION: must be such as stable=3, got 'stable =1'"),
        (
            ["prepare", "exported", "--to", "models", "--label", "stable=\u00b2"],
            "--label: must be such as stable=3, got",
        ),
    ],
)
def test_labels_that_contradict_each_other_or_have_no_address_are_refused(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
