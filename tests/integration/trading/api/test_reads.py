"""Lists, filters, paging, the state of the platform and its gauges."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from prometheus_client.core import Metric

from nautilus_site.common.clock import now
from nautilus_site.common.models import OutboxEvent
from tests.integration.trading.api.world import World
from trading.api.status import state_tag
from trading.domain.values import Level
from trading.models import (
    Account,
    CircuitBreaker,
    Divergence,
    EquitySnapshot,
    ProcessHeartbeat,
    ReconcileRun,
    Strategy,
    StrategyInstance,
    TradingState,
)
from trading.selectors.equity import equity_series
from trading.selectors.gauges import trading_gauges
from trading.selectors.status import status_snapshot
from trading.serializers.orders import FillSerializer, OrderExplanationSerializer, OrderSerializer
from trading.serializers.portfolio import (
    AccountSerializer,
    BalanceSerializer,
    PortfolioSerializer,
    PositionSerializer,
)
from trading.serializers.strategies import StatusSerializer, StrategyDecisionSerializer, StrategySerializer
from universe.models import StreamState, VenueBackoff

pytestmark = pytest.mark.django_db

LISTS = [
    "orders", "fills", "positions", "balances", "accounts", "decisions", "limits", "breakers", "strategy/",
    "reconcile/runs",
]  # fmt: skip


@pytest.fixture
def client(world: World, viewer: Any, token_client: Any) -> Any:
    return token_client(viewer)


def fill_the_world(world: World) -> None:
    order = world.order(status="FILLED", executed_quantity="0.01", executed_quote="600")
    world.fill(order, trade_id=1, price="60000", quantity="0.01")
    world.hold(world.btc, "0.01", "600")
    world.decision(bar_open_at=now() - timedelta(days=30))
    ReconcileRun.objects.create(account=world.account, trigger="start", started_at=now(), outcome="clean")
    CircuitBreaker.objects.create(name="b", scope="global", changed_at=now())
    ProcessHeartbeat.objects.create(
        name="web", kind="web", pid=1, host="h", started_at=now(), beat_at=now() - timedelta(seconds=3)
    )
    StreamState.objects.create(
        name="market:binance-spot", connected_at=now(), last_message_at=now() - timedelta(seconds=2)
    )
    VenueBackoff.objects.create(venue="binance-spot", weight_limit=6000, used_weight=1500, used_at=now())
    OutboxEvent.objects.create(topic="orders", at=now(), data={"id": "x"})
    Divergence.objects.create(
        account=world.account, kind="balance", subject="BTC", first_seen_at=now(), last_seen_at=now()
    )


@pytest.mark.parametrize("path", LISTS)
def test_every_list_has_the_same_shape_and_refuses_unknown_filters(
    client: Any, world: World, path: str
) -> None:
    fill_the_world(world)
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == 200
    assert set(answer.json()) == {"results", "next", "previous"}
    assert len(answer.json()["results"]) >= 1
    refused = client.get(f"/api/v1/{path}?nonsense=1")
    assert (refused.status_code, refused.json()["code"]) == (400, "UNKNOWN_FILTER")
    assert client.get(f"/api/v1/{path}?limit=0").status_code == 400
    assert client.get(f"/api/v1/{path}?cursor=zzz").status_code == 400
    assert client.get(f"/api/v1/{path}?ordering=password").status_code == 400


@pytest.mark.parametrize("path", [*LISTS, "portfolio", "equity", "status"])
def test_nobody_reads_anything_without_credentials(world: World, client: Any, path: str) -> None:
    client.credentials()
    answer = client.get(f"/api/v1/{path}")
    assert (answer.status_code, answer.json()["code"]) == (401, "NOT_AUTHENTICATED")


def test_what_is_answered_is_what_the_schema_declares(client: Any, world: World) -> None:
    fill_the_world(world)
    order = client.get("/api/v1/orders").json()["results"][0]
    documented = {
        "orders": (OrderSerializer, {"code"}),
        "fills": (FillSerializer, set()),
        "positions": (PositionSerializer, set()),
        "balances": (BalanceSerializer, set()),
        "accounts": (AccountSerializer, set()),
        "decisions": (StrategyDecisionSerializer, set()),
        "strategy/": (StrategySerializer, set()),
    }
    for path, (serializer, optional) in documented.items():
        row = client.get(f"/api/v1/{path}").json()["results"][0]
        assert set(row) == set(serializer().fields) - optional, path
    for path, whole in (
        ("portfolio", PortfolioSerializer),
        ("status", StatusSerializer),
        (f"orders/{order['id']}/explain", OrderExplanationSerializer),
    ):
        assert set(client.get(f"/api/v1/{path}").json()) == set(whole().fields), path


def test_orders_are_paged_newest_first_without_repeats(client: Any, world: World) -> None:
    made = [str(world.order().uid) for _ in range(5)]
    first = client.get("/api/v1/orders?limit=2").json()
    second = client.get(first["next"]).json()
    third = client.get(second["next"]).json()
    pages = [row["id"] for page in (first, second, third) for row in page["results"]]
    assert pages == made[::-1]
    assert third["next"] is None


def test_orders_are_filtered_by_field_name(client: Any, world: World) -> None:
    btc = world.order(status="NEW")
    eth = world.order(instrument=world.eth, status="FILLED", side="SELL", strategy=None)
    wanted = {
        "symbol=eth/usdt": [eth],
        "status=NEW": [btc],
        "status=NEW&status=FILLED": [eth, btc],
        "side=SELL": [eth],
        "strategy=trend": [btc],
        "open=true": [btc],
        "open=false": [eth],
        f"client_order_id={btc.client_order_id}": [btc],
        "account=paper-spot": [eth, btc],
        "account=other": [],
    }
    for query, orders in wanted.items():
        rows = client.get(f"/api/v1/orders?{query}").json()["results"]
        assert [row["id"] for row in rows] == [str(order.uid) for order in orders], query
    for query in ("status=DONE", "side=UP", "created_after=yesterday"):
        assert client.get(f"/api/v1/orders?{query}").status_code == 400, query


def test_a_list_takes_as_many_queries_for_many_rows_as_for_one(client: Any, world: World) -> None:
    fill_the_world(world)
    counts = {}
    for path in LISTS:
        with CaptureQueriesContext(connection) as few:
            client.get(f"/api/v1/{path}")
        counts[path] = len(few)
    for number in range(10):
        world.fill(world.order(), trade_id=10 + number, price="60000", quantity="0.001")
        world.decision(bar_open_at=now() - timedelta(minutes=number + 1))
        strategy = Strategy.objects.create(name=f"s{number}", kind="ma", updated_at=now())
        StrategyInstance.objects.create(strategy=strategy, account=world.account, instrument=world.btc)
        ReconcileRun.objects.create(account=world.account, trigger="periodic", started_at=now())
    for path in LISTS:
        with CaptureQueriesContext(connection) as many:
            client.get(f"/api/v1/{path}")
        assert len(many) <= counts[path], path


def test_fill_members_carry_market_time_and_the_time_we_learned_of_it(client: Any, world: World) -> None:
    order = world.order()
    world.fill(order, trade_id=77, price="60000.5", quantity="0.01", commission="0.6", maker=True)
    row = client.get(f"/api/v1/fills?order_id={order.uid}").json()["results"][0]
    assert (row["order_id"], row["venue_trade_id"], row["maker"]) == (str(order.uid), 77, True)
    assert (row["price"], row["fee"], row["fee_asset"]) == ("60000.5", "0.6", "USDT")
    assert row["at"] < row["recorded_at"]


def test_equity_is_thinned_to_real_snapshots_and_keeps_the_last(client: Any, world: World) -> None:
    EquitySnapshot.objects.all().delete()
    start = now() - timedelta(hours=10)
    for minute in range(600):
        EquitySnapshot.objects.create(
            account=world.account, at=start + timedelta(minutes=minute), equity=10_000 + minute,
            cash=10_000, market_value=minute, unrealized=0, realized=0, commission=0,
        )  # fmt: skip
    rows = client.get("/api/v1/equity?points=50").json()["results"]
    assert 10 < len(rows) <= 50
    assert rows[0]["equity"] == "10599"
    assert [row["at"] for row in rows] == sorted((row["at"] for row in rows), reverse=True)
    whole = client.get("/api/v1/equity?points=5000").json()["results"]
    assert len(whole) == 600
    assert {row["equity"] for row in rows} <= {row["equity"] for row in whole}


def test_the_total_equity_carries_an_account_that_reported_earlier(world: World) -> None:
    EquitySnapshot.objects.all().delete()
    other = Account.objects.create(name="other", venue=world.venue)
    start = now() - timedelta(hours=2)
    for account, minute, equity in ((world.account, 0, 100), (other, 0, 10), (world.account, 60, 120)):
        EquitySnapshot.objects.create(
            account=account, at=start + timedelta(minutes=minute), equity=equity, cash=equity,
            market_value=0, unrealized=0, realized=0, commission=0,
        )  # fmt: skip
    series = equity_series(since=start - timedelta(minutes=1), until=now(), points=100)
    assert [point["equity"] for point in series] == ["110", "130"]


def test_accounts_that_begin_together_are_one_sum_from_the_start_and_a_later_one_adds_to_it(
    world: World,
) -> None:
    EquitySnapshot.objects.all().delete()
    soon, late = (Account.objects.create(name=name, venue=world.venue) for name in ("soon", "late"))
    start = now() - timedelta(hours=2)
    for account, second, equity in (
        (world.account, 0, 100), (world.account, 5, 101), (soon, 8, 50), (world.account, 10, 102),
        (late, 3600, 7),
    ):  # fmt: skip
        EquitySnapshot.objects.create(
            account=account, at=start + timedelta(seconds=second), equity=equity, cash=equity,
            market_value=0, unrealized=0, realized=0, commission=0,
        )  # fmt: skip
    series = equity_series(since=start - timedelta(minutes=1), until=start + timedelta(hours=1), points=5000)
    assert [point["equity"] for point in series] == ["151", "152", "159"]
    alone = equity_series(
        account=world.account.name, since=start - timedelta(minutes=1), until=now(), points=5000
    )
    assert [point["equity"] for point in alone] == ["100", "101", "102"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("since=yesterday", "INVALID_SINCE"),
        ("since=2026-01-01T00:00:00", "INVALID_SINCE"),
        ("since=2026-13-01T00:00:00Z", "INVALID_SINCE"),
        ("points=1", "INVALID_POINTS"),
        ("points=-5", "INVALID_POINTS"),
        ("points=1e3", "INVALID_POINTS"),
        ("points=99999", "INVALID_POINTS"),
        ("account=nobody", "UNKNOWN_ACCOUNT"),
    ],
)
def test_a_wrong_question_about_equity_is_refused(client: Any, query: str, code: str) -> None:
    answer = client.get(f"/api/v1/equity?{query}")
    assert answer.status_code in (400, 404)
    assert answer.json()["code"] == code


def test_status_shows_the_platform_at_a_glance(client: Any, world: World) -> None:
    fill_the_world(world)
    world.order(status="UNKNOWN")
    Account.objects.update(day_start_equity=Decimal("9900"), peak_equity=Decimal("20000"))
    body = client.get("/api/v1/status").json()
    assert (body["mode"], body["environment"]) == ("paper", "local")
    assert (body["trading"]["level_name"], body["orders"]["open"], body["orders"]["unknown"]) == (
        "ACTIVE",
        1,
        1,
    )
    # 10 000 cash and 0.01 BTC at 60 000.
    assert (body["portfolio"]["equity"], body["portfolio"]["day_pnl"]) == ("10600", "700")
    assert body["portfolio"]["drawdown"] == pytest.approx(1 - 10600 / 20000)
    assert body["workers"][0]["age_s"] == pytest.approx(3, abs=1)
    assert body["streams"][0]["age_s"] == pytest.approx(2, abs=1)
    weight = next(row for row in body["rate_limits"] if row["kind"] == "weight")
    assert (weight["used"], weight["ratio"]) == (1500, 0.25)
    assert body["reconcile"]["open_divergences"] == 1
    assert body["reconcile"]["accounts"][0]["last_run"]["outcome"] == "clean"
    assert body["strategies"][0]["instances"][0]["last_decision"]["reason"] == "crossed_up"
    assert [event["topic"] for event in body["events"]] == ["orders"]


def test_without_its_permanent_row_trading_is_shown_as_halted(client: Any) -> None:
    TradingState.objects.all().delete()
    assert client.get("/api/v1/status").json()["trading"]["level_name"] == "HALT_NEW"


def test_an_unchanged_status_answers_304_and_a_changed_one_200(client: Any, world: World) -> None:
    fill_the_world(world)
    first = client.get("/api/v1/status")
    tag = first["ETag"]
    assert tag.startswith('W/"')
    same = client.get("/api/v1/status", HTTP_IF_NONE_MATCH=tag)
    assert (same.status_code, same.content, same["ETag"]) == (304, b"", tag)
    TradingState.objects.update(level=Level.HALT_NEW)
    changed = client.get("/api/v1/status", HTTP_IF_NONE_MATCH=tag)
    assert changed.status_code == 200
    assert changed["ETag"] != tag


def test_the_status_tag_ignores_ages_only() -> None:
    old = {"at": "1", "workers": [{"age_s": 1.0, "beat_at": "a"}], "reconcile": {"lag_s": 5}}
    later = {"at": "2", "workers": [{"age_s": 9.0, "beat_at": "a"}], "reconcile": {"lag_s": 9}}
    beaten = {"at": "2", "workers": [{"age_s": 0.1, "beat_at": "b"}], "reconcile": {"lag_s": 9}}
    assert state_tag(old) == state_tag(later)
    assert state_tag(later) != state_tag(beaten)


def test_the_status_takes_a_constant_number_of_queries(world: World) -> None:
    fill_the_world(world)
    status_snapshot()
    with CaptureQueriesContext(connection) as few:
        status_snapshot()
    for number in range(20):
        world.decision(bar_open_at=now() - timedelta(minutes=number + 1))
        world.order()
        strategy = Strategy.objects.create(name=f"s{number}", kind="ma", updated_at=now())
        StrategyInstance.objects.create(strategy=strategy, account=world.account, instrument=world.btc)
        account = Account.objects.create(name=f"a{number}", venue=world.venue)
        ReconcileRun.objects.create(account=account, trigger="periodic", started_at=now())
    with CaptureQueriesContext(connection) as many:
        status_snapshot()
    assert len(many) == len(few)


def gauges() -> dict[str, dict[tuple[str, ...], float]]:
    def read(metric: Metric) -> dict[tuple[str, ...], float]:
        return {tuple(sample.labels.values()): sample.value for sample in metric.samples}

    return {metric.name: read(metric) for metric in trading_gauges()}


def test_gauges_are_read_from_the_rows(world: World) -> None:
    fill_the_world(world)
    read = gauges()
    assert read["equity_usd"][()] == 10_600
    assert read["exposure_usd"][()] == 600
    assert read["trading_enabled"][()] == 1
    assert read["trading_state"][()] == 0
    assert read["breaker_state"][("b", "global")] == 0
    assert read["mark_price_usd"][("BTCUSDT", "binance-spot")] == 60_000
    assert read["position_size"][("BTCUSDT", "binance-spot")] == 0.01
    assert read["reconcile_drift"][()] == 1
    assert 0 <= read["reconcile_lag_seconds"][()] < 60
    assert read["stream_age_seconds"][("market:binance-spot",)] == pytest.approx(2, abs=1)
    assert read["rate_limit_used_ratio"][("binance-spot", "weight")] == 0.25
    assert read["strategy_allocation_usd"][("trend",)] == 1000


def test_before_balances_are_loaded_no_equity_is_reported(world: World) -> None:
    Account.objects.update(opened_at=None, reconciled_at=None)
    read = gauges()
    assert read["snapshot_loaded"][()] == 0
    assert "equity_usd" not in read
    assert read["reconcile_lag_seconds"][()] == float("inf")


def test_every_trading_route_answers_at_its_name() -> None:
    assert reverse("api-orders") == "/api/v1/orders"
    assert reverse("api-strategies") == "/api/v1/strategy/"
