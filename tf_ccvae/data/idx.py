"""MNIST and Fashion-MNIST: grey pictures of 28x28 pixels, one label with ten classes.

They are read from the IDX files that both are published as, plain or compressed by gzip, or from tensorflow-datasets.
An IDX file holds two bytes of zero, 8 for unsigned bytes, the number of dimensions, each dimension as four bytes (the
highest first), and the values. The order of the pictures is that of the files, so that what a seed draws for
validation from the IDX files is not what it draws from tensorflow-datasets.

References:
  LeCun, Cortes, Burges, "The MNIST database of handwritten digits", with the description of the format.
  Xiao, Rasul, Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms", 2017.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from tf_ccvae.data.dataset import DataError, Dataset, Split, describe_classes, listed
from tf_ccvae.data.idx_files import find_files, read_idx
from tf_ccvae.data.images import fitted
from tf_ccvae.data.network import reachable
from tf_ccvae.labels import Label, Labels

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


@dataclass(frozen=True)
class Source:
    """One data set.

    Args:
      label: its label.
      licence: of the pictures.
      installed: where a package of the operating system puts the IDX files; None if there is no such package.
      package: how to install that package.
      host: from where tensorflow-datasets takes the files.
    """

    label: Label
    licence: str
    installed: Path | None
    package: str
    host: str


SOURCES = {
    "mnist": Source(
        label=Label("Digit", tuple("0123456789")),
        licence="Creative Commons Attribution-Share Alike 3.0",
        installed=None,
        package="",
        host="https://storage.googleapis.com/cvdf-datasets/mnist/train-labels-idx1-ubyte.gz",
    ),
    "fashion_mnist": Source(
        label=Label(
            "Article",
            ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle_boot"),
        ),
        licence="MIT",
        installed=Path("/usr/share/datasets/fashion-mnist"),
        package="apt install dataset-fashion-mnist",
        host="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/train-labels-idx1-ubyte.gz",
    ),
}


def load(
    path: Path | None,
    name: str,
    image_size: int = 28,
    channels: int = 1,
    validation_fraction: float = 0.1,
    seed: int = 0,
    progress: bool = False,
    left_out: list[str] | None = None,
) -> Dataset:
    """Reads MNIST or Fashion-MNIST.

    Args:
      path: folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
        t10k-labels-idx1-ubyte, each of them plain or with `.gz` behind its name. None for the folder of Debian's
        package, where it is installed (Fashion-MNIST only), else for tensorflow-datasets, which downloads the files if
        its host can be reached.
      name: 'mnist' or 'fashion_mnist'.
      image_size: height and width of the images in the data set, in pixels.
      channels: 1 for grey, 3 for colour.
      validation_fraction: share of the official training split, above 0 and below 1, that becomes the validation split;
        at least one example.
      seed: which examples these are.
      progress: show a progress bar on standard error while images are brought to size.
      left_out: takes the images whose labels are none, one sentence each, and the rest is loaded; None to refuse them.

    Returns:
      Dataset with images uint8 (examples, image_size, image_size, channels) in memory and labels int8 (examples, 1).
      The test split is the official one. `about["warnings"]` is a list of sentences.

    Raises:
      DataError: a file is missing or malformed, or the data are neither on this machine nor can be downloaded.
    """
    source = SOURCES[name]
    if path is None and source.installed is not None and source.installed.is_dir():
        path = source.installed
    if path is None:
        where, arrays = "tensorflow-datasets", _from_tensorflow_datasets(name, source)
    else:
        where, arrays = str(path), _from_files(Path(path), source, left_out)
    images, values = arrays["train"]
    rows = np.random.default_rng(seed).permutation(len(images))
    count = max(1, round(len(rows) * validation_fraction))
    if count >= len(rows):
        raise DataError(
            f"{where}: {len(rows)} training images are too few for validation_fraction {validation_fraction}"
        )
    parts = {
        "validation": (images[np.sort(rows[:count])], values[np.sort(rows[:count])]),
        "train": (images[np.sort(rows[count:])], values[np.sort(rows[count:])]),
        "test": arrays["test"],
    }
    splits = {
        split: Split(_brought_to_size(pixels, image_size, channels, progress), labels.astype(np.int8)[:, None])
        for split, (pixels, labels) in parts.items()
    }
    height, width = images.shape[1:]
    small = f"images of {height}x{width} pixels were enlarged to {image_size}x{image_size}"
    about = {
        "source": where,
        "licence": source.licence,
        "warnings": [small] if min(height, width) < image_size else [],
        "meaning": [f"{source.label.name}: {describe_classes(source.label.classes)}, numbered from 0"],
    }
    of = (splits["train"], splits["validation"], splits["test"])
    return Dataset(name, Labels((source.label,)), *of, about)


def _brought_to_size(images: np.ndarray, size: int, channels: int, progress: bool) -> np.ndarray:
    """uint8 (n, height, width) to (n, size, size, channels), as the pictures of every other source."""
    if images.shape[1:] == (size, size) and channels == 1:
        return images[..., None]
    pixels = np.empty((len(images), size, size, channels), np.uint8)
    shown = progress and sys.stderr.isatty()
    console = Console(stderr=True)
    for i in track(range(len(images)), "scaling images", console=console, disable=not shown, transient=True):
        pixels[i] = fitted(Image.fromarray(images[i]), size, size, channels)
    return pixels


# IDX files.


def _from_files(folder: Path, source: Source, left_out: list[str] | None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each official split, images uint8 (n, height, width) and labels uint8 (n,)."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the folder that holds {FILES['train'][0]} and the other files")
    paths = find_files(folder, [name for names in FILES.values() for name in names])
    arrays, problems = {}, []
    for split, (images_name, labels_name) in FILES.items():
        images_path, labels_path = paths[images_name], paths[labels_name]
        images, labels = read_idx(images_path, dimensions=3), read_idx(labels_path, dimensions=1)
        if len(images) != len(labels):
            raise DataError(
                f"{labels_path}: {len(labels)} labels for the {len(images)} images in {images_path.name}; "
                "take both files from the same place"
            )
        if not images.size:
            raise DataError(f"{images_path}: holds no images; download it again")
        right = labels < source.label.values
        problems += [
            f"{labels_path.name}: label {i} is {labels[i]}, not 0 to {source.label.values - 1}"
            for i in np.flatnonzero(~right)
        ]
        if problems and not right.any():
            left_out = None
        arrays[split] = images[right], labels[right]
    shapes = {split: images.shape[1:] for split, (images, _) in arrays.items()}
    if shapes["train"] != shapes["test"]:
        sizes = " and ".join(f"{height}x{width}" for height, width in shapes.values())
        raise DataError(f"{folder}: training and test images have {sizes} pixels; take all files from the same place")
    if problems and left_out is None:
        remedy = "take the files of another data set away, or download it again"
        raise DataError(f"{folder}: {listed(problems, 'labels are none')}; {remedy}")
    if left_out is not None:
        left_out += [f"{folder}/{problem}" for problem in problems]
    return arrays


# tensorflow-datasets.


def _from_tensorflow_datasets(name: str, source: Source) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """As `_from_files`."""
    ways = f"run 'tfds build {name}' where there is a network, or set data.path to a folder of its four IDX files"
    if source.package:
        ways = f"run '{source.package}' (Debian, Ubuntu), {ways}"
    try:
        return _read_prepared(name, download=False)
    except AssertionError as error:  # it was never prepared on this machine
        if not reachable(source.host):
            raise DataError(f"{name}: not on this machine, and its host cannot be reached; {ways}") from error
    except Exception as error:
        raise DataError(f"{name}: tensorflow-datasets cannot read it ({_in_one_line(error)}); {ways}") from error
    try:
        return _read_prepared(name, download=True)
    except Exception as error:  # of the network, the disk or the checksums
        raise DataError(f"{name}: tensorflow-datasets cannot download it ({_in_one_line(error)}); {ways}") from error


def _read_prepared(name: str, download: bool) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    import tensorflow_datasets as tfds

    whole = tfds.load(name, split=list(FILES), batch_size=1000, as_supervised=True, download=download)
    arrays = {}
    for split, batches in zip(FILES, whole, strict=True):
        images, labels = (np.concatenate(parts) for parts in zip(*tfds.as_numpy(batches), strict=True))
        arrays[split] = images[..., 0], labels.astype(np.uint8)
    return arrays


def _in_one_line(error: BaseException) -> str:
    line = " ".join(str(error).split()) or type(error).__name__
    return line if len(line) <= 200 else f"{line[:200]}..."
