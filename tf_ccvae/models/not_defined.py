"""What a model raises where an intervention has no meaning for it."""

from tf_ccvae.support.errors import UserError


class NotDefinedError(UserError, ValueError):
    """An intervention that a model does not define; the message is one line that names the model."""
