import errno
import fcntl
import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from tf_ccvae.data import cache
from tf_ccvae.data.cache import Array, cached
from tf_ccvae.data.dataset import DataError

ARRAYS = {"images": Array((2, 3, 1), np.uint8), "labels": Array((2,), np.int16)}
ROWS = 10


def example(start, stop):
    """Rows start .. stop - 1 of arrays in which every number tells its row."""
    rows = np.arange(start, stop)
    return {"images": np.full((len(rows), 2, 3, 1), 1, np.uint8) * rows[:, None, None, None].astype(np.uint8),
            "labels": np.stack([rows, -rows], 1).astype(np.int16)}  # fmt: skip


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(cache, "CHUNK", 4)


def test_arrays_are_decoded_once_and_memory_mapped(tmp_path):
    asked = []

    def read(start, stop):
        asked.append((start, stop))
        return example(start, stop)

    for _ in range(2):
        arrays = cached("made", {"a": 1}, ROWS, ARRAYS, read, cache_dir=tmp_path)
        assert all(isinstance(x, np.memmap) and not x.flags.writeable for x in arrays.values())
        assert all(np.array_equal(arrays[name], x) for name, x in example(0, ROWS).items())
    assert asked == [(0, 4), (4, 8), (8, 10)]


def test_rows_go_where_the_order_says(tmp_path):
    order = np.random.default_rng(0).permutation(ROWS)
    arrays = cached("made", {}, ROWS, ARRAYS, example, order, tmp_path)
    assert np.array_equal(arrays["labels"][order, 0], np.arange(ROWS))


def test_changed_identity_or_shape_is_another_cache(tmp_path):
    cached("made", {"a": 1}, ROWS, ARRAYS, example, cache_dir=tmp_path)
    cached("made", {"a": 2}, ROWS, ARRAYS, example, cache_dir=tmp_path)
    cached("made", {"a": 2}, ROWS, {"images": ARRAYS["images"]}, lambda a, b: {"images": example(a, b)["images"]},
           cache_dir=tmp_path)  # fmt: skip
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 3


def test_identity_changes_with_size_and_time(tmp_path):
    file = tmp_path / "list.txt"
    file.write_text("a")
    first = cache.identity_of(file)
    assert cache.identity_of(file) == first
    os.utime(file, ns=(0, 0))
    second = cache.identity_of(file)
    file.write_text("ab")
    assert first != second != cache.identity_of(file)


def test_error_in_the_middle_keeps_what_was_done(tmp_path):
    asked = []

    def read(start, stop):
        asked.append(start)
        if start == 8 and len(asked) == 3:
            raise DataError("picture 8 is damaged")
        return example(start, stop)

    with pytest.raises(DataError, match="picture 8"):
        cached("made", {}, ROWS, ARRAYS, read, cache_dir=tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.suffix == "" and path.is_dir()]
    arrays = cached("made", {}, ROWS, ARRAYS, read, cache_dir=tmp_path)
    assert asked == [0, 4, 8, 8]
    assert np.array_equal(arrays["labels"], example(0, ROWS)["labels"])


def _decode_slowly(folder):
    def read(start, stop):
        if start == 8:
            Path(folder, "reached").touch()
            time.sleep(60)
        return example(start, stop)

    cache.CHUNK = 4
    cached("made", {}, ROWS, ARRAYS, read, cache_dir=Path(folder))


def test_killed_process_loses_a_chunk_at_most(tmp_path):
    process = multiprocessing.get_context("fork").Process(target=_decode_slowly, args=(str(tmp_path),))
    process.start()
    while not (tmp_path / "reached").exists() and process.is_alive():
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    asked = []

    def read(start, stop):
        asked.append(start)
        return example(start, stop)

    arrays = cached("made", {}, ROWS, ARRAYS, read, cache_dir=tmp_path)
    assert asked == [8]
    assert all(np.array_equal(arrays[name], x) for name, x in example(0, ROWS).items())


@pytest.mark.parametrize("note", ["", "{}", '{"rows": null}'])
def test_damaged_note_begins_again(tmp_path, note):
    def stopped(start, stop):
        if start:
            raise DataError("stop")
        return example(start, stop)

    with pytest.raises(DataError, match="stop"):
        cached("made", {}, ROWS, ARRAYS, stopped, cache_dir=tmp_path)
    (part,) = tmp_path.glob("*.part")
    (part / "done.json").write_text(note)
    arrays = cached("made", {}, ROWS, ARRAYS, example, cache_dir=tmp_path)
    assert np.array_equal(arrays["labels"], example(0, ROWS)["labels"])


def test_damaged_cache_is_reported_with_what_to_do(tmp_path):
    cached("made", {}, ROWS, ARRAYS, example, cache_dir=tmp_path)
    (file,) = tmp_path.glob("*/images.npy")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(
        DataError, match=r"cannot read the images of made in .*images.npy .*; delete it to decode again"
    ):
        cached("made", {}, ROWS, ARRAYS, example, cache_dir=tmp_path)


def test_folder_that_cannot_be_written_is_reported_with_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write the cache .*file.*XDG_CACHE_HOME"):
        cached("made", {}, ROWS, ARRAYS, example, cache_dir=tmp_path / "file")


def test_full_disk_is_one_line_and_decoding_goes_on_from_there(tmp_path, monkeypatch):
    write = cache._Rows.write

    def full(self, rows, values):
        if rows[0] >= 4:
            raise OSError(28, "No space left on device")
        write(self, rows, values)

    with monkeypatch.context() as patched:
        patched.setattr(cache._Rows, "write", full)
        with pytest.raises(DataError, match="No space left on device"):
            cached("made", {}, ROWS, ARRAYS, example, cache_dir=tmp_path)
    arrays = cached("made", {}, ROWS, ARRAYS, example, cache_dir=tmp_path)
    assert np.array_equal(arrays["labels"], example(0, ROWS)["labels"])


def test_file_system_without_locks_is_one_line_with_what_to_do(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(DataError, match=r"cannot write the cache .* \(No locks available\); .*set XDG_CACHE_HOME"):
        cached("made", {}, ROWS, ARRAYS, example, cache_dir=tmp_path)
