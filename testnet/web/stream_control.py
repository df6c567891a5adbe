"""The control messages of the streams: SUBSCRIBE and its kin, and how bad ones are refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


class BadRequest(ValueError):
    """A control message that is refused."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Command:
    """A checked control message; `names` of SUBSCRIBE and UNSUBSCRIBE, `combined` of SET_PROPERTY."""

    request_id: int | str | None
    method: str
    names: list[str] = field(default_factory=list)
    combined: bool = False


def refusal(error: BadRequest) -> str:
    """The answer to a refused message."""
    return json.dumps({"code": error.code, "msg": f"Invalid request: {error}"}, separators=(",", ":"))


def read_command(text: str) -> Command:
    """Check a control message.

    Raises
    ------
    BadRequest : code 3 when it is not JSON, else 2.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(str(error), 3) from error
    if not isinstance(message, dict):
        raise BadRequest("request must be an object")
    request_id = message.get("id")
    if isinstance(request_id, bool) or not (
        request_id is None
        or isinstance(request_id, int)
        or (isinstance(request_id, str) and len(request_id) <= 36)
    ):
        raise BadRequest("request ID must be an unsigned integer or a string of at most 36 characters")
    method = message.get("method")
    if method not in METHODS:
        expected = ", ".join(f"`{name}`" for name in METHODS)
        raise BadRequest(f"unknown variant `{method}`, expected one of {expected}")
    if method == "LIST_SUBSCRIPTIONS":
        return Command(request_id, method)
    params = message.get("params")
    if not isinstance(params, list):
        raise BadRequest("missing field `params`, expected an array")
    if method == "GET_PROPERTY":
        if params != ["combined"]:
            raise BadRequest("unknown property")
        return Command(request_id, method)
    if method == "SET_PROPERTY":
        if len(params) != 2 or params[0] != "combined" or not isinstance(params[1], bool):
            raise BadRequest('expected ["combined", true | false]')
        return Command(request_id, method, combined=params[1])
    if not all(isinstance(name, str) for name in params):
        raise BadRequest("params must be stream names")
    return Command(request_id, method, params)
