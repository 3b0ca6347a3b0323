"""What can go wrong with serving; each message is one line that says what is wrong and what to do."""

from tf_ccvae.support.errors import UserError


class ServingError(UserError):
    """Any of the errors below."""


class ServerAway(ServingError):
    """Nobody answers at the target, or not in time, or the server is overloaded.

    Args:
      message: one line.
      unavailable: sending the request again is right, for it was not worked on, or was lost on this side.
    """

    def __init__(self, message: str, unavailable: bool = True):
        super().__init__(message)
        self.unavailable = unavailable


class Refused(ServingError):
    """A proxy in front of the server refuses: no or a wrong API key, too many requests, or too large a request."""


class ModelUnknown(ServingError):
    """The server serves no model of this name."""


class VersionUnknown(ServingError):
    """The server serves the model, but not in this version or not under this label."""


class SignatureUnknown(ServingError):
    """The model has no such signature."""


class BadInput(ServingError):
    """An argument cannot be used: by the client's own check or by the server's."""


class ServerFault(ServingError):
    """The server fails for a reason of its own."""


class PublishError(ServingError):
    """An export cannot be published."""


class ExploreError(ServingError):
    """An export cannot be explored."""
