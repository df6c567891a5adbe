"""The strategies page: a strategy is defined, funded and switched on by two people, off by one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from nautilus_site.common.clock import now
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.browser.conftest import PASSWORD
from tests.browser.pages import Site
from tests.browser.rows import World
from trading.models import ListingGrant, Strategy, StrategyInstance

OpenSite = Callable[..., Site]


def photographed(site: Site, name: str) -> None:
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        site.page.screenshot(path=str(Path(folder) / f"{name}.png"))


@pytest.mark.usefixtures("relay")
def test_a_strategy_from_its_form_to_its_first_capital(
    world: World, trader: User, risk_officer: User, open_site: OpenSite
) -> None:
    site = open_site()
    site.log_in(trader.username, PASSWORD, "/strategies/")
    page = site.page
    page.get_by_role("button", name="New strategy").click()
    dialog = page.locator("#define-dialog")
    dialog.locator("[name=name]").fill("hourly")
    dialog.locator("[name=kind]").select_option("moving_average")
    expect(dialog.locator("[name='param.fast']")).to_have_value("9")
    dialog.locator("[name='param.fast']").fill("500")
    dialog.locator("[name=reason]").fill("crossing of the hour")
    photographed(site, "strategy-new")
    dialog.locator("[data-confirm]").click()
    # What the server refuses is said by name, and the form stays.
    expect(dialog.locator("[data-result]")).to_contain_text("INVALID_VALUE")
    dialog.locator("[name='param.fast']").fill("5")
    dialog.locator("[data-confirm]").click()
    row = site.table("strategies").locator("tr", has_text="hourly")
    expect(row).to_contain_text("off")
    created = Strategy.objects.get(name="hourly")
    assert (created.is_enabled, created.parameters, created.interval) == (False, {"fast": 5}, "1h")

    line = site.table("instances").locator("tr", has_text="hourly")
    line.get_by_role("button", name="Capital for").click()
    grant = page.locator("#grant-dialog")
    grant.locator("[name=allocation]").fill("2500")
    expect(grant.locator("[data-effect]")).to_contain_text("At most 2500.00 of exposure where it was 0.00")
    grant.locator("[name=reason]").fill("a tenth of the account")
    grant.locator("[data-confirm]").click()
    expect(line).to_contain_text("change waits")
    request = ChangeRequest.objects.get(kind="strategy.grant")
    change_request_approve(request_id=request.pk, approver=risk_officer)
    expect(line).to_contain_text("2,500", timeout=15_000)
    assert StrategyInstance.objects.get(strategy=created).allocation == 2_500

    row.get_by_role("button", name="Enable hourly").click()
    switch = page.locator("#switch-dialog")
    switch.locator("[name=reason]").fill("tested for a month")
    switch.locator("[data-confirm]").click()
    expect(row).to_contain_text("change waits")
    change_request_approve(
        request_id=ChangeRequest.objects.get(kind="strategy.enable").pk, approver=risk_officer
    )
    expect(row.locator("td").first).to_have_text("on", timeout=15_000)

    row.get_by_role("button", name="Change hourly").click()
    dialog.locator("[name='param.slow']").fill("30")
    expect(dialog.locator("[data-effect]")).to_contain_text("slow: 21 → 30")
    expect(dialog.locator("[data-confirm]")).to_have_text("File the request")
    photographed(site, "strategy-change")
    dialog.locator("[data-close]").first.click()
    photographed(site, "strategies")

    line.get_by_role("button", name="Disable").click()
    switch.locator("[name=reason]").fill("thin book")
    switch.locator("[data-confirm]").click()
    expect(line.locator("td").first).to_have_text("off")
    assert not StrategyInstance.objects.get(strategy=created).is_enabled
    assert [c for c in site.complaints if not c.startswith("400 ")] == []  # the one refused on purpose


@pytest.mark.usefixtures("relay")
def test_what_a_sniper_may_buy_of_new_listings_is_asked_for_and_shown(
    world: World, trader: User, risk_officer: User, open_site: OpenSite
) -> None:
    sniper = Strategy.objects.create(
        name="sniper", kind="listing_sniper", interval="1m", parameters={"enabled": True}, updated_at=now()
    )
    site = open_site()
    site.log_in(trader.username, PASSWORD, "/strategies/")
    rows = site.table("strategies")
    row = rows.locator("tr", has_text="sniper")
    expect(rows.get_by_role("button", name="New listings for")).to_have_count(1)
    row.get_by_role("button", name="New listings for sniper").click()
    dialog = site.page.locator("#listings-dialog")
    dialog.locator("[name=allocation]").fill("500")
    dialog.locator("[name=per_day]").fill("2")
    expect(dialog.locator("[data-effect]")).to_contain_text(
        "At most 1000.00 USDT in 24 hours where it was 0.00"
    )
    dialog.locator("[name=reason]").fill("small and capped")
    photographed(site, "strategy-listings")
    dialog.locator("[data-confirm]").click()
    expect(row).to_contain_text("change waits")
    request = ChangeRequest.objects.get(kind="strategy.listing_grant")
    change_request_approve(request_id=request.pk, approver=risk_officer)
    expect(row).to_contain_text("2 a day, 500 each on", timeout=15_000)
    row.get_by_role("button", name="New listings for sniper").click()
    dialog.locator("[name=per_day]").fill("0")
    expect(dialog.locator("[data-confirm]")).to_have_text("Set now")
    dialog.locator("[name=reason]").fill("enough")
    dialog.locator("[data-confirm]").click()
    expect(row).not_to_contain_text("a day")
    assert ListingGrant.objects.get(strategy=sniper).per_day == 0
    assert site.complaints == []
