"""Every playbook with the rule it starts under; names and thresholds are those of the earlier system's guardian
(m20) and governor (m25). What is in force is the row, not this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from governance.domain.playbooks.machine import Rule


@dataclass(frozen=True, slots=True)
class PlaybookSpec:
    """One playbook: what it measures of which scopes, when it acts, what it does."""

    name: str
    family: str
    """`guardian` limits damage; `governor` is the hard stop after which people must look."""
    title: str
    of: str
    """`account`, `venue`, `symbol`, `strategy` or `global`: the scopes it is measured of, one by one."""
    unit: str
    rule: Rule
    window_s: float
    actions: tuple[Mapping[str, Any], ...]
    severity: str = "warning"
    max_scopes: int = 2
    """Blast radius: scopes acted on within an hour; beyond it people are called instead."""
    blind_after: int = 6
    """Readings in a row that fail before nothing new is risked in the scope: a start must not look like an outage."""
    target_s: float = 30.0
    """How soon a rehearsal expects the incident."""
    period_s: float = 0.0
    """It is measured no more often: what reads many rows need not be read every few seconds."""
    code: str = ""
    """The governor's violation, for the compliance log."""
    most_samples: int | None = 1
    """What one figure can rest on at most; None where nothing bounds it but the window."""
    sample_s: float = 0.0
    """How far samples lie apart at least."""

    def samples_within(self, window_s: float) -> int | None:
        """The samples a figure over a window can have at most. A rule that asks for more never acts."""
        if self.sample_s:
            return int(window_s // self.sample_s)
        return self.most_samples

    @property
    def needs_review(self) -> bool:
        """Whether people must write down the cause before anything is undone."""
        return self.family == "governor"


_HALF_HOUR: Final = {"do": "blackout", "minutes": 30}
_STOP: Final = {"do": "kill", "level": "REDUCING", "on": "global"}


def _tighten(limit: str, factor: float = 0.5, on: str = "scope") -> dict[str, Any]:
    return {"do": "tighten", "limit": limit, "factor": factor, "on": on}


PLAYBOOKS: dict[str, PlaybookSpec] = {
    spec.name: spec
    for spec in (
        PlaybookSpec(
            "drawdown",
            "guardian",
            "an account has fallen too far from its peak",
            "account",
            "%",
            Rule(5.0, confirm=2, cooldown_s=1800),
            60,
            (_tighten("max_notional"), _HALF_HOUR),
        ),
        PlaybookSpec(
            "venue_lag",
            "guardian",
            "the venue answers orders slowly",
            "venue",
            "ms",
            Rule(800.0, min_samples=5, cooldown_s=900),
            300,
            ({"do": "blackout", "minutes": 10},),
            target_s=60.0,
            most_samples=None,
        ),
        PlaybookSpec(
            "reject_spike",
            "guardian",
            "many orders of an account are denied or refused",
            "account",
            "orders",
            Rule(20.0, cooldown_s=900),
            300,
            (_tighten("orders_per_minute"), {"do": "blackout", "minutes": 5}),
            target_s=60.0,
        ),
        PlaybookSpec(
            "entropy_spike",
            "guardian",
            "a strategy's regime model has become much less sure",
            "strategy",
            "bits",
            Rule(0.3, confirm=2, min_samples=10, cooldown_s=3600),
            1800,
            (_tighten("max_notional"),),
            max_scopes=3,
            period_s=30.0,
            target_s=1200.0,
            most_samples=None,
        ),
        PlaybookSpec(
            "corr_spike",
            "guardian",
            "the traded symbols move together",
            "global",
            "correlation",
            Rule(0.7, confirm=3, min_samples=30, cooldown_s=3600),
            3600,
            (_tighten("exposure_group", on="global"),),
            period_s=30.0,
            target_s=300.0,
            sample_s=60.0,
        ),
        PlaybookSpec(
            "stale_data",
            "guardian",
            "a traded symbol's price is old",
            "symbol",
            "s",
            Rule(120.0, confirm=2, cooldown_s=300),
            60,
            ({"do": "blackout", "minutes": 5},),
            max_scopes=4,
            target_s=180.0,
        ),
        PlaybookSpec(
            "depeg",
            "guardian",
            "a stable coin has left its peg",
            "global",
            "%",
            Rule(0.5, min_samples=3, cooldown_s=7200),
            300,
            ({"do": "blackout", "minutes": 120, "on": "global"},),
            severity="critical",
            period_s=20.0,
            target_s=420.0,
            most_samples=3,
        ),
        PlaybookSpec(
            "funding_spike",
            "guardian",
            "funding of a traded contract is extreme",
            "symbol",
            "%",
            Rule(0.15, confirm=2, cooldown_s=3600),
            60,
            (
                _tighten("exposure_symbol", 0.7),
                {"do": "blackout", "minutes": 60},
                {"do": "trim", "factor": 0.7},
            ),
            target_s=60.0,
        ),
        PlaybookSpec(
            "unprotected_position",
            "guardian",
            "a position that should have a stop has none",
            "symbol",
            "s",
            Rule(45.0, cooldown_s=300),
            60,
            ({"do": "kill", "level": "REDUCING"},),
            severity="critical",
            max_scopes=10,
            target_s=120.0,
        ),
        PlaybookSpec(
            "daily_loss",
            "governor",
            "the day's loss is over the hard limit",
            "global",
            "USDT",
            Rule(100.0, cooldown_s=300),
            60,
            (_STOP,),
            severity="critical",
            code="DAILY_LOSS_LIMIT",
        ),
        PlaybookSpec(
            "position",
            "governor",
            "a position is over the hard limit",
            "global",
            "USDT",
            Rule(2000.0, confirm=2, cooldown_s=300),
            60,
            (_STOP,),
            severity="critical",
            code="POSITION_LIMIT",
            target_s=60.0,
        ),
        PlaybookSpec(
            "leverage",
            "governor",
            "exposure over equity is above the hard limit",
            "global",
            "x",
            Rule(3.0, confirm=2, cooldown_s=300),
            60,
            (_STOP,),
            severity="critical",
            code="LEVERAGE_LIMIT",
            target_s=60.0,
        ),
        PlaybookSpec(
            "open_trades",
            "governor",
            "more positions are open than allowed",
            "global",
            "positions",
            Rule(11.0, confirm=2, cooldown_s=300),
            60,
            (_STOP,),
            severity="critical",
            code="OPEN_TRADES_LIMIT",
            target_s=60.0,
        ),
    )
}
