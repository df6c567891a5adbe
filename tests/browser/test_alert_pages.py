"""Notifications, playbooks and schedules in a browser: what a person does there becomes a request, or happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from playwright.sync_api import expect

from governance.domain.playbooks import Action, Verb
from governance.models import (
    GameDay,
    Incident,
    NotificationChannel,
    NotificationDelivery,
    Playbook,
    PlaybookRun,
)
from governance.services.playbooks import actions_verify, playbooks_install
from governance.services.playbooks.acting import action_carry_out
from governance.services.playbooks.changing import FIELDS
from governance.services.playbooks.incidents import incident_open
from governance.services.schedules import asking, schedule_finished
from nautilus_site.common.clock import now
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.browser.conftest import PASSWORD
from tests.browser.pages import Site
from tests.browser.rows import World
from trading.services.credentials import sealing_keys_install
from trading.services.heartbeats import heartbeat

OpenSite = Callable[..., Site]
CAUSE = "A rehearsed fall of prices; the books are equal and prices are back."


def ask(site: Site, **fields: str) -> Any:
    """Fill the dialog that is open and confirm it."""
    dialog = site.page.locator("#ask-dialog")
    for name, value in fields.items():
        dialog.locator(f'[name="{name}"]').fill(value)
    dialog.locator("[data-confirm]").click()
    return dialog


def stopped() -> Incident:
    """A hard stop of everything, as the governor makes it."""
    playbooks_install()
    playbook = Playbook.objects.get(name="daily_loss")
    incident, _ = incident_open(
        kind="daily_loss",
        scope="global",
        severity="critical",
        title="the day's loss is over the hard limit: 120.00 USDT lost",
        actor="governor",
        evidence={
            "equity": [["2026-11-30T12:00:00+00:00", "100120"], ["2026-11-30T12:00:02+00:00", "100000"]]
        },
        playbook=playbook,
        needs_review=True,
    )
    run = PlaybookRun.objects.create(
        playbook=playbook, incident=incident, scope="global", measured=120, threshold=100, at=now()
    )
    action_carry_out(run, 0, Action(Verb.kill, "global", level="REDUCING"), reason="120.00 USDT lost")
    actions_verify()
    Incident.objects.update(state="calm", calm_at=now())
    return incident


@pytest.mark.usefixtures("relay")
def test_a_channel_is_asked_for_approved_tested_and_muted(
    world: World, trader: User, risk_officer: User, open_site: OpenSite, settings: Any, tmp_path: Path
) -> None:
    settings.NAUTILUS_HOME = tmp_path
    sealing_keys_install()
    site = open_site()
    site.log_in(trader.username, PASSWORD, "/notifications/")
    site.page.locator("#new-channel").click()
    dialog = site.page.locator("#ask-dialog")
    dialog.locator('[name="kind"]').select_option("telegram")
    token = "123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc"
    ask(site, name="desk", **{"member.bot_token": "wrong", "member.chat_ids": "-1001, @desk", "reason": "r"})
    expect(dialog.locator("[data-result]")).to_contain_text("as BotFather gives it")
    ask(site, **{"member.bot_token": token})
    expect(dialog.locator("[data-result]")).to_contain_text("Request filed")
    change_request_approve(request_id=ChangeRequest.objects.get().pk, approver=risk_officer)
    dialog.locator("[data-close]").first.click()
    line = site.table("channels").locator("tr").first
    expect(line).to_contain_text("api.telegram.org", timeout=15_000)
    line.get_by_role("button", name="Send a test").click()
    expect(site.table("deliveries").locator("tr").first).to_contain_text("waiting", timeout=15_000)
    assert NotificationDelivery.objects.get().title == f"a test asked for by {trader.username}"
    expect(site.page.locator("[data-reach]")).to_contain_text("critical: desk; warning: desk; info: nobody")
    NotificationDelivery.objects.update(state="waiting", error="chat not found")
    expect(site.page.locator("#toasts")).to_contain_text(
        "desk did not take the test: chat not found", timeout=15_000
    )
    line.get_by_role("button", name="Mute").click()
    ask(site, minutes="30", reason="maintenance")
    expect(dialog.locator("[data-result]")).to_contain_text("Muted until")
    assert NotificationChannel.objects.get().muted_until is not None
    assert token not in site.page.content()


def test_a_hard_stop_is_reviewed_undone_and_closed(
    world: World, risk_officer: User, open_site: OpenSite
) -> None:
    incident = stopped()
    site = open_site()
    site.log_in(risk_officer.username, PASSWORD, "/playbooks/")
    site.table("incidents").locator("tr").first.get_by_role("button", name="Open incident").click()
    told = site.page.locator("#incident-dialog")
    expect(told.locator("[data-timeline]")).to_contain_text("opened: the day's loss is over the hard limit")
    expect(told.locator("[data-timeline]")).to_contain_text("kill global is in force")
    expect(told.locator("svg")).to_have_attribute(
        "aria-label", "Equity before the incident, from 100120 to 100000"
    )
    expect(told.get_by_role("button", name="Undo")).to_have_count(0)
    told.get_by_role("button", name="Review").click()
    dialog = ask(site, reason=CAUSE)
    expect(dialog.locator("[data-result]")).to_have_text("Reviewed.")
    dialog.locator("[data-close]").first.click()
    site.table("incidents").locator("tr").first.get_by_role("button", name="Open incident").click()
    told.get_by_role("button", name="Undo").click()
    dialog = ask(site, reason="the cause is over")
    expect(dialog.locator("[data-result]")).to_contain_text("1 request filed")
    assert ChangeRequest.objects.get().kind == "trading_state.lower"
    dialog.locator("[data-close]").first.click()
    site.table("incidents").locator("tr").first.get_by_role("button", name="Open incident").click()
    told.get_by_role("button", name="Close…").click()
    dialog = ask(site, reason="done")
    expect(dialog.locator("[data-result]")).to_have_text("Closed.")
    incident.refresh_from_db()
    assert (incident.state, incident.reviewed_by) == ("closed", risk_officer.username)


@pytest.mark.parametrize(("threshold", "said"), [("3", "In force."), ("9", "Request filed")])
def test_a_playbook_is_changed_where_it_is_read(
    world: World, trader: User, open_site: OpenSite, threshold: str, said: str
) -> None:
    playbooks_install()
    site = open_site()
    site.log_in(trader.username, PASSWORD, "/playbooks/")
    site.page.get_by_role("button", name="Change drawdown").click()
    dialog = ask(site, threshold=threshold, reason="r")
    expect(dialog.locator("[data-result]")).to_contain_text(said)
    assert Playbook.objects.get(name="drawdown").threshold == (3.0 if said == "In force." else 5.0)


def test_every_key_of_a_playbook_is_changed_in_its_dialog(
    world: World, trader: User, open_site: OpenSite
) -> None:
    playbooks_install()
    site = open_site()
    site.log_in(trader.username, PASSWORD, "/playbooks/")
    site.page.get_by_role("button", name="Change stale_data").click()
    dialog = site.page.locator("#ask-dialog")
    shown = set(dialog.locator("[data-fields] [name]").evaluate_all("all => all.map((one) => one.name)"))
    assert shown == set(FIELDS)
    dialog.locator('[name="severity"]').select_option("critical")
    ask(site, min_samples="1", actions="blackout", reason="r")
    expect(dialog.locator("[data-result]")).to_contain_text('step 1 is not like {"do": "blackout"')
    dialog = ask(
        site, max_scopes="5", actions='{"do": "blackout", "minutes": 45}\n{"do": "kill", "level": "REDUCING"}'
    )
    expect(dialog.locator("[data-result]")).to_have_text("In force.")
    row = Playbook.objects.get(name="stale_data")
    assert (row.severity, row.max_scopes, len(row.actions)) == ("critical", 5, 2)
    assert site.complaints == []


def test_what_was_learned_of_an_incident_is_written_down_and_a_resume_names_what_holds(
    world: World, risk_officer: User, open_site: OpenSite, tmp_path: Path
) -> None:
    incident = stopped()
    site = open_site(width=390, height=844)
    site.log_in(risk_officer.username, PASSWORD, "/playbooks/")
    site.page.locator("[data-open-resume]").first.click()
    resume = site.page.locator("#resume-dialog")
    held = (
        f"incident {incident.pk} (daily_loss) holds global at REDUCING until a risk officer has reviewed it"
    )
    expect(resume.locator("[data-held]")).to_contain_text(held)
    resume.locator('[name="reason"]').fill("it is fine")
    resume.locator("[data-confirm]").click()
    expect(resume.locator("[data-result]")).to_contain_text("(REVIEW_REQUIRED)")
    expect(resume.locator("[data-result] a")).to_have_attribute("href", f"/playbooks/#incident-{incident.pk}")
    resume.locator("[data-close]").first.click()
    site.table("incidents").locator("tr").first.get_by_role("button", name="Open incident").click()
    told = site.page.locator("#incident-dialog")
    told.get_by_role("button", name="After-action").click()
    dialog = ask(site, what_happened="A fall.", root_cause="A fat finger.", what_will_change="A limit.")
    expect(dialog.locator("[data-result]")).to_have_text("Kept with the incident.")
    dialog.locator("[data-close]").first.click()
    site.table("incidents").locator("tr").first.get_by_role("button", name="Open incident").click()
    expect(told.locator("[data-after]")).to_contain_text("A fat finger.")
    site.page.screenshot(path=str(tmp_path / "incident-390.png"))


def test_a_game_day_is_begun_watched_and_called_off(
    world: World, risk_officer: User, open_site: OpenSite, tmp_path: Path
) -> None:
    playbooks_install()
    Playbook.objects.filter(family="governor").update(is_armed=False)
    site = open_site()
    site.log_in(risk_officer.username, PASSWORD, "/playbooks/")
    site.page.get_by_role("button", name="Game day").click()
    dialog = site.page.locator("#ask-dialog")
    boxes = dialog.locator('[name^="pick."]')
    assert (boxes.count(), dialog.locator('[name^="pick."]:checked').count()) == (13, 9), (
        "what is armed is chosen"
    )
    for name in ("drawdown", "reject_spike", "entropy_spike", "corr_spike", "depeg", "funding_spike"):
        dialog.locator(f'[name="pick.{name}"]').uncheck()
    ask(site, reason="the quarter's")
    expect(dialog.locator("[data-result]")).to_contain_text("with 3 playbooks; venue_lag is the first")
    dialog.locator("[data-close]").first.click()
    day = GameDay.objects.get()
    GameDay.objects.update(skipped={"venue_lag": "no orders are sent"})
    lines = site.table("game").locator("tr")
    expect(lines).to_have_count(3)
    expect(lines.first).to_contain_text("no orders are sent", timeout=15_000)
    expect(site.page.locator("[data-game-said]")).to_contain_text("running, 1 of 3 had their turn")
    site.page.screenshot(path=str(tmp_path / "game-day-1440.png"), full_page=True)
    site.page.get_by_role("button", name="Cancel the game day").click()
    dialog = ask(site, reason="the desk is needed")
    expect(dialog.locator("[data-result]")).to_have_text("Canceled.")
    day.refresh_from_db()
    assert day.state == "canceled"
    assert site.complaints == []


def test_a_job_is_run_at_once_and_made_rarer_by_request(
    world: World, trader: User, open_site: OpenSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    PeriodicTask.objects.all().delete()
    interval, _ = IntervalSchedule.objects.get_or_create(every=10, period=IntervalSchedule.SECONDS)
    for name, task in (
        ("test job", "governance.tasks.compliance_tick"),
        ("capital", "governance.tasks.capital_tick"),
    ):
        PeriodicTask.objects.create(name=name, task=task, interval=interval, queue="governance")
    heartbeat(kind="worker-jobs")
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(asking, "send_hint", lambda task, **how: sent.append(how["headers"]) or True)
    site = open_site()
    site.log_in(trader.username, PASSWORD, "/schedules/")
    expect(site.table("by_hand").locator("tr").first).to_contain_text("it gives out capital")
    expect(site.page.get_by_role("button", name="Run capital now")).to_have_count(0)
    site.page.get_by_role("button", name="Run test job now").click()
    dialog = ask(site, reason="the report is wanted")
    expect(dialog.locator("[data-result]")).to_contain_text("Queued")
    run = site.table("runs").locator("tr").first
    expect(run).to_contain_text("queued")
    schedule_finished(name="test job", took_s=0.3, asked_run=sent[0]["asked_run"])
    expect(run).to_contain_text("ok")
    dialog.locator("[data-close]").first.click()
    site.page.get_by_role("button", name="Change test job").click()
    dialog = ask(site, every_s="60", reason="r")
    expect(dialog.locator("[data-result]")).to_contain_text("Request filed")
    assert PeriodicTask.objects.get(name="test job").interval.every == 10
    assert ChangeRequest.objects.get().kind == "schedule.change"
    assert site.complaints == []
