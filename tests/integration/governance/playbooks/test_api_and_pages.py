"""Playbooks, incidents and reports through the API, the admin, the page and the command."""

from __future__ import annotations

import hashlib
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from governance.models import ComplianceReport, Incident, Playbook
from governance.selectors.playbooks import playbooks_state
from governance.services.playbooks import compliance_generate, compliance_if_due
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import ChangeRequest
from tests.factories.trading import Desk
from tests.integration.governance.playbooks.conftest import Arm, Watch
from tests.integration.governance.playbooks.test_behaviour import CAUSE
from tests.integration.governance.playbooks.test_triggers import daily_loss, drawdown


@pytest.fixture
def stopped(desk: Desk, arm: Arm, watch: Watch) -> Incident:
    """A hard stop after the day's loss, whose cause is over."""
    arm("daily_loss")
    daily_loss(desk, True)
    watch()
    daily_loss(desk, False)
    incident = watch()
    assert incident is not None
    return incident


def test_everybody_who_is_logged_in_sees_them(token_client: Any, viewer: Any, stopped: Incident) -> None:
    api = token_client(viewer)
    books = {row["name"]: row for row in api.get("/api/v1/playbooks").json()["results"]}
    assert books["daily_loss"]["needs_review"] is True
    assert books["daily_loss"]["rehearsal_takes"] == ["incidents.review", "kill.resume"]
    assert books["daily_loss"]["watches"][0]["detail"] == "99.99 USDT lost since 00:00 UTC"
    assert books["drawdown"]["is_armed"] is False
    (row,) = api.get("/api/v1/incidents?state=calm").json()["results"]
    detail = api.get(f"/api/v1/incidents/{row['id']}").json()
    assert detail["actions"][0]["after"]["level"] == "REDUCING"
    assert detail["undo_offered"] is True
    assert api.get("/api/v1/incidents/999").status_code == 404
    assert api.get("/api/v1/incidents?colour=red").status_code == 400


def test_a_hard_stop_is_reviewed_by_a_person_with_a_fresh_log_in(
    token_client: Any, session_client: Any, risk_officer: Any, trader: Any, stopped: Incident
) -> None:
    path = f"/api/v1/incidents/{stopped.pk}"
    said = {"reason": CAUSE}
    assert token_client(risk_officer).post(f"{path}/undo", said).json()["code"] == "SESSION_REQUIRED"
    assert session_client(trader).post(f"{path}/undo", said).json()["code"] == "REVIEW_REQUIRED"
    assert token_client(risk_officer).post(f"{path}/review", said).json()["code"] == "SESSION_REQUIRED"
    assert session_client(trader).post(f"{path}/review", said).status_code == 403
    assert session_client(risk_officer).post(f"{path}/review", said).json()["reviewed_by"] == "risk"
    # What it takes back is a level, and only a risk officer may ask for a lower one.
    assert session_client(trader).post(f"{path}/undo", said).json()["code"] == "ROLE_REQUIRED"
    answer = session_client(risk_officer).post(f"{path}/undo", said)
    assert answer.status_code == 202
    assert [row["kind"] for row in answer.json()] == ["trading_state.lower"]
    assert token_client(trader).post(f"{path}/close", said).json()["state"] == "closed"


def test_a_viewer_and_a_model_owner_change_nothing(
    token_client: Any, viewer: Any, model_owner: Any, stopped: Incident
) -> None:
    for person in (viewer, model_owner):
        api = token_client(person)
        assert api.post("/api/v1/playbooks/drawdown/rehearse", {"reason": "r"}).status_code == 403
        assert api.post(f"/api/v1/incidents/{stopped.pk}/undo", {"reason": "r"}).status_code == 403
        assert api.post(f"/api/v1/incidents/{stopped.pk}/close", {"reason": "r"}).status_code == 403
    looser = {"threshold": 50, "reason": "r"}
    assert token_client(viewer).put("/api/v1/playbooks/drawdown", looser).status_code == 403


def test_the_api_and_the_admin_change_a_playbook_the_same_way(
    token_client: Any, trader: Any, client: Any, risk_officer: Any, desk: Desk
) -> None:
    api = token_client(trader)
    path = "/api/v1/playbooks/drawdown"
    assert api.put(path, {"threshold": 4.0, "reason": "r"}).json()["threshold"] == 4.0
    steps = [
        {"do": "blackout", "minutes": 45},
        {"do": "tighten", "limit": "max_notional", "factor": 0.25},
    ]
    assert api.put(path, {"actions": steps, "reason": "r"}).status_code == 200
    assert api.put(path, {"threshold": 6.0, "reason": "r"}).status_code == 202
    assert api.put(path, {"treshold": 6.0, "reason": "r"}).json()["code"] == "UNKNOWN_FIELD"
    assert api.put("/api/v1/playbooks/nothing", {"threshold": 6.0, "reason": "r"}).status_code == 404
    client.force_login(risk_officer, backend="django.contrib.auth.backends.ModelBackend")
    row = Playbook.objects.get(name="leverage")
    form = {
        "is_armed": "on", "threshold": row.threshold * 2, "window_s": row.window_s, "confirm": row.confirm,
        "min_samples": row.min_samples, "cooldown_s": row.cooldown_s, "max_scopes": row.max_scopes,
        "blind_after": row.blind_after, "severity": row.severity, "actions": json.dumps(row.actions), "reason": "r",
    }  # fmt: skip
    client.post(f"/admin/governance/playbook/{row.pk}/change/", form)
    before = row.threshold
    row.refresh_from_db()
    assert row.threshold == before
    assert ChangeRequest.objects.filter(target="playbook:leverage", state="pending").count() == 1


def test_the_page_shows_what_is_armed_what_happened_and_one_incident(
    client: Any, viewer: Any, stopped: Incident
) -> None:
    client.force_login(viewer, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get("/playbooks/").content.decode()
    assert "the day&#x27;s result" not in page
    assert "unprotected_position" in page
    state = client.get("/state/playbooks/").json()
    lamps = {row["name"]: row["lamp"]["text"] for row in state["playbooks"]}
    assert (lamps["daily_loss"], lamps["drawdown"]) == ("cooling down", "not armed")
    does = {row["name"]: row["does"] for row in state["playbooks"]}
    assert does["drawdown"] == "max_notional × 0.5, no new risk for 30 min"
    told = client.get(f"/state/incidents/{stopped.pk}/").json()
    assert told["timeline"][0]["what"].startswith("opened: the day's loss is over the hard limit")
    assert client.get("/state/incidents/999/").status_code == 404


def test_a_days_report_says_what_was_broken_done_and_decided(
    desk: Desk, stopped: Incident, tmp_path: Path, token_client: Any, viewer: Any
) -> None:
    yesterday = now().date() - timedelta(days=1)
    back = timedelta(days=1)
    for model in ("PlaybookRun", "PlaybookAction"):
        from governance import models

        for row in getattr(models, model).objects.all():
            getattr(models, model).objects.filter(pk=row.pk).update(at=row.at - back)
    Incident.objects.update(opened_at=now() - back)
    report = compliance_generate(day=yesterday)
    assert report.violations == 1
    violation = report.content["violations"][0]
    assert (violation["code"], violation["measured"], violation["limit"]) == (
        "DAILY_LOSS_LIMIT",
        100.0,
        100.0,
    )
    assert report.content["playbook_actions"] == {"kill done": 1}
    assert report.content["incidents"][0]["kind"] == "daily_loss"
    stored = json.loads((tmp_path / report.path).read_text())
    text = json.dumps(stored["report"], sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == report.digest == stored["sha256"]
    api = token_client(viewer)
    (told,) = api.get("/api/v1/compliance").json()["results"]
    assert told["sha256"] == report.digest
    answer = api.get(f"/api/v1/compliance/{yesterday}")
    assert answer["Content-Disposition"] == f'attachment; filename="compliance-{yesterday}.json"'
    assert answer.json() == stored, "what is downloaded is what lies on the disk"
    assert [run["playbook"] for run in answer.json()["report"]["playbook_runs"]] == ["daily_loss"]
    for missing in ("2020-01-01", "yesterday"):
        assert api.get(f"/api/v1/compliance/{missing}").json()["code"] == "UNKNOWN_REPORT"
    with pytest.raises(ApplicationError, match="not over yet"):
        compliance_generate(day=now().date())


def test_the_report_is_generated_once_ten_minutes_after_the_day(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import UTC, datetime

    from governance.services.playbooks import compliance

    today = now().date()
    moment = datetime.combine(today, datetime.min.time(), tzinfo=UTC) + timedelta(
        days=2, minutes=9, seconds=59
    )
    monkeypatch.setattr(compliance, "now", lambda: moment)
    first = compliance_if_due()
    assert first is not None
    assert first.day == today, "the day after is not over for ten minutes yet"
    moment += timedelta(seconds=1)
    second = compliance_if_due()
    assert second is not None
    assert second.day == today + timedelta(days=1)
    assert compliance_if_due() is None
    assert ComplianceReport.objects.count() == 2


def test_days_on_which_the_platform_was_away_are_made_up_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import UTC, datetime

    from governance.services.playbooks import compliance

    first = now().date()  # everything of this desk was written down today
    monkeypatch.setattr(
        compliance,
        "now",
        lambda: datetime.combine(first, datetime.min.time(), tzinfo=UTC) + timedelta(days=4, minutes=15),
    )
    made = []
    while (report := compliance_if_due()) is not None:
        made.append(report.day)
    assert made == [first + timedelta(days=number) for number in range(4)]


def test_the_command_lists_reports_and_says_why_it_cannot_rehearse(
    desk: Desk, arm: Arm, watch: Watch, trader: Any, settings: Any
) -> None:
    arm("drawdown")
    drawdown(desk, True)
    watch(2)
    out = io.StringIO()
    call_command("playbooks", "list", stdout=out)
    assert "drawdown: armed, at 5 %" in out.getvalue()
    assert "equity is 5.01 % below its peak" in out.getvalue() or "5.01 % below" in out.getvalue()
    out = io.StringIO()
    call_command("playbooks", "--json", "incidents", stdout=out)
    assert json.loads(out.getvalue())["kind"] == "drawdown"
    out = io.StringIO()
    call_command("playbooks", "report", stdout=out)
    assert "0 violations" in out.getvalue()
    for name, why in (("drawdown", "open already"), ("leverage", "not armed"), ("nothing", "no playbook")):
        with pytest.raises(CommandError, match=why):
            call_command("playbooks", "rehearse", name, "--user", "trader")
    with pytest.raises(CommandError, match="nobody is called"):
        call_command("playbooks", "rehearse", "drawdown", "--user", "ghost")
    settings.BINANCE_ENV = "testnet"
    with pytest.raises(CommandError, match="paper exchange only"):
        call_command("playbooks", "rehearse", "drawdown", "--user", "trader")


def test_an_incident_that_is_not_closed_is_on_the_page_however_many_came_later(stopped: Incident) -> None:
    Incident.objects.bulk_create(
        Incident(kind=f"k{number}", scope="s", severity="info", title="t", state="closed", opened_at=now())
        for number in range(101)
    )
    shown = playbooks_state()["incidents"]
    assert (shown[0]["id"], len(shown)) == (stopped.pk, 100)
    Incident.objects.filter(kind__startswith="k").update(state="open")
    assert playbooks_state()["incidents"][0]["id"] == stopped.pk, "what waits for a review comes first"
