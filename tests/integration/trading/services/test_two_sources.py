"""A difference is repaired when two kinds of evidence agree, never by one alone, and no sweep gives up meanwhile."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from nautilus_site.common.models import AuditEntry
from tests.integration.trading.services.sweeping import due, later, level, run, stranger
from trading.domain.errors import VenueUnavailable
from trading.models import Account, Divergence, Fill, LedgerEntry, ReconcileRun

if TYPE_CHECKING:
    from tests.factories.trading import Desk


def facts(desk: Desk) -> tuple[Any, ...]:
    return (
        LedgerEntry.objects.count(),
        Fill.objects.count(),
        {b.asset: b.amount for b in desk.account.balances.exclude(amount=0)},
    )


def test_one_source_repairs_nothing_and_when_the_second_agrees_it_is_booked_with_entry_and_audit(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The balances move at once, the trade list lags for an hour, and the venue is down in between."""
    run(desk)
    before = facts(desk)
    with monkeypatch.context() as lagging:
        lagging.setattr(type(desk.venue), "trades", lambda venue, symbol, *, from_id, start_ms: [])
        desk.venue.external(stranger("theirs"))
        sightings = 0
        for turn in range(60):
            if turn % 5 == 4:
                desk.venue.fails["balances"] = [VenueUnavailable(None, "down")]
            done = due(desk)
            if done is not None and done.pk is not None:
                sightings += done.outcome == "divergent"
                assert done.outcome in ("divergent", "failed")
            later(61 if turn % 7 == 6 else 30)
        assert facts(desk) == before, "a balance alone changes nothing"
    rows = {row.subject: row for row in Divergence.objects.filter(resolved_at=None)}
    assert set(rows) == {"BTC", "USDT"}
    assert sightings > 30, "nobody gives up"
    assert all(row.sightings >= sightings for row in rows.values())
    assert (rows["BTC"].ours, rows["BTC"].theirs) == ("0", "0.00999")
    assert level("symbol:BTCUSDT") == 2
    assert Account.objects.get().reconciled_at is None, "new risk is off"

    assert run(desk).outcome == "repaired"
    fill = Fill.objects.get()
    entries = LedgerEntry.objects.filter(fill=fill, owner="account")
    assert {(e.asset, e.kind, e.amount) for e in entries} == {
        ("BTC", "trade", Decimal("0.01")),
        ("BTC", "commission", Decimal("-0.00001")),
        ("USDT", "trade", Decimal("-600.1")),
    }
    booked = AuditEntry.objects.get(action="reconcile.fills_booked")
    assert (booked.after["fills"], booked.after["trades"]) == (1, [fill.trade_id])
    assert AuditEntry.objects.filter(action="order.adopted").count() == 1
    assert not Divergence.objects.filter(resolved_at=None).exists()
    assert set(Divergence.objects.values_list("resolution", flat=True)) == {"equal again"}
    assert ReconcileRun.objects.latest("pk").report["fills_booked"] == 1
    assert Account.objects.get().reconciled_at is not None
    assert level("symbol:BTCUSDT") == 2, "a machine lowers no level"


def test_a_reading_that_was_wrong_once_leaves_no_trace_but_its_row(desk: Desk) -> None:
    run(desk)
    before = facts(desk)
    desk.venue.deposit("BTC", "5")
    assert run(desk).outcome == "divergent"
    desk.venue.deposit("BTC", "-5")
    later(6)
    assert run(desk).outcome == "clean"
    row = Divergence.objects.get()
    assert (row.confirmed_at, row.resolution, facts(desk)) == (None, "equal again", before)
    assert level("symbol:BTCUSDT") == 0
    assert not AuditEntry.objects.filter(action__startswith="divergence").exists()
