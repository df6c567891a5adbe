"""`manage.py backtest`: figures against a loop of ten lines, refusals, pieces."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

DATA = Path(__file__).resolve().parents[4].parent / "shared/data"
REAL = DATA / "klines_spot_1h/BTCUSDT_1h.csv.gz"
MEMBERS = (
    "strategy", "symbol", "interval", "bars", "start", "end", "params", "trades", "final_equity", "total_return",
    "max_drawdown", "sharpe", "win_rate", "fees", "exposure", "elapsed_s", "bars_per_s", "equity_sha256",
)  # fmt: skip
START = 1_700_002_800  # 2023-11-14 23:00 UTC


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any, db: None) -> Path:
    settings.NAUTILUS_HOME = tmp_path / "home"
    return tmp_path


def candles(count: int, seed: int = 5) -> list[tuple[str, str, str, str, str, str]]:
    """Hourly rows as a file has them, prices with two decimals."""
    rng = np.random.default_rng(seed)
    closes = np.round(2_000 * np.exp(np.cumsum(rng.normal(0, 0.01, count))), 2)
    opens = np.round(np.concatenate(([2_000.0], closes[:-1])) + rng.normal(0, 0.5, count), 2)
    rows = []
    for n, (o, c) in enumerate(zip(opens.tolist(), closes.tolist(), strict=True)):
        at = datetime.fromtimestamp(START + 3600 * n, UTC).strftime("%Y-%m-%d %H:%M:%S")
        rows.append((at, f"{o:.2f}", f"{max(o, c) + 1:.2f}", f"{min(o, c) - 1:.2f}", f"{c:.2f}", "12.5"))
    return rows


def stored(home: Path, rows: list[tuple[str, ...]], symbol: str = "ETHUSDT", market: str = "spot") -> None:
    path = home / "bars.csv"
    path.write_text("\n".join(["date,open,high,low,close,volume", *map(",".join, rows)]) + "\n")
    call_command(
        "klines", "import", str(path), "--symbol", symbol, "--interval", "1h", "--market", market,
        stdout=io.StringIO(),
    )  # fmt: skip


def backtest(*arguments: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command("backtest", *arguments, "--json", stdout=out, stderr=io.StringIO())
    members: dict[str, Any] = json.loads(out.getvalue())
    return members


def bare(
    rows: Iterator[tuple[float, float]],
    fast: int,
    slow: int,
    quantity: float,
    fee: float,
    slip: float,
    mode: str,
) -> tuple[int, float]:
    """Trade the crossing with as few lines as it takes; return round trips and final equity."""
    cash, held, wish, trips, closes = 100_000.0, 0.0, None, 0, []

    def trade(want: bool, price: float) -> None:
        nonlocal cash, held, trips
        if want and not held:
            paid = price * (1 + slip) * quantity
            cash, held = cash - paid * (1 + fee), quantity
        elif not want and held:
            got = price * (1 - slip) * quantity
            cash, held, trips = cash + got * (1 - fee), 0.0, trips + 1

    for opened, close in rows:
        if wish is not None and mode == "next_open":
            trade(wish, opened)
        closes.append(close)
        if len(closes) >= slow:
            gap = sum(closes[-fast:]) / fast - sum(closes[-slow:]) / slow
            wish = wish if gap == 0 else gap > 0
            if wish is not None and mode == "same_close":
                trade(wish, close)
    return trips, cash + held * closes[-1]


@pytest.mark.parametrize("mode", ["next_open", "same_close"])
def test_a_fixed_quantity_gives_the_trades_and_the_equity_of_a_bare_loop_to_the_cent(
    home: Path, mode: str
) -> None:
    rows = candles(600)
    stored(home, rows)
    found = backtest(
        "moving_average", "--symbol", "ETHUSDT", "--interval", "1h", "--param", "fast=5", "slow=13",
        "--quantity", "3.25", "--fee-bps", "10", "--slippage-bps", "2", "--fill", mode,
    )  # fmt: skip
    prices = ((float(row[1]), float(row[4])) for row in rows)
    trips, equity = bare(prices, 5, 13, 3.25, 0.001, 0.0002, mode)
    assert trips > 20
    assert found["trades"] == trips
    assert found["final_equity"] == pytest.approx(equity, abs=0.005)
    assert found["total_return"] == pytest.approx(equity / 100_000 - 1, abs=1e-7)


@pytest.mark.realdata
@pytest.mark.skipif(not REAL.exists(), reason="the recorded bars beside the checkout are not here")
@pytest.mark.parametrize("mode", ["next_open", "same_close"])
def test_recorded_hours_of_bitcoin_give_what_a_bare_loop_gives(mode: str) -> None:
    import gzip

    call_command(
        "klines", "import", str(REAL), "--symbol", "BTCUSDT", "--interval", "1h", stdout=io.StringIO()
    )
    found = backtest(
        "moving_average", "--symbol", "BTCUSDT", "--interval", "1h", "--param", "fast=20", "slow=50",
        "--quantity", "0.5", "--fee-bps", "10", "--fill", mode, "--long-only",
    )  # fmt: skip
    lines = gzip.decompress(REAL.read_bytes()).decode().splitlines()
    at = {name: n for n, name in enumerate(lines[0].split(","))}
    prices = (
        (float(cells[at["open"]]), float(cells[at["close"]])) for cells in (x.split(",") for x in lines[1:])
    )
    trips, equity = bare(prices, 20, 50, 0.5, 0.001, 0.0, mode)
    assert trips > 100
    assert (found["trades"], found["bars"]) == (trips, len(lines) - 1)
    assert found["final_equity"] == pytest.approx(equity, abs=0.005)


def test_the_json_has_exactly_the_members_of_the_contract(home: Path) -> None:
    stored(home, candles(80))
    found = backtest("moving_average", "--symbol", "ETHUSDT", "--interval", "1h")
    assert tuple(found) == MEMBERS
    assert found["params"] == {"fast": 9, "slow": 21, "allow_short": False}
    assert (found["bars"], found["start"]) == (80, "2023-11-14T23:00:00+00:00")


def test_the_same_inputs_give_the_same_digest_and_another_fee_another(home: Path) -> None:
    stored(home, candles(200))
    arguments = ("moving_average", "--symbol", "ETHUSDT", "--interval", "1h", "--param", "fast=3", "slow=8")
    first, second = backtest(*arguments), backtest(*arguments)
    assert first["equity_sha256"] == second["equity_sha256"]
    assert backtest(*arguments, "--fee-bps", "11")["equity_sha256"] != first["equity_sha256"]


def test_a_span_is_cut_at_the_given_times(home: Path) -> None:
    stored(home, candles(100))
    found = backtest(
        "moving_average", "--symbol", "ETHUSDT", "--interval", "1h",
        "--start", "2023-11-15", "--end", "2023-11-16T12:00",
    )  # fmt: skip
    assert (found["bars"], found["start"]) == (36, "2023-11-15T00:00:00+00:00")


def test_a_strategy_from_a_file_runs(home: Path) -> None:
    stored(home, candles(50))
    file = home / "always.py"
    file.write_text(
        "from dataclasses import dataclass\n"
        "from trading.domain.strategies import Desired, Strategy, parameter\n"
        "@dataclass(frozen=True)\n"
        "class P:\n"
        "    part: float = parameter(1.0, ge=0.0, le=1.0)\n"
        "class Always(Strategy):\n"
        "    name = 'always'\n"
        "    Params = P\n"
        "    def warmup(self, params): return 1\n"
        "    def initial(self, params): return None\n"
        "    def step(self, params, state, observation): return state, Desired(params.part)\n"
    )
    found = backtest(
        f"{file}:Always", "--symbol", "ETHUSDT", "--interval", "1h", "--quantity", "2", "--fee-bps", "0",
        "--param", "part=0.5",
    )  # fmt: skip
    rows = candles(50)
    gained = float(rows[-1][4]) - float(rows[1][1])  # one coin, bought at the open after the first close
    assert found["final_equity"] == pytest.approx(100_000 + gained, abs=1e-6)
    assert found["exposure"] == pytest.approx(49 / 51)  # the start and 50 closes, the first one flat


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("nonsense", "--symbol", "ETHUSDT", "--interval", "1h"), "UNKNOWN_STRATEGY"),
        (("moving_average", "--symbol", "XRPUSDT", "--interval", "1h"), "NO_BARS"),
        (("moving_average", "--symbol", "ETHUSDT", "--interval", "1h", "--start", "2031-01-01"), "NO_BARS"),
        (("moving_average", "--symbol", "ETHUSDT", "--interval", "1h", "--param", "fast=99"), "BAD_PARAMETER"),
        (("moving_average", "--symbol", "ETHUSDT", "--interval", "1h", "--param", "quick=9"), "BAD_PARAMETER"),
        (
            ("moving_average", "--symbol", "ETHUSDT", "--interval", "1h", "--fill", "same_close",
             "--latency-bars", "1"),
            "BAD_REQUEST",
        ),
    ],
)  # fmt: skip
def test_a_wrong_request_is_refused_with_a_code(home: Path, arguments: tuple[str, ...], code: str) -> None:
    stored(home, candles(60))
    with pytest.raises(CommandError, match=code) as refused:
        backtest(*arguments)
    assert refused.value.returncode == 1


def test_a_perpetual_may_be_short_and_pays_funding(home: Path) -> None:
    rows = candles(60)
    stored(home, rows, market="usdm")
    file = home / "funding.csv"
    first = START * 1000
    file.write_text(f"time,rate\n{first + 8 * 3_600_000},0.0001\n{first + 16 * 3_600_000},-0.0002\n")
    arguments = (
        "moving_average", "--symbol", "ETHUSDT.P", "--interval", "1h", "--param", "fast=2", "slow=4",
        "allow_short=true", "--quantity", "1", "--fee-bps", "0",
    )  # fmt: skip
    without, paid = backtest(*arguments), backtest(*arguments, "--funding", str(file))
    opens = [float(row[1]) for row in rows]
    fast = [np.mean([float(r[4]) for r in rows[k - 2 : k]]) for k in (8, 16)]
    slow = [np.mean([float(r[4]) for r in rows[k - 4 : k]]) for k in (8, 16)]
    # Held through each funding time is what the bar before the last one decided.
    sides = []
    for k in (7, 15):
        quick, calm = (np.mean([float(r[4]) for r in rows[k - n : k]]) for n in (2, 4))
        sides.append(1 if quick > calm else -1)
    assert len(fast) == len(slow) == 2
    cost = sides[0] * opens[8] * 0.0001 - sides[1] * opens[16] * 0.0002
    assert without["final_equity"] - paid["final_equity"] == pytest.approx(cost, abs=1e-6)


def test_a_report_is_one_file(home: Path) -> None:
    stored(home, candles(200))
    page = home / "report.html"
    backtest("moving_average", "--symbol", "ETHUSDT", "--interval", "1h", "--report", str(page))
    assert "<html" in page.read_text(encoding="utf-8")[:200]


def test_two_symbols_of_fixed_size_on_one_account_make_what_each_makes_alone(home: Path) -> None:
    stored(home, candles(400))
    stored(home, candles(300, seed=9), symbol="BNBUSDT")
    common = ("--interval", "1h", "--quantity", "0.5", "--fee-bps", "10")
    one = backtest("moving_average", "--symbol", "ETHUSDT", *common, "--param", "fast=5", "slow=20")
    two = backtest("moving_average", "--symbol", "BNBUSDT", *common, "--param", "fast=3", "slow=9")
    both = backtest(
        "moving_average", "--symbol", "ETHUSDT", *common, "--param", "fast=5", "slow=20",
        "--also", "moving_average@bnb/usdt", "fast=3", "slow=9",
    )  # fmt: skip
    made = sum(members["final_equity"] - 100_000 for members in (one, two))
    assert both["final_equity"] - 100_000 == pytest.approx(made, abs=1e-6)
    assert (both["trades"], both["bars"]) == (one["trades"] + two["trades"], 700)
    assert both["fees"] == pytest.approx(one["fees"] + two["fees"])
    assert [(leg["symbol"], leg["share"]) for leg in both["legs"]] == [("ETHUSDT", 1.0), ("BNBUSDT", 1.0)]
    assert [s["trades"] for s in both["by_symbol"]] == [one["trades"], two["trades"]]


def test_legs_share_the_capital_and_more_than_all_of_it_is_refused(home: Path) -> None:
    stored(home, candles(200))
    stored(home, candles(200, seed=9), symbol="BNBUSDT")
    asked = ("moving_average", "--symbol", "ETHUSDT", "--interval", "1h", "--param", "fast=5", "slow=20")
    shared = backtest(
        *asked, "--also", "moving_average@BNBUSDT", "share=0.6", "--also", "moving_average@ETHUSDT"
    )
    assert [leg["share"] for leg in shared["legs"]] == [0.2, 0.6, 0.2]
    with pytest.raises(CommandError, match="shares sum to more"):
        backtest(*asked, "--share", "0.5", "--also", "moving_average@BNBUSDT", "share=0.6")
    with pytest.raises(CommandError, match="STRATEGY@SYMBOL"):
        backtest(*asked, "--also", "moving_average")
    with pytest.raises(CommandError, match="UNKNOWN_STRATEGY"):
        backtest(*asked, "--also", "nobody@BNBUSDT")
