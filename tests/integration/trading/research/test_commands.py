"""`manage.py sweep`, `walkforward` and `lookahead` on stored bars."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from tests.unit.trading.domain.research.models import two_states
from trading.domain.regime.artefact import Artefact, encode
from trading.domain.regime.drift import ScoreReference
from trading.services.backtests.bars import series_load
from trading.services.research.models import regimes_of
from trading.services.research.trials import trials_listed, trials_path

START = 1_700_002_800  # 2023-11-14 23:00 UTC
SYMBOL = ("--symbol", "ETHUSDT", "--interval", "1h")
GRID = ("--grid", "fast=3:9:3", "slow=12:36:12")

LEAKY = """
from dataclasses import dataclass
from trading.domain.strategies import Desired, Strategy, parameter

SEEN = {}

@dataclass(frozen=True)
class Params:
    size: float = parameter(1.0, ge=0.0, le=1.0)

class Leaky(Strategy):
    name = "leaky"
    Params = Params
    def warmup(self, params):
        return 1
    def initial(self, params):
        return 0
    def step(self, params, state, observation):
        bar = observation.bar
        SEEN[bar.open_ns] = bar.close
        following = SEEN.get(bar.open_ns + 3_600_000_000_000, bar.close)
        return state, Desired(params.size if following > bar.close else 0.0)
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any, db: None) -> Path:
    settings.NAUTILUS_HOME = tmp_path / "home"
    rng = np.random.default_rng(5)
    count = 24 * 60
    closes = np.round(2_000 * np.exp(np.cumsum(rng.normal(0, 0.01, count))), 2)
    opens = np.concatenate(([2_000.0], closes[:-1]))
    rows = ["date,open,high,low,close,volume"]
    for n, (o, c) in enumerate(zip(opens.tolist(), closes.tolist(), strict=True)):
        at = datetime.fromtimestamp(START + 3600 * n, UTC).strftime("%Y-%m-%d %H:%M:%S")
        rows.append(f"{at},{o:.2f},{max(o, c) + 1:.2f},{min(o, c) - 1:.2f},{c:.2f},12.5")
    path = tmp_path / "bars.csv"
    path.write_text("\n".join(rows) + "\n")
    call_command("klines", "import", str(path), *SYMBOL, stdout=io.StringIO())
    return tmp_path


def said(command: str, *arguments: str) -> str:
    out = io.StringIO()
    call_command(command, *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def members(command: str, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said(command, *arguments, "--json"))
    return found


def test_a_sweep_gives_what_backtests_of_its_combinations_give() -> None:
    found = members("sweep", "moving_average", *SYMBOL, *GRID)
    assert (found["trials"], found["skipped"], len(found["results"])) == (9, 0, 9)
    for result in (found["best"], found["results"][-1]):
        values = [f"{name}={value}" for name, value in result["params"].items()]
        single = members("backtest", "moving_average", *SYMBOL, "--param", *values)
        for name in ("total_return", "max_drawdown", "sharpe", "trades", "final_equity"):
            assert result[name] == pytest.approx(single[name], rel=1e-9)
    ratios = [result["sharpe"] for result in found["results"]]
    assert ratios == sorted(ratios, reverse=True)
    assert found["dsr"] < found["psr"]
    assert 0 <= found["pbo"] <= 1


def test_the_number_of_workers_changes_nothing_but_the_time() -> None:
    alone = members("sweep", "moving_average", *SYMBOL, *GRID)
    together = members("sweep", "moving_average", *SYMBOL, *GRID, "--workers", "2")
    for found in (alone, together):
        found.pop("elapsed_s")
    assert alone == together


def test_every_sweep_counts_and_the_same_one_only_once() -> None:
    first = members("sweep", "moving_average", *SYMBOL, *GRID)
    again = members("sweep", "moving_average", *SYMBOL, *GRID)
    assert len(trials_listed()) == 2
    assert again["trials_counted"] == first["trials_counted"] == pytest.approx(first["effective_trials"])
    more = members("sweep", "moving_average", *SYMBOL, "--grid", "fast=4:8:2", "slow=20:40:5")
    assert more["trials_counted"] == pytest.approx(first["trials_counted"] + more["effective_trials"])


def test_a_damaged_count_of_trials_stops_the_next_sweep() -> None:
    said("sweep", "moving_average", *SYMBOL, *GRID)
    trials_path().parent.mkdir(parents=True)
    trials_path().write_text('{"count": 3}\n')  # as an earlier version would have left it
    with pytest.raises(CommandError, match=r"TRIALS_DAMAGED: .* line 1"):
        said("sweep", "moving_average", *SYMBOL, *GRID)


def test_contradictions_are_counted_and_fixed_parameters_apply() -> None:
    found = members("sweep", "moving_average", *SYMBOL, "--param", "slow=12", "--grid", "fast=4:20:4")
    assert [result["params"] for result in found["results"]] != []
    assert (found["trials"], found["skipped"]) == (2, 3)
    text = said(
        "sweep", "moving_average", *SYMBOL, "--param", "slow=12", "--grid", "fast=4:20:4", "--top", "1"
    )
    assert "2 run" in text
    assert len(re.findall(r"fast=\d+", text)) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("moving_average", *SYMBOL, "--grid", "quick=1:3"), "BAD_GRID: quick: unknown parameter"),
        (("moving_average", *SYMBOL, "--grid", "fast=30:40", "--param", "slow=20"), "contradicts itself"),
        (("nobody", *SYMBOL, *GRID), "UNKNOWN_STRATEGY"),
        (("moving_average", "--symbol", "XRPUSDT", "--interval", "1h", *GRID), "NO_BARS"),
        (("moving_average", *SYMBOL, *GRID, "--workers", "65"), "BAD_WORKERS"),
        (("moving_average", *SYMBOL, *GRID, "--report", "missing/report.html"), "REPORT_NOT_WRITTEN"),
    ],
)
def test_what_cannot_be_swept_is_refused_with_its_reason(arguments: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint):
        said("sweep", *arguments)


def test_a_sweep_of_a_users_file_runs_in_other_processes_too(home: Path) -> None:
    path = home / "mine.py"
    path.write_text(LEAKY)
    found = members(
        "sweep",
        f"{path}:Leaky",
        *SYMBOL,
        "--grid",
        "size=0.2:1.0:0.2",
        "--workers",
        "2",
        "--score",
        "total_return",
    )
    assert found["trials"] == 5


def test_the_report_of_a_sweep_has_its_map_and_its_luck(home: Path) -> None:
    path = home / "sweep.html"
    said("sweep", "moving_average", *SYMBOL, *GRID, "--report", str(path), "--compare", "3")
    html = path.read_text()
    for heading in ("Parameter map", "How much is luck", "Trials", "Statistics", "Comparison"):
        assert f"{heading}</h2>" in html


def test_a_walk_forward_chooses_before_it_tests() -> None:
    found = members("walkforward", "moving_average", *SYMBOL, *GRID, "--train", "480", "--test", "240")
    # 1440 bars, gap 1 + max(1 % of 480, warm-up 36): tests from 517 on, 923 bars: 240, 240, 240, 203.
    assert len(found["windows"]) == 4
    for window in found["windows"]:
        assert window["train_to"] < window["test_from"]
    for before, after in zip(found["windows"], found["windows"][1:], strict=False):
        assert datetime.fromisoformat(after["test_from"]) > datetime.fromisoformat(before["test_to"])
    assert [criterion["name"] for criterion in found["gate"]] == [
        "deflated_sharpe", "overfitting", "positive_paths", "track_record_days",
    ]  # fmt: skip
    assert found["passed"] is False, "a random walk has no edge to promote"
    inside, outside = (
        np.mean([window[f"sharpe_{part}"] for window in found["windows"]])
        for part in ("in_sample", "out_of_sample")
    )
    assert inside > outside, "the best of nine on a random walk looks better than it is"
    assert found["efficiency"] == pytest.approx(outside / inside)
    assert found["trades"] > 10
    assert found["fees"] > 0
    assert len(trials_listed()) == 1


def test_anchored_windows_all_train_from_the_first_bar() -> None:
    found = members(
        "walkforward", "moving_average", *SYMBOL, *GRID,
        "--train", "480", "--test", "240", "--mode", "anchored", "--embargo", "0", "--purge", "0",
    )  # fmt: skip
    assert {window["train_from"] for window in found["windows"]} == {found["windows"][0]["train_from"]}
    assert len(found["windows"]) == 4


def test_a_walk_forward_without_room_is_refused() -> None:
    with pytest.raises(CommandError, match="BAD_WINDOWS: expected at least"):
        said("walkforward", "moving_average", *SYMBOL, *GRID, "--train", "1400", "--test", "100")


def test_the_report_of_a_walk_forward_shows_gate_and_windows(home: Path) -> None:
    path = home / "walk.html"
    text = said(
        "walkforward",
        "moving_average",
        *SYMBOL,
        *GRID,
        "--train",
        "480",
        "--test",
        "240",
        "--report",
        str(path),
    )
    assert "out of sample" in text
    assert text.count("gate ") == 4
    html = path.read_text()
    for heading in ("Promotion gate", "Windows", "How much is luck", "Comparison"):
        assert f"{heading}</h2>" in html


def test_a_causal_strategy_passes_the_look_ahead_test() -> None:
    found = members("lookahead", "moving_average", *SYMBOL, "--bars", "300", "--cuts", "8")
    assert found["passed"] is True
    assert found["bars"] == 300
    assert "position" in found["columns"]
    assert "no look-ahead found" in said(
        "lookahead", "moving_average", *SYMBOL, "--bars", "200", "--cuts", "6"
    )


def test_a_planted_leak_fails_the_look_ahead_test_by_name(home: Path) -> None:
    path = home / "leaky.py"
    path.write_text(LEAKY)
    with pytest.raises(CommandError, match=r"look-ahead in .*target"):
        said("lookahead", f"{path}:Leaky", *SYMBOL, "--bars", "200", "--cuts", "6")


def test_the_look_ahead_test_wants_a_strategy_or_a_model() -> None:
    for arguments in ((), ("moving_average", "--model", "abcd")):
        with pytest.raises(CommandError, match="name a strategy, or a model") as caught:
            said("lookahead", *arguments, *SYMBOL)
        assert caught.value.returncode == 2
    with pytest.raises(CommandError, match="UNKNOWN_MODEL: 0 models"):
        said("lookahead", "--model", "abcd", *SYMBOL)


@pytest.fixture
def model(home: Path) -> str:
    """A model of hours on the disk, and the first characters of its digest."""
    made = two_states(3_600 * 10**9, sd=0.01)
    encoded = encode(Artefact(made, ScoreReference(-2.0, 1.0, -9.0, 0.5, 5.0)))
    folder = home / "home" / "models" / encoded.digest
    folder.mkdir(parents=True)
    (folder / "model.json").write_bytes(encoded.document)
    (folder / "arrays.npz").write_bytes(encoded.arrays)
    return encoded.digest[:12]


def test_a_model_passes_the_look_ahead_test_with_its_features_and_its_filter(model: str) -> None:
    found = members("lookahead", "--model", model, *SYMBOL, "--bars", "200", "--cuts", "6")
    assert found["passed"] is True
    assert {"feature:log_return", "live:volatility", "state:0", "state:1"} <= set(found["columns"])


def test_a_model_of_other_bars_or_a_damaged_one_is_not_read(model: str, home: Path) -> None:
    arguments = ("lookahead", "--model", model, "--symbol", "ETHUSDT", "--interval")
    with pytest.raises(CommandError, match="NO_BARS"):
        said(*arguments, "4h")
    folder = next((home / "home" / "models").iterdir())
    (folder / "arrays.npz").write_bytes(b"nothing")
    with pytest.raises(CommandError, match="MODEL_REFUSED"):
        said(*arguments, "1h")


def test_reports_are_coloured_by_the_regimes_a_model_knew(model: str, home: Path) -> None:
    sweep, walk = home / "sweep.html", home / "walk.html"
    said("sweep", "moving_average", *SYMBOL, *GRID, "--report", str(sweep), "--regimes", model)
    said(
        "walkforward", "moving_average", *SYMBOL, *GRID,
        "--train", "480", "--test", "240", "--report", str(walk), "--regimes", model,
    )  # fmt: skip
    one = home / "one.html"
    said("backtest", "moving_average", *SYMBOL, "--report", str(one), "--regimes", model)
    for path in (sweep, walk, one):
        html = path.read_text()
        assert ">turbulent</th>" in html
        assert '"1":"turbulent"' in html
    # Without being asked a report shows what the strategy's own model knew, named by its digest or its folder.
    series, _ = series_load("ETHUSDT", "1h", "spot")
    for own in (model, str(next((home / "home" / "models").iterdir()))):
        found = regimes_of({"model": own}, series, series.close_ns)
        assert found is not None
        assert found.names[1] == "turbulent"
    for none in ({}, {"model": ""}, {"model": "ffffffff"}):
        assert regimes_of(none, series, series.close_ns) is None
