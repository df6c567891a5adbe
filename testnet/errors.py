"""Refusals in the venue's own codes and words."""

from __future__ import annotations

from typing import Any


class InvariantViolation(RuntimeError):
    """Our own books do not add up; nothing may catch this and go on."""


class ApiError(Exception):
    """A request the exchange refuses, with its code, text and HTTP status."""

    def __init__(
        self,
        code: int,
        message: str,
        status: int = 400,
        retry_after_s: int | None = None,
        data: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.status = status
        self.retry_after_s = retry_after_s
        # What a partly executed request did all the same.
        self.data = data

    def body(self) -> dict[str, object]:
        """The JSON body clients expect."""
        body: dict[str, object] = {"code": self.code, "msg": self.message}
        if self.data is not None:
            body["data"] = self.data
        return body


def mandatory(name: str) -> ApiError:
    return ApiError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def illegal_characters(name: str, pattern: str) -> ApiError:
    return ApiError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'.")


def too_precise(name: str, market: str = "spot") -> ApiError:
    if market == "usdm":
        return ApiError(-1111, "Precision is over the maximum defined for this asset.")
    return ApiError(-1111, f"Parameter '{name}' has too much precision.")


def not_required(name: str) -> ApiError:
    return ApiError(-1106, f"Parameter '{name}' sent when not required.")


def invalid_symbol() -> ApiError:
    return ApiError(-1121, "Invalid symbol.")


def filter_failure(name: str) -> ApiError:
    return ApiError(-1013, f"Filter failure: {name}")


def rejected(message: str) -> ApiError:
    return ApiError(-2010, message)


def insufficient_balance() -> ApiError:
    return rejected("Account has insufficient balance for requested action.")


def unknown_order() -> ApiError:
    return ApiError(-2011, "Unknown order sent.")


def no_such_order() -> ApiError:
    return ApiError(-2013, "Order does not exist.")


def key_format() -> ApiError:
    return ApiError(-2014, "API-key format invalid.", 401)


def key_rejected() -> ApiError:
    return ApiError(-2015, "Invalid API-key, IP, or permissions for action.", 401)


def bad_signature() -> ApiError:
    return ApiError(-1022, "Signature for this request is not valid.")
