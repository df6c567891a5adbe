"""Every breaker by one table: closed just below its level, open at it, not without its samples; then its recovery."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, transaction
from django.db.models import Sum

from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry
from tests.integration.trading.services.breaker_cases import (
    CASES,
    NAMES,
    SCOPES,
    differences,
    enough,
    minutes,
)
from trading.domain.values import Level
from trading.models import (
    BreakerSample,
    CircuitBreaker,
    Divergence,
    EquitySnapshot,
    TradingState,
    VenueCallWindow,
)
from trading.services.breakers import KINDS, breakers_ensure, breakers_evaluate, venue_call_observed
from trading.services.breakers.evaluation import _evaluate
from trading.services.breakers.measures import MEASURES
from universe.domain.calls import CallOutcome
from universe.models import Bar, Quote, StreamState, VenueBackoff

if TYPE_CHECKING:
    from tests.factories.trading import Desk


def evaluated(name: str) -> CircuitBreaker:
    row = CircuitBreaker.objects.get(name=name, scope=SCOPES[KINDS[name].of])
    _evaluate(row.pk, None)
    row.refresh_from_db()
    return row


@pytest.fixture
def watched(desk: Desk) -> Desk:
    if desk.account.market == "spot":
        # The margin breakers are those of USD-M accounts; their measures are the same functions here.
        for name in ("margin_ratio", "margin_call"):
            CircuitBreaker.objects.create(name=name, scope="account:desk", changed_at=now(), **_columns(name))
    breakers_ensure()
    CircuitBreaker.objects.update(changed_at=now() - timedelta(days=1))
    return desk


def _columns(name: str) -> dict[str, Any]:
    kind = KINDS[name]
    rule = {field: getattr(kind.rule, field) for field in kind.rule.__dataclass_fields__}
    return {**rule, "unit": kind.unit, "action": kind.action, "reset": kind.reset}


def begin(name: str) -> None:
    """Whatever was measured before is over: the window starts now, and what has no window is as it should be."""
    for model in (VenueCallWindow, VenueBackoff, BreakerSample, Divergence, Bar, EquitySnapshot):
        model.objects.all().delete()
    StreamState.objects.update(last_message_at=now())
    Quote.objects.update(received_at=now(), bid=59_990, ask=60_010)
    CircuitBreaker.objects.filter(name=name).update(changed_at=now())


def end_wait(row: CircuitBreaker) -> None:
    row.memory["until_ns"] = 1
    CircuitBreaker.objects.filter(pk=row.pk).update(memory=row.memory)


def opened(desk: Desk, name: str) -> CircuitBreaker:
    begin(name)
    arrange, _, first_denied = CASES[name]
    arrange(desk, first_denied, enough(name))
    row = evaluated(name)
    assert row.state == "open", (row.measured, row.samples, row.reason)
    assert row.reason
    return row


def test_every_measure_has_a_rule_and_a_case() -> None:
    assert set(MEASURES) == set(KINDS) == set(CASES)


@pytest.mark.parametrize("name", NAMES)
def test_the_whole_life_of_each_breaker(watched: Desk, name: str) -> None:
    kind, (arrange, last_allowed, first_denied) = KINDS[name], CASES[name]

    # Just below its level it stays closed, and measures what is there.
    begin(name)
    arrange(watched, last_allowed, enough(name))
    row = evaluated(name)
    assert row.state == "closed", row.reason
    assert row.measured == pytest.approx(last_allowed, rel=0.05, abs=0.02)
    assert row.samples is not None
    assert row.samples >= kind.rule.min_samples or last_allowed == 0

    # At its level but with too few samples it proves nothing.
    if kind.rule.min_samples > 1:
        begin(name)
        arrange(watched, first_denied, kind.rule.min_samples - 1)
        row = evaluated(name)
        assert (row.state, row.samples) == ("closed", kind.rule.min_samples - 1)

    # At its level it opens and does what its action says.
    row = opened(watched, name)
    assert AuditEntry.objects.filter(action="breaker.open", target=f"{name}@{row.scope}").exists()
    state = TradingState.objects.filter(scope=row.scope).first()
    if kind.action == "open":
        assert state is None or state.effective is Level.ACTIVE
    else:
        assert state is not None
        assert state.effective is Level[kind.action]
        # Latched where only people reset it; otherwise in the column that falls with the breaker.
        assert (state.level > 0, state.auto_level > 0) == (kind.reset == "manual", kind.reset == "auto")

    # What people reset does not recover by itself, however good it looks.
    if kind.reset == "manual":
        begin(name)
        end_wait(row)
        for _ in range(4):
            row = evaluated(name)
        assert (row.state, row.retry_at) == ("open", None)
        assert TradingState.objects.get(scope=row.scope).level == Level[kind.action]
        return
    if kind.probes == "calls":
        return  # its probes are the calls themselves: see test_breakers.py

    # After its wait one bad probe opens it again.
    begin(name)
    end_wait(row)
    assert evaluated(name).state == "half_open"
    assert not TradingState.objects.filter(scope=row.scope, auto_level__gt=0).exists()
    arrange(watched, first_denied, enough(name))
    row = evaluated(name)
    assert row.state == "open"
    assert row.reason.startswith("probe failed")

    # Enough good ones close it; silence is no good probe.
    begin(name)
    end_wait(row)
    assert evaluated(name).state == "half_open"
    quiet = evaluated(name)
    if quiet.samples == 0:
        assert quiet.state == "half_open"
        arrange(watched, last_allowed, enough(name))
    for _ in range(kind.rule.half_open_successes):
        row = evaluated(name)
    assert row.state == "closed"
    assert not TradingState.objects.filter(scope=row.scope, auto_level__gt=0).exists()


def test_a_measure_that_fails_opens_its_breaker(watched: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every one of them, also when what failed has broken the transaction it was in."""

    def broken(*_: Any) -> Any:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("SELECT 1/0")

    for name in NAMES:
        monkeypatch.setitem(MEASURES, name, broken)
    breakers_evaluate()
    rows = list(CircuitBreaker.objects.all())
    assert {row.name for row in rows} == set(NAMES)
    assert {(row.state, row.measured) for row in rows} == {("open", None)}
    assert all("cannot be measured" in row.reason for row in rows)


def test_one_broken_measure_holds_up_no_other(watched: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MEASURES, "spread", lambda *_: 1 / 0)
    differences(watched, 1, 1)
    breakers_evaluate()
    assert CircuitBreaker.objects.filter(name="spread", state="open").count() == 3
    assert CircuitBreaker.objects.get(name="reconcile_divergence").state == "open"
    assert not CircuitBreaker.objects.filter(evaluated_at=None).exists()


def test_a_switched_off_breaker_judges_nothing(watched: Desk) -> None:
    CircuitBreaker.objects.filter(name="reconcile_divergence").update(is_enabled=False)
    differences(watched, 5, 1)
    assert evaluated("reconcile_divergence").state == "closed"


def test_a_ban_lasts_as_long_as_the_venue_said(watched: Desk) -> None:
    row = opened(watched, "venue_ban")
    assert row.retry_at is not None
    assert 20 < (row.retry_at - now()).total_seconds() <= 30
    VenueBackoff.objects.update(blocked_until=now() + timedelta(seconds=600))
    longer = evaluated("venue_ban")
    assert longer.retry_at is not None
    assert (longer.retry_at - now()).total_seconds() > 500


def test_a_call_is_counted_without_waiting_for_the_disk_and_nothing_after_it_is(
    transactional_db: None,
) -> None:
    def waits() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            return str(cursor.fetchone()[0])

    before = waits()
    venue_call_observed("spot", CallOutcome.OK, 0.01, None)
    assert waits() == before
    with transaction.atomic():
        venue_call_observed("spot", CallOutcome.ERROR, 0.01, None)
        assert waits() == before, "a caller's own commit must still reach the disk"
    assert VenueCallWindow.objects.aggregate(Sum("calls"), Sum("errors")) == {
        "calls__sum": 2,
        "errors__sum": 1,
    }


def test_an_ordinary_move_after_a_still_hour_is_no_jump(watched: Desk) -> None:
    """0.35 % in a minute after an hour of 0.03 % a minute: eleven of its own deviations, seven of the least one."""
    begin("volatility_jump")
    minutes(watched, 600.0, [*[0.000324 * (-1) ** n for n in range(60)], 0.0035])
    row = evaluated("volatility_jump")
    assert row.state == "closed"
    assert row.measured == pytest.approx(0.0035 / 0.0005, rel=0.01)
