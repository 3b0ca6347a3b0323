"""The terminal of the programs: texts are printed as they are."""

from rich.console import Console


def plain_console(quiet: bool = False) -> Console:
    """A console that wraps nothing, and takes neither square brackets for styles nor ':smile:' for a picture."""
    return Console(highlight=False, soft_wrap=True, markup=False, emoji=False, quiet=quiet)
