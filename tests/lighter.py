"""What makes Keras faster in the processes of the tests, and changes no result."""

import functools


def lighten_keras():
    """Keeps which attributes of a kind of layer are never saved.

    Keras 3.15 means to keep them too, but looks for them under another name than it has stored them: it makes a new
    layer, to list its attributes, for every layer that is saved or loaded.
    """
    from keras.src.saving import saving_lib

    if not hasattr(saving_lib.get_attr_skipset, "cache_clear"):
        saving_lib.get_attr_skipset = functools.cache(saving_lib.get_attr_skipset)
