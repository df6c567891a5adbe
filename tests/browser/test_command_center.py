"""The Command Center in a real browser: first paint, live changes, lost connections, contrast."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import expect

from governance.views.navigation import GROUPS
from nautilus_site.common.clock import now
from nautilus_site.common.live.groups import push, push_prices
from nautilus_site.common.models import User
from tests.browser.conftest import PASSWORD
from tests.browser.orders import make_fill, make_order
from tests.browser.pages import Site
from tests.browser.rows import World, in_own_thread, number_event
from trading.selectors.fills import fill_members
from trading.selectors.orders import order_members

OpenSite = Callable[..., Site]
PATHS = (
    *("/", "/orders/", "/strategies/", "/risk/", "/models/", "/approvals/"),
    *("/playbooks/", "/notifications/", "/schedules/", "/ops/", "/about/"),
)


def announce(topic: str, data: dict[str, Any]) -> None:
    event = number_event(topic, data)
    assert in_own_thread(lambda: push([event]))


def test_the_numbers_of_the_books_are_on_the_first_screen_and_nothing_complains(
    world: World, trader: User, open_site: OpenSite
) -> None:
    site = open_site()
    site.log_in(trader.username, PASSWORD)
    # 98,800 cash + 0.02 BTC x 60,500; the position cost 1,200; the day began at 99,900.
    expect(site.tile("equity")).to_have_text("100,010.00")
    expect(site.tile("unrealized_pnl")).to_have_text("▲ +10.00")
    expect(site.tile("day_pnl")).to_have_text("▲ +110.00")
    expect(site.table("orders").locator("tr")).to_have_count(3)
    expect(site.table("fills").locator("tr")).to_have_count(2)
    expect(site.table("recent_orders")).to_contain_text("NOTIONAL_ABOVE_MAX")
    expect(site.page.locator(".environment")).to_contain_text("LOCAL")
    expect(site.page.locator("#price-chart canvas").first).to_be_visible()
    expect(site.page.locator("#price-chart #tv-attr-logo")).to_be_visible()
    assert site.complaints == []


def test_the_first_answer_holds_the_tables_before_any_script_runs(
    world: World, trader: User, address: str, client: Any
) -> None:
    client.force_login(trader)
    page = client.get("/")
    text = page.content.decode()
    assert "100,010.00" in text
    assert "NOTIONAL_ABOVE_MAX" in text
    assert "▼ SELL" in text


def test_an_event_moves_the_page_within_a_second_without_a_reload(
    world: World, trader: User, open_site: OpenSite
) -> None:
    site = open_site()
    site.log_in(trader.username, PASSWORD)
    site.page.evaluate("window.notReloaded = true")
    order = make_order(world.account, world.instruments["BTCUSDT"], world.strategy, quantity="0.03")
    began = time.monotonic()
    announce("orders", order_members(order, with_events=False))
    site.row("orders", str(order.uid)).wait_for(timeout=5000)
    elapsed = time.monotonic() - began
    assert elapsed < 1.0, f"{elapsed:.2f} s from event to row"
    order.status = "FILLED"
    order.save(update_fields=["status"])
    fill = make_fill(order, trade_id=901)
    announce("fills", fill_members(fill))
    announce("orders", order_members(order, with_events=False))
    expect(site.row("orders", str(order.uid))).to_have_count(0)
    expect(site.row("fills", str(fill.pk))).to_have_count(1)
    announce("equity", {"account": "paper-spot", "equity": "100123.45", "at": fill.recorded_at.isoformat()})
    expect(site.tile("equity")).to_have_text("100,123.45")
    assert site.page.evaluate("window.notReloaded") is True


@pytest.mark.long
def test_prices_move_the_mark_and_an_unheard_price_turns_stale(
    world: World, trader: User, open_site: OpenSite
) -> None:
    site = open_site()
    site.log_in(trader.username, PASSWORD)
    at = now().isoformat()
    quote = {"bid": "61999", "ask": "62001", "mid": "62000", "market_at": at, "received_at": at, "bars": {}}
    assert in_own_thread(lambda: push_prices({"BTCUSDT": quote}))
    expect(site.page.locator("#last-price")).to_have_text("62,000")
    # 0.02 x (62,000 - 60,000) = 40
    expect(site.row("positions", "paper-spot:BTCUSDT")).to_contain_text("+40.00")
    stale = site.page.locator("section.is-stale[data-freshness=prices]")
    expect(stale).to_have_count(0)
    # Nothing more is heard of the price, neither by the stream nor by the page's own renewal.
    site.page.route("**/state/**", lambda route: route.abort())
    expect(stale).to_be_attached(timeout=25_000)
    expect(stale.locator(".age")).to_contain_text("s")


def test_events_missed_while_the_socket_was_down_arrive_once_it_is_back(
    world: World, trader: User, open_site: OpenSite
) -> None:
    site = open_site()
    site.page.add_init_script(
        """
        const Real = WebSocket;
        window.sockets = [];
        window.refuse = false;
        window.WebSocket = class extends Real {
          constructor(url) {
            super(window.refuse ? url.replace("/ws/live/", "/ws/nowhere/") : url);
            window.sockets.push(this);
          }
        };
        """
    )
    site.log_in(trader.username, PASSWORD)
    before = make_order(world.account, world.instruments["BTCUSDT"], world.strategy)
    announce("orders", order_members(before, with_events=False))
    site.row("orders", str(before.uid)).wait_for()
    site.page.evaluate("window.refuse = true; window.sockets.at(-1).close()")
    expect(site.connection).to_have_attribute("data-status", "reconnecting")
    missed = [make_order(world.account, world.instruments["ETHUSDT"], None, price="3000") for _ in range(5)]
    for order in missed:
        announce("orders", order_members(order, with_events=False))
    # The page's own renewal is cut off: what arrives now can only come from the resumed stream.
    site.page.route("**/state/**", lambda route: route.abort())
    site.page.evaluate("window.refuse = false")
    expect(site.connection).to_have_attribute("data-status", "live", timeout=20_000)
    for order in missed:
        expect(site.row("orders", str(order.uid))).to_have_count(1)
    expect(site.table("orders").locator("tr")).to_have_count(3 + 1 + 5)


def test_no_page_scrolls_sideways_on_a_phone_and_halt_stays_in_reach(
    world: World, trader: User, open_site: OpenSite
) -> None:
    site = open_site(width=380, height=800)
    site.log_in(trader.username, PASSWORD)
    for path in PATHS:
        site.open(path)
        assert site.scroll_overflow() == 0, path
        expect(site.page.locator("[data-open-halt]").first).to_be_in_viewport()


@pytest.mark.parametrize("width", [1440, 1280])
def test_the_bar_stays_on_one_line_and_every_page_in_it_is_reached_by_keyboard(
    world: World, risk_officer: User, open_site: OpenSite, width: int
) -> None:
    """The longest bar there is: a role with every control, and a log-in page that names its icon."""
    site = open_site(width=width, height=900)
    site.log_in(risk_officer.username, PASSWORD)
    groups = site.page.locator(".topbar .nav summary")
    tops = "(groups) => new Set(groups.map((group) => Math.round(group.getBoundingClientRect().top))).size"
    assert groups.evaluate_all(tops) == 1
    hidden = site.page.locator(".nav").evaluate("(nav) => nav.scrollWidth - nav.clientWidth")
    assert hidden == 0, "nothing of the bar has to be scrolled to"
    bar = site.page.locator(".topbar").evaluate(
        "(bar) => [bar.clientHeight, bar.scrollWidth - bar.clientWidth]"
    )
    halt = site.page.locator("[data-open-halt]").first.evaluate("(button) => button.offsetHeight")
    assert (bar[0] < 2 * halt, bar[1]) == (True, 0)
    links = site.page.locator(".topbar .nav a")
    assert links.count() == sum(len(pages) for _, pages in GROUPS), "what tells about us is in the foot"
    site.page.keyboard.press("g")
    for group in range(len(GROUPS)):
        expect(groups.nth(group)).to_be_focused()
        site.page.keyboard.press("Enter")
        inside = site.page.locator(".nav details").nth(group).locator("a")
        for place in range(inside.count()):
            site.page.keyboard.press("Tab")
            expect(inside.nth(place)).to_be_focused()
            expect(inside.nth(place)).to_be_in_viewport(ratio=1)
        assert site.page.locator(".nav details[open]").count() == 1
        site.page.keyboard.press("Escape")
        expect(inside.first).to_be_hidden()
        site.page.keyboard.press("Tab")
    assert site.page.request.get(f"{site.url}/favicon.ico").headers["content-type"] == "image/svg+xml"
    assert site.complaints == []


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_text_has_contrast_and_controls_have_names(
    theme: str, world: World, risk_officer: User, open_site: OpenSite
) -> None:
    site = open_site(theme=theme)
    site.log_in(risk_officer.username, PASSWORD)
    assert site.low_contrast(ratio=21.1), "no pair of colours reaches more than 21: the measure must object"
    for path in PATHS:
        site.open(path)
        assert site.low_contrast() == [], path
        assert site.unlabelled() == [], path
    assert site.complaints == []


def test_the_palette_finds_a_symbol_and_goes_there(world: World, viewer: User, open_site: OpenSite) -> None:
    site = open_site()
    site.log_in(viewer.username, PASSWORD)
    site.page.keyboard.press("Control+k")
    site.page.keyboard.type("ethusdt")
    site.page.keyboard.press("Enter")
    site.page.wait_for_url("**/?symbol=ETHUSDT")
    expect(site.page.locator("#symbol")).to_have_value("ETHUSDT")
    assert Decimal(site.state()["tiles"][0]["value"]) == Decimal(100010)


def test_a_viewer_sees_no_halt_and_no_cancel(world: World, viewer: User, open_site: OpenSite) -> None:
    site = open_site()
    site.log_in(viewer.username, PASSWORD, "/orders/")
    expect(site.table("orders").locator("tr")).to_have_count(6)
    assert site.page.get_by_role("button", name="Cancel order").count() == 0
    assert site.page.locator("[data-open-halt]").count() == 0


def test_a_page_goes_on_when_another_tab_renews_the_log_in_and_says_so_when_it_is_over(
    trader: User, open_site: OpenSite
) -> None:
    """A renewed log-in has another session: the open socket is refused once, the next one carries the new cookie."""
    site = open_site()
    site.log_in(trader.username, PASSWORD)
    seen = site.page.evaluate(
        """async () => {
          const { LiveFeed } = await import(performance.getEntriesByType("resource")
            .map(entry => entry.name).find(name => name.includes("nautilus/js/live")));
          const sockets = [], seen = [];
          class Fake { constructor() { sockets.push(this); } send() {} close() {} }
          const feed = new LiveFeed({ topics: ["orders"], url: "ws://fake", socket: Fake });
          feed.start();
          for (const last of [false, true]) {
            const open = sockets.at(-1);
            open.onmessage({ data: JSON.stringify({ subscribed: ["orders"], last_id: 1 }) });
            open.onclose({ code: 4403 });
            seen.push(feed.status);
            const before = sockets.length;
            while (sockets.length === before) await new Promise(done => setTimeout(done, 20));
            if (last) sockets.at(-1).onclose({ code: 4403 });
            seen.push(feed.status);
          }
          clearInterval(feed.watch);
          return seen;
        }"""
    )
    assert seen == ["reconnecting", "reconnecting", "reconnecting", "signed-out"]
