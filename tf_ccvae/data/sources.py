"""From data settings to a data set."""

from tf_ccvae.config import Data
from tf_ccvae.data import avatars, folder
from tf_ccvae.data.dataset import DataError, Dataset


def load(data: Data, seed: int, progress: bool = False) -> Dataset:
    """The data set that the settings name.

    Args:
      data: the settings.
      seed: of the random splits of a folder. The drawn faces are the same for every seed.
      progress: show a progress bar while drawing or decoding.

    Raises:
      DataError: the data are missing or malformed.
    """
    if data.name == "avatars":
        if data.channels != 3:
            raise DataError("data.channels: the avatars are drawn in colour; set data.channels to 3")
        return avatars.load(image_size=data.image_size, examples=data.examples, progress=progress)
    if data.images is None or data.labels is None:
        raise DataError("data.images and data.labels: both are needed with data.name folder")
    return folder.load(
        data.images,
        data.labels,
        image_size=data.image_size,
        channels=data.channels,
        validation_fraction=data.validation_fraction,
        test_fraction=data.test_fraction,
        seed=seed,
        progress=progress,
    )
