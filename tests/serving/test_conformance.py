"""What a server of the model answers: run against the test double, and against every real server that can be had."""

import base64
import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from PIL import Image

from serving import errors

PREDICT = "/v1/models/ccvae:predict"
WAYS = ("grpc", "rest")


@pytest.fixture(params=WAYS)
def client(server, request):
    with server.client(request.param) as made:
        yield made


def post(server, body, path=PREDICT):
    return httpx.post(server.rest + path, content=body if isinstance(body, str) else json.dumps(body), timeout=30)


def png(image):
    file = io.BytesIO()
    Image.fromarray(np.rint(image[..., 0] * 255).astype(np.uint8)).save(file, format="PNG")
    return file.getvalue()


# Results --------------------------------------------------------------------------------------------------------------


def test_both_ways_give_equal_numbers(server, pixels):
    with server.client("grpc") as over_grpc, server.client("rest") as over_rest:
        for name in ("classify", "encode"):
            first, second = (getattr(x, name)(pixels[:3]) for x in (over_grpc, over_rest))
            assert set(first) == set(second)
            for key in first:
                assert first[key].dtype == second[key].dtype == np.float32
                np.testing.assert_allclose(first[key], second[key], atol=1e-6)
        np.testing.assert_allclose(over_grpc.reconstruct(pixels[:3]), over_rest.reconstruct(pixels[:3]), atol=1e-6)


def test_the_methods_compute_what_keras_does(client, export):
    with np.load(export / "reference.npz") as stored:
        arrays = {name: rows[:5] for name, rows in stored.items()}
    image = arrays["input/image"]
    np.testing.assert_allclose(client.encode(image)["loc"], arrays["output/encoder/loc"], atol=1e-5)
    probabilities = client.classify(image)["probabilities"]
    np.testing.assert_allclose(probabilities, arrays["output/encoder/probabilities"], atol=1e-5)
    decoded = client.decode(arrays["input/latents"])
    np.testing.assert_allclose(decoded, arrays["output/decoder/image"], atol=1e-5)


def test_set_swap_and_reconstruct_agree_where_nothing_is_asked_for(client, pixels):
    plain = client.reconstruct(pixels[:2])
    np.testing.assert_allclose(client.set_labels(pixels[:2], {}), plain, atol=1e-5)
    np.testing.assert_allclose(client.swap(pixels[:2], pixels[2:3], []), plain, atol=1e-5)


def test_a_set_label_is_seen_by_the_classifier(client, pixels):
    on, off = (client.classify(client.set_labels(pixels[:8], {0: value}))["probabilities"][:, 0, 1] for value in (1, 0))
    assert on.mean() > off.mean() + 0.01


def test_a_row_of_generate_depends_on_its_seed_alone(client):
    many = client.generate({0: 1}, count=5, seed=3)
    alone = client.generate({0: 1}, count=1, seed=5)
    np.testing.assert_allclose(many["image"][2], alone["image"][0], atol=1e-6)
    assert not np.allclose(many["image"][0], many["image"][1])


def test_more_rows_than_one_request_takes_are_sent_in_several(client, pixels):
    images = np.resize(pixels, (130, *pixels.shape[1:]))
    rows = client.classify(images)["probabilities"]
    np.testing.assert_allclose(rows[129], client.classify(images[129:])["probabilities"][0], atol=1e-5)


def test_files_read_by_the_server_are_classified_as_those_read_here(client, pixels):
    files = [png(x) for x in pixels[:3]]
    expected = client.classify(files)["probabilities"]
    np.testing.assert_allclose(client.classify_bytes(files)["probabilities"], expected, atol=1e-4)


@pytest.mark.parametrize("bad", [b"no image", b""])
@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_cannot_be_read_fails_no_other_file_of_its_batch(server, pixels, way, bad):
    files = [png(pixels[0]), bad, png(pixels[1])]
    with server.client(way) as client:
        alone = client.classify_bytes(files[::2])["probabilities"]
        together = client.predict("classify_bytes", {"image_bytes": np.array(files, object)}).outputs
        barrier = threading.Barrier(3)

        def one(file):
            barrier.wait()  # so that a server with batching may merge them
            return client.predict("classify_bytes", {"image_bytes": np.array([file], object)}).outputs

        with ThreadPoolExecutor(3) as pool:
            merged = list(pool.map(one, files))
    assert together["decoded"].tolist() == [1, 0, 1] and [x["decoded"].item() for x in merged] == [1, 0, 1]
    for rows in (together["probabilities"], np.concatenate([x["probabilities"] for x in merged])):
        assert np.isnan(rows[1]).all()
        np.testing.assert_allclose(rows[::2], alone, atol=1e-6)


# JSON forms -----------------------------------------------------------------------------------------------------------


def test_row_form_gives_one_object_for_each_row(server, pixels):
    body = {"signature_name": "encode", "instances": [{"image": x.tolist()} for x in pixels[:2]]}
    answer = post(server, body)
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    rows = answer.json()["predictions"]
    assert len(rows) == 2 and set(rows[0]) == {"loc", "scale", "probabilities"}


def test_columnar_form_gives_one_list_for_each_output(server, pixels):
    body = {"signature_name": "encode", "inputs": {"image": pixels[:2].tolist()}}
    outputs = post(server, body).json()["outputs"]
    assert set(outputs) == {"loc", "scale", "probabilities"} and len(outputs["loc"]) == 2


def test_one_input_and_one_output_need_no_names(server, pixels):
    rows = post(server, {"signature_name": "reconstruct", "instances": pixels[:2].tolist()}).json()["predictions"]
    columns = post(server, {"signature_name": "reconstruct", "inputs": pixels[:2].tolist()}).json()["outputs"]
    assert np.shape(rows) == np.shape(columns) == pixels[:2].shape


def test_without_a_name_the_signature_is_classify(server, pixels):
    rows = post(server, {"instances": [{"image": pixels[0].tolist()}]}).json()["predictions"]
    assert set(rows[0]) == {"probabilities", "logits"}


def test_bytes_are_base64_in_both_forms(server, pixels):
    text = {"b64": base64.b64encode(png(pixels[0])).decode()}
    by_row = post(server, {"signature_name": "classify_bytes", "instances": [{"image_bytes": text}]})
    plain = post(server, {"signature_name": "classify_bytes", "instances": [text]})
    columns = post(server, {"signature_name": "classify_bytes", "inputs": {"image_bytes": [text]}})
    expected = by_row.json()["predictions"][0]["probabilities"]
    assert plain.json()["predictions"][0]["probabilities"] == expected
    assert columns.json()["outputs"]["probabilities"][0] == expected


def test_an_unknown_key_is_ignored_in_columns(server, pixels):
    body = {"signature_name": "encode", "inputs": {"image": pixels[:1].tolist(), "more": [1]}}
    assert post(server, body).status_code == 200


# Errors ---------------------------------------------------------------------------------------------------------------

ROW = [[[0.0]] * 28] * 28
BAD_BODIES = {
    "not JSON": "{",
    "no object": [],
    "neither form": {"signature_name": "classify"},
    "both forms": {"inputs": [], "instances": []},
    "no rows": {"instances": []},
    "a signature that is no string": {"signature_name": 3, "instances": [ROW]},
    "an unknown signature": {"signature_name": "clasify", "instances": [ROW]},
    "an unknown key in rows": {"instances": [{"image": ROW, "more": 1}]},
    "a missing key in rows": {"instances": [{"picture": ROW}]},
    "a missing key in columns": {"inputs": {"picture": [ROW]}},
    "words for numbers": {"instances": [{"image": "black"}]},
    "truth for numbers": {"signature_name": "decode", "instances": [{"latents": [True] * 6}]},
    "fractions for whole numbers": {
        "signature_name": "generate",
        "instances": [{"labels": [0.5, 1], "mask": [True, True], "seed": [0, 0]}],
    },
    "broken base64": {"signature_name": "classify_bytes", "instances": [{"b64": "%%"}]},
    "ragged rows": {"signature_name": "decode", "instances": [{"latents": [0.0] * 6}, {"latents": [0.0] * 5}]},
    "too few latents": {"signature_name": "decode", "instances": [{"latents": [0.0] * 5}]},
    "a signature without inputs": {"signature_name": "describe", "inputs": {}},
}


@pytest.mark.parametrize("what", sorted(BAD_BODIES))
def test_a_bad_body_is_answered_400_with_the_reason(server, what):
    answer = post(server, BAD_BODIES[what])
    assert answer.status_code == 400 and answer.json()["error"], answer.text


@pytest.mark.parametrize("path", ["ccvae2:predict", "ccvae/versions/77:predict"])
def test_an_unknown_model_or_version_is_answered_404(server, path):
    answer = post(server, {"instances": [ROW]}, f"/v1/models/{path}")
    assert answer.status_code == 404 and "not found" in answer.json()["error"]


def test_an_unknown_label_or_a_malformed_path_is_answered_400(server):
    assert post(server, {"instances": [ROW]}, "/v1/models/ccvae/labels/none:predict").status_code == 400
    assert post(server, {"instances": [ROW]}, "/v1/models/ccvae:foretell").status_code == 400


def test_typed_errors_say_what_is_wrong(server, pixels):
    for way in WAYS:
        with server.client(way) as client, pytest.raises(errors.SignatureUnknown):
            client.predict("clasify", {"image": pixels[:1]})
        with server.client(way) as client, pytest.raises(errors.BadInput):
            client.predict("classify", {"picture": pixels[:1]})
        with server.client(way) as client, pytest.raises(errors.BadInput):
            client.predict("classify", {"image": pixels[:1, :5]})
        for settings, kind in (
            ({"model": "ccvae2"}, errors.ModelUnknown),
            ({"model": "ccvae2", "version": 1}, errors.ModelUnknown),
            ({"version": 77}, errors.VersionUnknown),
            ({"label": "none"}, errors.VersionUnknown),
        ):
            with server.client(way, **settings) as client, pytest.raises(kind):
                client.classify(pixels[:1])


# Versions and metadata ------------------------------------------------------------------------------------------------


def test_status_lists_the_versions_of_models_config(client):
    assert [(x.version, x.state) for x in client.status()] == [(1, "AVAILABLE"), (2, "AVAILABLE")]


def test_version_and_label_choose_who_answers(server, pixels):
    for settings, version in (({}, 2), ({"version": 1}, 1), ({"label": "stable"}, 1)):
        with server.client("grpc", **settings) as client:
            assert client.predict("classify", {"image": pixels[:1]}).version == version
        with server.client("rest", **settings) as client:
            assert client.classify(pixels[:1])["probabilities"].shape[0] == 1


def test_metadata_lists_every_signature_with_shapes(server):
    answer = httpx.get(f"{server.rest}/v1/models/ccvae/metadata").json()
    assert answer["model_spec"]["name"] == "ccvae" and answer["model_spec"]["version"] == "2"
    image = answer["metadata"]["signature_def"]["signature_def"]["classify"]["inputs"]["image"]
    assert image["dtype"] == "DT_FLOAT" and image["tensor_shape"]["dim"][0]["size"] == "-1"
    with server.client("grpc") as over_grpc, server.client("rest") as over_rest:
        assert over_grpc.transport.signatures() == over_rest.transport.signatures()


def test_metrics_are_served(server):
    answer = httpx.get(f"{server.rest}/monitoring/prometheus/metrics")
    assert answer.status_code == 200 and "tensorflow" in answer.text


# Batching and many at once --------------------------------------------------------------------------------------------


def test_a_request_of_more_rows_than_a_batch_takes_is_refused(server, pixels):
    images = np.resize(pixels, (65, *pixels.shape[1:]))
    assert post(server, {"signature_name": "encode", "inputs": images.tolist()}).status_code == 400
    with server.client("grpc") as client:
        with pytest.raises(errors.BadInput, match="65"):
            client.predict("encode", {"image": images})
        assert len(client.predict("encode", {"image": images[:64]}).outputs["loc"]) == 64


@pytest.mark.parametrize("way", WAYS)
def test_200_requests_at_once_get_their_own_rows(server, pixels, way):
    with server.client(way, timeout=60) as client:
        brightness = np.linspace(0.5, 1, 200, dtype=np.float32)[:, None, None, None]
        images = np.resize(pixels, (200, *pixels.shape[1:])) * brightness
        expected = client.encode(images)["loc"]
        assert len(np.unique(expected.round(5), axis=0)) > 190
        together = threading.Barrier(200)

        def one(index):
            together.wait()
            return client.predict("encode", {"image": images[index : index + 1]}).outputs["loc"][0]

        with ThreadPoolExecutor(200) as pool:
            rows = np.stack(list(pool.map(one, range(200))))
        np.testing.assert_allclose(rows, expected, rtol=1e-5, atol=1e-5)
