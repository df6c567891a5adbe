"""What can go wrong, one name per kind of "no"."""

from __future__ import annotations


class DomainError(Exception):
    """Any failure the kernel names."""


class InvariantViolation(DomainError):
    """Something that can never be true was true; the component stops and trading goes to HALT_NEW."""


class IllegalTransition(DomainError):
    """A state machine was asked for a step its table does not have."""


class VenueError(DomainError):
    """The venue, or the way to it, did not do what was asked."""


class VenueRejected(VenueError):
    """The venue refused, definitively: nothing was executed and nothing will be.

    Attributes
    ----------
    code : the venue's error code, e.g. -2010.
    message : the venue's words.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)  # all arguments, so that the exception survives pickling
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"venue refused ({self.code}): {self.message}"


class VenueUnavailable(VenueError):
    """Certainly not executed: nothing was sent, or the venue said it is busy, limiting or closed.

    Attributes
    ----------
    retry_after_s : seconds the venue asked us to wait, or None when it did not say.
    """

    def __init__(self, retry_after_s: float | None, message: str, code: int | None = None) -> None:
        super().__init__(retry_after_s, message, code)
        self.retry_after_s = retry_after_s
        self.message = message
        self.code = code

    def __str__(self) -> str:
        wait = "" if self.retry_after_s is None else f", retry after {self.retry_after_s:g} s"
        code = "" if self.code is None else f" ({self.code})"
        return f"venue unavailable{code}: {self.message}{wait}"


class OutcomeUnknown(VenueError):
    """Sent, and no answer that proves what happened. Never resend: ask the venue under this id."""

    def __init__(self, client_order_id: str, message: str) -> None:
        super().__init__(client_order_id, message)
        self.client_order_id = client_order_id
        self.message = message

    def __str__(self) -> str:
        return f"outcome of {self.client_order_id} unknown: {self.message}"
