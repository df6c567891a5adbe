"""kill -9 in the middle of a load of every kind of order: what was acknowledged is still there."""

from __future__ import annotations

import signal
import threading
import time
import urllib.error
from decimal import Decimal
from pathlib import Path
from typing import Any

from ..exchange_process import Process


def load(process: Process, bid: Decimal, acknowledged: list[dict[str, Any]], stop: threading.Event) -> None:
    """Place orders and lists one after another; remember each that was answered."""
    number = 0
    while not stop.is_set():
        number += 1
        low, high = f"{bid * Decimal('0.9'):.2f}", f"{bid * Decimal('1.1'):.2f}"
        common = {"symbol": "BTCUSDT", "quantity": "0.001"}
        try:
            if number % 4 == 0:
                body = process.signed(
                    "POST",
                    "/api/v3/orderList/oco",
                    **common,
                    side="SELL",
                    aboveType="LIMIT_MAKER",
                    abovePrice=high,
                    belowType="STOP_LOSS",
                    belowStopPrice=low,
                )
                acknowledged += body["orderReports"]
                which = {"symbol": "BTCUSDT", "orderListId": body["orderListId"]}
                if number % 8 == 0:
                    gone = process.signed("DELETE", "/api/v3/orderList", **which)
                    acknowledged += gone["orderReports"]
                continue
            kind: dict[str, str] = (
                {"type": "MARKET", "side": "BUY"}
                if number % 4 == 1
                else {"type": "LIMIT", "timeInForce": "GTC", "side": "BUY", "price": low}
            )
            body = process.signed("POST", "/api/v3/order", **common, **kind)
            acknowledged.append(body)
            if number % 4 == 2:
                which = {"symbol": "BTCUSDT", "orderId": body["orderId"]}
                acknowledged.append(process.signed("DELETE", "/api/v3/order", **which))
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if process.process.poll() is not None or stop.is_set():
                return


def test_everything_acknowledged_before_a_kill_9_is_there_afterwards(tmp_path: Path) -> None:
    data_dir = tmp_path / "state"
    first = Process(data_dir, "--speed", "5", "--no-rate-limits")
    acknowledged: list[dict[str, Any]] = []
    stop = threading.Event()
    try:
        first.wait_ready()
        bid = Decimal(first.get("/api/v3/depth?symbol=BTCUSDT&limit=5")["bids"][0][0])
        worker = threading.Thread(target=load, args=(first, bid, acknowledged, stop))
        worker.start()
        deadline = time.monotonic() + 20
        while len(acknowledged) < 60 and time.monotonic() < deadline:
            time.sleep(0.02)
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(5)
        stop.set()
        worker.join(10)
    finally:
        first.process.kill()
    assert len(acknowledged) >= 60
    second = Process(data_dir, "--speed", "1", "--no-rate-limits")
    try:
        second.wait_ready()
        ledger = second.get("/testnet/v1/ledger?account_id=demo")
        open_lists = second.signed("GET", "/api/v3/openOrderList")
        open_orders = second.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT")
    finally:
        second.process.kill()
    orders = {order["order_id"]: order for order in ledger["orders"] if order["market"] == "spot"}
    # The last word on each order is what must have survived; at most one request was under way.
    last = {answer["orderId"]: answer for answer in acknowledged}
    assert set(last) <= set(orders)
    differing = [
        (answer, orders[order_id])
        for order_id, answer in last.items()
        if (answer.get("status"), answer.get("executedQty"))
        != (orders[order_id]["status"], orders[order_id]["executed_qty"])
        and "status" in answer
    ]
    assert len(differing) <= 2, differing
    fills = sum(Decimal(f["qty"]) for f in ledger["fills"] if f["market"] == "spot")
    assert fills == sum(Decimal(order["executed_qty"]) for order in orders.values())
    locked = {asset: Decimal(row["locked"]) for asset, row in ledger["balances"]["demo"]["spot"].items()}
    in_lists = {report["orderId"] for row in open_lists for report in row["orders"]}
    sales = len(open_lists) * Decimal("0.001")
    buys = sum(
        Decimal(order["price"]) * (Decimal(order["origQty"]) - Decimal(order["executedQty"]))
        for order in open_orders
        if order["orderId"] not in in_lists
    )
    assert (locked["BTC"], locked["USDT"]) == (sales, buys)
