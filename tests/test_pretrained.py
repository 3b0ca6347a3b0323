"""The trained run in the repository is what it says it is, on faces that it has not seen."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from export.options import Options
from export.run import export_run
from export.uses import Uses, as_float32
from serving import images
from tests.turned import picture_file
from tf_ccvae import interventions
from tf_ccvae.data import avatars
from tf_ccvae.training import measures, run_directory

RUN = Path(__file__).resolve().parent.parent / "examples" / "pretrained" / "avatars"


@pytest.fixture(scope="module")
def model():
    return run_directory.load(RUN)[1]


@pytest.fixture(scope="module")
def faces():
    """Faces of another seed: none of them is among those that were drawn to train."""
    return avatars.load(seed=1, examples=360).train


def test_it_reads_and_redraws_faces_as_well_as_its_results_say(model, faces):
    stated = json.loads((RUN / "results.json").read_text())["test"]
    assert stated["accuracy"] > 0.97 and stated["balanced_accuracy"] > 0.955 and stated["mean_absolute_error"] < 0.055
    found = measures.measure(model, faces)
    assert found["accuracy"] == pytest.approx(stated["accuracy"], abs=0.005)
    assert found["balanced_accuracy"] == pytest.approx(stated["balanced_accuracy"], abs=0.01)
    assert found["mean_absolute_error"] == pytest.approx(stated["mean_absolute_error"], rel=0.05)


def test_what_it_sets_is_read_back_from_the_picture(model, faces):
    latents = interventions.encode(model, np.asarray(faces.images[:100]))
    for name in ("Eyeglasses", "No_Beard", "Pale_Skin"):
        asked = np.array([label.name == name for label in model.labels])
        for value in (0, 1):
            edited = interventions.set_values(model, latents, np.where(asked, value, 0), asked)
            again = interventions.encode(model, interventions.decode(model, edited))
            assert np.mean(np.asarray(model.values_of(again))[:, asked] == value) > 0.9, (name, value)


def test_it_is_exported_for_litert_whose_sums_are_rounded_most(faces, tmp_path):
    manifest = export_run(RUN, tmp_path / "exported", Options(("litert",)), np.asarray(faces.images[:64]))
    assert [x["path"] for x in manifest["artefacts"]] == ["litert/encoder.tflite", "litert/decoder.tflite"]


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_every_label_of_8_faces_stored_turned_is_the_same_in_the_export_the_client_and_upright(model, faces, kind):
    uses = Uses(as_float32(model))
    pictures = [Image.fromarray(x).resize((150, 150), Image.Resampling.BICUBIC) for x in np.asarray(faces.images[:8])]
    files = [picture_file(x, kind, orientation) for orientation, x in enumerate(pictures, start=1)]
    upright = [picture_file(x, kind, 1) for x in pictures]
    by_export, by_client, wanted = (
        np.asarray(rows["probabilities"])
        for rows in (
            uses.classify_bytes(tf.constant(files)),
            uses.classify(tf.constant(images.array(files, *model.image_shape))),
            uses.classify(tf.constant(images.array(upright, *model.image_shape))),
        )
    )
    assert by_export.shape[:2] == (8, 18)
    np.testing.assert_allclose(by_export, by_client, atol=0.02)
    np.testing.assert_array_equal(by_export.argmax(-1), wanted.argmax(-1))
    np.testing.assert_array_equal(by_client.argmax(-1), wanted.argmax(-1))
