"""The capital policy: how much may be given out, by which method, how fast, and how far the machine goes alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from governance.domain.policies.located import DocumentError, Node, Problem
from governance.domain.policies.schema import (
    Entries,
    Field,
    Moment,
    Names,
    Number,
    Raises,
    Record,
    Text,
    document_read,
)
from trading.domain.values import decimal_text

METHODS = ("equal", "inverse_volatility", "risk_parity", "capped_kelly", "hedge")
_SHARE = Number(highest=1)
_USD = Number(highest=Decimal(10) ** 12)
_UP, _DOWN, _ANY = Raises.UP, Raises.DOWN, Raises.ANY


def _number(text: str) -> Decimal:
    return Decimal(text)


ENVELOPE = Record(
    {
        "max_total_usd": Field(_USD, Decimal(0), _UP, "raising never brings the total above it"),
        "max_increase_usd": Field(_USD, Decimal(0), _UP, "all rises of one run together"),
        "until": Field(Moment(), None, _UP, "past it nothing is raised without two people; null is never"),
    }
)
GROUP = Record(
    {
        "members": Field(Names(), raises=_ANY, text="strategies"),
        "cap_usd": Field(_USD, raises=_UP, text="most they have together"),
    }
)
CAPITAL_POLICY = Record(
    {
        "allocation_mode": Field(Text(("dynamic", "manual")), "dynamic", _ANY, "manual: people decide alone"),
        "method": Field(Text(METHODS), "equal", _ANY, "what turns returns into weights"),
        "fallback_mode": Field(
            Text(("equal_split", "hold")), "hold", _ANY, "while the method has too few observations"
        ),
        "enabled": Field(
            Names(), (), _UP, "strategies it decides about; others keep what they have while it holds"
        ),
        "refresh_sec": Field(Number(10, 86_400, whole=True), 60, _UP, "seconds between runs"),
        "expires_sec": Field(Number(60, 604_800, whole=True), 900, _UP, "an amount holds so long"),
        "base_equity_frac": Field(_SHARE, _number("0.2"), _UP, "share of equity that may be given out"),
        "min_pool_usd": Field(_USD, Decimal(10_000), _UP, "the pool is not smaller, reserve permitting"),
        "reserve_equity_usd": Field(_USD, Decimal(5_000), _DOWN, "equity that is never given out"),
        "min_quota_usd": Field(_USD, Decimal(250), _ANY, "each strategy has this much or nothing"),
        "max_quota_usd": Field(_USD, Decimal(25_000), _UP, "most for one strategy"),
        "caps": Field(Entries(_USD), {}, _UP, "by strategy, in place of max_quota_usd"),
        "groups": Field(Entries(GROUP), {}, _UP, "caps on what several strategies have together"),
        "step_up_pct": Field(Number(highest=10), _number("0.15"), _UP, "largest rise at a time"),
        "step_down_pct": Field(
            Number(_number("0.01"), 1), _number("0.2"), _DOWN, "largest fall at a time for the method's sake"
        ),
        "smallest_step_usd": Field(_USD, Decimal(250), _UP, "a rise of this much is always allowed"),
        "hysteresis_pct": Field(
            Number(highest=_number("0.9")), _number("0.05"), _ANY, "smaller changes wait"
        ),
        "cooldown_sec": Field(
            Number(highest=604_800, whole=True), 900, _DOWN, "no rise so long after a change"
        ),
        "sharpe_promote": Field(
            Number(-100, 100), Decimal(1), _DOWN, "a year's Sharpe ratio that allows a rise"
        ),
        "sharpe_demote": Field(Number(-100, 100), _number("0.3"), _DOWN, "below it: down to min_quota_usd"),
        "unproven_quota_usd": Field(
            _USD, Decimal(0), _UP, "no evidence: no rise above this, or min_quota_usd where that is more"
        ),
        "period_sec": Field(Number(60, 604_800, whole=True), 3_600, _ANY, "one return, market time"),
        "lookback_periods": Field(Number(2, 5_000, whole=True), 720, _ANY, "returns that are read"),
        "min_observations": Field(Number(2, 5_000, whole=True), 48, _DOWN, "fewer are no evidence"),
        "half_life_periods": Field(Number(1, 5_000), Decimal(168), _ANY, "age at which a return counts half"),
        "correlation_floor": Field(
            Number(highest=_number("0.99")), _number("0.5"), _DOWN, "between any two strategies"
        ),
        "kelly_fraction": Field(
            Number(_number("0.01"), _number("0.5")), _number("0.25"), _UP, "of full Kelly"
        ),
        "kelly_cap": Field(Number(_number("0.01"), 1), _number("0.5"), _UP, "largest weight by Kelly"),
        "prior_observations": Field(Number(1, 100_000), Decimal(168), _DOWN, "shrinks means towards nothing"),
        "hedge_share": Field(_SHARE, _number("0.05"), _ANY, "mixed back to equal weights each period"),
        "hedge_scale_pct": Field(
            Number(_number("0.0001"), 1), _number("0.02"), _ANY, "a return that counts in full"
        ),
        "drawdown_soft_pct": Field(Number(highest=_number("0.99")), _number("0.05"), _UP, "from here less"),
        "drawdown_hard_pct": Field(Number(_number("0.01"), 1), _number("0.2"), _UP, "here nothing"),
        "drawdown_recovery": Field(_SHARE, _number("0.25"), _DOWN, "how clearly a fall must ease"),
        "envelope": Field(
            ENVELOPE,
            {"max_total_usd": Decimal(0), "max_increase_usd": Decimal(0), "until": None},
            _ANY,
            "how far the machine raises alone",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Envelope:
    """How far amounts rise without people."""

    max_total_usd: Decimal
    max_increase_usd: Decimal
    until: datetime | None


@dataclass(frozen=True, slots=True)
class CapitalPolicy:
    """The document's values; see `CAPITAL_POLICY` for what each means. Money in quote currency, fractions as such."""

    allocation_mode: str
    method: str
    fallback_mode: str
    enabled: tuple[str, ...]
    refresh_sec: int
    expires_sec: int
    base_equity_frac: Decimal
    min_pool_usd: Decimal
    reserve_equity_usd: Decimal
    min_quota_usd: Decimal
    max_quota_usd: Decimal
    caps: Mapping[str, Decimal]
    groups: Mapping[str, Mapping[str, Any]]
    step_up_pct: Decimal
    step_down_pct: Decimal
    smallest_step_usd: Decimal
    hysteresis_pct: Decimal
    cooldown_sec: int
    sharpe_promote: Decimal
    sharpe_demote: Decimal
    unproven_quota_usd: Decimal
    period_sec: int
    lookback_periods: int
    min_observations: int
    half_life_periods: Decimal
    correlation_floor: Decimal
    kelly_fraction: Decimal
    kelly_cap: Decimal
    prior_observations: Decimal
    hedge_share: Decimal
    hedge_scale_pct: Decimal
    drawdown_soft_pct: Decimal
    drawdown_hard_pct: Decimal
    drawdown_recovery: Decimal
    envelope: Envelope


def capital_values(node: Node) -> dict[str, Any]:
    """Read a capital policy's values.

    Raises
    ------
    DocumentError : with every problem.
    """
    values: dict[str, Any] = document_read(CAPITAL_POLICY, node)
    problems = []
    for low, high in (
        ("drawdown_soft_pct", "drawdown_hard_pct"),
        ("min_quota_usd", "max_quota_usd"),
        ("min_observations", "lookback_periods"),
    ):
        if values[low] >= values[high]:
            was = f"{decimal_text(Decimal(values[high]))}, was {decimal_text(Decimal(values[low]))}"
            problems.append(_clash(node, low, high, f"expected less than {high}, {was}"))
    if values["expires_sec"] < 2 * values["refresh_sec"]:
        said = "expected at least twice refresh_sec, or amounts lapse between two runs"
        problems.append(_clash(node, "expires_sec", "refresh_sec", said))
    if values["smallest_step_usd"] < values["min_quota_usd"]:
        said = "expected at least min_quota_usd, or a strategy with nothing could never start"
        problems.append(_clash(node, "smallest_step_usd", "min_quota_usd", said))
    if values["sharpe_demote"] > values["sharpe_promote"]:
        problems.append(_clash(node, "sharpe_demote", "sharpe_promote", "expected at most sharpe_promote"))
    if problems:
        raise DocumentError(problems)
    return values


def capital_policy(values: Mapping[str, Any]) -> CapitalPolicy:
    """The policy of a document's values."""
    return CapitalPolicy(**{**values, "envelope": Envelope(**values["envelope"])})


def named_with_more(before: CapitalPolicy, after: CapitalPolicy) -> set[str]:
    """Strategies that the new policy names with more than the old: decided about again, or with a higher own cap.

    Either takes two people, who thereby lift what was lowered by hand. A higher `max_quota_usd` names nobody.
    """
    named = set(after.enabled) - set(before.enabled)
    for name in before.caps.keys() | after.caps.keys():
        if after.caps.get(name, after.max_quota_usd) > before.caps.get(name, before.max_quota_usd):
            named.add(name)
    return named


def _clash(node: Node, name: str, other: str, message: str) -> Problem:
    """At the member, or at the other one where it is left to its default."""
    members = node.value if isinstance(node.value, dict) else {}
    found = members.get(name) or members.get(other)
    place = found.node if found else node
    return Problem(message, name, place.line, place.column)
