"""The pages as the server answers them: who gets in, what the first answer holds, wrong filters."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from governance.selectors.command_center import command_center_state
from nautilus_site.common.models import User
from tests.browser.orders import make_fill, make_order
from tests.browser.rows import World, build_world, make_request
from trading.models import Position, TradingState

PAGES = (
    "/",
    "/orders/",
    "/strategies/",
    "/risk/",
    "/capital/",
    "/policies/",
    "/models/",
    "/reconcile/",
    "/research/",
    "/approvals/",
    "/playbooks/",
    "/people/",
    "/notifications/",
    "/schedules/",
    "/ops/",
    "/about/",
)
Browser = Callable[[User], Client]


@pytest.fixture
def world(db: None) -> World:
    return build_world()


def state_of(response: Any) -> dict[str, Any]:
    found = re.search(
        r'id="page-state" type="application/json">(.*?)</script>', response.content.decode(), re.S
    )
    assert found is not None
    return dict(json.loads(found[1]))


@pytest.mark.parametrize("path", PAGES)
def test_a_page_sends_strangers_to_the_log_in(path: str, db: None, client: Client) -> None:
    response = client.get(path)
    assert response.status_code == 302
    assert response["Location"] == f"/accounts/login/?next={path}"


@pytest.mark.parametrize("path", PAGES)
def test_a_page_opens_on_an_empty_platform(path: str, viewer: User, browser: Browser) -> None:
    response = browser(viewer).get(path)
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["command-center", "orders", "risk", "approvals", "ops", "about"])
def test_the_state_is_refused_without_a_session_and_equals_the_first_paint_with_one(
    name: str, world: World, viewer: User, browser: Browser, client: Client
) -> None:
    assert client.get(f"/state/{name}/").status_code == 401
    person = browser(viewer)
    path = next(page for page in PAGES if name.split("-")[0] in page) if name != "command-center" else "/"
    assert state_of(person.get(path)).keys() == person.get(f"/state/{name}/").json().keys()


def test_pages_carry_no_inline_script_style_or_handler(
    world: World, admin_user_: User, browser: Browser
) -> None:
    for path in PAGES:
        text = browser(admin_user_).get(path).content.decode()
        assert not re.search(r"\son[a-z]+=", text), path
        assert not re.search(r'\sstyle="', text), path
        for attributes in re.findall(r"<script([^>]*)>", text):
            assert "src=" in attributes or 'type="application/json"' in attributes, path


@pytest.fixture
def admin_user_(make_user: Callable[..., User]) -> User:
    return make_user("admin", username="root-of-tests")


def test_equity_on_the_page_is_cash_plus_holdings_at_the_middle(world: World) -> None:
    tiles = {tile["id"]: tile["value"] for tile in command_center_state()["tiles"]}
    assert Decimal(tiles["equity"]) == Decimal("98800") + Decimal("0.02") * 60500
    assert Decimal(tiles["unrealized_pnl"]) == Decimal("0.02") * 60500 - 1200
    assert Decimal(tiles["day_pnl"]) == Decimal("100010") - 99900
    assert tiles["open_orders"] == 3


def test_more_rows_cost_no_more_queries(world: World) -> None:
    with CaptureQueriesContext(
        connection,
    ) as few:
        command_center_state()
    for number in range(12):
        order = make_order(world.account, world.instruments["BTCUSDT"], world.strategy, status="NEW")
        make_fill(order, trade_id=500 + number, share=Decimal("0.5"))
    Position.objects.create(
        account=world.account, instrument=world.instruments["ETHUSDT"], quantity=1, cost=3000
    )
    with CaptureQueriesContext(connection) as many:
        command_center_state()
    assert len(many) == len(few)


def test_a_narrower_halt_is_named_beside_the_level_of_everything(
    world: World, viewer: User, browser: Browser
) -> None:
    TradingState.objects.create(
        scope="strategy:trend", level=2, reason="drift", changed_by="risk", changed_at=world.bars_end
    )
    text = browser(viewer).get("/risk/").content.decode()
    assert "Stricter: strategy:trend HALT_NEW." in text


def test_an_empty_database_counts_as_halted_and_not_as_trading(viewer: User, browser: Browser) -> None:
    state = browser(viewer).get("/state/about/").json()
    assert state["trading"]["level_name"] == "HALT_NEW"


@pytest.mark.parametrize(
    "query",
    ["status=NONSENSE", "side=UP", "symbol=%00", "before=1e5", "before=-1", "open=2", "symbol=" + "A" * 60],
)
def test_a_wrong_filter_is_named_and_the_page_still_shows_everything(
    query: str, world: World, viewer: User, browser: Browser
) -> None:
    person = browser(viewer)
    page = person.get(f"/orders/?{query}")
    assert page.status_code == 200
    assert "It was left out." in page.content.decode()
    assert len(state_of(page)["orders"]) == 6
    answer = person.get(f"/state/orders/?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_FILTER")


def test_filters_choose_the_orders_shown(world: World, viewer: User, browser: Browser) -> None:
    person = browser(viewer)
    for query, expected in (
        ("symbol=btc/usdt", 3),
        ("status=DENIED", 1),
        ("side=SELL", 2),
        ("open=1", 3),
        ("strategy=trend&symbol=ETHUSDT", 2),
        ("account=nobody", 0),
    ):
        assert len(person.get(f"/state/orders/?{query}").json()["orders"]) == expected, query


def test_nobody_may_decide_their_own_request_and_only_risk_officers_decide(
    world: World, make_user: Callable[..., User], browser: Browser
) -> None:
    asker, other = (make_user("risk_officer", username=name) for name in ("asker", "other"))
    onlooker = make_user("trader", username="onlooker")
    make_request(asker, kind="limit.loosen", target="max_notional@global", payload={}, snapshot={})

    def view(user: User) -> dict[str, Any]:
        pending = browser(user).get("/state/approvals/").json()["pending"]
        return dict(pending[0])

    assert (view(asker)["may_decide"], view(asker)["may_withdraw"]) == (False, True)
    assert (view(other)["may_decide"], view(other)["may_withdraw"]) == (True, False)
    assert (view(onlooker)["may_decide"], view(onlooker)["may_withdraw"]) == (False, False)
    assert view(asker)["deciders"] == "other"
    assert view(asker)["diff"] == [{"field": "value", "before": "10000", "after": "15000"}]


def test_markup_in_a_reason_stays_text(world: World, viewer: User, browser: Browser) -> None:
    TradingState.objects.filter(scope="global").update(reason="<img src=x onerror=alert(1)></script>")
    text = browser(viewer).get("/risk/").content.decode()
    assert "<img src=x" not in text
    assert state_of(browser(viewer).get("/risk/"))["states"][0]["reason"].startswith("<img")


def test_operations_shows_the_last_fault_injection_run_and_survives_a_broken_file(
    viewer: User, browser: Browser, settings: Any, tmp_path: Any
) -> None:
    settings.NAUTILUS_HOME = tmp_path
    person = browser(viewer)
    assert "No run was made from this home" in person.get("/ops/").content.decode()
    run = {
        "differences": 2,
        "differences_by_check": {"O1": ["a", "b"]},
        "at": "2026-11-29T19:00:00+00:00",
        "build": "abc1234",
        "seed": 7,
        "kills": 30,
        "kills_done": 31,
        "stops": {"web": 2},
        "fault_windows": 20,
        "orders": 900,
        "orders_at_venue": 500,
        "fills": 600,
        "unknown_outcomes": 12,
        "settled_s": 9.5,
        "duration_s": 401.2,
    }
    (tmp_path / "chaos").mkdir()
    (tmp_path / "chaos" / "last.json").write_text(json.dumps(run))
    page = person.get("/ops/").content.decode()
    for text in ("2 (O1 2)", "abc1234", "31 of 30 asked for", "900, 500 of them at the exchange"):
        assert text in page
    (tmp_path / "chaos" / "last.json").write_text('{"differences": ')
    assert "No run was made from this home" in person.get("/ops/").content.decode()
