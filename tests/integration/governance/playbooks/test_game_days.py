"""Game days: one after another, waiting for the undo of the one before, called off; and after-actions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from governance.models import AfterAction, GameDay, Incident, Playbook, Rehearsal
from governance.selectors.game_days import game_day_members
from governance.services.playbooks import (
    actions_verify,
    faults,
    game_day_cancel,
    game_day_start,
    game_days_step,
    rehearsal_start,
    rehearsals_step,
)
from governance.services.playbooks.incidents import incident_open
from nautilus_site.common.clock import now
from nautilus_site.common.errors import Conflict, Forbidden, NotFound
from nautilus_site.common.models import AuditEntry
from tests.factories.trading import Desk
from tests.integration.governance.playbooks.conftest import Watch
from tests.integration.governance.playbooks.test_triggers import drawdown

LINES = {
    "what_happened": "Prices stood still.",
    "root_cause": "The feed.",
    "what_will_change": "A second one.",
}


@pytest.fixture
def nothing_put_in(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faults that say where they would be seen; the test makes the cause itself."""

    def put_in(scope: str) -> Any:
        return lambda playbook, fault: setattr(fault, "scope", scope)

    def missing(playbook: Playbook, fault: Any) -> None:
        raise faults.NotRehearsable("nothing is held")

    monkeypatch.setitem(faults.FAULTS, "stale_data", put_in("symbol:BTCUSDT"))
    monkeypatch.setitem(faults.FAULTS, "drawdown", put_in("account:desk"))
    monkeypatch.setitem(faults.FAULTS, "daily_loss", missing)
    Playbook.objects.update(is_armed=False)
    Playbook.objects.filter(name__in=("stale_data", "drawdown", "daily_loss")).update(
        is_armed=True, confirm=1
    )
    Playbook.objects.filter(name="daily_loss").update(threshold=1e9)


def lines(row: GameDay) -> dict[str, str]:
    row.refresh_from_db()
    return {line["playbook"]: line["state"] for line in game_day_members(row)["playbooks"]}


def test_playbooks_are_rehearsed_one_after_another_and_hard_stops_last(
    desk: Desk, nothing_put_in: None, watch: Watch, risk_officer: Any
) -> None:
    row = game_day_start(
        playbooks=["daily_loss", "stale_data", "drawdown"], actor=risk_officer, reason="the quarter's"
    )
    assert row.playbooks == ["drawdown", "stale_data", "daily_loss"]
    with pytest.raises(Conflict, match="under way"):
        game_day_start(playbooks=[], actor=risk_officer, reason="another")
    with pytest.raises(Conflict, match="a game day is under way"):
        rehearsal_start(name="stale_data", actor=risk_officer, reason="beside it")
    game_days_step()
    assert lines(row) == {"drawdown": "watching", "stale_data": "waiting", "daily_loss": "waiting"}
    game_days_step()
    assert Rehearsal.objects.count() == 1, "one fault at a time"
    drawdown(desk, True)
    watch()
    actions_verify()
    assert rehearsals_step() == 1
    game_days_step()
    told = game_day_members(GameDay.objects.get())
    assert (told["finished"], told["score"], told["waits_for"]) == (1, 100, ["drawdown"])
    assert Rehearsal.objects.count() == 1, "what the first did would stand in the way of the next"
    Rehearsal.objects.update(finished_at=now() - timedelta(minutes=11))
    game_days_step()
    assert lines(row)["stale_data"] == "watching", "it does not wait for ever"
    Rehearsal.objects.filter(playbook__name="stale_data").update(deadline_at=now())
    assert rehearsals_step() == 1
    Rehearsal.objects.update(finished_at=now() - timedelta(minutes=11))
    game_days_step()
    assert game_days_step() == 1
    assert lines(row) == {"drawdown": "scored", "stale_data": "scored", "daily_loss": "skipped"}
    told = game_day_members(row)
    assert (told["state"], told["finished"]) == ("done", 3)
    assert told["playbooks"][2]["said"] == "nothing is held"


def test_a_game_day_that_is_canceled_takes_its_fault_out_and_rehearses_no_more(
    desk: Desk, nothing_put_in: None, risk_officer: Any
) -> None:
    row = game_day_start(playbooks=["stale_data", "drawdown"], actor=risk_officer, reason="drill")
    game_days_step()
    game_day_cancel(game_day_id=row.pk, actor=risk_officer, reason="the desk is needed")
    assert rehearsals_step() == 1
    assert game_days_step() == 0
    assert lines(row) == {"drawdown": "scored", "stale_data": "left out"}
    assert AuditEntry.objects.filter(
        action="playbook.game_day_canceled", reason="the desk is needed"
    ).exists()
    with pytest.raises(Conflict, match="over already"):
        game_day_cancel(game_day_id=row.pk, actor=risk_officer, reason="again")


def test_who_may_not_end_one_of_them_cannot_begin_and_who_may_no_more_ends_it(
    desk: Desk, nothing_put_in: None, trader: Any
) -> None:
    with pytest.raises(Forbidden, match="a risk officer rehearses it"):
        game_day_start(playbooks=["stale_data", "daily_loss"], actor=trader, reason="drill")
    with pytest.raises(NotFound):
        game_day_start(playbooks=["nothing"], actor=trader, reason="drill")
    row = game_day_start(playbooks=["stale_data"], actor=trader, reason="drill")
    trader.is_active = False
    trader.save()
    assert game_days_step() == 1
    assert lines(row) == {"stale_data": "left out"}


def test_a_game_day_over_the_api(
    desk: Desk, nothing_put_in: None, token_client: Any, trader: Any, viewer: Any, settings: Any
) -> None:
    api, path = token_client(trader), "/api/v1/playbooks/game-days"
    told = api.post(path, {"playbooks": ["stale_data"], "reason": "drill"}, format="json")
    assert (told.status_code, told.json()["state"]) == (202, "running")
    (row,) = token_client(viewer).get(f"{path}?state=running").json()["results"]
    assert row["playbooks"][0] == {
        "playbook": "stale_data", "state": "waiting", "score": None, "said": "", "incident": None,
    }  # fmt: skip
    assert token_client(viewer).post(f"{path}/{row['id']}/cancel", {"reason": "r"}).status_code == 403
    assert api.post(f"{path}/{row['id']}/cancel", {"reason": "r"}).json()["state"] == "canceled"
    settings.BINANCE_ENV = "testnet"
    assert api.post(path, {"reason": "drill"}).json()["code"] == "NOT_LOCAL"


def test_an_after_action_is_kept_with_its_incident_and_never_edited(
    desk: Desk, token_client: Any, trader: Any, viewer: Any
) -> None:
    incident, _ = incident_open(
        kind="margin_call", scope="desk", severity="critical", title="t", actor="trading", evidence={}
    )
    Incident.objects.update(state="closed", closed_at=now())
    path = f"/api/v1/incidents/{incident.pk}/after-action"
    assert token_client(viewer).post(path, LINES, format="json").status_code == 403
    assert token_client(trader).post(path, {**LINES, "root_cause": " "}, format="json").status_code == 400
    first = token_client(trader).post(path, LINES, format="json").json()
    assert first["after_actions"][0] | LINES == first["after_actions"][0]
    told = token_client(trader).post(path, {**LINES, "root_cause": "A cable."}, format="json").json()
    assert [row["root_cause"] for row in told["after_actions"]] == ["The feed.", "A cable."]
    assert [row["what"] for row in told["timeline"]][-1] == "after-action written"
    assert (
        AuditEntry.objects.get(action="incident.after_action", after__root_cause="A cable.").actor == trader
    )
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        AfterAction.objects.update(root_cause="somebody else's")
