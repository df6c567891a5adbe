"""A symbol listed at the paper exchange while the platform runs: granted, found, bought, guarded, sold, left alone."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest

from tests.e2e.oracle import agree
from tests.e2e.platform import Platform, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.long]

# As fast as the clock: the watch for listings looks every 15 s, and an entry is late after 180 s of the market.
SETTINGS = {"TESTNET_SPEED": "1"}
NAME, SYMBOL = "sniper", "NEWUSDT"


def asked(platform: Platform, path: str, **body: Any) -> dict[str, Any]:
    """Ask as the trader; where that takes a second person, approve as one."""
    answer = platform.request(
        "POST", f"/api/v1/strategy/{path}", {**body, "reason": "test"},
        headers={"Idempotency-Key": str(uuid.uuid4())},
    )  # fmt: skip
    assert answer.status in (200, 201, 202), answer.body
    if answer.status == 202:
        decided = platform.session("risk2").post(
            f"/api/v1/approvals/{answer.body['id']}/approve", {"note": "test"}
        )
        assert decided.status == 200, decided.body
    return dict(answer.body)


def instance(platform: Platform) -> dict[str, Any]:
    rows = platform.get(f"/api/v1/strategy/{NAME}").body["instances"]
    return next((row for row in rows if row["symbol"] == SYMBOL), {})


def orders(platform: Platform, **members: str) -> list[dict[str, Any]]:
    rows = platform.everything(f"/api/v1/orders?symbol={SYMBOL}")
    return [row for row in rows if all(row[name] == value for name, value in members.items())]


def test_a_listing_is_bought_under_its_grant_guarded_at_the_exchange_and_sold_when_it_falls(
    platform: Platform,
) -> None:
    asked(platform, "", name=NAME, kind="listing_sniper", interval="1m", parameters={"enabled": True})
    asked(platform, f"{NAME}/enable")
    asked(platform, f"{NAME}/listings", account="paper-spot", allocation="500", per_day=1)
    platform.testnet("POST", "symbols", {"symbol": SYMBOL, "action": "list", "price": "10"})
    bought = eventually(
        lambda: orders(platform, side="BUY", status="FILLED"), within_s=180, what="it is bought", every_s=1.0
    )[0]
    spent = Decimal(bought["executed_quantity"]) * Decimal(bought["average_price"])
    assert spent <= Decimal(500) * Decimal("0.0625") * Decimal("1.01"), (
        "what its stop may lose of its capital"
    )
    stop = eventually(
        lambda: orders(platform, type="STOP_MARKET", status="NEW"), within_s=60, what="its stop rests"
    )[0]
    resting = [row for row in platform.venue_ledger()["orders"] if row["symbol"] == SYMBOL]
    assert stop["client_order_id"] in {row["client_order_id"] for row in resting}
    path = [[0, float(bought["average_price"])], [3, 8.5], [600, 8.5]]
    platform.testnet("POST", "market", {"symbol": SYMBOL, "path": path})
    sold = eventually(lambda: orders(platform, side="SELL", status="FILLED"), within_s=60, what="it is sold")
    # By the exchange, once somebody has traded below the stop; where the book is there first, by the strategy.
    assert [row["type"] for row in sold] in (["STOP_MARKET"], ["MARKET"])
    eventually(
        lambda: not [row for row in orders(platform) if row["status"] not in ("FILLED", "CANCELED", "EXPIRED")],
        within_s=60, what="nothing rests any more",
    )  # fmt: skip
    ended = eventually(
        lambda: found if (found := instance(platform))["target"] == 0 else None,
        within_s=60,
        what="it is over",
    )
    assert ended["last_decision"]["reason"] in ("STOP", "CLOSED", "HELD")
    assert len(orders(platform, side="BUY")) == 1
    # One a day was granted and one was bought.
    platform.testnet("POST", "symbols", {"symbol": "TOOUSDT", "action": "list", "price": "10"})
    eventually(
        lambda: platform.get("/api/v1/symbols/TOOUSDT").status == 200, within_s=60, what="the next is known"
    )
    done = platform.command("parity", NAME, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {row["symbol"] for row in platform.get(f"/api/v1/strategy/{NAME}").body["instances"]} == {SYMBOL}
    agree(platform, within_s=60)
