"""Research on two years of recorded hours of a falling market: nothing here may pass."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

DATA = Path(__file__).resolve().parents[4].parent / "shared/data/klines_spot_1h/BTCUSDT_1h.csv.gz"
SYMBOL = ("--symbol", "BTCUSDT", "--interval", "1h")
GRID = ("--grid", "fast=10:30:10", "slow=50:100:50")

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(
        not DATA.exists(), reason=f"the recorded bars {DATA.name} are not beside the checkout"
    ),
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any, db: None) -> Path:
    settings.NAUTILUS_HOME = tmp_path / "home"
    call_command("klines", "import", str(DATA), *SYMBOL, stdout=io.StringIO())
    return tmp_path


def members(command: str, *arguments: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command(command, *arguments, "--json", stdout=out, stderr=io.StringIO())
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def test_crossing_averages_do_not_pass_the_gate_on_two_years_of_hours(home: Path) -> None:
    report = home / "walkforward.html"
    found = members(
        "walkforward", "moving_average", *SYMBOL, *GRID,
        "--train", "6000", "--test", "2000", "--report", str(report),
    )  # fmt: skip
    assert found["passed"] is False
    assert found["dsr"] < 0.5
    assert -1 < found["total_return"] < 0
    assert len(found["windows"]) >= 6
    assert report.stat().st_size < 5_000_000


def test_a_strategy_passes_the_look_ahead_test_on_recorded_bars() -> None:
    assert members("lookahead", "moving_average", *SYMBOL, "--bars", "600", "--cuts", "10")["passed"] is True


def test_a_sweep_names_its_best_and_how_much_of_it_is_luck(home: Path) -> None:
    report = home / "sweep.html"
    found = members("sweep", "moving_average", *SYMBOL, *GRID, "--report", str(report))
    assert found["trials"] == 6
    assert found["dsr"] <= found["psr"]
    assert found["best"]["sharpe"] == max(result["sharpe"] for result in found["results"])
    assert report.exists()
