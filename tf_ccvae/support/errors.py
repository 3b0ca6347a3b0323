"""Errors that a user can mend, warnings, and the one line that says what they are."""

import errno
import os
import re


class UserError(Exception):
    """Something that the user can mend; the message is one line that says what is wrong, where, and what to do."""

    exit_code = 2  # of a program that ends with it


class Caution(UserWarning):
    """Something that can be done but is seldom meant; the message is one line that says what and why."""


def line_of(error: BaseException, place: object = None) -> str:
    """What went wrong, in one line.

    Args:
      error: a `UserError`, or an error of the operating system, such as a full disk.
      place: the file or folder that the program was at, for errors that do not name one.

    Returns:
      The message of a `UserError`; for an `OSError` the file and the system's words, such as `run/history.csv: No space
      left on device`.
    """
    if not isinstance(error, OSError):
        return " ".join(str(error).split())
    where = error.filename or place
    return f"{where}: {reason(error)}" if where else reason(error)


def failed_write(error: BaseException) -> OSError | None:
    """The error of the operating system behind an error of TensorFlow's own writers; None if it is another kind.

    They say `/run/events.out; No space left on device`, and call it a resource that is exhausted, as memory is too.
    """
    text = re.sub(r"\{\{.*?\}\}", "", str(error))  # the place in a graph, which may hold slashes
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.ENOLCK, errno.EIO):
        if match := re.search(rf"(?<!\S)(\S*/.*?|\S+); {re.escape(os.strerror(number))}", text):
            return OSError(number, os.strerror(number), match[1])
    return None


def reason(error: OSError) -> str:
    """Why a file cannot be read or written, in the words of the operating system: `No space left on device`."""
    if error.strerror:
        return error.strerror
    first = error.args[0] if error.args else None
    if isinstance(first, list) and first:  # several files that `shutil.copytree` failed to copy: (from, to, why)
        return str(first[0][-1])
    return " ".join(str(error).split()) or type(error).__name__
