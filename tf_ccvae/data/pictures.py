"""Many pictures at once: decoded by several threads, with one scale for all 16-bit ones, and all damaged ones named."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from tf_ccvae.data.cache import Array
from tf_ccvae.data.dataset import DataError, Unusable
from tf_ccvae.data.images import FORMATS, Fit, opened, peak_of, quiet, white_of
from tf_ccvae.data.near_miss import Index

Decoded = TypeVar("Decoded")


@dataclass
class Pictures:
    """Pictures in a fixed order, to be brought to one size.

    Args:
      count: how many there are.
      content: from the number of a picture to its file, or to the content of that.
      name: from the number of a picture to what messages call it.
      fit: how a picture is brought to size.
      shape: (height, width, channels).
      white: the value that is white in a 16-bit picture; None for what all of them together use, see `white_of`.
      formats: what the pictures may be, as Pillow calls it; None for anything that it reads.
      place: from the number of a picture to what stands behind a message, such as its line in a list.
    """

    count: int
    content: Callable[[int], Path | bytes]
    name: Callable[[int], str]
    fit: Fit
    shape: tuple[int, int, int]
    white: int | None = None
    formats: tuple[str, ...] | None = FORMATS
    place: Callable[[int], str] = field(default=lambda number: "")
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def of_files(
        cls,
        files: Sequence[Path],
        fit: Fit,
        shape: tuple[int, int, int],
        folder: Path,
        place: Callable[[int], str] = lambda number: "",
    ) -> "Pictures":
        """Pictures in files, which messages call by their paths.

        Args:
          files: one for each picture, below `folder`.
          fit, shape, place: as the class takes them.
          folder: where the file that was probably meant is looked for if one is not there.
        """
        index = Index(folder)

        def hint(number: int) -> str:
            return index.hint(files[number]) + place(number)

        return cls(len(files), lambda number: files[number], lambda number: str(files[number]), fit, shape, place=hint)

    @property
    def arrays(self) -> dict[str, Array]:
        """What `read` returns, for `cache.cached`."""
        return {"images": Array(self.shape, np.uint8), "peaks": Array((), np.int32), "small": Array((), np.bool_)}

    def read(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """Pictures start .. stop - 1.

        Returns:
          `images` uint8 (stop - start, *shape); `peaks` int32, the largest value of each 16-bit picture, else 0; and
          `small` bool, whether a side is smaller than that of `shape`.

        Raises:
          Unusable: some are damaged. It names those among all pictures from `start` on.
        """
        made = {name: np.empty((stop - start, *x.shape), x.dtype) for name, x in self.arrays.items()}

        def store(row: int) -> None:
            for name, value in self._decoded(start + row).items():
                made[name][row] = value

        with quiet(), ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            bad = self._bad(pool, store, range(stop - start), start)
            if bad:
                bad |= self._bad(pool, self._decoded, range(stop, self.count), 0)
                raise Unusable(bad)
        return made

    def read_images(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """`images` alone; see `read`."""
        return {"images": self.read(start, stop)["images"]}

    def used_white(self, arrays: Mapping[str, np.ndarray]) -> int | None:
        """The value that is white in the 16-bit pictures; None if there are none."""
        peak = int(arrays["peaks"].max())
        return (self.white or white_of(peak)) if peak else None

    def notes(self, arrays: Mapping[str, np.ndarray]) -> list[str]:
        """What a user should know about what was read, one sentence each."""
        notes, size = [], min(self.shape[:2])
        small, wide = int(arrays["small"].sum()), int((arrays["peaks"] > 0).sum())
        if small:
            notes.append(f"{small} of {self.count} images are smaller than {size} pixels and were enlarged")
        white = self.used_white(arrays)
        if white:
            peak = int(arrays["peaks"].max())
            over = ", and what is above it is white too" if peak > white else ""
            notes.append(
                f"{wide} of {self.count} images have 16 bits, with values up to {peak}: {white} is white{over}; "
                "data.white sets another value"
            )
        return notes

    def _decoded(self, number: int) -> dict[str, np.ndarray | int | bool]:
        def use(image: Image.Image) -> dict[str, np.ndarray | int | bool]:
            peak, small = peak_of(image), min(image.size) < min(self.shape[:2])
            pixels = self.fit(image, *self.shape, self._common_white() if peak else white_of(0))
            return {"images": pixels, "peaks": peak, "small": small}

        return opened(self.content(number), use, self.formats)

    def _bad(
        self, pool: ThreadPoolExecutor, use: Callable[[int], object], numbers: range, first: int
    ) -> dict[int, str]:
        """What is wrong with each picture that cannot be used; `first` is added to its number."""

        def reason(number: int) -> str | None:
            try:
                use(number)
            except DataError as error:
                return str(error)
            return None

        reasons = {first + n: text for n, text in zip(numbers, pool.map(reason, numbers), strict=True) if text}
        return {n: f"{self.name(n)}: {text}{self.place(n)}" for n, text in reasons.items()}

    def _common_white(self) -> int:
        """White of all 16-bit pictures; looked up when the first of them is decoded."""
        with self._lock:
            if self.white is None:
                self.white = white_of(max(self._peak(number) for number in range(self.count)))
        return self.white

    def _peak(self, number: int) -> int:
        try:
            return opened(self.content(number), peak_of, self.formats)
        except DataError:  # it is named when it is decoded
            return 0


def usable(
    count: int,
    decode: Callable[[np.ndarray], Decoded],
    enough: Callable[[np.ndarray], bool],
    left_out: list[str] | None,
) -> tuple[np.ndarray, Decoded]:
    """Decodes the pictures that can be decoded.

    Args:
      count: how many pictures there are.
      decode: from the numbers of pictures, int64 (n,), to what `Pictures.read` and a cache make of them; raises
        `Unusable`, by position among these numbers.
      enough: whether a data set can be made of the pictures with these numbers.
      left_out: takes what is wrong with the others, one sentence each; None to refuse instead.

    Returns:
      The numbers of the pictures that were decoded, in order, and what `decode` made of them.

    Raises:
      Unusable: some are damaged or missing, and `left_out` is None or what remains is not enough.
    """
    numbers = np.arange(count)
    while True:
        try:
            return numbers, decode(numbers)
        except Unusable as error:
            numbers = np.delete(numbers, list(error.problems))
            if left_out is None or not enough(numbers):
                raise
            left_out += [error.problems[number] for number in sorted(error.problems)]
