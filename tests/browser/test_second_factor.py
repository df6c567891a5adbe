"""A second factor in a browser: set up on a phone, asked for after the password, and what an approval rests on."""

from __future__ import annotations

import re
import time
from base64 import b32decode
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from nautilus_site.common import totp
from nautilus_site.common.models import ChangeRequest, SecondFactor, User
from nautilus_site.common.sessions import AUTHENTICATED_AT
from tests.browser.conftest import PASSWORD
from tests.browser.pages import Inbox, Site
from tests.browser.rows import World
from tests.factories.second_factors import code_now, enrol

OpenSite = Callable[..., Site]


@pytest.fixture(autouse=True)
def _fresh(clean_cache: None) -> None:
    """Wrong codes of an earlier test do not count."""


def give_password(site: Site, name: str, path: str = "/") -> None:
    site.page.goto(f"{site.url}/accounts/login/?next={path}")
    site.page.fill("input[name=username]", name)
    site.page.fill("input[name=password]", PASSWORD)
    site.page.get_by_role("button", name="Log in").click()


def give_code(site: Site, code: str) -> None:
    site.page.fill("input[name=code]", code)
    site.page.get_by_role("button", name="Log in", exact=True).click()


def reads_well(site: Site) -> None:
    """Fits a phone, every control has a name, every text its contrast."""
    assert site.scroll_overflow() == 0
    assert site.unlabelled() == []
    assert site.low_contrast() == []


def age_log_ins() -> None:
    """Six minutes go by for every session."""
    for row in Session.objects.all():
        session = SessionStore(row.session_key)
        if AUTHENTICATED_AT in session:
            session[AUTHENTICATED_AT] -= timedelta(minutes=6).total_seconds()
            session.save()


def toy_change(requester: User) -> ChangeRequest:
    """A reset of somebody else's factor: a change whose effect is seen at once."""
    from nautilus_site.common.services.change_requests import change_request_create

    return change_request_create(
        kind="user.reset_second_factor",
        target="viewer",
        payload={},
        reason="lost her phone",
        requester=requester,
    )


def test_set_up_on_a_phone_then_asked_for_and_an_approval_rests_on_it(
    world: World,
    risk_officer: User,
    admin_person: User,
    viewer: User,
    open_site: OpenSite,
    settings: Any,
) -> None:
    settings.REQUIRE_SECOND_FACTOR = True
    enrol(viewer)
    request = toy_change(admin_person)
    site = open_site(width=380, height=800, theme="light")
    give_password(site, "risk", "/approvals/")
    expect(site.page).to_have_url(f"{site.url}/accounts/second-factor/")
    reads_well(site)
    site.page.get_by_role("button", name="Set it up").click()
    expect(site.page.locator(".drawn svg")).to_be_visible()
    reads_well(site)
    secret = b32decode(site.page.locator(".secret").inner_text().replace(" ", ""))
    site.page.fill("input[name=code]", totp.code_at(secret, totp.step_at(time.time()) - 1))
    site.page.get_by_role("button", name="Confirm").click()
    expect(site.page.locator(".codes li")).to_have_count(10)
    reads_well(site)
    recovery = site.page.locator(".codes li").first.inner_text()
    assert re.fullmatch(r"(?:[A-Z2-9]{4}-){3}[A-Z2-9]{4}", recovery)
    site.page.get_by_role("link", name="I have them: go on").click()
    site.ready()

    site.page.goto(f"{site.url}/accounts/second-factor/")
    site.page.get_by_role("button", name="Log out").click()
    expect(site.page.get_by_role("heading", name="Log in")).to_be_visible()
    give_password(site, "risk", "/approvals/")
    expect(site.page.get_by_role("heading", name="Your code")).to_be_visible()
    reads_well(site)
    give_code(site, "12345")
    expect(site.page.get_by_role("alert")).to_contain_text("This code is wrong")
    give_code(site, code_now(risk_officer))
    site.ready()
    expect(site.page).to_have_url(f"{site.url}/approvals/")

    # Too old a log-in: the page asks for both again, and goes on where it was.
    age_log_ins()
    Inbox(site).approve(str(request.pk), "she called")
    expect(site.page.get_by_role("heading", name="Log in")).to_be_visible()
    site.complaints.clear()  # the 403 that asked for it
    site.page.fill("input[name=username]", "risk")
    site.page.fill("input[name=password]", PASSWORD)
    site.page.get_by_role("button", name="Log in").click()
    request.refresh_from_db()
    assert request.state == ChangeRequest.State.PENDING, "the password alone approves nothing"
    give_code(site, code_now(risk_officer, later=1))
    site.ready()
    expect(site.page.locator("#toasts")).to_contain_text("You are logged in afresh")
    Inbox(site).approve(str(request.pk), "she called")
    expect(site.row("history", str(request.pk))).to_contain_text("she called")
    request.refresh_from_db()
    assert (request.state, request.approver) == (ChangeRequest.State.APPLIED, risk_officer)
    assert not SecondFactor.objects.filter(user=viewer).exists()
    assert site.complaints == []


def test_a_recovery_code_lets_in_by_keyboard_alone(world: World, viewer: User, open_site: OpenSite) -> None:
    codes = enrol(viewer)
    site = open_site()
    give_password(site, "viewer", "/people/")
    site.page.locator("summary").focus()
    site.page.keyboard.press("Enter")
    site.page.keyboard.press("Tab")
    site.page.keyboard.type(codes[0].lower())
    site.page.keyboard.press("Enter")
    site.ready()
    expect(site.row("people", "viewer")).to_contain_text("set up")
    assert site.complaints == []


def test_a_reset_is_asked_for_where_people_are_listed(
    world: World, admin_person: User, viewer: User, open_site: OpenSite
) -> None:
    enrol(viewer)
    site = open_site()
    site.log_in("admin", PASSWORD, "/people/")
    expect(site.row("people", "admin")).to_contain_text("none")
    site.row("people", "viewer").get_by_role("button", name="Reset the second factor of viewer").click()
    dialog = site.page.locator("#ask-dialog")
    dialog.locator('[name="reason"]').fill("lost her phone")
    dialog.locator("[data-confirm]").click()
    expect(dialog.locator("[data-result]")).to_contain_text("Request filed.")
    request = ChangeRequest.objects.get()
    assert (request.kind, request.target) == ("user.reset_second_factor", "viewer")
    expect(site.row("people", "viewer")).to_contain_text("a change waits")
    assert site.complaints == []


@pytest.mark.long  # test_sessions.py holds the same over a bare socket
def test_logging_out_everywhere_darkens_the_other_screen_within_five_seconds(
    world: World, trader: User, open_site: OpenSite
) -> None:
    here, elsewhere = open_site(width=380), open_site()
    for site in (here, elsewhere):
        site.log_in("trader", PASSWORD)
    here.page.goto(f"{here.url}/accounts/password/")
    reads_well(here)
    here.page.get_by_role("button", name="Log out everywhere").click()
    expect(here.page.get_by_role("heading", name="Logged out")).to_be_visible()
    expect(elsewhere.connection).not_to_have_attribute("data-status", "live", timeout=6_000)
    assert here.complaints == []
