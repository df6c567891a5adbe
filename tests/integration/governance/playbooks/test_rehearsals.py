"""Rehearsals end to end: a fault in the running paper exchange, real orders through the real client, the marks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from governance.models import Incident, Playbook, PlaybookAction, Rehearsal
from governance.services.playbooks import rehearsal_start
from governance.tasks import guardian_tick
from nautilus_site.common.clock import now
from nautilus_site.common.errors import Conflict
from nautilus_site.common.models import ChangeRequest
from tests.factories.exchange import running_exchange
from tests.integration.governance.playbooks.floor import Floor, open_floor
from trading.domain.execution import RECV_WINDOW_MS


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_exchange("BTCUSDT") as address:
        yield address


@pytest.fixture
def floor(db: None, url: str, settings: Any) -> Iterator[Floor]:
    settings.TESTNET_URL = url
    floor = open_floor(url, "BTCUSDT")
    yield floor
    floor.exchange.control("DELETE", "/faults")


@pytest.mark.parametrize(
    "name", [pytest.param("venue_lag", marks=pytest.mark.long), "reject_spike", "drawdown", "daily_loss"]
)
def test_a_rehearsed_fault_is_noticed_acted_on_seen_to_work_and_marked(
    name: str, floor: Floor, risk_officer: Any
) -> None:
    Playbook.objects.exclude(name=name).update(is_armed=False)
    Playbook.objects.filter(name="daily_loss").update(threshold=500.0)
    assert floor.order() == "FILLED"
    guardian_tick()
    assert Incident.objects.count() == 0
    row = rehearsal_start(name=name, actor=risk_officer, reason="drill")
    with pytest.raises(Conflict, match="one fault at a time"):
        rehearsal_start(name=name, actor=risk_officer, reason="drill")
    if name in ("drawdown", "daily_loss"):
        floor.exchange.advance(8)
        floor.until(lambda: Incident.objects.exists(), floor.look)
    else:
        floor.until(lambda: Incident.objects.exists(), floor.order)
    assert floor.order() in ("BLACKOUT", "TRADING_HALTED", "RATE_LIMITED")
    floor.until(lambda: Rehearsal.objects.get().state == "scored", floor.look)
    row.refresh_from_db()
    assert row.score == 100, row.findings
    assert row.incident is not None
    assert row.incident.is_rehearsal
    assert set(PlaybookAction.objects.values_list("state", flat=True)) == {"verified"}
    asked = set(ChangeRequest.objects.filter(state="pending").values_list("kind", flat=True))
    assert (
        asked
        == {
            "venue_lag": {"blackout.end"},
            "reject_spike": {"blackout.end", "limit.loosen"},
            "drawdown": {"blackout.end", "limit.loosen"},
            "daily_loss": {"trading_state.lower"},
        }[name]
    )
    assert floor.exchange.control("GET", "/faults") in ([], {"faults": []})
    with pytest.raises(Conflict, match="open already"):
        rehearsal_start(name=name, actor=risk_officer, reason="again")


def test_a_fault_nobody_notices_is_marked_so(floor: Floor, risk_officer: Any) -> None:
    Playbook.objects.exclude(name="venue_lag").update(is_armed=False)
    row = rehearsal_start(name="venue_lag", actor=risk_officer, reason="drill")
    Rehearsal.objects.update(deadline_at=now())
    guardian_tick()
    row.refresh_from_db()
    assert (row.state, row.score) == ("scored", 5), "the fault is out again: nothing else is earned"
    assert row.findings[0]["said"] == "it was not detected"


def test_orders_are_answered_late_and_never_so_late_that_the_exchange_refuses_them(
    floor: Floor, risk_officer: Any
) -> None:
    """Each carries the time until which the exchange takes it; refused ones are not late, and open a breaker."""
    book = Playbook.objects.filter(name="venue_lag")
    book.update(threshold=RECV_WINDOW_MS * 0.85)
    row = rehearsal_start(name="venue_lag", actor=risk_officer, reason="drill")
    (fault,) = floor.exchange.control("GET", "/faults")
    assert RECV_WINDOW_MS * 0.85 < fault["effect"]["delay_ms"] < RECV_WINDOW_MS
    Rehearsal.objects.update(deadline_at=now())
    guardian_tick()
    row.refresh_from_db()
    assert row.state == "scored"
    book.update(threshold=RECV_WINDOW_MS)
    with pytest.raises(Conflict, match="the threshold is above that"):
        rehearsal_start(name="venue_lag", actor=risk_officer, reason="drill")


def test_a_rehearsal_whose_cause_cannot_be_made_says_what_is_missing(floor: Floor, risk_officer: Any) -> None:
    for name, why in (
        ("corr_spike", "fewer than two symbols"),
        ("unprotected_position", "place an order with a stop"),
        ("leverage", "no futures account"),
        ("funding_spike", "no contract with a funding rate"),
        ("entropy_spike", "has decided by regimes of late"),
        ("open_trades", "fewer than the limit of 11"),
    ):
        with pytest.raises(Conflict, match=why):
            rehearsal_start(name=name, actor=risk_officer, reason="drill")
    assert Rehearsal.objects.count() == 0
    assert floor.exchange.control("GET", "/faults") == []


def test_every_playbook_has_a_fault() -> None:
    from governance.domain.playbooks import PLAYBOOKS
    from governance.services.playbooks.faults import FAULTS

    assert FAULTS.keys() == PLAYBOOKS.keys()


def test_an_exchange_that_is_away_starts_no_rehearsal(floor: Floor, risk_officer: Any, settings: Any) -> None:
    settings.TESTNET_URL = "http://127.0.0.1:9"
    with pytest.raises(Conflict, match="cannot be reached"):
        rehearsal_start(name="venue_lag", actor=risk_officer, reason="drill")
    assert Rehearsal.objects.count() == 0
