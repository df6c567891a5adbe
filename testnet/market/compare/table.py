"""The comparison as text."""

from __future__ import annotations

import math
from dataclasses import dataclass

from testnet.market.compare.portrait import Figures

# What is meant to agree within a factor of two; the rest is shown for judgement.
AIMS = (
    "spread_bps_p50",
    "spread_bps_p90",
    "touch_quote_p10",
    "touch_quote_p50",
    "touch_quote_p90",
    "depth_10bps_quote_p10",
    "depth_10bps_quote_p50",
    "depth_10bps_quote_p90",
    "trade_quote_p50",
    "trade_quote_p90",
    "trades_per_s",
    "volatility_60s_bps",
)
FACTOR = 2.0


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of both markets."""

    name: str
    recorded: float
    generated: float

    @property
    def ratio(self) -> float:
        """Generated over recorded; NaN where that says nothing."""
        if not self.recorded or math.isnan(self.recorded) or math.isnan(self.generated):
            return math.nan
        return self.generated / self.recorded

    @property
    def is_aim(self) -> bool:
        """True for a figure that is meant to agree."""
        return self.name in AIMS

    @property
    def agrees(self) -> bool:
        """True within the factor either way."""
        return 1.0 / FACTOR <= self.ratio <= FACTOR


def rows(recorded: Figures, generated: Figures) -> list[Row]:
    """Both markets' figures, side by side."""
    return [Row(name, value, generated[name]) for name, value in recorded.items()]


def render(table: list[Row], title: str) -> str:
    """A text table; `*` marks the figures meant to agree, `!` one that does not."""
    lines = [title, f"{'figure':36} {'recorded':>12} {'generated':>12} {'ratio':>7}"]
    for row in table:
        ratio = "" if math.isnan(row.ratio) else f"{row.ratio:.2f}"
        mark = ("*" if row.agrees else "!") if row.is_aim else ""
        lines.append(
            f"{row.name:36} {_short(row.recorded):>12} {_short(row.generated):>12} {ratio:>7} {mark}"
        )
    aims = [row for row in table if row.is_aim]
    lines.append(f"{sum(row.agrees for row in aims)} of {len(aims)} aims (*) within a factor of {FACTOR:g}")
    return "\n".join(line.rstrip() for line in lines)


def _short(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
