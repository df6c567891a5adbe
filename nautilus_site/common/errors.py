"""What a caller did wrong, with a stable code. Entry points turn it into a problem document or a message."""

from __future__ import annotations

from typing import Any


class ApplicationError(Exception):
    """The caller is wrong: `code` is stable and for machines, `message` is for people."""

    status = 400

    def __init__(
        self, code: str, message: str, *, status: int | None = None, extra: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.extra = extra or {}
        if status is not None:
            self.status = status


class NotFound(ApplicationError):
    status = 404


class Conflict(ApplicationError):
    status = 409


class Forbidden(ApplicationError):
    status = 403


class Unprocessable(ApplicationError):
    status = 422
