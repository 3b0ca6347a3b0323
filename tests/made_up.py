"""Made-up data that several test files use: a tiny data set that is learned in seconds, and noise in real formats.

The labels of the noise are drawn by a fixed seed.
"""

import contextlib
import fcntl
from pathlib import Path

import numpy as np

from tf_ccvae.data.dataset import Dataset, Split
from tf_ccvae.labels import Labels

TINY_LABELS = Labels.of_binary(["Top", "Bright"])


def tiny_split(examples: int, seed: int, size: int = 28) -> Split:
    """Grey pictures of a square that stands at the top or not and is bright or not."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, (examples, 2)).astype(np.int8)
    images = np.full((examples, size, size, 1), 40, np.uint8)
    for image, (top, bright) in zip(images, labels, strict=True):
        row = (2 if top else size // 2) + random.integers(0, 2)
        left = random.integers(4, size // 2)
        image[row : row + size // 3, left : left + size // 3] = 230 if bright else 120
    return Split(images, labels)


def tiny() -> Dataset:
    """256 pictures to train, 64 for validation and 64 for the test."""
    return Dataset("tiny", TINY_LABELS, tiny_split(256, 0), tiny_split(64, 1), tiny_split(64, 2))


def write_tiny_folder(place: Path, dataset: Dataset) -> None:
    """A data set as a folder of images with labels.csv."""
    from PIL import Image

    lines = ["file,split,Top,Bright"]
    for name in ("train", "validation", "test"):
        split = dataset.split(name)
        for i, (image, labels) in enumerate(zip(split.images, split.labels, strict=True)):
            Image.fromarray(image[..., 0]).save(place / f"{name}{i}.png")
            lines.append(f"{name}{i}.png,{name},{labels[0]},{labels[1]}")
    (place / "labels.csv").write_text("\n".join(lines) + "\n")


def on_tiny_folder(tiny_folder):
    """Command-line arguments for a small network on the tiny folder."""
    images, labels = tiny_folder
    return [
        *("--data.name", "folder", "--data.images", str(images), "--data.labels", str(labels)),
        *("--data.image-size", "28", "--data.channels", "1", "--model.latents", "6", "--model.hidden", "32"),
        *("--model.encoder-widths", "[8, 8, 16]", "--training.batch-size", "32"),
        *("--model.likelihood-scale", "1.0", "--objective.label-weight", "100", "--tracking.pictures", "0"),
    ]


@contextlib.contextmanager
def made_once(tmp_path_factory, name):
    """A path that all test processes share, and whether it is still to be made; the others wait meanwhile."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if own.name.startswith("popen-") else own  # that of all processes of pytest-xdist
    path, finished = shared / name, shared / f"{name}.finished"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield path, not finished.exists()
        finished.touch()


# In the formats of the real ones  -------------------------------------------------------------------------------------


def write_celeba(place: Path) -> None:
    """40 pictures in the layout of CelebA's folder: 24 to train, 8 for validation, 8 for the test."""
    from PIL import Image

    from tf_ccvae.data.celeba import ATTRIBUTES

    random = np.random.default_rng(0)
    (place / "img_align_celeba").mkdir()
    attributes, partition = ["40", " ".join(ATTRIBUTES) + " "], []
    for i in range(1, 41):
        pixels = random.integers(0, 256, (218, 178, 3), np.uint8)
        Image.fromarray(pixels).save(place / "img_align_celeba" / f"{i:06}.jpg")
        values = " ".join(f"{value:2}" for value in random.choice([-1, 1], len(ATTRIBUTES)))
        attributes.append(f"{i:06}.jpg {values}")
        partition.append(f"{i:06}.jpg {0 if i <= 24 else 1 if i <= 32 else 2}")
    (place / "list_attr_celeba.txt").write_text("\n".join(attributes) + "\n")
    (place / "list_eval_partition.txt").write_text("\n".join(partition) + "\n")


def write_chexpert(place: Path) -> None:
    """As CheXpert: 20 patients with 2 frontal and 1 lateral view each in train.csv, 6 patients in valid.csv."""
    from PIL import Image

    from tf_ccvae.data.chexpert import OBSERVATIONS

    random = np.random.default_rng(0)
    for split, patients, first in (("train", 20, 1), ("valid", 6, 64541)):
        lines = ["Path,Sex,Age,Frontal/Lateral,AP/PA," + ",".join(OBSERVATIONS)]
        for patient in range(first, first + patients):
            for study, view in ((1, "frontal"), (2, "frontal"), (2, "lateral"))[: 3 if split == "train" else 1]:
                number = 2 if view == "lateral" else 1
                file = f"{split}/patient{patient:05}/study{study}/view{number}_{view}.jpg"
                (place / file).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(random.integers(0, 256, (40, 32), np.uint8)).save(place / file)
                values = random.choice(["1.0", "0.0", "-1.0", ""] if split == "train" else ["1.0", "0.0"], 14)
                lines.append(f"{place.name}/{file},Male,61,{view.title()},AP,{','.join(values)}")
        (place / f"{split}.csv").write_text("\n".join(lines) + "\n")


def write_tfds(place: Path) -> None:
    """A data_dir of tensorflow-datasets with cifar10 (48 and 12 pictures) and celeb_a (24, 8 and 8), made up."""
    import tensorflow_datasets as tfds

    from tf_ccvae.data.celeba import ATTRIBUTES

    random = np.random.default_rng(0)

    def examples(count, features):
        for i in range(count):
            example = {"image": random.integers(0, 256, features["image"].shape, np.uint8)}
            if "label" in features:
                example |= {"id": f"train_{i:05}", "label": i % 10}
            else:
                example |= {"attributes": {name: bool(random.integers(2)) for name in ATTRIBUTES}}
                example |= {kind: {name: i for name in features[kind]} for kind in ("landmarks", "identity")}
            yield example

    tfds.disable_progress_bar()
    for name, sizes in (("cifar10", {"train": 48, "test": 12}), ("celeb_a", {"train": 24, "validation": 8, "test": 8})):
        real = tfds.builder(name, data_dir=place)
        features = real.info.features
        if name == "cifar10":  # the real one learns the names of its classes from what it downloads
            features["label"].names = [
                "airplane",
                "automobile",
                "bird",
                "cat",
                "deer",
                "dog",
                "frog",
                "horse",
                "ship",
                "truck",
            ]
        tfds.dataset_builders.store_as_tfds_dataset(
            name,
            str(real.version),
            features,
            {split: list(enumerate(examples(count, features))) for split, count in sizes.items()},
            data_dir=place,
        )


def write_huggingface(place: Path) -> None:
    """A data set of the package `datasets` as flwrlabs/celeba is: pictures, booleans, splits train, valid and test."""
    import datasets

    from tf_ccvae.data.celeba import PAPER_LABELS

    random = np.random.default_rng(0)
    features = {"image": datasets.Image(), "celeb_id": datasets.Value("int64")}
    features |= {name: datasets.Value("bool") for name in (*PAPER_LABELS, "Bald")}

    def split(count):
        from PIL import Image

        columns = {name: (random.random(count) < 0.5).tolist() for name in features if name != "image"}
        columns["celeb_id"] = list(range(count))
        columns["image"] = [Image.fromarray(random.integers(0, 256, (218, 178, 3), np.uint8)) for _ in range(count)]
        return datasets.Dataset.from_dict(columns, features=datasets.Features(features))

    datasets.DatasetDict({"train": split(24), "valid": split(8), "test": split(8)}).save_to_disk(place)


def write_idx(place: Path) -> None:
    """As MNIST: 60 pictures to train and 20 for the test in four IDX files, their classes 0, 1, ..., 9, 0, ..."""
    import struct

    from tf_ccvae.data.idx import FILES

    random = np.random.default_rng(0)
    for split, count in (("train", 60), ("test", 20)):
        images, classes = random.integers(0, 256, (count, 28, 28), np.uint8), np.arange(count, dtype=np.uint8) % 10
        for name, values in zip(FILES[split], (images, classes), strict=True):
            header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
            (place / name).write_bytes(header + values.tobytes())
