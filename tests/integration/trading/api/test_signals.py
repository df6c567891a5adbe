"""Signal intake: schema, age, once, and the same rails as any other order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from nautilus_site.common.clock import now
from nautilus_site.common.models import User
from tests.factories.trading import Desk, trading_desk
from trading.models import Order

TokenClient = Callable[..., APIClient]


@pytest.fixture
def desk(db: None) -> Desk:
    return trading_desk()


def signal(**changes: Any) -> dict[str, Any]:
    return {
        "id": "s1",
        "at": now().isoformat(),
        "account": "desk",
        "symbol": "btc/usdt",
        "side": "BUY",
        "type": "LIMIT",
        "quantity": "0.001",
        "price": "60000",
        **changes,
    }


def test_a_signal_becomes_one_order_however_often_it_is_told(
    desk: Desk, trader: User, token_client: TokenClient
) -> None:
    client = token_client(trader)
    first = client.post("/api/v1/strategy/signal", signal(), format="json")
    again = client.post("/api/v1/strategy/signal", signal(), format="json")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert Order.objects.count() == 1


@pytest.mark.parametrize("age_s", [11, -3])
def test_a_signal_that_is_not_of_now_is_refused(
    desk: Desk, trader: User, token_client: TokenClient, age_s: float
) -> None:
    at = (now() - timedelta(seconds=age_s)).isoformat()
    answer = token_client(trader).post("/api/v1/strategy/signal", signal(at=at), format="json")
    assert (answer.status_code, answer.json()["code"]) == (422, "DECISION_EXPIRED")
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    "changes", [{"id": None}, {"quantity": 0.001}, {"limit": "1"}, {"account": None}, {"side": "LONG"}]
)
def test_what_is_no_signal_is_refused(
    desk: Desk, trader: User, token_client: TokenClient, changes: dict[str, Any]
) -> None:
    answer = token_client(trader).post("/api/v1/strategy/signal", signal(**changes), format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_SIGNAL")
    assert not Order.objects.exists()


def test_the_rails_judge_it_like_any_other_order(desk: Desk, trader: User, token_client: TokenClient) -> None:
    desk.limit(max_notional=10)
    answer = token_client(trader).post("/api/v1/strategy/signal", signal(), format="json")
    assert (answer.status_code, answer.json()["code"]) == (422, "NOTIONAL_ABOVE_MAX")


def test_a_viewer_and_a_forged_token_may_not_signal(
    desk: Desk, viewer: User, token_client: TokenClient
) -> None:
    assert token_client(viewer).post("/api/v1/strategy/signal", signal(), format="json").status_code == 403
    forged = APIClient()
    forged.credentials(HTTP_AUTHORIZATION="Bearer forged")
    assert forged.post("/api/v1/strategy/signal", signal(), format="json").status_code == 401
    assert not Order.objects.exists()
