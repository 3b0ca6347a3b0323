"""Figures while a training goes on."""

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.made_up import TINY_LABELS
from tf_ccvae import settings
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.settings.schema import Tracking
from tf_ccvae.training import pictures, run_directory

NAMES = {"reconstructions", "samples", "traversals"}


@pytest.fixture
def model():
    return CCVAE((28, 28, 1), TINY_LABELS, 4, widths=(4, 4, 4), hidden=8)


@pytest.mark.programs
def test_every_few_epochs_they_are_drawn_into_the_run_and_into_tensorboard(model, tiny, tmp_path):
    run = run_directory.create(tmp_path / "run", "tiny")
    (drawing,) = pictures.during(Tracking(pictures=2), run, tiny)
    drawing.set_model(model)
    before = [np.array(x) for x in model.get_weights()]
    drawing.on_epoch_end(0)
    assert not list(run.figures.iterdir())
    for epoch in (1, 2, 3):
        drawing.on_epoch_end(epoch)
    assert {path.stem for path in run.figures.iterdir()} == NAMES
    events = EventAccumulator(str(run.tensorboard / "pictures"), size_guidance={"tensors": 0})
    events.Reload()
    assert set(events.Tags()["tensors"]) == NAMES
    seen = events.Tensors("traversals")
    assert [x.step for x in seen] == [1, 3]
    shown = tf.io.decode_png(tf.make_ndarray(seen[1].tensor_proto)[2]).numpy()
    kept = tf.io.decode_png((run.figures / "traversals.png").read_bytes(), channels=3).numpy()
    np.testing.assert_array_equal(shown, kept)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_none_are_drawn_where_the_settings_say_so(tiny, tmp_path):
    run = run_directory.create(tmp_path / "run", "tiny")
    assert pictures.during(Tracking(pictures=0), run, tiny) == ()
    assert settings.parse([]).config.tracking.pictures == 5
