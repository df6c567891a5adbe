"""One classifier: what a failed call means for the order it carried.

The rule is asymmetric. A write is a definitive refusal only when its code is on the list below, and
certainly not executed only when the documentation says so; everything else may have happened.
Source: Binance spot documentation, "General API information" and "Error codes".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import requests
from requests import exceptions as rq
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NameResolutionError, NewConnectionError

from trading.domain.errors import OutcomeUnknown, VenueError, VenueRejected, VenueUnavailable

# Refusals made before the matching engine acts, or by it, with nothing executed.
_DEFINITIVE = frozenset(
    {
        -1002,  # not authorised
        -1013,  # filter failure
        -1014,  # unsupported order combination
        -1020,  # unsupported operation
        -1021,  # outside recvWindow
        -1022,  # bad signature
        *range(-1199, -1099),  # -1100..-1199: malformed, missing or contradictory parameters
        -2010,  # new order rejected
        -2011,  # cancel rejected
        -2013,  # order does not exist
        -2014,  # bad API key format
        -2015,  # bad API key, address or permission
        -2007,  # futures: callback rate of a trailing stop
        -2016,  # no trading window
        -2017,  # futures: the key is locked
        -2021,  # futures: would trigger at once (spot says it of half a cancel-replace, with status 409)
        -2018, -2019, -2020, -2022, -2023, -2024, -2025, -2026, -2027, -2028, -2038,
        *range(-4999, -3999),  # -4000..-4999: futures parameter and filter failures
        *range(-5099, -5019),  # -5020..-5099: futures refusals by the book, the window or the order's terms
    }
)  # fmt: skip
_RATE = frozenset({-1003, -1015})
_OVERLOADED = -1008
_REFUSAL_STATUSES = frozenset({400, 401, 404, 409})
_DEFAULT_BUSY_RETRY_S = 1.0
_DEFAULT_RATE_RETRY_S = 60.0


@dataclass(frozen=True, slots=True)
class Call:
    """What was asked, as far as it matters for what a failure means."""

    method: str
    path: str
    client_order_id: str = ""

    @property
    def mutates(self) -> bool:
        return self.method.upper() != "GET"


def error_body(text: str) -> tuple[int | None, str]:
    """Return (code, message) of an error answer; code is None when the body is not Binance's JSON."""
    try:
        body = json.loads(text)
    except ValueError:
        return None, text.strip()[:200]
    if isinstance(body, dict) and isinstance(body.get("code"), int):
        return body["code"], str(body.get("msg", ""))
    return None, text.strip()[:200]


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the Retry-After header in seconds, or None when it is absent or not a number of seconds."""
    text = headers.get("Retry-After", "").strip()
    return float(text) if text.isdigit() else None


def classify_answer(call: Call, status: int, text: str, headers: Mapping[str, str]) -> VenueError:
    """Say what an answer with a status other than 2xx means."""
    code, message = error_body(text)
    message = message or f"HTTP {status}"
    wait = retry_after_s(headers)
    if call.mutates and code is None:
        # Without the venue's own code anything between us may have answered, after the order was executed.
        return OutcomeUnknown(call.client_order_id, f"HTTP {status}: {message}")
    if status in (418, 429) or code in _RATE:
        # Without the header wait out the venue's one-minute window rather than guess shorter.
        return VenueUnavailable(_DEFAULT_RATE_RETRY_S if wait is None else wait, message, code)
    if code == _OVERLOADED:
        return VenueUnavailable(wait or _DEFAULT_BUSY_RETRY_S, message, code)
    if status == 403 and code is None:
        return VenueUnavailable(
            wait or _DEFAULT_RATE_RETRY_S, "refused by the venue's firewall (HTTP 403)", code
        )
    if status == 503 and message.rstrip(".").endswith("Service Unavailable"):
        return VenueUnavailable(wait or _DEFAULT_BUSY_RETRY_S, message, code)
    if status == 409 and code == -2021:
        refused = _new_order_refused(text)
        if refused is not None:
            return refused
    # A cancel-replace that half happened answers 409 with -2021: neither a refusal nor a success.
    if status in _REFUSAL_STATUSES and code in _DEFINITIVE and not (status == 409 and code in (-2021, -2022)):
        assert code is not None
        return VenueRejected(code, message)
    if not call.mutates:
        # USD-M answers its own time-out with 408: a question that was not answered is not a refusal.
        if 400 <= status < 500 and status != 408 and code is not None:
            return VenueRejected(code, message)
        return VenueUnavailable(wait, f"HTTP {status}: {message}", code)
    detail = f"HTTP {status}" + (f" ({code})" if code is not None else "")
    return OutcomeUnknown(call.client_order_id, f"{detail}: {message}")


def _new_order_refused(text: str) -> VenueRejected | None:
    """The refusal of the new order of a cancel-replace whose cancel succeeded, if the answer says just that."""
    data = json.loads(text).get("data")
    if not isinstance(data, dict) or data.get("newOrderResult") != "FAILURE":
        return None
    answer = data.get("newOrderResponse")
    if not isinstance(answer, dict):
        return None
    code = answer.get("code")
    if not isinstance(code, int) or code not in _DEFINITIVE:
        return None
    return VenueRejected(code, f"{answer.get('msg', '')} (the order it replaces is cancelled)".strip())


def classify_exception(call: Call, error: requests.RequestException) -> VenueError:
    """Say what a transport failure means; only a connection that was never made is certainly unsent."""
    name = type(error).__name__
    if isinstance(error, rq.ConnectTimeout) or _never_connected(error):
        return VenueUnavailable(None, f"no connection to the venue: {name}")
    # Raised while the request is built, before a socket is opened.
    if isinstance(error, rq.InvalidURL | rq.InvalidSchema | rq.MissingSchema | rq.InvalidHeader):
        return VenueUnavailable(None, f"request could not be built: {name}")
    if not call.mutates:
        return VenueUnavailable(None, f"no answer from the venue: {name}")
    return OutcomeUnknown(call.client_order_id, f"no answer from the venue: {name}")


def _never_connected(error: requests.RequestException) -> bool:
    cause: object = error.args[0] if error.args else None
    if isinstance(cause, MaxRetryError):
        cause = cause.reason
    return isinstance(cause, NewConnectionError | ConnectTimeoutError | NameResolutionError)
