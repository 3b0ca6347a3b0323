"""What several tests of data sources need."""

import pytest


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A cache that no other test sees."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def store(tmp_path):
    """Writes examples as a data set called `made` and returns its data_dir."""
    import tensorflow_datasets

    tensorflow_datasets.disable_progress_bar()

    def write(features, splits):
        tensorflow_datasets.dataset_builders.store_as_tfds_dataset(
            "made",
            "1.0.0",
            tensorflow_datasets.features.FeaturesDict(features),
            {split: list(enumerate(rows)) for split, rows in splits.items()},
            data_dir=tmp_path / "data",
        )
        return tmp_path / "data"

    return write
