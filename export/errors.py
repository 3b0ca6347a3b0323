"""What can go wrong with an export; each message is one line that says what is wrong and what to do."""


class ExportError(Exception):
    """Input that cannot be used: exit code 2."""


class CheckError(Exception):
    """An artefact that does not compute what the model computes: exit code 1."""
