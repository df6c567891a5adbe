"""How playbooks behave over time: cool-down, blast radius, undo by two people, review, and what does not work."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from governance.models import Incident, IncidentEntry, Playbook, PlaybookAction, PlaybookRun, PlaybookWatch
from governance.services.playbooks import (
    actions_verify,
    incident_close,
    incident_review,
    incident_undo,
    incidents_consume,
    playbook_run,
    playbooks_evaluate,
    playbooks_install,
)
from governance.services.playbooks import measures as measures_module
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import AuditEntry, OutboxEvent
from nautilus_site.common.services.change_requests import change_request_approve
from nautilus_site.common.services.event_numbering import events_number
from nautilus_site.common.services.leases import lease_acquire
from nautilus_site.common.services.outbox import publish
from tests.factories.trading import Desk
from tests.integration.governance.playbooks.conftest import Arm, Watch
from tests.integration.governance.playbooks.test_triggers import (
    daily_loss,
    drawdown,
    funding_spike,
    stale_data,
)
from trading.domain.values import Level
from trading.models import Account, Blackout, KillEnforcement, RiskLimit, TradingState
from trading.services.controls import effective_level
from trading.services.orders import OrderDenied
from universe.models import Quote, Venue

CAUSE = "A fat-fingered order of ours; the desk has taken it back and the books are equal."


def pause(seconds: float) -> None:
    """Let so much time have passed since the playbooks last acted."""
    for row in PlaybookWatch.objects.exclude(ran_at=None):
        PlaybookWatch.objects.filter(pk=row.pk).update(ran_at=row.ran_at - timedelta(seconds=seconds))


def test_a_cool_down_lies_between_two_runs_on_one_scope(desk: Desk, arm: Arm, watch: Watch) -> None:
    arm("drawdown")
    drawdown(desk, True)
    watch(10)
    assert PlaybookRun.objects.count() == 1
    pause(1799)
    watch()
    assert PlaybookRun.objects.count() == 1
    pause(2)
    watch()
    assert PlaybookRun.objects.count() == 2
    assert Incident.objects.count() == 1, "the same incident goes on"


def test_a_limit_is_not_halved_again_and_again(desk: Desk, arm: Arm, watch: Watch) -> None:
    arm("drawdown")
    drawdown(desk, True)
    watch(2)
    halved = RiskLimit.objects.get(name="max_notional", scope="account:desk").value
    for _ in range(5):
        pause(1801)
        watch()
    assert RiskLimit.objects.get(name="max_notional", scope="account:desk").value == halved
    steps = PlaybookAction.objects.filter(verb="tighten").order_by("pk").values_list("state", flat=True)
    assert list(steps) == ["done", *["standing"] * 5]


def test_beyond_the_blast_radius_people_are_called_and_nothing_is_done(
    desk: Desk, arm: Arm, watch: Watch
) -> None:
    arm("stale_data", max_scopes=2, confirm=1)
    Quote.objects.update(received_at=now() - timedelta(seconds=500))
    watch()
    assert Incident.objects.count() == 3
    assert sorted(Blackout.objects.values_list("scope", flat=True)) == ["symbol:BNBUSDT", "symbol:BTCUSDT"]
    held = PlaybookRun.objects.get(held_back=True)
    assert (held.scope, held.incident.severity) == ("symbol:ETHUSDT", "critical")
    told = OutboxEvent.objects.get(topic="incidents", data__severity="critical").data
    assert (told["news"], told["state"]) == ("held_back", "open"), "other news than that it opened"
    assert told["title"].endswith("(held back)")
    assert told["reason"].endswith("people are called instead")


def test_an_incident_freezes_what_was_known_and_tells_its_story(desk: Desk, arm: Arm, watch: Watch) -> None:
    arm("drawdown")
    drawdown(desk, True)
    incident = watch(2)
    assert incident is not None
    evidence = incident.evidence
    assert evidence["results"]["account:desk"]["value"] == "100000"
    assert evidence["levels"]["global"] == "ACTIVE"
    assert evidence["equity"][-1][1] == "100000"
    assert "equity is 5.01 % below" in evidence["detail"]
    told = list(incident.entries.values_list("what", flat=True))
    assert told[0].startswith("opened: an account has fallen too far from its peak")
    assert any(line.startswith("tighten account:desk") for line in told)
    assert any(line.startswith("blackout account:desk") for line in told)
    assert AuditEntry.objects.filter(action="limit.changed", actor_name="playbook drawdown").exists()


def test_once_the_cause_is_over_it_is_calm_and_what_was_done_stays(
    desk: Desk, arm: Arm, watch: Watch
) -> None:
    arm("drawdown")
    drawdown(desk, True)
    watch(2)
    drawdown(desk, False)
    incident = watch()
    assert incident is not None
    assert incident.state == "calm"
    assert RiskLimit.objects.filter(name="max_notional", scope="account:desk").exists()
    drawdown(desk, True)
    pause(3600)
    incident = watch(2)
    assert incident is not None
    assert (incident.state, Incident.objects.count()) == ("open", 1)


def test_undo_is_one_request_for_each_step_and_takes_a_second_person(
    desk: Desk, arm: Arm, watch: Watch, risk_officer: Any, second_risk_officer: Any
) -> None:
    arm("drawdown")
    drawdown(desk, True)
    incident = watch(2)
    assert incident is not None
    before = RiskLimit.objects.get(name="max_notional", scope="global").value
    made = incident_undo(incident_id=incident.pk, requester=risk_officer, reason="prices are back")
    assert sorted(request.kind for request in made) == ["blackout.end", "limit.loosen"]
    assert RiskLimit.objects.get(name="max_notional", scope="account:desk").value == before / 2
    with pytest.raises(ApplicationError):
        change_request_approve(request_id=made[0].pk, approver=risk_officer)
    with pytest.raises(OrderDenied):
        desk.submit("BUY", "0.001", price="59000")
    for request in made:
        change_request_approve(request_id=request.pk, approver=second_risk_officer)
    assert RiskLimit.objects.get(name="max_notional", scope="account:desk").value == before
    desk.submit("BUY", "0.001", price="59000")
    with pytest.raises(Conflict, match="nothing that was done"):
        incident_undo(incident_id=incident.pk, requester=risk_officer, reason="again")


def test_a_hard_stop_is_reviewed_before_anything_is_undone(
    desk: Desk, arm: Arm, watch: Watch, risk_officer: Any, second_risk_officer: Any
) -> None:
    arm("daily_loss")
    daily_loss(desk, True)
    incident = watch()
    assert incident is not None
    assert effective_level(["global"])[0] is Level.REDUCING
    for refused in (incident_undo, incident_close):
        person = {"requester": risk_officer} if refused is incident_undo else {"actor": risk_officer}
        daily_loss(desk, False)
        watch()
        with pytest.raises(Conflict, match="reviewed before"):
            refused(incident_id=incident.pk, reason="it is fine", **person)
    with pytest.raises(ApplicationError, match="say in a sentence"):
        incident_review(incident_id=incident.pk, reviewer=risk_officer, text="ok")
    incident_review(incident_id=incident.pk, reviewer=risk_officer, text=CAUSE)
    (asked,) = incident_undo(incident_id=incident.pk, requester=risk_officer, reason="reviewed")
    assert asked.kind == "trading_state.lower"
    assert effective_level(["global"])[0] is Level.REDUCING
    Account.objects.update(reconciled_at=now())
    change_request_approve(request_id=asked.pk, approver=second_risk_officer, note="agreed")
    assert effective_level(["global"])[0] is Level.ACTIVE
    assert incident_close(incident_id=incident.pk, actor=risk_officer, reason="over").state == "closed"


def test_a_step_without_effect_is_told_and_answered_with_a_level(
    desk: Desk, arm: Arm, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm("drawdown")
    drawdown(desk, True)
    incident = watch(2)
    assert incident is not None
    # Somebody takes the limit away behind everybody's back.
    RiskLimit.objects.filter(scope="account:desk").delete()
    actions_verify()
    assert TradingState.objects.filter(scope="account:desk").first() is None, "it is given a minute"
    PlaybookAction.objects.update(at=now() - timedelta(seconds=61))
    actions_verify()
    assert TradingState.objects.get(scope="account:desk").level == Level.REDUCING
    failed = PlaybookAction.objects.get(verb="tighten")
    assert failed.state == "failed"
    assert "max_notional is" in failed.error
    assert IncidentEntry.objects.filter(incident=incident, what__contains="had no effect").exists()
    actions_verify()
    assert IncidentEntry.objects.filter(what__contains="had no effect").count() == 1, "told once"
    told = OutboxEvent.objects.get(topic="incidents", data__news=f"no_effect:{failed.pk}").data
    assert (told["severity"], told["state"]) == ("critical", "open")
    assert "max_notional is" in told["reason"]


def test_cancels_are_awaited_of_the_accounts_inside_the_scope_only(
    desk: Desk, arm: Arm, watch: Watch
) -> None:
    venue = Venue.objects.create(name="binance-usdm", market="usdm", environment="local")
    Account.objects.create(name="elsewhere", shards=1, venue=venue, opened_at=now())
    arm("stale_data", confirm=1, actions=[{"do": "kill", "level": "CANCEL"}])
    stale_data(desk, True)
    watch()
    step = PlaybookAction.objects.get()
    assert actions_verify() == 0, "nothing is confirmed yet"
    KillEnforcement.objects.create(
        scope=step.scope, account=desk.account, enforcer="control", state_version=step.after["version"],
        started_at=now(), confirmed_at=now(),
    )  # fmt: skip
    assert actions_verify() == 1


def test_a_step_that_fails_holds_up_no_other_and_is_answered_with_a_level(
    desk: Desk, arm: Arm, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    from governance.services.playbooks import acting

    def broken(**_: Any) -> None:
        raise ApplicationError("NOT_READY", "the limits are being moved")

    monkeypatch.setattr(acting, "limit_tighten", broken)
    arm("drawdown")
    drawdown(desk, True)
    watch(2)
    assert dict(PlaybookAction.objects.values_list("verb", "state")) == {
        "blackout": "done",
        "tighten": "failed",
    }
    actions_verify()
    assert TradingState.objects.get(scope="account:desk").level == Level.REDUCING


def test_what_cannot_be_measured_is_an_incident_and_a_hard_limit_then_stops(
    desk: Desk, arm: Arm, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(scope: str, since: Any, moment: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setitem(measures_module.MEASURES, "corr_spike", broken)
    monkeypatch.setitem(measures_module.MEASURES, "leverage", broken)
    Playbook.objects.exclude(name__in=("corr_spike", "leverage")).update(is_armed=False)
    watch(5)
    assert not Incident.objects.exists(), "one that fails now and then is no outage"
    watch()
    assert sorted(Incident.objects.values_list("kind", flat=True)) == ["leverage", "unmeasured"]
    assert effective_level(["global"])[0] is Level.REDUCING
    assert RiskLimit.objects.filter(name="exposure_group").exclude(scope="global").count() == 0


def test_an_incident_of_a_playbook_that_was_disarmed_can_be_closed(
    desk: Desk, arm: Arm, watch: Watch, trader: Any
) -> None:
    arm("drawdown")
    drawdown(desk, True)
    incident = watch(2)
    assert incident is not None
    with pytest.raises(Conflict, match="still measured"):
        incident_close(incident_id=incident.pk, actor=trader, reason="seen")
    Playbook.objects.update(is_armed=False)
    assert incident_close(incident_id=incident.pk, actor=trader, reason="seen").state == "closed"


def test_a_playbook_that_is_not_armed_does_nothing(desk: Desk, watch: Watch) -> None:
    Playbook.objects.update(is_armed=False)
    drawdown(desk, True)
    daily_loss(desk, True)
    assert watch(5) is None


def test_the_machine_never_raises_risk(desk: Desk, watch: Watch) -> None:
    """Every playbook at once: no limit is looser and no level lower afterwards, on any scope."""
    Playbook.objects.update(confirm=1, max_scopes=50, cooldown_s=0)
    drawdown(desk, True)
    daily_loss(desk, True)
    stale_data(desk, True)
    funding_spike(desk, True)
    limits = {(row.name, row.scope): row for row in RiskLimit.objects.all()}
    levels = dict(TradingState.objects.values_list("scope", "level"))
    for _ in range(4):
        watch()
        actions_verify()
    for row in RiskLimit.objects.all():
        old = limits.get((row.name, row.scope)) or limits[row.name, "global"]
        assert row.value <= old.value if row.tighter == "lower" else row.value >= old.value
    for scope, level in TradingState.objects.values_list("scope", "level"):
        assert level >= levels.get(scope, Level.ACTIVE)


def test_what_trading_calls_people_to_becomes_an_incident_once(desk: Desk) -> None:
    publish("incidents", {"kind": "margin_call", "account": "desk"})
    publish("incidents", {"id": 7, "kind": "drawdown", "scope": "account:desk", "severity": "warning"})
    held = lease_acquire(name="relay", holder="test", life=timedelta(minutes=5))
    assert held is not None
    events_number(held)
    assert incidents_consume() == 1
    assert incidents_consume() == 0
    row = Incident.objects.get()
    assert (row.kind, row.scope, row.severity) == ("margin_call", "desk", "critical")


def test_what_reads_many_rows_is_read_seldom(desk: Desk, arm: Arm, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    plain = measures_module.MEASURES["corr_spike"]

    def counted(scope: str, since: Any, moment: Any) -> Any:
        read.append(scope)
        return plain(scope, since, moment)

    monkeypatch.setitem(measures_module.MEASURES, "corr_spike", counted)
    arm("corr_spike")
    for _ in range(5):
        playbooks_evaluate()
    assert len(read) == 1
    PlaybookWatch.objects.update(read_at=now() - timedelta(seconds=31))
    playbooks_evaluate()
    assert len(read) == 2


def test_two_workers_judge_a_scope_once(shared_desk_guarded: Desk) -> None:
    import threading

    from django.db import connection

    Playbook.objects.exclude(name="drawdown").update(is_armed=False)
    Playbook.objects.update(confirm=1)
    drawdown(shared_desk_guarded, True)
    gate = threading.Barrier(4)

    def work() -> None:
        try:
            gate.wait(10)
            playbooks_evaluate()
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert PlaybookRun.objects.count() == 1
    assert RiskLimit.objects.get(name="max_notional", scope="account:desk").value == Decimal(2500)


def test_the_blast_radius_holds_where_scopes_are_judged_at_the_same_moment(
    shared_desk_guarded: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from django.db import connection

    from governance.services.playbooks import evaluating

    Playbook.objects.exclude(name="stale_data").update(is_armed=False)
    Playbook.objects.update(max_scopes=1)
    meeting = threading.Barrier(3)
    plain = evaluating.incident_open

    def together(**told: Any) -> Any:
        with suppress(threading.BrokenBarrierError):
            meeting.wait(1.0)
        return plain(**told)

    # Every one of them is past its watch before the first counts who else has acted.
    monkeypatch.setattr(evaluating, "incident_open", together)

    def work(symbol: str) -> None:
        try:
            playbook_run(name="stale_data", scope=f"symbol:{symbol}", reason="a rule says so")
        finally:
            connection.close()

    symbols = ("BNBUSDT", "BTCUSDT", "ETHUSDT")
    threads = [threading.Thread(target=work, args=(symbol,)) for symbol in symbols]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert PlaybookRun.objects.count() == 3
    assert PlaybookRun.objects.filter(held_back=False).count() == 1
    assert Blackout.objects.count() == 1


@pytest.fixture
def shared_desk_guarded(transactional_db: None) -> Desk:
    """A desk whose rows are committed, for threads with connections of their own."""
    from tests.factories.trading import trading_desk

    made = trading_desk()
    playbooks_install(actor="test")
    return made
