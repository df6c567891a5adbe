"""The reconcile page: a confirmed difference is seen with its evidence, adopted by two people, and gone."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from nautilus_site.common.clock import now
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.browser.conftest import PASSWORD
from tests.browser.pages import Site
from tests.browser.rows import World
from trading.models import Account, Balance, Divergence, LedgerEntry

OpenSite = Callable[..., Site]


def confirmed_difference() -> Divergence:
    balance = Balance.objects.order_by("pk").first()
    assert balance is not None
    moment = now()
    return Divergence.objects.create(
        account=balance.account,
        kind="BALANCE_MISMATCH",
        subject=balance.asset,
        ours=str(balance.amount.normalize()),
        theirs=str((balance.amount + Decimal("12.5")).normalize()),
        first_seen_at=moment - timedelta(seconds=90),
        same_since=moment - timedelta(seconds=90),
        last_seen_at=moment,
        confirmed_at=moment - timedelta(seconds=60),
        sightings=4,
        attempts=2,
        evidence={"trade list": "explains nothing: BTCUSDT to 17"},
        scopes=[f"account:{balance.account.name}"],
        escalated_to="REDUCING",
    )


@pytest.mark.usefixtures("relay")
def test_a_confirmed_difference_is_adopted_by_two_people(
    world: World, trader: User, risk_officer: User, open_site: OpenSite
) -> None:
    row = confirmed_difference()
    site = open_site()
    site.log_in(trader.username, PASSWORD, "/reconcile/")
    line = site.table("divergences").locator("tr").first
    expect(line).to_contain_text("confirmed")
    expect(line).to_contain_text("explains nothing: BTCUSDT to 17")
    expect(line).to_contain_text(f"REDUCING on account:{row.account.name}")
    line.get_by_role("button", name="Ask to adopt").click()
    dialog = site.page.locator("#adopt-dialog")
    expect(dialog.locator("[data-effect]")).to_contain_text(f"balance of {row.subject}")
    dialog.locator("[name=reason]").fill("an airdrop, checked on the exchange's page")
    dialog.locator("[data-confirm]").click()
    expect(dialog.locator("[data-result]")).to_contain_text("Request filed")
    assert not LedgerEntry.objects.filter(kind="adjustment").exists()
    request = ChangeRequest.objects.get(kind="reconcile.adopt")
    change_request_approve(request_id=request.pk, approver=risk_officer, note="agreed")
    entry = LedgerEntry.objects.get(kind="adjustment", owner="account")
    assert (entry.asset, entry.amount) == (row.subject, Decimal("12.5"))
    dialog.locator("[data-close]").first.click()
    expect(site.page.locator("[data-verdict]")).to_contain_text("Both books agree", timeout=15_000)
    assert site.complaints == []


def test_run_now_asks_for_every_account(world: World, trader: User, open_site: OpenSite) -> None:
    site = open_site()
    site.log_in(trader.username, PASSWORD, "/reconcile/")
    site.page.locator("#reconcile-now").click()
    expect(site.table("runs").locator("tr").first).to_contain_text("under way", timeout=15_000)
    expect(site.table("runs").locator("tr").first).to_contain_text("S4")
    assert Account.objects.filter(reconcilerun__trigger="manual").exists()


@pytest.mark.parametrize(("width", "theme"), [(1440, "dark"), (1440, "light"), (380, "dark"), (380, "light")])
def test_the_page_fits_and_can_be_read(
    world: World, viewer: User, open_site: OpenSite, width: int, theme: str
) -> None:
    confirmed_difference()
    site = open_site(width=width, theme=theme)
    site.log_in(viewer.username, PASSWORD, "/reconcile/")
    expect(site.table("divergences").locator("tr")).to_have_count(1)
    assert site.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert site.page.locator("#reconcile-now").count() == 0, "a viewer starts nothing"
    shot = os.environ.get("NAUTILUS_SCREENSHOTS")
    if shot:
        site.page.screenshot(path=f"{shot}/reconcile-{width}-{theme}.png", full_page=True)
    assert site.complaints == []
