"""A scope that is looked at no more leaves nothing behind that no reading could ever end."""

from __future__ import annotations

from typing import Any

import pytest

from governance.models import Incident, PlaybookWatch
from governance.selectors.playbooks import playbooks_state
from governance.services.playbooks import evaluating, incident_close, playbooks_evaluate
from nautilus_site.common.steps import StepsFailed
from tests.factories.trading import Desk
from tests.integration.governance.playbooks.conftest import Arm, Watch
from tests.integration.governance.playbooks.test_triggers import stale_data
from trading.models import EquitySnapshot, SymbolAllowance


@pytest.fixture
def stale(desk: Desk, arm: Arm, watch: Watch) -> Incident:
    arm("stale_data")
    stale_data(desk, True)
    incident = watch(2)
    assert incident is not None
    return incident


def test_its_incident_is_calm_and_its_sightings_are_forgotten(
    stale: Incident, watch: Watch, risk_officer: Any
) -> None:
    SymbolAllowance.objects.filter(instrument__symbol="BTCUSDT").delete()
    watch()
    stale.refresh_from_db()
    assert stale.state == "calm"
    last = stale.entries.order_by("-pk").values_list("what", flat=True)[0]
    assert last == "the cause is over: it is no longer looked at"
    gone = PlaybookWatch.objects.get(scope="symbol:BTCUSDT")
    assert (gone.sightings, gone.verdict) == (0, "quiet")
    assert gone.ran_at is not None, "should it come back, the cool-down is what it was"
    (shown,) = [row for row in playbooks_state()["playbooks"] if row["name"] == "stale_data"]
    assert "BTCUSDT" not in shown["nearest"]
    incident_close(incident_id=stale.pk, actor=risk_officer, reason="no longer traded")


def test_an_incident_of_what_could_not_be_measured_ends_with_its_scope(
    desk: Desk, arm: Arm, watch: Watch
) -> None:
    arm("drawdown", blind_after=1)
    EquitySnapshot.objects.all().delete()
    incident = watch()
    assert incident is not None
    assert (incident.kind, incident.state) == ("unmeasured", "open")
    desk.account.is_active = False
    desk.account.save()
    watch()
    incident.refresh_from_db()
    assert incident.state == "calm"


def test_scopes_that_cannot_be_listed_end_nothing(
    stale: Incident, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = evaluating.scopes_of_kind

    def broken(of: str) -> list[str]:
        if of == "symbol":
            raise ZeroDivisionError
        return listed(of)

    monkeypatch.setattr(evaluating, "scopes_of_kind", broken)
    with pytest.raises(StepsFailed, match="stale_data"):
        playbooks_evaluate()
    stale.refresh_from_db()
    assert stale.state == "open"
    assert PlaybookWatch.objects.get(scope="symbol:BTCUSDT").sightings == 2
