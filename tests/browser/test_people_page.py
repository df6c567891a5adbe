"""The people page in a browser: who is logged in, what a role sees, exchange keys."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Locator, expect

from nautilus_site.common.clock import now
from nautilus_site.common.models import User
from tests.browser.conftest import PASSWORD
from tests.browser.pages import Site
from tests.browser.rows import World
from trading.domain.values import Level
from trading.models import Account, Credential, TradingState

OpenSite = Callable[..., Site]


def confirm(dialog: Locator) -> None:
    dialog.locator("[data-confirm]").click()
    expect(dialog.locator("[data-result]")).to_have_attribute("data-tone", "good")
    dialog.locator("[data-close]").first.click()


def test_a_session_is_ended_a_role_is_looked_at_and_a_key_is_revoked(
    world: World, risk_officer: User, trader: User, open_site: OpenSite
) -> None:
    account = Account.objects.order_by("pk")[0]
    key = Credential.objects.create(
        account=account,
        purpose="executor",
        api_key="a-key-9876",
        last_four="9876",
        sealed_secret=b"x",
        created_at=now(),
    )
    theirs, site = open_site(), open_site()
    theirs.log_in(trader.username, PASSWORD, "/people/")
    expect(theirs.table("sessions").locator("tr")).to_have_count(1)
    expect(theirs.page.get_by_role("button", name="Revoke the executor key")).to_have_count(0)
    site.log_in(risk_officer.username, PASSWORD, "/people/")
    expect(site.table("sessions").locator("tr")).to_have_count(2)
    dialog = site.page.locator("#ask-dialog")
    line = site.table("sessions").locator("tr", has_text=trader.username)
    line.get_by_role("button", name=f"End the session of {trader.username}").click()
    confirm(dialog)
    expect(site.table("sessions").locator("tr")).to_have_count(1)
    theirs.page.goto(f"{theirs.url}/people/")
    expect(theirs.page.locator("#id_username")).to_be_visible()

    views = site.table("views").locator("tr")
    expect(views.filter(has_text="/api/v1/approvals/<uuid:pk>/approve")).to_have_count(1)
    site.page.select_option("#view-as", "viewer")
    expect(views.filter(has_text="/api/v1/approvals/<uuid:pk>/approve")).to_have_count(0)
    expect(site.page.locator("#view-as-pages")).to_contain_text("Command Center")
    expect(site.page.locator("#view-as-pages")).not_to_contain_text("Audit")

    site.page.get_by_role("button", name=f"Look at the executor key of {account.name}").click()
    confirm(dialog)
    row = site.row("keys", str(key.pk))
    expect(row).to_contain_text("is being looked at")
    row.get_by_role("button", name=f"Revoke the executor key of {account.name}").click()
    expect(dialog).to_contain_text("goes to CANCEL at once")
    dialog.locator('[name="reason"]').fill("it leaked")
    confirm(dialog)
    expect(row).to_contain_text("revoked by")
    key.refresh_from_db()
    assert bytes(key.sealed_secret) == b""
    assert TradingState.objects.get(scope=f"account:{account.name}").level == Level.CANCEL
    assert site.scroll_overflow() == 0
    assert site.low_contrast() == []
    assert site.unlabelled() == []
    assert site.complaints == []
