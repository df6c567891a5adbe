"""Pieces of a run: progress, stopping, taking up again; which engine; recordings."""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from nautilus_site.common.errors import ApplicationError
from tests.fakes.instruments import exchange_info_entry, spot
from tests.property.backtest.markets import Erratic, ErraticParams, series
from trading.domain.backtest import Assignment, Inputs, Settings, run
from trading.domain.backtest.queueing import FillModel
from trading.domain.backtest.replay import ReplaySettings, sensitivity
from trading.domain.strategies import load_strategy, parameter
from trading.domain.strategies.compiled import ArrayStrategy, CompiledStep, numeric
from trading.services.backtests import backtest_run, running
from trading.services.backtests.tapes import tape_read

RECORDED = (
    Path(__file__).resolve().parents[4].parent / "shared/data/streams/hftbacktest_spot_btcusdt_20240808.gz"
)

MAKER = """
from dataclasses import dataclass
from trading.domain.strategies import Desired, Quotes, Strategy, parameter

@dataclass(frozen=True)
class Params:
    size: float = parameter(1.0, ge=0.0, unit="base", help="of each quote")

class Maker(Strategy):
    name = "maker"
    Params = Params
    def warmup(self, params): return 0
    def initial(self, params): return None
    def step(self, params, state, seen):
        return state, Desired(0.0, quotes=Quotes(seen.bid, params.size, seen.ask, 0.0))
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any) -> Path:
    settings.NAUTILUS_HOME = tmp_path / "home"
    return tmp_path


def erratic(bars: int = 300) -> Inputs:
    return Inputs([series(1, bars)], [Assignment("BTCUSDT", Erratic(), ErraticParams())], Settings())


def test_progress_is_told_and_a_stopped_run_is_taken_up_where_it_was(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "PIECE", 100)
    told: list[tuple[int, int]] = []
    saved = home / "run.json"
    first = backtest_run(
        erratic(),
        engine="python",
        progress=lambda done, total: told.append((done, total)),
        stop=lambda: len(told) >= 2,
        checkpoint=saved,
    )
    assert (first.result.complete, told) == (False, [(100, 300), (200, 300)])
    assert len(first.result.series[0]) == 200
    second = backtest_run(erratic(), engine="python", checkpoint=saved)
    assert second.result.sha256 == run(erratic()).sha256
    assert not saved.exists()


def test_a_checkpoint_of_another_run_is_refused_and_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "PIECE", 100)
    saved = home / "run.json"
    backtest_run(erratic(), engine="python", stop=lambda: True, checkpoint=saved)
    before = saved.read_text()
    with pytest.raises(ApplicationError) as refused:
        backtest_run(erratic(200), engine="python", checkpoint=saved)
    assert refused.value.code == "BAD_CHECKPOINT"
    assert saved.read_text() == before


def test_the_compiled_engine_keeps_its_code_in_the_home_and_gives_the_same_bytes(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numba = pytest.importorskip("numba", reason="the compiled engine needs numba")
    from trading.domain.backtest import machine

    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    machine.compiled_run.cache_clear()
    machine.compiled_step.cache_clear()
    finished = backtest_run(erratic(), engine="compiled")
    assert finished.engine == "compiled"
    assert finished.result.sha256 == run(erratic()).sha256
    assert list((home / "home/numba").rglob("*.nbc"))


def test_a_run_the_compiled_engine_cannot_take_says_why(home: Path) -> None:
    pytest.importorskip("numba", reason="the compiled engine needs numba")
    inputs = erratic()
    slower = Inputs(inputs.series, inputs.assignments, inputs.settings, slower=("1h",))
    with pytest.raises(ApplicationError, match="slower bars"):
        backtest_run(slower, engine="compiled")


@numeric
def blend(old: float, new: float, share: float) -> float:
    """Return an exponential mean."""
    return old + share * (new - old)


def follow_step(
    params: Any, state: Any, now_ns: int, open_price: float, high: float, low: float, close: float,
    volume: float, position: float, average_price: float, unrealized: float,
) -> tuple[int, float, float, float, float]:  # fmt: skip
    """Hold while the close is above its exponential mean."""
    state[0] = close if state[0] == 0.0 else blend(state[0], close, params[0])
    return 1, 1.0 if close > state[0] else 0.0, 0.0, 0.0, 0.0


@dataclass(frozen=True)
class FollowParams:
    """Weight of the newest close."""

    share: float = parameter(0.1)


class Follow(ArrayStrategy):
    """One source for both engines, with a function of its own."""

    name = "follow"
    Params = FollowParams
    compiled = CompiledStep(follow_step, lambda p: (p.share,), lambda p: 1, ("FOLLOW",))

    def warmup(self, params: FollowParams) -> int:
        """It needs one close."""
        return 1


def test_a_step_that_calls_a_function_of_its_own_compiles(home: Path) -> None:
    pytest.importorskip("numba", reason="the compiled engine needs numba")
    inputs = Inputs([series(2, 300)], [Assignment("BTCUSDT", Follow(), FollowParams())], Settings())
    found = backtest_run(inputs, engine="compiled").result
    assert len(found.ledger.fills) > 10
    assert found.sha256 == run(inputs).sha256


def recording(path: Path) -> Path:
    def line(ms: int, stream: str, data: dict[str, Any]) -> str:
        message = {"stream": f"btcusdt@{stream}", "data": {"s": "BTCUSDT", **data}}
        return f"{1_700_000_000_000_000_000 + ms * 1_000_000} {json.dumps(message)}"

    top = {"b": "100.00", "B": "2.0", "a": "100.10", "A": "1.5"}
    lines = [line(n * 100, "bookTicker", top) for n in range(12)]
    lines.insert(11, line(1_050, "trade", {"p": "100.00", "q": "2.5", "m": True}))
    lines.insert(0, line(0, "depth@100ms", {"b": [], "a": []}))
    path.write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))
    return path


def test_a_recorded_stream_becomes_a_tape(home: Path) -> None:
    tape = tape_read(recording(home / "stream.gz"), spot())
    assert (len(tape.top_ns), tape.bid[0], tape.ask_steps[0]) == (12, 10_000, 150_000)
    assert [c.tolist() for c in (tape.price, tape.steps, tape.sold)] == [[10_000], [250_000], [1]]


@pytest.mark.realdata
@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded streams beside the checkout are not here")
def test_on_a_recorded_book_the_stricter_belief_fills_less_and_is_picked_off_more(home: Path) -> None:
    (home / "maker.py").write_text(MAKER)
    tape = tape_read(RECORDED, spot())
    kind = load_strategy(f"{home / 'maker.py'}:Maker")
    found = sensitivity(tape, kind(), kind.Params(size=0.001), ReplaySettings(maker=0))
    fills = {model: len(result.fills) for model, result in found.items()}
    assert fills[FillModel.touch] > fills[FillModel.queue] > fills[FillModel.through] > 0
    after = {model: result.mean_markout_bps(1) for model, result in found.items()}
    assert after[FillModel.through] < after[FillModel.touch]


def test_a_damaged_recording_is_refused_with_its_line(home: Path) -> None:
    path = home / "bad.txt"
    path.write_text(
        '1 {"stream":"btcusdt@bookTicker","data":{"s":"BTCUSDT","b":"x","B":"1","a":"1","A":"1"}}\n'
    )
    with pytest.raises(ApplicationError, match="line 1"):
        tape_read(path, spot())


@pytest.fixture
def listed(db: None) -> None:
    from django.utils import timezone

    from universe.models import Instrument, Venue

    venue = Venue.objects.create(name="binance-local-spot", market="spot", environment="local")
    now = timezone.now()
    Instrument.objects.create(
        venue=venue, symbol="BTCUSDT", market="spot", base_asset="BTC", quote_asset="USDT", status="TRADING",
        filters=exchange_info_entry(), first_seen_at=now, updated_at=now,
    )  # fmt: skip


def test_replaying_a_maker_prints_the_three_beliefs_side_by_side(home: Path, listed: None) -> None:
    (home / "maker.py").write_text(MAKER)
    out = io.StringIO()
    arguments = [
        f"{home / 'maker.py'}:Maker",
        "--symbol",
        "BTCUSDT",
        "--stream",
        str(recording(home / "s.gz")),
    ]
    call_command("replay", *arguments, "--fee-bps", "0", "--json", stdout=out)
    found = {row["model"]: row for row in json.loads(out.getvalue())["models"]}
    # Two coins ahead, 2.5 sold: all of ours if a touch fills, half a coin if the queue counts.
    assert {model: row["volume"] for model, row in found.items()} == {
        "touch": 100.0,
        "through": 0,
        "queue": 50.0,
    }
    call_command("replay", *arguments, stdout=out)
    assert "adverse selection" in out.getvalue()


@pytest.mark.parametrize(
    "wrong",
    [["--cash", "much"], ["--cash", "-1"], ["--param", "size"], ["--interval", "7m"], ["--feed-ms", "-5"]],
)
def test_a_malformed_option_of_a_replay_is_a_usage_error(home: Path, wrong: list[str]) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("replay", "maker.py:Maker", "--symbol", "BTCUSDT", "--stream", "none", *wrong)
    assert refused.value.returncode == 2 or "Error: argument" in str(refused.value)


def test_a_symbol_the_venue_never_listed_cannot_be_replayed(home: Path, db: None) -> None:
    (home / "maker.py").write_text(MAKER)
    with pytest.raises(CommandError, match="UNKNOWN_SYMBOL"):
        call_command(
            "replay", f"{home / 'maker.py'}:Maker", "--symbol", "BTCUSDT", "--stream", str(home / "none")
        )


def test_the_venue_s_filters_are_used_and_finer_old_prices_say_so(home: Path, listed: None) -> None:
    path = home / "bars.csv"
    rows = [f"2023-11-1{n} 00:00:00,100.123,101,99,100,5" for n in range(1, 6)]
    path.write_text("\n".join(["date,open,high,low,close,volume", *rows]) + "\n")
    call_command(
        "klines", "import", str(path), "--symbol", "BTCUSDT", "--interval", "1d", stdout=io.StringIO()
    )
    from trading.services.backtests.bars import series_load

    found, notes = series_load("BTCUSDT", "1d", "spot")
    assert (found.instrument.tick_size, found.instrument.step_size) == (Decimal("0.001"), Decimal("0.00001"))
    assert (found.open[0], found.instrument.min_notional) == (100_123, 5)
    assert "finer than the tick" in notes[0]
