"""Which file was meant by a path that leads nowhere."""

import difflib
import os
from collections import defaultdict
from pathlib import Path, PurePosixPath

_ENOUGH = 20_000  # names that are compared letter by letter
_SEARCHED = 50  # paths that are compared letter by letter


class Index:
    """The files below a folder, which is read when the first path is looked for."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._by_path: dict[str, str] | None = None
        self._by_name: dict[str, list[str]] = {}
        self._searched = 0

    def nearest(self, path: str) -> str | None:
        """The file that `path` differs from least, below the folder; None if none is close.

        Slashes, the case of letters, the ending of the name (missing or another one), folders in front, and single
        letters may differ.
        """
        files = self._files()
        wanted = PurePosixPath(path.replace("\\", "/").lower())
        parts = [part for part in wanted.parts if part not in ("/", "..")]
        for start in range(len(parts)):
            key = "/".join(parts[start:])
            for near in (key, _stem(key)):
                if near in files:
                    return files[near]
        for key in (wanted.name, wanted.stem):
            if len(self._by_name.get(key, ())) == 1:
                return self._by_name[key][0]
        if len(files) > _ENOUGH or self._searched >= _SEARCHED or len(path) > 200:
            return None
        self._searched += 1
        close = difflib.get_close_matches(str(wanted), files, n=1, cutoff=0.8)
        return files[close[0]] if close else None

    def hint(self, path: Path) -> str:
        """What to put behind a message about a file below the folder that is not there; empty if none is close."""
        if path.exists() or not path.is_relative_to(self.folder):
            return ""
        near = self.nearest(str(path.relative_to(self.folder)))
        return f"; {near} is there, was that meant?" if near else ""

    def _files(self) -> dict[str, str]:
        """From paths in lower case, with and without the ending, to files."""
        if self._by_path is None:
            self._by_path, names = {}, defaultdict(list)
            for place, folders, files in os.walk(self.folder):
                folders.sort()
                for file in sorted(files):
                    path = (Path(place) / file).relative_to(self.folder).as_posix()
                    self._by_path.setdefault(path.lower(), path)
                    self._by_path.setdefault(_stem(path.lower()), path)
                    for key in {file.lower(), PurePosixPath(file.lower()).stem}:
                        names[key].append(path)
            self._by_name = dict(names)
        return self._by_path


def _stem(path: str) -> str:
    """A path without the ending of its name."""
    return str(PurePosixPath(path).with_suffix("")) if PurePosixPath(path).name else path
