"""`export_run`: a run directory in, verified artefacts out, all of them or none."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from export import place, verify
from export.artefacts import Job
from export.errors import ExportError
from export.options import Options
from export.uses import as_float32
from tf_ccvae import __version__
from tf_ccvae.models.baselines import DIVA
from tf_ccvae.models.ccvae import CCVAE
from tf_ccvae.settings import Config
from tf_ccvae.support.errors import failed_write, reason
from tf_ccvae.support.files import JsonObject
from tf_ccvae.training import run_directory


def export_run(
    run: Path,
    to: Path,
    options: Options | None = None,
    images: ArrayLike | None = None,
    report: Callable[[str], None] = lambda line: None,
    places: Mapping[str, Path] | None = None,
) -> JsonObject:
    """Exports the model of a run and verifies every file against Keras.

    Args:
      run: run directory of tf_ccvae.fit.
      to: folder for the artefacts; SavedModels of earlier versions in it stay, other files of an export are replaced.
      options: what to export.
      images: real images (n, height, width, channels), uint8 or float in [0, 1], to verify with and to calibrate int8
        on; by default those that the run keeps, and for int8 those of the run's data.
      report: called with one line per artefact.
      places: where the run's data are now, by `images`, `labels` and `path`, if they are elsewhere than when it ran.

    Returns:
      The content of manifest.json.

    Raises:
      ExportError: an argument cannot be used, or `to` cannot be written, as where the disk is full; nothing is left
        behind.
      CheckError: an artefact is not near enough to Keras; nothing is left behind.
      RunError, ConfigError, DataError: the run or its data cannot be read.
    """
    options = options or Options()
    to = Path(to)
    loaded, model = load(Path(run))
    version = place.next_version(to, options.version)
    verifying, calibrating = _images(loaded, model, images, options.int8_encoder, places)
    job = Job(
        as_float32(model),
        options,
        version,
        {
            "name": loaded.path.resolve().name,
            "sha256": hashlib.sha256(loaded.model.read_bytes()).hexdigest(),
            "tf_ccvae": __version__,
        },
        verify.checked_images(verifying, model.image_shape),
        calibrating,
        report,
        Config.of_run(loaded.config).data.white,
    )
    try:
        with place.partial(to) as folder:
            manifest = job.write(folder)
            place.publish(folder, to, manifest)
    except (OSError, tf.errors.OpError) as error:
        cause = error if isinstance(error, OSError) else failed_write(error)
        if cause is None:
            raise
        why = reason(cause)
        raise ExportError(f"--to: {to} cannot be written ({why}); make room, or choose another") from error
    return manifest


def load(run: Path) -> tuple[run_directory.Run, CCVAE]:
    """A run and its model.

    Raises:
      ExportError: the model is a baseline, or its file is damaged.
      RunError: there is no run or no model.
    """
    try:
        loaded, model = run_directory.load(run)
    except (ValueError, OSError) as error:
        raise ExportError(f"{run / 'model.keras'}: not readable ({error}); train again") from error
    if not isinstance(model, CCVAE) or isinstance(model, DIVA):
        raise ExportError(f"{run}: holds a {type(model).__name__}, a baseline; only CCVAE models are exported")
    return loaded, model


def _images(
    run: run_directory.Run, model: CCVAE, images: ArrayLike | None, calibrate: bool, places: Mapping[str, Path] | None
) -> tuple[ArrayLike, np.ndarray]:
    """Real images to verify with, and training images to calibrate on (none unless `calibrate`)."""
    from tf_ccvae.programs.run_inputs import first_test_images, load_data, settings_of_run

    if images is not None:
        return images, verify.checked_images(images, model.image_shape)
    settings = settings_of_run(run, places)
    count = max(verify.BATCHES)
    if not calibrate:
        verifying = first_test_images(settings, count)
        return verifying, verifying[:0]
    dataset = load_data(settings)
    return np.asarray(dataset.test.images[:count]), np.asarray(dataset.train.images[: 4 * count])
