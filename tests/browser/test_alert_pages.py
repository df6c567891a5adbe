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
    Incident,
    NotificationChannel,
    NotificationDelivery,
    Playbook,
    PlaybookRun,
)
from governance.services.playbooks import actions_verify, playbooks_install
from governance.services.playbooks.acting import action_carry_out
from governance.services.playbooks.incidents import incident_open
from nautilus_site.common.clock import now
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.browser.conftest import PASSWORD
from tests.browser.pages import Site
from tests.browser.rows import World
from trading.services.credentials import sealing_keys_install

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


def test_a_job_is_made_rarer_by_request(world: World, trader: User, open_site: OpenSite) -> None:
    PeriodicTask.objects.all().delete()
    interval, _ = IntervalSchedule.objects.get_or_create(every=10, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.create(name="test job", task="governance.tasks.capital_tick", interval=interval)
    site = open_site()
    site.log_in(trader.username, PASSWORD, "/schedules/")
    expect(site.table("schedules").locator("tr").first).to_contain_text("not run yet")
    site.page.get_by_role("button", name="Change test job").click()
    dialog = ask(site, every_s="60", reason="r")
    expect(dialog.locator("[data-result]")).to_contain_text("Request filed")
    assert PeriodicTask.objects.get().interval.every == 10
    assert ChangeRequest.objects.get().kind == "schedule.change"
    assert site.complaints == []
