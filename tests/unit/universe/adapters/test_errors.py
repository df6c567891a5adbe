"""What a failed call means. Codes and texts from Binance's documentation of errors."""

import json

import pytest
import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError

from trading.domain.errors import OutcomeUnknown, VenueError, VenueRejected, VenueUnavailable
from universe.adapters.binance.errors import Call, classify_answer, classify_exception

ORDER = Call("POST", "/api/v3/order", "abc")
READ = Call("GET", "/api/v3/klines")


def answer(call: Call, status: int, code: int | None, message: str = "", **headers: str) -> VenueError:
    text = message if code is None else json.dumps({"code": code, "msg": message})
    return classify_answer(call, status, text, {k.replace("_", "-"): v for k, v in headers.items()})


@pytest.mark.parametrize(
    "code",
    [
        *(-1013, -1021, -1022, -1100, -1102, -1106, -1111, -1121, -1131, -1158, -1199),
        *(-2010, -2011, -2013, -2014, -2015, -2019, -2021, -2022, -2027),
        *(-4061, -4120, -4131, -4164, -5021, -5022, -5027, -5041),
    ],
)
def test_a_documented_refusal_of_an_order_is_final(code: int) -> None:
    failure = answer(ORDER, 400, code, "no")
    assert isinstance(failure, VenueRejected)
    assert (failure.code, failure.message) == (code, "no")


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (500, None, "oops"),
        (502, None, "<html>bad gateway</html>"),
        (504, None, ""),
        (503, None, "Service Unavailable."),
        (429, None, ""),
        (418, None, ""),
        (403, None, "<html>blocked</html>"),
        (503, -1000, "Unknown error, please check your request or try again later."),
        (400, -1006, "An unexpected response was received from the message bus. Execution status unknown."),
        (408, -1007, "Timeout waiting for response from backend server."),
        (400, -1001, "Internal error"),
        (400, -9999, "a code nobody has documented"),
        (409, -2021, "Order cancel-replace partially failed."),
        (302, None, ""),
    ],
)
def test_whatever_may_have_been_executed_is_unknown(status: int, code: int | None, message: str) -> None:
    failure = answer(ORDER, status, code, message)
    assert isinstance(failure, OutcomeUnknown)
    assert failure.client_order_id == "abc"


@pytest.mark.parametrize(
    ("new_order", "answer_code", "kind"),
    [
        ("FAILURE", -2010, VenueRejected),
        ("FAILURE", -1007, OutcomeUnknown),
        ("FAILURE", None, OutcomeUnknown),
        ("SUCCESS", -2010, OutcomeUnknown),
    ],
)
def test_half_a_cancel_replace_is_a_refusal_only_when_it_says_that_the_new_order_was_refused(
    new_order: str, answer_code: int | None, kind: type[Exception]
) -> None:
    data = {"newOrderResult": new_order, "newOrderResponse": {"code": answer_code, "msg": "No."}}
    text = json.dumps({"code": -2021, "msg": "Order cancel-replace partially failed.", "data": data})
    failure = classify_answer(ORDER, 409, text, {})
    assert type(failure) is kind
    assert getattr(failure, "code", None) == (answer_code if kind is VenueRejected else None)


@pytest.mark.parametrize(
    ("status", "code", "message", "headers", "wait_s"),
    [
        (429, -1003, "Too many requests", {"Retry_After": "7"}, 7.0),
        (418, -1003, "Way too much request weight used; IP banned", {"Retry_After": "120"}, 120.0),
        (429, -1015, "Too many new orders", {"Retry_After": "3"}, 3.0),
        (503, -1008, "Server is currently overloaded with other requests.", {}, 1.0),
    ],
)
def test_whatever_was_certainly_not_executed_is_unavailable(
    status: int, code: int | None, message: str, headers: dict[str, str], wait_s: float
) -> None:
    failure = answer(ORDER, status, code, message, **headers)
    assert isinstance(failure, VenueUnavailable)
    assert failure.retry_after_s == wait_s
    assert failure.code == code


@pytest.mark.parametrize(("status", "code"), [(500, None), (503, -1000), (400, -1006), (408, -1007)])
def test_a_read_is_never_of_unknown_outcome(status: int, code: int | None) -> None:
    assert isinstance(answer(READ, status, code, "x"), VenueUnavailable | VenueRejected)


def test_a_question_that_timed_out_at_the_venue_was_not_refused() -> None:
    assert isinstance(answer(READ, 408, -1007, "Timeout waiting for response"), VenueUnavailable)


def refused_connection() -> requests.ConnectionError:
    reason = NewConnectionError(None, "refused")  # type: ignore[arg-type]
    return requests.ConnectionError(MaxRetryError(None, "/", reason))  # type: ignore[arg-type]


def test_an_order_whose_connection_was_never_made_was_not_sent() -> None:
    assert isinstance(classify_exception(ORDER, refused_connection()), VenueUnavailable)
    assert isinstance(classify_exception(ORDER, requests.ConnectTimeout()), VenueUnavailable)


@pytest.mark.parametrize(
    "error",
    [
        requests.ReadTimeout(),
        requests.ConnectionError(ProtocolError("Connection aborted.", ConnectionResetError())),
        requests.exceptions.ChunkedEncodingError(),
        requests.exceptions.SSLError(),
    ],
)
def test_an_order_that_may_have_been_sent_is_unknown_and_a_read_is_not(
    error: requests.RequestException,
) -> None:
    assert isinstance(classify_exception(ORDER, error), OutcomeUnknown)
    assert isinstance(classify_exception(READ, error), VenueUnavailable)
