"""What can go wrong with an export; each message is one line that says what is wrong and what to do."""

from tf_ccvae.support.errors import UserError


class ExportError(UserError):
    """Input that cannot be used: exit code 2."""


class CheckError(UserError):
    """An artefact that does not compute what the model computes: exit code 1."""

    exit_code = 1
