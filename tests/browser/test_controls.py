"""Stopping, asking to resume, approving, explaining and cancelling, each by the people who may."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from playwright.sync_api import expect

from nautilus_site.common.clock import now
from nautilus_site.common.models import ChangeRequest, User
from tests.browser.conftest import PASSWORD
from tests.browser.pages import HaltDialog, Inbox, Site
from tests.browser.rows import World
from trading.domain.values import Level
from trading.models import Bracket, Order, RiskLimit, TradingState
from trading.services.controls import limit_change

OpenSite = Callable[..., Site]


def test_halt_takes_two_keys_and_says_what_the_exchange_has_confirmed(
    world: World, trader: User, open_site: OpenSite
) -> None:
    site = open_site()
    site.log_in(trader.username, PASSWORD, "/ops/")
    halt = HaltDialog(site)
    halt.open_by_key()
    halt.confirm_by_key()
    # No worker runs here, so the exchange confirms nothing; the level is in force all the same.
    expect(halt.result).to_contain_text("not confirmed yet", timeout=60_000)
    expect(halt.result).to_contain_text("CANCEL is in force for global")
    assert TradingState.objects.get(scope="global").level == Level.CANCEL
    expect(site.trading).to_have_attribute("data-level", "3")
    expect(site.trading).to_contain_text("Nothing may be sent except cancels")
    assert site.complaints == []


def test_typing_a_capital_h_into_a_field_does_not_open_halt(
    world: World, trader: User, open_site: OpenSite
) -> None:
    site = open_site()
    site.log_in(trader.username, PASSWORD, "/orders/")
    field = site.page.locator("#filters input[name=symbol]")
    field.press("Shift+H")
    expect(field).to_have_value("H")
    expect(HaltDialog(site).dialog).to_be_hidden()


def test_loosening_a_limit_waits_for_a_second_risk_officer_who_approves_it(
    world: World, make_user: Callable[..., User], open_site: OpenSite
) -> None:
    first, second = (make_user("risk_officer", username=name) for name in ("risk", "risk2"))
    asking = open_site()
    asking.log_in(first.username, PASSWORD, "/risk/")
    asking.page.get_by_role("button", name="Change max_notional of global").click()
    dialog = asking.page.locator("#limit-dialog")
    dialog.locator("[name=value]").fill("15000")
    expect(dialog.locator("[data-effect]")).to_contain_text("Looser: 10,000 → 15,000 USDT")
    dialog.locator("[name=reason]").fill("the book is deeper now")
    dialog.locator("[data-confirm]").click()
    expect(dialog.locator("[data-result]")).to_contain_text("Request filed")
    request = ChangeRequest.objects.get()
    assert RiskLimit.objects.get(name="max_notional").value == 10000

    asking.open("/approvals/")
    own = Inbox(asking).card(str(request.pk))
    expect(own.get_by_role("button", name="Withdraw")).to_be_visible()
    assert own.get_by_role("button", name="Approve").count() == 0

    deciding = open_site()
    deciding.log_in(second.username, PASSWORD, "/approvals/")
    expect(deciding.page.locator("[data-approvals-count]")).to_have_text("1")
    Inbox(deciding).approve(str(request.pk), "agreed")
    expect(deciding.row("history", str(request.pk))).to_contain_text("applied")
    assert RiskLimit.objects.get(name="max_notional").value == 15000
    request.refresh_from_db()
    assert (request.requester, request.approver) == (first, second)


def test_a_log_in_that_is_too_old_leads_through_log_in_and_back(
    world: World, make_user: Callable[..., User], open_site: OpenSite, settings: object
) -> None:
    first, second = (make_user("risk_officer", username=name) for name in ("risk", "risk2"))
    request = limit_change(
        name="max_notional", scope="global", value=RiskLimit.objects.get(name="max_notional").value * 2,
        reason="deeper book", actor=first,
    )  # fmt: skip
    site = open_site()
    site.log_in(second.username, PASSWORD, "/approvals/")
    settings.STEP_UP_MAX_AGE = timedelta(0)  # type: ignore[attr-defined]
    Inbox(site).approve(str(request.pk), "seen and agreed")
    site.page.wait_for_url("**/accounts/login/**")
    settings.STEP_UP_MAX_AGE = timedelta(minutes=5)  # type: ignore[attr-defined]
    site.page.fill("input[name=username]", second.username)
    site.page.fill("input[name=password]", PASSWORD)
    site.page.click("button[type=submit]")
    site.ready()
    card = Inbox(site).card(str(request.pk))
    expect(card.locator("textarea")).to_have_value("seen and agreed")
    card.get_by_role("button", name="Approve").click()
    expect(site.row("history", str(request.pk))).to_contain_text("applied")


def test_explain_shows_rails_and_cancel_marks_the_order(
    world: World, trader: User, open_site: OpenSite
) -> None:
    working = world.orders[2]
    site = open_site()
    site.log_in(trader.username, PASSWORD, "/orders/?symbol=btcusdt")
    expect(site.table("orders").locator("tr")).to_have_count(3)
    row = site.row("orders", str(working.uid))
    row.get_by_role("button", name="Explain").click()
    drawer = site.page.locator("#explain")
    expect(drawer).to_contain_text("max_notional")
    expect(drawer).to_contain_text("acknowledged")
    drawer.get_by_role("button", name="Close").click()
    row.get_by_role("button", name="Cancel").click()
    expect(row.get_by_role("button", name="Cancel")).to_be_disabled()
    expect(site.page.locator("#toasts")).to_contain_text("Cancel asked for")
    assert Order.objects.get(pk=working.pk).cancel_requested_at is not None


def test_protection_is_moved_and_taken_down_by_its_buttons(
    world: World, trader: User, open_site: OpenSite
) -> None:
    moment = now()
    bracket = Bracket.objects.create(
        account=world.account, instrument=world.instruments["BTCUSDT"], exit_side="SELL", state="PROTECTED",
        source="person", requested_by=trader, stop_price=55000, opened_at=moment, updated_at=moment,
    )  # fmt: skip
    site = open_site()
    site.log_in(trader.username, PASSWORD, "/orders/")
    row = site.row("brackets", str(bracket.pk))
    row.get_by_role("button", name="Move the protection of BTCUSDT").click()
    dialog = site.page.locator("#bracket-dialog")
    dialog.locator("[name=stop_loss]").fill("57500")
    dialog.locator("[name=take_profit]").fill("65000, 70000")
    dialog.locator("[name=reason]").fill("the market has come up")
    dialog.locator("[data-confirm]").click()
    expect(site.page.locator("#toasts")).to_contain_text("Moving the protection")
    bracket.refresh_from_db()
    assert bracket.stop_price == 57500
    assert [(t["price"], t["share_bps"]) for t in bracket.take_profits] == [("65000", 5000), ("70000", 5000)]
    expect(row).to_contain_text("57,500")

    down = row.get_by_role("button", name="Take down the protection of BTCUSDT")
    down.click()
    bracket.refresh_from_db()
    assert bracket.stop_price == 57500  # once is not enough
    down.click()
    expect(site.page.locator("#toasts")).to_contain_text("Taking down the protection")
    bracket.refresh_from_db()
    assert (bracket.stop_price, bracket.take_profits) == (None, [])
    assert site.complaints == []


def test_what_is_shown_is_in_the_address_in_the_api_call_and_kept_under_a_name(
    world: World, viewer: User, open_site: OpenSite
) -> None:
    site = open_site()
    site.log_in(viewer.username, PASSWORD, "/orders/")
    site.page.select_option("#filters [name=status]", "DENIED")
    expect(site.table("orders").locator("tr")).to_have_count(1)
    assert site.page.url.endswith("/orders/?status=DENIED")
    expect(site.page.locator("#api-call")).to_have_text("GET /api/v1/orders?status=DENIED")
    with site.page.expect_download() as download:
        site.page.locator('[data-panel="orders"] [data-csv]').click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("created_at,symbol,side,type,status,quantity,price")
    assert ",ETHUSDT,BUY,LIMIT,DENIED,9,3000," in lines[1]

    panel = site.page.locator('[data-panel="orders"]')
    panel.get_by_role("button", name="Price", exact=True).click()
    panel.locator("[data-filter]").fill("eth")
    panel.locator("summary", has_text="columns").click()
    panel.get_by_role("checkbox", name="Account").uncheck()
    shown = "/orders/?status=DENIED&orders.find=eth&orders.hide=account&orders.sort=-price"
    expect(site.page).to_have_url(site.url + shown)
    panel.locator("summary", has_text="views").click()
    panel.get_by_role("button", name="Save what Orders shows as a view").click()
    dialog = site.page.locator("#view-dialog")
    expect(dialog).to_contain_text(
        "Keeps: rows with “eth”; by Price, descending; without Account; where status is DENIED."
    )
    dialog.locator("[name=name]").fill("Denied")
    dialog.locator("[name=default]").check()
    dialog.locator("[data-confirm]").click()
    views = panel.locator("[data-views] summary")
    expect(views).to_have_text("Denied")
    expect(views).to_be_focused()

    for address in (shown, "/orders/"):  # a link as it is sent, and the page as it opens for this person
        site.open(address)
        expect(site.page).to_have_url(site.url + shown)
        expect(panel.locator("th[aria-sort=descending]")).to_have_text("Price")
        expect(panel.locator("th", has_text="Account")).to_be_hidden()
        expect(panel.locator("[data-filter]")).to_have_value("eth")
        expect(panel.locator("[data-api]")).to_have_attribute("href", "/api/v1/orders?status=DENIED")
        expect(panel.locator("tbody tr")).to_have_count(1)
        expect(views).to_have_text("Denied")
    views.press("Enter")
    panel.get_by_role("button", name="Show Orders as it comes").press("Enter")
    expect(site.page).to_have_url(f"{site.url}/orders/?orders.view=none")
    expect(panel.locator("tbody tr")).to_have_count(len(world.orders))
    site.page.keyboard.press("Escape")
    expect(views).to_be_focused()
    assert site.complaints == []

    site.page.set_viewport_size({"width": 380, "height": 800})
    site.open("/orders/?fills.sort=nobody&fills.hide=fee.gone&side=BUY&also=1")
    expect(site.page.locator("#left-out")).to_contain_text(
        "fills.sort=nobody, fills.hide=gone, also=1. It was left out."
    )
    expect(site.page).to_have_url(f"{site.url}/orders/?side=BUY&fills.hide=fee")
    views.click()
    panel.get_by_role("button", name="Edit the view Denied").click()
    dialog.locator("[data-delete]").click()
    assert site.scroll_overflow() == 0
    assert site.low_contrast() == []
    assert site.unlabelled() == []
    dialog.locator("[data-delete]").click()
    expect(site.page.locator("#toasts")).to_contain_text("Denied is deleted.")
    views.click()
    expect(panel.locator("[data-views] li")).to_have_count(1)
    assert site.scroll_overflow() == 0
    assert site.unlabelled() == []
    assert site.complaints == []


def test_an_order_is_checked_rail_by_rail_before_it_can_be_placed(
    world: World, trader: User, open_site: OpenSite
) -> None:
    site = open_site()
    site.log_in(trader.username, PASSWORD, "/orders/")
    site.page.click("#new-order")
    dialog = site.page.locator("#order-dialog")
    dialog.locator("[name=symbol]").select_option("BTCUSDT")
    dialog.locator("[name=quantity]").fill("0.5")
    dialog.locator("[name=price]").fill("60000")
    expect(dialog.locator("[data-effect]")).to_contain_text("BUY 0.5 BTCUSDT for about 30,000.00")
    expect(dialog.locator("[data-confirm]")).to_be_disabled()
    dialog.locator("#order-check").click()
    expect(dialog.locator("[data-result]")).to_contain_text("Would be denied")
    expect(dialog.locator("[data-checks]")).to_contain_text("NOTIONAL_ABOVE_MAX")
    expect(dialog.locator("[data-confirm]")).to_be_disabled()
    assert Order.objects.count() == len(world.orders)
