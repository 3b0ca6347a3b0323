"""Which edit a training suggests to look at."""

import numpy as np

from tf_ccvae import interventions
from tf_ccvae.training import pictures, run_directory


def test_most_visible_edit_is_the_largest_change_between_off_and_on(tiny_run, tiny):
    model = run_directory.load(tiny_run)[1]
    images = tiny.test.images[:5]
    change = {
        (i, name): np.abs(np.subtract(*(interventions.set_labels(model, images, {name: v})[i] for v in (0, 1)))).mean()
        for i in range(5)
        for name in model.labels.names
    }
    assert pictures.most_visible(model, images) == max(change, key=change.get)


def test_without_images_there_is_no_edit_to_show(tiny_run, tiny):
    assert pictures.most_visible(run_directory.load(tiny_run)[1], tiny.test.images[:0]) is None
