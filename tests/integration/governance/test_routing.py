"""The router on trading's own rows: weights, regimes, orderly exits, signals, and who may change what."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from rest_framework.test import APIClient

from governance.models import RoutingDecision
from governance.selectors.policies import version_in_force
from governance.services.routing import routing_run
from governance.tasks import routing_tick
from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry, ChangeRequest, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.trading import Desk, trading_desk
from tests.integration.governance.conftest import in_force
from trading.models import Decision, Position, StrategyInstance, SubPosition
from trading.services.planning import plan_refresh

Clients = Callable[..., APIClient]
PATH = "/api/v1/strategy/weights"


def weight(desk: Desk, name: str = "trend", symbol: str = "BTCUSDT") -> Decimal:
    return StrategyInstance.objects.get(pk=desk.instances[f"{name}:{symbol}"].pk).weight


def regime_told(desk: Desk, age_s: float = 0, **probabilities: float) -> None:
    decision = desk.decide(0.0, strategy="swing")
    Decision.objects.filter(pk=decision.pk).update(
        features={f"p_{name}": value for name, value in probabilities.items()} | {"certainty": 0.5},
        decided_at=now() - timedelta(seconds=age_s),
    )


def halved(desk: Desk) -> None:
    """Every instance at half, so that two strategies fill their symbols."""
    StrategyInstance.objects.update(weight=Decimal("0.5"))


def test_a_set_is_in_force_when_it_is_activated_and_every_change_is_written_down(desk: Desk) -> None:
    halved(desk)
    in_force("strategy_weights", weights={"trend": "0.4", "trend:ETHUSDT": "0.1"})
    assert [weight(desk, symbol=s) for s in ("BTCUSDT", "ETHUSDT")] == [Decimal("0.4"), Decimal("0.1")]
    assert weight(desk, "swing") == Decimal("0.5")
    rows = RoutingDecision.objects.filter(symbol="ETHUSDT")
    assert [(r.strategy, r.before, r.weight, r.rule) for r in rows] == [
        ("trend", Decimal("0.5"), Decimal("0.1"), "set")
    ]
    audited = AuditEntry.objects.filter(
        action="strategy.weight_changed", target__endswith=str(desk.instances["trend:ETHUSDT"].pk)
    )
    assert [(e.actor_name, e.before, e.after) for e in audited] == [
        ("router by strategy_weights@1", "0.5", "0.1")
    ]
    routing_tick()
    assert RoutingDecision.objects.count() == 3  # nothing new


def test_the_regime_of_the_symbol_moves_the_weight_and_a_stale_one_lowers_it(desk: Desk) -> None:
    halved(desk)
    regime_told(desk, bull=0.75, bear=0.25)
    regimes = {"trend": {"source": "swing", "factors": {"bull": 1, "bear": 0}}}
    in_force("strategy_weights", weights={"trend": "0.4"}, regimes=regimes, regime_max_age_sec=60)
    assert weight(desk) == Decimal("0.3")
    assert weight(desk, symbol="ETHUSDT") == 0  # nobody told the regime there: the lowest factor
    row = RoutingDecision.objects.get(symbol="BTCUSDT")
    assert (row.rule, row.regime) == ("regime", {"bull": 0.75, "bear": 0.25})
    regime_told(desk, bull=1.0, bear=0.0)
    routing_run()
    assert weight(desk) == Decimal("0.4")  # never above what was approved
    Decision.objects.update(decided_at=now() - timedelta(seconds=61))
    routing_run()
    assert weight(desk) == 0
    assert RoutingDecision.objects.filter(symbol="BTCUSDT").latest("id").rule == "regime_unknown"


def test_a_decision_from_before_the_clock_was_put_back_tells_no_regime(desk: Desk) -> None:
    halved(desk)
    regime_told(desk, age_s=-3600, bull=1.0, bear=0.0)
    regimes = {"trend": {"source": "swing", "factors": {"bull": 1, "bear": "0.4", "crash": "0.2"}}}
    in_force("strategy_weights", weights={"trend": "0.5"}, regimes=regimes)
    assert weight(desk) == Decimal("0.1"), "how old it is nobody knows"
    # Clocks of two hosts differ by so much: of two decisions the one written last is the newer.
    Decision.objects.update(decided_at=now() + timedelta(seconds=2))
    regime_told(desk, bull=0.0, bear=1.0)
    routing_run()
    assert weight(desk) == Decimal("0.2")


def test_nobody_alone_takes_a_strategy_out_of_reach_of_its_regime(
    desk: Desk, risk_officer: User, token_client: Clients
) -> None:
    halved(desk)
    regime_told(desk, bull=1.0, bear=0.0)
    regimes = {"trend": {"source": "swing", "factors": {"bull": 1, "bear": "0.2"}}}
    document = {"weights": {"trend": "0.5"}, "regimes": regimes, "band": "0.05"}
    in_force("strategy_weights", **document)
    api = token_client(risk_officer, scopes=["read", "limits.tighten", "risk.propose"])

    def put(**changes: Any) -> int:
        body = {"document": {**document, **changes}, "reason": "less noise"}
        return api.put("/api/v1/policies/strategy_weights", body, format="json").status_code

    assert [put(regimes={}), put(weights={}), put(band=0)] == [202, 202, 202]
    # One alone may have rises wait longer; what the regime takes waits for nothing.
    assert put(band=1) == 200
    regime_told(desk, bull=0.0, bear=1.0)
    routing_run()
    assert weight(desk) == Decimal("0.1")


def test_zero_weight_sells_what_the_strategy_has(db: None) -> None:
    desk = trading_desk(balances={"USDT": "100000", "BTC": "0.05"})
    position = (
        desk.position()
        if Position.objects.exists()
        else Position.objects.create(account=desk.account, instrument=desk.btc)
    )
    Position.objects.filter(pk=position.pk).update(quantity=Decimal("0.05"), cost=3000)
    SubPosition.objects.create(position=position, owner="trend", quantity=Decimal("0.05"), cost=3000)
    desk.decide(1.0)
    assert plan_refresh(account_id=desk.account.pk, instrument_id=desk.btc.pk) == []  # it holds what it wants
    in_force("strategy_weights", weights={"trend": 0})
    sold = plan_refresh(account_id=desk.account.pk, instrument_id=desk.btc.pk)
    assert [(order.side, order.quantity, order.strategy.name) for order in sold if order.strategy] == [
        ("SELL", Decimal("0.05"), "trend")
    ]


def test_zero_weight_takes_back_an_entry_that_has_not_traded(desk: Desk) -> None:
    desk.decide(1.0)
    bought = plan_refresh(account_id=desk.account.pk, instrument_id=desk.btc.pk)
    assert [order.side for order in bought] == ["BUY"]
    in_force("strategy_weights", weights={"trend": 0})
    assert plan_refresh(account_id=desk.account.pk, instrument_id=desk.btc.pk) == []
    bought[0].refresh_from_db()
    assert bought[0].cancel_requested_at is not None or bought[0].status == "CANCELED"


def test_lowering_is_one_persons_at_once_and_raising_takes_two(
    desk: Desk, trader: User, viewer: User, risk_officer: User, token_client: Clients
) -> None:
    """W84: the earlier route answered 403 always, because its file lacked a member."""
    halved(desk)
    api = token_client(trader)
    lowered = api.post(PATH, {"weights": {"trend": "0.3"}, "reason": "on trial"}, format="json")
    assert lowered.status_code == 202  # no set was ever in force: the first one takes two
    change_request_approve(request_id=lowered.json()["id"], approver=risk_officer)
    assert weight(desk) == Decimal("0.3")
    lowered = api.post(PATH, {"weights": {"trend": "0.2"}, "reason": "less"}, format="json")
    assert (lowered.status_code, lowered.json()["weights"]["trend"]) == (200, "0.2")
    assert weight(desk) == Decimal("0.2")
    raised = api.post(PATH, {"weights": {"trend": "0.5"}, "reason": "more"}, format="json")
    assert (raised.status_code, raised.json()["kind"]) == (202, "policy.activate")
    assert weight(desk) == Decimal("0.2")
    request = ChangeRequest.objects.get(pk=raised.json()["id"])
    assert request.diff == {"weights.trend": ["0.2", "0.5"]}
    assert "weights.trend:BTCUSDT" in request.effect["allows_more"]
    change_request_approve(request_id=request.pk, approver=risk_officer)
    assert weight(desk) == Decimal("0.5")
    assert (
        token_client(viewer).post(PATH, {"weights": {"trend": 0}, "reason": "x"}, format="json").status_code
        == 403
    )
    version = version_in_force("strategy_weights")
    assert version is not None
    assert api.get(PATH).json()["version"] == version.number == 3


@pytest.mark.parametrize(
    ("weights", "status", "code"),
    [
        ({"nobody": "0.1"}, 404, "UNKNOWN_STRATEGY"),
        ({"trend": "1.5"}, 400, "INVALID_POLICY"),
        ({"trend": "-0.1"}, 400, "INVALID_POLICY"),
        ({"trend": "0.6"}, 400, "WEIGHTS_ABOVE_ONE"),
        ({"trend": "x"}, 400, "VALIDATION"),
        ({}, 400, "VALIDATION"),
    ],
)
def test_weights_that_cannot_be_are_refused(
    desk: Desk, trader: User, token_client: Clients, weights: dict[str, Any], status: int, code: str
) -> None:
    halved(desk)
    answer = token_client(trader).post(PATH, {"weights": weights, "reason": "x"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.json()
    assert weight(desk) == Decimal("0.5")


def signal(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": name,
        "at": now().isoformat(),
        "account": "desk",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "quantity": "0.01",
        "price": "60000",
        "strategy": "trend",
        **changes,
    }


def test_signals_of_a_strategy_share_its_capital_on_the_symbol(
    desk: Desk, trader: User, token_client: Clients
) -> None:
    """W84: the earlier quota was per signal, so n signals could have n times it."""
    halved(desk)  # 3,000 at a half: 1,500 at a mid of 60,000 is 0.025
    api = token_client(trader)
    route = "/api/v1/strategy/signal"
    answers = [api.post(route, signal(f"s{n}", price=f"{60000 + n}"), format="json") for n in range(3)]
    assert [a.status_code for a in answers] == [201, 201, 422]
    refused = answers[2].json()
    assert (refused["code"], refused["rail"], refused["measured"], refused["limit"]) == (
        "EXPOSURE_STRATEGY",
        "strategy_capital",
        "1800",
        "1500",
    )
    # Told again it is still the first order, whatever the capital is by now.
    StrategyInstance.objects.update(weight=0)
    assert api.post(route, signal("s0"), format="json").status_code == 200
    none = api.post(route, signal("s9", quantity="0.001"), format="json")
    assert (none.status_code, none.json()["limit"]) == (422, "0")


def test_a_strategy_has_nothing_to_signal_with_where_it_has_no_grant(
    desk: Desk, trader: User, token_client: Clients
) -> None:
    desk.instances["trend:BTCUSDT"].delete()
    api = token_client(trader)
    refused = api.post("/api/v1/strategy/signal", signal("none"), format="json")
    assert (refused.status_code, refused.json()["code"], refused.json()["limit"]) == (
        422,
        "EXPOSURE_STRATEGY",
        "0",
    )
    by_hand = {**signal("hand"), "strategy": ""}
    by_hand.pop("strategy")
    assert api.post("/api/v1/strategy/signal", by_hand, format="json").status_code == 201


def test_router_and_its_routes_say_what_was_decided(desk: Desk, viewer: User, token_client: Clients) -> None:
    halved(desk)
    in_force("strategy_weights", weights={"trend": "0.4"}, canaries=["trend"], max_canary_weight="0.1")
    api = token_client(viewer)
    rows = api.get("/api/v1/strategy/routing?symbol=BTCUSDT").json()["results"]
    assert [(r["base"], r["weight"], r["rule"]) for r in rows] == [("0.4", "0.1", "canary")]
    told = api.get(PATH).json()
    assert told["weights"] == {"trend": "0.1", "swing": "0.5"}
    mine = next(r for r in told["in_force"] if (r["strategy"], r["symbol"]) == ("trend", "BTCUSDT"))
    assert (mine["weight"], mine["base"], mine["rule"]) == ("0.1", "0.4", "canary")
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        RoutingDecision.objects.update(weight=1)


def test_promotion_by_tag_asks_or_says_that_there_is_no_such_model(
    db: None, model_owner: User, trader: User, token_client: Clients
) -> None:
    """W85: the earlier route answered ok and set a string."""
    body = {"model_tag": "hmm-btcusdt-1h@3", "reason": "better"}
    answer = token_client(model_owner).post("/api/v1/strategy/promote", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (404, "UNKNOWN_MODEL")
    assert token_client(trader).post("/api/v1/strategy/promote", body, format="json").status_code == 403
    for tag in ("x", "x@", "@1", "x@99999999999999999999", "x@²"):
        answer = token_client(model_owner).post(
            "/api/v1/strategy/promote", {**body, "model_tag": tag}, format="json"
        )
        assert answer.status_code == 404, tag
