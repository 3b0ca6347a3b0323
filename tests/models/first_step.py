"""A model after one step, for terms that only some of its weights may learn from."""

import keras

from tf_ccvae.data.pipeline import training_batches
from tf_ccvae.models.ccvae import CCVAE


def after_one_step(tiny, **weights):
    """A small CCVAE with these weights of terms, after one step on the tiny data that comes after all warm-ups."""
    keras.utils.set_random_seed(0)
    model = CCVAE(tiny.image_shape, tiny.labels, 6, widths=(4, 4, 4), hidden=8, seed=3, **weights)
    model.label_statistics.learn(tiny.train.labels)
    model.compile(optimizer=keras.optimizers.SGD(1e-4))
    model.optimizer.build(model.trainable_variables)
    model.optimizer.iterations.assign(5000)
    model.train_step(next(iter(training_batches(tiny.train, 16, 1, 0))))
    return model
