"""Signals: what one is, and what the sender's own limits let through."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from trading.domain.signals import SignalGate, SignalLimits, SignalRefused, order_body, parse_signal

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
LIMITS = SignalLimits(Decimal(1000), 2, 10.0, frozenset({"BTCUSDT"}))


def told(**changes: Any) -> dict[str, Any]:
    return {
        "id": "s1",
        "at": NOW.isoformat(),
        "symbol": "btc/usdt",
        "side": "buy",
        "quote_quantity": "100",
        **changes,
    }


def code_of(**changes: Any) -> str:
    with pytest.raises(SignalRefused) as refused:
        parse_signal(told(**changes))
    return f"{refused.value.code}: {refused.value.message}"


def test_a_signal_becomes_a_request_of_the_api() -> None:
    signal = parse_signal(
        told(quote_quantity=None, quantity="0.010", type="limit", price="60000", strategy="ml")
    )
    assert order_body(signal, account="paper") == {
        "account": "paper",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "reduce_only": False,
        "quantity": "0.010",
        "price": "60000",
        "strategy": "ml",
    }
    assert signal.notional == Decimal(600)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"id": ""}, "id is missing"),
        ({"id": "x" * 65}, "id: expected"),
        ({"at": "2026-01-01T12:00:00"}, "with a zone"),
        ({"at": "9999-12-31T23:59:59-14:00"}, "with a zone"),
        ({"at": "yesterday"}, "at: expected"),
        ({"side": "LONG"}, "side: expected"),
        ({"type": "STOP_MARKET"}, "type: expected"),
        ({"limit_price": "1"}, "unknown member 'limit_price'"),
        ({"quote_quantity": 100.5}, "decimal as text"),
        ({"quote_quantity": "NaN"}, "not a decimal"),
        ({"quote_quantity": "-1"}, "more than zero"),
        ({"quantity": "1"}, "exactly one"),
        ({"price": "60000"}, "takes no price"),
        ({"type": "LIMIT"}, "needs a price"),
        ({"reduce_only": "yes"}, "true or false"),
        ({"symbol": "?"}, "symbol:"),
    ],
)
def test_what_is_not_a_signal_is_refused_with_the_member_that_is_wrong(changes: dict, why: str) -> None:
    assert why in code_of(**changes)


@pytest.mark.parametrize("value", [None, [], "text", 5])
def test_anything_else_than_an_object_is_refused(value: object) -> None:
    with pytest.raises(SignalRefused):
        parse_signal(value)


def outcome(gate: SignalGate, moment: datetime = NOW, **changes: Any) -> str:
    try:
        gate.check(parse_signal(told(**changes)), moment)
    except SignalRefused as refusal:
        return refusal.code
    return "passed"


def test_the_largest_notional_passes_and_a_cent_more_does_not() -> None:
    assert outcome(SignalGate(LIMITS), quote_quantity="1000") == "passed"
    assert outcome(SignalGate(LIMITS), quote_quantity="1000.01") == "NOTIONAL_ABOVE_MAX"


def test_a_quantity_without_any_price_cannot_be_limited() -> None:
    gate = SignalGate(LIMITS)
    assert outcome(gate, quote_quantity=None, quantity="0.01") == "NOTIONAL_UNKNOWN"
    assert outcome(gate, quote_quantity=None, quantity="0.01", reference_price="60000") == "passed"


@pytest.mark.parametrize(
    ("age_s", "expected"),
    [(10.0, "passed"), (10.1, "TOO_OLD"), (-2.0, "passed"), (-2.1, "FROM_THE_FUTURE")],
)
def test_a_signal_is_taken_only_while_it_is_young(age_s: float, expected: str) -> None:
    assert outcome(SignalGate(LIMITS), NOW + timedelta(seconds=age_s)) == expected


def test_other_symbols_are_refused() -> None:
    assert outcome(SignalGate(LIMITS), symbol="ETHUSDT") == "SYMBOL_NOT_ALLOWED"


def test_an_id_is_taken_once_whatever_else_it_says() -> None:
    gate = SignalGate(LIMITS)
    assert outcome(gate) == "passed"
    assert outcome(gate, side="SELL") == "DUPLICATE"


def test_the_rate_counts_what_passed_and_frees_itself_after_a_minute() -> None:
    gate = SignalGate(LIMITS)
    assert [outcome(gate, id=f"a{n}") for n in range(3)] == ["passed", "passed", "RATE_LIMITED"]
    assert outcome(gate, id="a9", quote_quantity="5000") == "NOTIONAL_ABOVE_MAX"
    later = NOW + timedelta(seconds=60)
    assert outcome(gate, later, id="b", at=later.isoformat()) == "passed"
