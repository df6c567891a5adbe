"""Rails that go by rows of their own: grants, blackouts, models, repeated rules, refusals, results, invariants."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from trading.models import (
    LossMeasure,
    Order,
    OrderEvent,
    OverrideGrant,
    RiskLimit,
    ServingHeartbeat,
    Strategy,
    TradingState,
    VenueClock,
)
from trading.services.controls.blackouts import blackout_set
from trading.services.controls.overrides import override_clean
from trading.services.invariants import invariants_check
from trading.services.orders import OrderDenied
from universe.models import Quote, StreamState, VenueBackoff

if TYPE_CHECKING:
    from tests.factories.trading import Desk


def denied(desk: Desk, **changes: Any) -> str:
    with pytest.raises(OrderDenied) as error:
        desk.submit(**changes)
    return str(error.value.code)


def by_strategy(desk: Desk, **changes: Any) -> dict[str, Any]:
    return {"strategy": desk.strategies["trend"], "origin": Order.Origin.STRATEGY, **changes}


def test_an_order_above_the_soft_limit_uses_up_one_grant(desk: Desk) -> None:
    desk.limit(soft_notional=500)
    assert denied(desk) == "OVERRIDE_REQUIRED"
    OverrideGrant.objects.create(
        account=desk.account,
        instrument=desk.btc,
        side="BUY",
        max_notional=600,
        expires_at=now() + timedelta(minutes=5),
        requested_by="trader",
        approved_by="risk",
        created_at=now(),
    )
    small = desk.submit("BUY", "0.001")
    assert not OverrideGrant.objects.filter(used_by=small).exists(), "an order within the limit uses none up"
    order = desk.submit()
    assert OverrideGrant.objects.get().used_by == order
    assert denied(desk) == "OVERRIDE_REQUIRED"


def test_a_grant_is_asked_for_with_numbers_that_make_sense(desk: Desk) -> None:
    clean = override_clean("desk:BTCUSDT:BUY", {"max_notional": "800"})
    assert (clean["max_notional"], clean["valid_for_s"], clean["side"]) == ("800", 300, "BUY")
    for target, payload in (
        ("desk:BTCUSDT:HOLD", {"max_notional": "800"}),
        ("desk:NOPEUSDT:BUY", {"max_notional": "800"}),
        ("nobody:BTCUSDT:BUY", {"max_notional": "800"}),
        ("desk:BTCUSDT:BUY", {"max_notional": "-1"}),
        ("desk:BTCUSDT:BUY", {"max_notional": "many"}),
        ("desk:BTCUSDT:BUY", {"max_notional": "800", "valid_for_s": 7200}),
    ):
        with pytest.raises(ApplicationError):
            override_clean(target, payload)


def test_inside_a_blackout_only_what_reduces_passes(desk: Desk) -> None:
    desk.send(desk.submit("BUY", "0.01", price="60010"))
    blackout_set(
        scope="symbol:BTCUSDT",
        starts_at=now() - timedelta(seconds=1),
        ends_at=now() + timedelta(minutes=1),
        reason="upgrade",
        actor="test",
    )
    assert denied(desk) == "BLACKOUT"
    assert desk.submit("SELL", "0.005", price="59990").status == "RESERVED"
    assert desk.submit("BUY", "0.1", symbol="ETHUSDT", price="3000").status == "RESERVED"


def test_a_rule_that_fires_again_and_again_is_switched_off_until_somebody_has_looked(
    desk: Desk, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    desk.limit(repeated_executions=2, near_duplicate_window=0)
    for _ in range(2):
        assert desk.send(desk.submit("BUY", "0.001", price="60010", **by_strategy(desk))).status == "FILLED"
    with django_capture_on_commit_callbacks(execute=True):
        assert denied(desk, quantity="0.001", price="60010", **by_strategy(desk)) == "REPEATED_EXECUTION"
    assert not Strategy.objects.get(name="trend").is_enabled
    assert desk.submit("BUY", "0.001", price="60010").status == "RESERVED", "people are not a rule"


def test_a_strategy_does_not_ask_twice_for_nearly_the_same(desk: Desk) -> None:
    desk.limit(near_duplicate_window=60)
    desk.submit("BUY", "0.01", **by_strategy(desk))
    assert denied(desk, quantity="0.01005", price="60050", **by_strategy(desk)) == "NEAR_DUPLICATE"
    assert desk.submit("BUY", "0.02", **by_strategy(desk)).status == "RESERVED"


def test_what_the_venue_has_just_refused_is_not_sent_again_at_once(desk: Desk) -> None:
    order = desk.submit("BUY", "0.01")
    Order.objects.filter(pk=order.pk).update(status="REJECTED", ended_at=now())
    with pytest.raises(OrderDenied) as error:
        desk.submit("BUY", "0.01")
    assert (error.value.code, error.value.extra["rail"]) == ("RATE_LIMITED", "rejected_backoff")
    assert 0 < error.value.extra["retry_after"] <= 2
    assert desk.submit("BUY", "0.011").status == "RESERVED", "another order is another matter"


def test_an_order_that_would_meet_a_resting_one_of_another_strategy_is_denied(desk: Desk) -> None:
    desk.send(desk.submit("BUY", "0.01", price="60010"))
    desk.submit("SELL", "0.005", price="60005", strategy=desk.strategies["swing"])
    assert denied(desk, quantity="0.001", price="60005", **by_strategy(desk)) == "SELF_TRADE"
    assert desk.submit("BUY", "0.001", price="60004").status == "RESERVED"


def test_a_client_order_id_that_exists_is_denied_and_leaves_no_second_row(desk: Desk) -> None:
    first = desk.submit("BUY", "0.001")
    assert denied(desk, quantity="0.001", client_order_id=first.client_order_id) == "DUPLICATE_DECISION"
    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda desk: StreamState.objects.update(connected_at=None), "NOT_RECONCILED"),
        (lambda desk: VenueClock.objects.update(offset_ms=251), "CLOCK_OFFSET"),
        (lambda desk: VenueClock.objects.all().delete(), "CLOCK_OFFSET"),
        (lambda desk: LossMeasure.objects.all().delete(), "LOSS_LIMIT"),
        (
            lambda desk: LossMeasure.objects.filter(scope="global").update(value=97_999, day_start=100_000),
            "LOSS_LIMIT",
        ),
        (
            lambda desk: Quote.objects.filter(instrument=desk.btc).update(last_price=Decimal(50_000)),
            "PRICE_SOURCES_DISAGREE",
        ),
        (
            lambda desk: VenueBackoff.objects.update_or_create(
                venue=desk.venue_row.name,
                defaults={"used_weight": 4_800, "weight_limit": 6_000, "used_at": now()},
            ),
            "VENUE_WEIGHT",
        ),
    ],
)
def test_what_other_processes_measure_decides(desk: Desk, change: Callable[[Desk], Any], code: str) -> None:
    change(desk)
    assert denied(desk) == code


def test_a_strategy_trades_only_by_the_model_in_force(desk: Desk) -> None:
    Strategy.objects.filter(name="trend").update(model_family="hmm", model_digest="a" * 64, model_version=3)
    desk.strategies["trend"].refresh_from_db()
    assert denied(desk, **by_strategy(desk)) == "MODEL_NOT_SERVABLE"
    ServingHeartbeat.objects.create(
        worker="w", strategy=desk.strategies["trend"], family="hmm", version=3, digest="a" * 64,
        since=now(), beat_at=now(),
    )  # fmt: skip
    assert desk.submit(**by_strategy(desk)).status == "RESERVED"
    Strategy.objects.filter(name="trend").update(model_digest="")
    desk.strategies["trend"].refresh_from_db()
    assert denied(desk, quantity="0.02", **by_strategy(desk)) == "MODEL_NOT_SERVABLE"


def test_a_level_a_breaker_demands_stops_as_one_a_person_set(desk: Desk) -> None:
    TradingState.objects.filter(scope="global").update(auto_level=2)
    assert denied(desk) == "TRADING_HALTED"


def test_every_verdict_carries_the_version_of_the_limit_it_was_measured_against(desk: Desk) -> None:
    RiskLimit.objects.filter(name="max_notional").update(policy_version=7)
    checks = {check["rail"]: check for check in desk.submit().checks}
    assert checks["max_notional"]["policy_version"] == 7
    assert checks["kill_level"]["policy_version"] is None


def test_the_invariants_hold_after_trading_and_name_what_breaks_them(desk: Desk) -> None:
    order = desk.send(desk.submit("BUY", "0.01", price="60010"))
    assert invariants_check() == []
    OrderEvent.objects.create(order=order, status="SENDING", source="authorise", at=now())
    Order.objects.filter(pk=order.pk).update(executed_quantity=Decimal("0.009"))
    found = {violation.invariant for violation in invariants_check()}
    assert found == {"I2", "I7", "I9"}
