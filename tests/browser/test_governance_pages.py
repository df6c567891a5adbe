"""The inbox, the audit trail and people in a browser; the navigation on a phone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from governance.tasks import audit_verification_step
from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry, AuditVerification, ChangeRequest, User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_request_approve
from nautilus_site.common.services.tokens import token_create
from tests.browser.conftest import PASSWORD
from tests.browser.pages import Inbox, Site
from tests.browser.rows import World, make_request

OpenSite = Callable[..., Site]
PAGES = ("/approvals/", "/audit/", "/people/")


def test_an_entry_is_found_read_and_the_trail_verified(
    world: World, risk_officer: User, open_site: OpenSite
) -> None:
    for number in range(3):
        audit_record(
            action="limit.changed",
            target="toy@global",
            actor=risk_officer,
            reason=f"step {number}",
            before={"value": str(number), "rule": {"unit": "USDT"}},
            after={"value": str(number + 1), "rule": {"unit": "USDT"}},
        )
    audit_record(action="kill.raised", target="global", actor="watchdog", reason="<b>no answer</b>")
    site = open_site()
    site.log_in(risk_officer.username, PASSWORD, "/audit/")
    rows = site.table("entries").locator("tr")
    expect(rows.first).to_contain_text("session.logged_in")
    site.page.fill('[name="action"]', "limit.*")
    site.page.fill('[name="text"]', "step")
    site.page.get_by_role("button", name="Search", exact=True).click()
    expect(rows).to_have_count(3)
    assert site.page.url.endswith("/audit/?action=limit.*&text=step")
    expect(site.page.locator("#api-call")).to_have_text("GET /api/v1/audit (not by action, text)")
    expect(rows.first).to_contain_text("value: 2 → 3")
    rows.first.get_by_role("button", name="Details").click()
    told = site.page.locator("#entry")
    expect(told.locator("del")).to_have_text("2")
    expect(told.locator("ins")).to_have_text("3")
    assert "unit" not in told.inner_text(), "what did not change is left out"
    told.get_by_role("link", name="All to this target").click()
    site.ready()
    expect(site.page.locator('[name="target"]')).to_have_value("toy@global")
    expect(rows).to_have_count(3)
    site.page.get_by_role("button", name="Verify all of it").click()
    expect(site.page.locator("#verdict")).to_contain_text("entries compared with the chain…")
    waiting = AuditEntry.objects.count()
    audit_verification_step(verification_id=AuditVerification.objects.get().pk)  # as a worker does
    expect(site.page.locator("#verdict")).to_contain_text(f"Intact: 0 entries sealed, {waiting} waiting")
    assert site.complaints == []


def test_the_inbox_sifts_what_waits_and_decides_in_place(
    world: World, make_user: Callable[..., User], open_site: OpenSite
) -> None:
    asker, decider = (make_user("risk_officer", username=name) for name in ("risk", "risk2"))
    for requester, target in ((asker, "a@global"), (asker, "b@global"), (decider, "c@global")):
        make_request(requester, kind="limit.loosen", target=target, payload={}, snapshot={})
    ChangeRequest.objects.filter(target="a@global").update(expires_at=world.bars_end + timedelta(days=3650))
    site = open_site()
    site.log_in(decider.username, PASSWORD, "/approvals/")
    cards = site.page.locator("#pending article:visible")
    expect(cards).to_have_count(3)
    for view, count, shown in (
        ("To approve", 2, "?show=decide"),
        ("Mine", 1, "?show=mine"),
        ("Expiring soon", 0, "?show=soon"),
        ("All", 3, ""),
    ):
        site.page.get_by_role("button", name=f"{view} {count}", exact=True).click()
        expect(cards).to_have_count(count)
        assert site.page.url == f"{site.url}/approvals/{shown}"
    site.page.get_by_role("button", name="Expiring soon").click()
    expect(site.page.locator("#pending-empty")).to_contain_text("Nothing expires within the hour.")
    site.page.get_by_role("button", name="To approve").click()
    request = ChangeRequest.objects.get(target="b@global")
    card = Inbox(site).card(str(request.pk))
    card.locator("summary").click()
    card.get_by_role("textbox", name="Comment on limit.loosen").fill("why so much?")
    card.get_by_role("button", name="Comment").click()
    expect(card.locator(".thread li")).to_contain_text("risk2")
    card.get_by_role("button", name="Hand over").click()
    dialog = site.page.locator("#ask-dialog")
    dialog.locator('[name="note"]').fill("I look at it myself")
    dialog.locator("[data-confirm]").click()
    expect(dialog.locator("[data-result]")).to_have_text("In the hands of risk2.")
    dialog.locator("[data-close]").first.click()
    expect(card.locator(".handed")).to_contain_text("yours to decide")
    expect(card.locator(".thread li").last).to_contain_text("took it: I look at it myself")
    site.page.get_by_role("button", name="Handed to me 1").click()
    expect(cards).to_have_count(1)
    card.get_by_role("button", name="Give").click()
    expect(cards).to_have_count(0)
    site.page.get_by_role("button", name="To approve").click()
    card.locator("textarea").fill("not before the weekend")
    card.get_by_role("button", name="Reject").click()
    expect(site.row("history", str(request.pk))).to_contain_text("not before the weekend")
    expect(cards).to_have_count(1)
    cards.get_by_role("checkbox").check()
    site.page.locator("#bulk input[name=note]").fill("nor any of the others")
    site.page.get_by_role("button", name="Reject chosen").click()
    expect(cards).to_have_count(0)
    site.page.get_by_role("button", name="I am away").click()
    dialog.locator('[name="until"]').fill(f"{now() + timedelta(days=2):%Y-%m-%dT%H:%M}")
    dialog.locator('[name="stand_in"]').select_option("risk")
    dialog.locator("[data-confirm]").click()
    expect(dialog.locator("[data-result]")).to_contain_text("risk stands in")
    dialog.locator("[data-close]").first.click()
    expect(site.page.locator("#absences")).to_contain_text("risk has what is handed to you")
    site.page.get_by_role("button", name="Say that you are back").click()
    expect(site.page.locator("#absences")).to_be_hidden()
    expect(site.page.locator("[data-panel=duties]")).to_contain_text("trading_state.lower")
    assert site.complaints == []


def test_a_role_is_asked_for_where_people_are_listed(
    world: World, admin_person: User, viewer: User, open_site: OpenSite
) -> None:
    text = token_create(user=viewer, name="script", actor=viewer, scopes=["read:metrics"])
    site = open_site()
    site.log_in(admin_person.username, PASSWORD, "/people/")
    expect(site.table("tokens").locator("tr").first).to_contain_text("read:metrics")
    assert text not in site.page.content()
    assert viewer.api_tokens.get().digest not in site.page.content()
    line = site.row("people", "viewer")
    line.get_by_role("button", name="Change viewer").click()
    dialog = site.page.locator("#ask-dialog")
    dialog.locator('[name="role"]').select_option("trader")
    dialog.locator('[name="reason"]').fill("joins the desk")
    dialog.locator("[data-confirm]").click()
    expect(dialog.locator("[data-result]")).to_contain_text("Request filed.")
    request = ChangeRequest.objects.get()
    assert (request.kind, request.target, request.payload) == ("user.change", "viewer", {"role": "trader"})
    expect(line).to_contain_text("a change waits")
    viewer.refresh_from_db()
    assert viewer.role == "viewer"
    assert site.complaints == []


def test_a_new_person_is_asked_for_approved_and_lets_themselves_in(
    world: World, admin_person: User, risk_officer: User, open_site: OpenSite
) -> None:
    admin, risk = open_site(), open_site()
    admin.log_in(admin_person.username, PASSWORD, "/people/")
    admin.page.get_by_role("button", name="New person…").click()
    dialog = admin.page.locator("#ask-dialog")
    for name, value in (("username", "ada"), ("email", "ada@example.org"), ("reason", "joins the desk")):
        dialog.locator(f'[name="{name}"]').fill(value)
    dialog.locator('[name="role"]').select_option("trader")
    dialog.locator("[data-confirm]").click()
    expect(dialog.locator("[data-result]")).to_contain_text("Request filed.")
    expect(admin.page.locator("#newcomers")).to_contain_text("Waiting for a risk officer: ada.")
    change_request_approve(request_id=ChangeRequest.objects.get().pk, approver=risk_officer)
    shown = {}
    for site, person, what in ((admin, admin_person, "link"), (risk, risk_officer, "code")):
        site.log_in(person.username, PASSWORD, "/people/")
        expect(site.row("people", "ada")).to_contain_text("invited")
        site.row("people", "ada").get_by_role("button", name=f"Make the {what} of ada").click()
        site.page.locator("#ask-dialog [data-confirm]").click()
        text = site.page.locator("#half-text")
        expect(text).not_to_have_value("")
        shown[what] = text.input_value()
        site.page.get_by_role("button", name="I have it").click()
        expect(text).to_have_value("")
    ada = open_site(width=390)
    ada.page.goto(shown["link"])
    expect(ada.page.locator("#id_link")).not_to_have_value("")
    assert "#" not in ada.page.url, "the secret does not stay in the address"
    ada.page.fill("#id_code", shown["code"])
    for name in ("password", "again"):
        ada.page.fill(f"#id_{name}", "a staple for each horse battery")
    assert ada.scroll_overflow() == 0
    assert ada.low_contrast() == []
    assert ada.unlabelled() == []
    ada.page.get_by_role("button", name="Set it").click()
    expect(ada.page.locator("h1")).to_have_text("Welcome, ada")
    ada.log_in("ada", "a staple for each horse battery", "/people/")
    expect(ada.row("people", "ada")).to_contain_text("active")
    admin.open("/people/")
    admin.row("people", "ada").get_by_role("button", name="Switch ada off").click()
    dialog.locator('[name="reason"]').fill("left")
    dialog.locator("[data-confirm]").click()
    expect(admin.row("people", "ada")).to_contain_text("off")
    assert admin.complaints == risk.complaints == ada.complaints == []


def test_a_model_owner_without_a_model_that_trades_is_told_what_they_may_halt(
    world: World, model_owner: User, open_site: OpenSite
) -> None:
    site = open_site(width=390)
    site.log_in(model_owner.username, PASSWORD, "/people/")
    site.page.get_by_role("button", name="HALT own model").click()
    dialog = site.page.locator("#halt-dialog")
    expect(dialog).to_contain_text("there is nothing of yours to halt")
    expect(dialog.locator("[data-confirm]")).to_be_disabled()
    assert site.scroll_overflow() == 0
    assert site.complaints == []


@pytest.mark.parametrize(("width", "theme"), [(1280, "dark"), (390, "light")])
def test_the_pages_fit_are_readable_and_reached_from_the_bar(
    width: int, theme: str, world: World, risk_officer: User, open_site: OpenSite
) -> None:
    token_create(user=risk_officer, name="script", actor=risk_officer)
    make_request(risk_officer, kind="limit.loosen", target="a", payload={}, snapshot={})
    site = open_site(width=width, height=800, theme=theme)
    site.log_in(risk_officer.username, PASSWORD)
    for path in PAGES:
        site.page.locator(".nav summary", has_text="Govern").click()
        link = site.page.locator(f'.nav a[href="{path}"]')
        expect(link).to_be_in_viewport(ratio=1)
        assert site.scroll_overflow() == 0, path
        link.click()
        site.ready()
        expect(site.page.locator(".nav details[data-current] summary")).to_contain_text("Govern")
        expect(site.page.locator("[data-open-halt]").first).to_be_in_viewport()
        assert site.scroll_overflow() == 0, path
        assert site.low_contrast() == [], path
        assert site.unlabelled() == [], path
    assert site.complaints == []
