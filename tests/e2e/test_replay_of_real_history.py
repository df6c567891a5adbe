"""Recorded Binance candles, end to end: bars, decisions, orders, fills, and equity moving on a real screen."""

from __future__ import annotations

import csv
import gzip
import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.chromium import chromium
from tests.browser.pages import HaltDialog, Site
from tests.e2e.oracle import agree
from tests.e2e.platform import ROOT, Platform, eventually

__all__ = ["chromium"]

CANDLES = ROOT.parent / "shared" / "data" / "klines_spot_1h"
SYMBOLS = ("BTCUSDT", "ETHUSDT")

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.realdata,
    pytest.mark.long,
    pytest.mark.skipif(not CANDLES.is_dir(), reason="the recorded candles are not beside the checkout"),
]


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    """A platform whose market is the recorded one, an hour every six seconds."""
    with tempfile.TemporaryDirectory(prefix="nautilus-replay-") as folder:
        candles = Path(folder) / "candles"
        candles.mkdir()
        for symbol in SYMBOLS:
            name = f"{symbol}_1h.csv.gz"
            (candles / name).symlink_to(CANDLES / name)
        running = Platform(Path(folder) / "home", {"REPLAY": str(candles)})
        try:
            running.start()
            yield running
        finally:
            if running.process is not None and running.process.poll() is None:
                running.stop()


def recorded(symbol: str) -> dict[int, tuple[Decimal, ...]]:
    """Open time in seconds -> open, high, low, close of the recording."""
    with gzip.open(CANDLES / f"{symbol}_1h.csv.gz", "rt") as file:
        return {
            int(datetime.fromisoformat(row["date"]).replace(tzinfo=UTC).timestamp()): tuple(
                Decimal(row[name]) for name in ("open", "high", "low", "close")
            )
            for row in csv.DictReader(file)
        }


def fills(platform: Platform, symbol: str) -> list[dict[str, str]]:
    return list(platform.get(f"/api/v1/fills?symbol={symbol}").body["results"])


def test_both_symbols_trade_their_real_history(platform: Platform) -> None:
    for symbol in SYMBOLS:
        fill = eventually(lambda s=symbol: fills(platform, s), within_s=150, what=f"a fill of {symbol}")[0]
        history = recorded(symbol)
        hour = int(datetime.fromisoformat(fill["at"]).timestamp()) // 3600 * 3600
        _, high, low, _ = history[hour]
        # A fill pays at most the spread of the paper market beyond what the real hour traded at.
        assert low * Decimal("0.999") <= Decimal(fill["price"]) <= high * Decimal("1.001")
    agree(platform, within_s=45)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_bars_closed_while_streaming_are_the_recorded_candles_to_the_last_digit(
    platform: Platform, symbol: str
) -> None:
    first = platform.get("/api/v1/decisions").body["results"][-1]["bar_open_at"]
    started = int(datetime.fromisoformat(first).timestamp())

    def streamed() -> list[dict[str, str]]:
        rows = platform.get(f"/api/v1/bars?symbol={symbol}&interval=1h&limit=100").body["results"]
        return [row for row in rows if int(row["time"]) > started]

    rows = eventually(
        lambda: found if len(found := streamed()) >= 3 else None, within_s=60, what="three bars"
    )
    history = recorded(symbol)
    for row in rows:
        ours = tuple(Decimal(row[name]) for name in ("open", "high", "low", "close"))
        assert ours == history[int(row["time"])], row["time"]


def test_the_session_and_the_backtest_of_its_bars_decide_the_same(platform: Platform) -> None:
    # Several bars closed while it ran; each decision was made by a worker, from a memory kept in the database.
    eventually(
        lambda: len(platform.everything("/api/v1/decisions?strategy=moving_average")) >= 4 * len(SYMBOLS),
        within_s=120,
        what="four decisions of each symbol",
    )
    done = platform.command("parity", "moving_average", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {row["symbol"]: row for row in json.loads(done.stdout)["instances"]}
    assert set(found) == set(SYMBOLS)
    for symbol, row in found.items():
        assert row["differences"] == [], symbol
        assert row["same"] == row["compared"] >= 4, symbol
        assert row["skipped"] == {}, symbol
        result = {name: Decimal(value) for name, value in row["result"].items()}
        parts = ("signal", "latency", "fill", "fee", "carried")
        assert result["signal"] == 0
        assert sum(result[name] for name in parts) == result["difference"]


def test_workers_run_a_backtest_and_a_sweep_that_were_asked_for_by_http(platform: Platform) -> None:
    candles = str(CANDLES / "BTCUSDT_1h.csv.gz")
    imported = platform.command("klines", "import", candles, "--symbol", "BTCUSDT", "--interval", "1h")
    assert imported.returncode == 0, imported.stderr
    question = {"strategy": "moving_average", "symbol": "BTCUSDT", "interval": "1h"}
    one = {**question, "params": {"fast": 20, "slow": 50}}
    sweep = {**question, "grid": ["fast=10:30:10", "slow=50:100:50"], "end": "2022-01-01T00:00:00Z"}
    asked = [platform.request("POST", "/api/v1/backtests", body) for body in (one, sweep)]
    assert [answer.status for answer in asked] == [202, 202]

    def over(uid: str) -> dict[str, Any] | None:
        body = platform.get(f"/api/v1/backtests/{uid}").body
        assert body["state"] not in ("failed", "canceled"), body["error"]
        return body if body["state"] == "done" else None

    jobs = [eventually(lambda a=a: over(a.body["id"]), within_s=120, what="the job's end") for a in asked]
    words = ("backtest", "moving_average", "--symbol", "BTCUSDT", "--interval", "1h")
    same = platform.command(*words, "--param", "fast=20", "slow=50", "--json")
    assert json.loads(same.stdout)["equity_sha256"] == jobs[0]["figures"]["equity_sha256"]
    assert (jobs[1]["done"], jobs[1]["figures"]["trials"]) == (6, 6)


def test_a_person_logs_in_sees_equity_and_fills_move_and_halts(platform: Platform, chromium: Browser) -> None:
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    site = Site(context.new_page(), platform.url)
    try:
        site.log_in("trader", platform.credentials("trader")["password"])
        banner = site.page.get_by_text("LOCAL", exact=True).first
        expect(banner).to_be_visible()
        equity = site.tile("equity")
        before = equity.inner_text()
        expect(equity).not_to_have_text(before, timeout=60_000)
        # The strategy may hold for hours of history; a person's own order fills now. At this pace ten minutes of
        # history pass in a second, so the price may leave an order's collar before it arrives: then he asks again.
        asked: list[str] = []

        def filled() -> list[dict[str, Any]]:
            known = [f for f in fills(platform, "ETHUSDT") if f["order_id"] in asked]
            if not known:
                placed = platform.order(
                    f"seen-on-screen-{len(asked)}",
                    symbol="ETHUSDT",
                    side="BUY",
                    type="MARKET",
                    quote_quantity="50",
                )
                if placed.status == 201:
                    asked.append(placed.body["id"])
            return known

        latest = eventually(filled, within_s=30, what="the fill of a person's order", every_s=2.0)[0]["id"]
        expect(site.row("fills", str(latest))).to_be_visible(timeout=10_000)
        halt = HaltDialog(site)
        halt.open_by_key()
        halt.confirm_by_key()
        expect(halt.result).to_contain_text("0 open orders", timeout=30_000)
        halt.close()
        expect(site.trading).not_to_contain_text("Trading is on")
        assert site.complaints == []
    finally:
        context.close()
    agree(platform)
