"""The table of rails in docs/BACKTESTING.md against the live chain and the kernel of the backtester."""

from __future__ import annotations

import re
from pathlib import Path

from trading.domain.backtest.rails import CODES
from trading.domain.risk import RAILS

ROW = re.compile(r"^\| `(\w+)` \| (asked|live only|by construction) \| ?(.*?) ?\|$", re.MULTILINE)
TEXT = (Path(__file__).parents[2] / "docs" / "BACKTESTING.md").read_text(encoding="utf-8")


def test_every_live_rail_has_a_row_in_the_live_order() -> None:
    assert [name for name, _, _ in ROW.findall(TEXT)] == [rail.name for rail in RAILS]


def test_what_the_table_says_is_asked_is_what_the_kernel_can_answer() -> None:
    asked = {name for name, how, _ in ROW.findall(TEXT) if how == "asked"}
    assert asked == set(CODES) - {"margin", "unfilled"}


def test_a_rail_that_is_not_asked_says_why() -> None:
    assert all(why.strip() for _, how, why in ROW.findall(TEXT) if how != "asked")
