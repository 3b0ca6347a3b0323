"""Text files of labels, line by line."""

import csv
from pathlib import Path

from tf_ccvae.data.dataset import DataError


def csv_lines(path: Path, what: str) -> list[tuple[int, list[str]]]:
    """The lines of a CSV file (UTF-8, commas) that are not blank, with the number of the (last) line of each.

    Args:
      path: the file.
      what: it is, for messages, such as 'the CSV file of labels'.

    Raises:
      DataError: it is missing or cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            return [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; give {what}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8; save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: is not CSV ({error}); check the quotes") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give {what}") from None
