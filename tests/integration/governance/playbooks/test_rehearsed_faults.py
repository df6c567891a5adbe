"""What a rehearsal is marked by, and what becomes of a fault that cannot be taken out."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from governance.adapters.testnet_control import ControlError
from governance.models import Incident, Playbook, PlaybookRun, PlaybookWatch, Rehearsal
from governance.services.playbooks import actions_verify, rehearsal_start, rehearsals_step
from governance.services.playbooks import withdrawing as withdrawing_module
from governance.services.playbooks.faults import fault as fault_module
from governance.services.playbooks.risk_added import risk_added
from nautilus_site.common.clock import now
from nautilus_site.common.errors import Conflict
from nautilus_site.common.models import OutboxEvent
from tests.factories.trading import Desk
from tests.integration.governance.playbooks.conftest import Arm, Watch
from tests.integration.governance.playbooks.test_triggers import hold, stale_data
from trading.domain.orders import OrderStatus
from trading.models import Order
from universe.models import Instrument


class Exchange:
    """What answers the control calls: by path, the errors still to come, and every call that was obeyed."""

    def __init__(self) -> None:
        self.errors: dict[str, list[ControlError]] = {}
        self.obeyed: list[tuple[str, str]] = []

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        if self.errors.get(path):
            raise self.errors[path].pop(0)
        self.obeyed.append((method, path))
        return {"id": 1}


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Exchange:
    made = Exchange()
    monkeypatch.setattr(fault_module, "control", made)
    return made


@pytest.fixture
def under_way(desk: Desk, arm: Arm, watch: Watch, risk_officer: Any) -> Rehearsal:
    """A fault that was noticed, whose time is over."""
    row = Rehearsal.objects.create(
        playbook=arm("stale_data", confirm=1, actions=[{"do": "blackout", "minutes": 5}]),
        requested_by=risk_officer,
        scope="symbol:BTCUSDT",
        fault={"ids": [4, 5], "undo": [{"do": "market", "body": {"symbol": "BTCUSDT"}}]},
        injected_at=now(),
        deadline_at=now() + timedelta(seconds=90),
    )
    stale_data(desk, True)
    watch()
    assert actions_verify() == 1
    PlaybookRun.objects.update(at=now() - timedelta(minutes=2))
    Rehearsal.objects.update(injected_at=now() - timedelta(minutes=3))
    return row


def test_a_fault_that_cannot_be_taken_out_is_told_and_tried_again_until_it_is_out(
    under_way: Rehearsal, exchange: Exchange, risk_officer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(withdrawing_module, "AGAIN", timedelta(0))
    exchange.errors = {"/market": [ControlError("busy", status=503), ControlError("away")]}
    assert rehearsals_step() == 0
    under_way.refresh_from_db()
    assert (under_way.state, under_way.score, under_way.error) == ("stuck", None, "busy")
    alarm = Incident.objects.get(kind="fault_stuck")
    assert (alarm.severity, alarm.scope, alarm.is_rehearsal) == ("critical", "stale_data", False)
    assert OutboxEvent.objects.filter(topic="incidents", data__kind="fault_stuck").count() == 1
    Playbook.objects.update(is_armed=True)
    with pytest.raises(Conflict, match="one fault at a time"):
        rehearsal_start(name="venue_lag", actor=risk_officer, reason="drill")
    assert rehearsals_step() == 0
    assert rehearsals_step() == 1
    under_way.refresh_from_db()
    assert (under_way.state, under_way.score) == ("scored", 95), under_way.findings
    assert {mark["name"]: mark["points"] for mark in under_way.findings}["fault withdrawn"] == 0
    assert exchange.obeyed == [("DELETE", "/faults/5"), ("DELETE", "/faults/4"), ("POST", "/market")], (
        "once each"
    )
    alarm.refresh_from_db()
    assert alarm.state == "calm"


def test_a_fault_somebody_else_has_taken_out_is_out(under_way: Rehearsal, exchange: Exchange) -> None:
    exchange.errors = {"/faults/5": [ControlError("no fault 5", status=404)]}
    assert rehearsals_step() == 1
    under_way.refresh_from_db()
    assert {mark["name"]: mark["points"] for mark in under_way.findings}["fault withdrawn"] == 5


def test_a_fault_that_could_be_put_in_only_in_part_is_not_forgotten(
    desk: Desk, exchange: Exchange, risk_officer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from governance.services.playbooks import faults

    def half(playbook: Playbook, fault: Any) -> None:
        fault.stand({"symbol": "BTCUSDT"}, {"drop_event": True})
        raise ControlError("away")

    monkeypatch.setattr(withdrawing_module, "AGAIN", timedelta(0))
    monkeypatch.setitem(faults.FAULTS, "stale_data", half)
    exchange.errors = {"/faults/1": [ControlError("away"), ControlError("away")]}
    row = rehearsal_start(name="stale_data", actor=risk_officer, reason="drill")
    assert (row.state, row.fault["ids"]) == ("stuck", [1])
    assert rehearsals_step() == 0
    assert rehearsals_step() == 1
    row.refresh_from_db()
    assert (row.state, row.score) == ("failed", None)


def test_no_rehearsal_begins_where_the_cause_is_seen_already(
    desk: Desk, arm: Arm, watch: Watch, risk_officer: Any
) -> None:
    arm("stale_data", confirm=5)
    stale_data(desk, True)
    watch()
    assert PlaybookWatch.objects.filter(sightings=1).exists()
    with pytest.raises(Conflict, match="sees its cause on symbol:BTCUSDT already"):
        rehearsal_start(name="stale_data", actor=risk_officer, reason="drill")


def sent(desk: Desk, side: str, quantity: str, **changes: Any) -> None:
    order = desk.submit("BUY", "0.01", price="50000")
    Order.objects.filter(pk=order.pk).update(
        side=side, quantity=Decimal(quantity), status=OrderStatus.NEW, sent_at=now(), **changes
    )


@pytest.mark.parametrize(
    ("market", "held", "side", "quantity", "added"),
    [
        ("usdm", "0", "SELL", "0.01", 1),
        ("usdm", "0", "BUY", "0.01", 1),
        ("usdm", "0.02", "SELL", "0.02", 0),
        ("usdm", "0.02", "SELL", "0.021", 1),
        ("usdm", "-0.02", "BUY", "0.02", 0),
        ("usdm", "-0.02", "SELL", "0.01", 1),
        ("spot", "0.02", "SELL", "0.03", 0),
        ("spot", "0.02", "BUY", "0.01", 1),
    ],
)
def test_what_grows_an_exposure_counts_whichever_side_it_is_of(
    desk: Desk, risk_officer: Any, market: str, held: str, side: str, quantity: str, added: int
) -> None:
    run = run_of(desk, "symbol:BTCUSDT", risk_officer)
    sent(desk, side, quantity)
    Instrument.objects.update(market=market)
    hold(desk, "BTCUSDT", held, "60000")
    assert risk_added(run, now()) == added


def test_orders_of_other_strategies_are_not_a_strategys(desk: Desk, risk_officer: Any) -> None:
    desk.limit(repeated_executions=100, near_duplicate_window=0)
    run = run_of(desk, "strategy:trend", risk_officer)
    sent(desk, "BUY", "0.01", strategy=desk.strategies["swing"])
    assert risk_added(run, now()) == 0
    sent(desk, "BUY", "0.01", strategy=desk.strategies["trend"])
    assert risk_added(run, now()) == 1


def run_of(desk: Desk, scope: str, person: Any) -> PlaybookRun:
    book = Playbook.objects.get(name="stale_data")
    incident = Incident.objects.create(
        kind="stale_data", scope=scope, severity="warning", title="t", opened_at=now()
    )
    return PlaybookRun.objects.create(
        playbook=book, incident=incident, scope=scope, threshold=1, at=now() - timedelta(minutes=1)
    )
