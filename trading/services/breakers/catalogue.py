"""Every measure a breaker can judge by, with the rule it starts under. What is in force is the row, not this."""

from __future__ import annotations

from dataclasses import dataclass

from trading.domain.breakers import BreakerRule


@dataclass(frozen=True, slots=True)
class BreakerKind:
    """One measure, the scopes it is taken of, and the defaults of its rows."""

    name: str
    of: str
    """`venue`, `account`, `symbol` or `global`: one row each."""
    unit: str
    rule: BreakerRule
    meaning: str
    action: str = "open"
    reset: str = "auto"
    market: str | None = None
    """Only there, where it is given."""
    probes: str = "readings"
    """`calls` where each finished call is a probe; otherwise each evaluation is one."""


def _rule(
    threshold: float,
    *,
    window: float = 60,
    samples: int = 1,
    wait: float = 10,
    longest: float = 300,
    probes: int = 3,
) -> BreakerRule:
    return BreakerRule(
        window_s=window,
        min_samples=samples,
        threshold=threshold,
        cooldown_s=wait,
        cooldown_max_s=max(wait, longest),
        half_open_successes=probes,
    )


VENUE_ERROR_RATE = "venue_error_rate"
VENUE_RATE_LIMIT = "venue_rate_limit"
VENUE_BAN = "venue_ban"
MARGIN_CALL = "margin_call"

KINDS: dict[str, BreakerKind] = {
    kind.name: kind
    for kind in (
        BreakerKind(
            VENUE_ERROR_RATE,
            "venue",
            "%",
            _rule(50, samples=10),
            "calls the venue did not answer properly",
            probes="calls",
        ),
        BreakerKind(
            VENUE_RATE_LIMIT,
            "venue",
            "waits",
            _rule(1, wait=60, longest=60, probes=1),
            "the venue answered 429 (too many requests) and asked us to wait",
            action="HALT_NEW",
        ),
        BreakerKind(
            VENUE_BAN,
            "venue",
            "bans",
            _rule(1, wait=180, longest=259_200, probes=1),
            "the venue has banned our address (418) until the time it stated",
            action="HALT_NEW",
        ),
        BreakerKind(
            "venue_overload", "venue", "answers", _rule(3, wait=30), "the venue is overloaded (-1008)"
        ),
        BreakerKind(
            "key_rejected",
            "venue",
            "answers",
            _rule(1),
            "the venue refuses our key, its address or its rights (-2015)",
            action="HALT_NEW",
            reset="manual",
        ),
        BreakerKind(
            "ack_latency_p99",
            "venue",
            "ms",
            _rule(2000, window=300, samples=20),
            "from sending to the answer",
        ),
        BreakerKind("clock_offset", "venue", "ms", _rule(1000, samples=3), "our clock against the venue's"),
        BreakerKind("market_data_age", "venue", "s", _rule(30, wait=5), "since the newest price arrived"),
        BreakerKind("user_stream_gap", "account", "s", _rule(30, wait=5), "since the user stream was heard"),
        BreakerKind(
            "unknown_orders",
            "account",
            "orders",
            _rule(3, wait=60),
            "orders sent whose outcome was not known",
            action="HALT_NEW",
        ),
        BreakerKind(
            "reconcile_divergence",
            "account",
            "differences",
            _rule(1),
            "differences to the venue that were seen twice and nothing explains",
        ),
        BreakerKind(
            "reject_rate",
            "account",
            "%",
            _rule(20, window=300, samples=10, wait=60),
            "orders the venue refused",
        ),
        BreakerKind(
            "order_to_fill",
            "account",
            "orders",
            _rule(100, window=300, samples=200, wait=60),
            "orders sent for each one that traded",
        ),
        BreakerKind(
            "slippage",
            "account",
            "bps",
            _rule(15, window=300, samples=5, wait=300, longest=3600),
            "mean fill price of takers against the mid when it was decided; positive is worse for us",
        ),
        BreakerKind(
            "fill_outside",
            "account",
            "fills",
            _rule(1, window=300),
            "fills at a price worse than the limit, which for market-like orders is the collar",
            action="REDUCING",
            reset="manual",
        ),
        BreakerKind(
            "drawdown",
            "account",
            "%",
            _rule(15),
            "equity below its peak",
            action="REDUCING",
            reset="manual",
        ),
        BreakerKind(
            "daily_loss",
            "account",
            "%",
            _rule(5),
            "equity below that at the start of the day (UTC)",
            action="REDUCING",
            reset="manual",
        ),
        BreakerKind(
            "pnl_velocity",
            "account",
            "%",
            _rule(5, window=600, samples=2, wait=600, longest=3600),
            "equity below its highest of the window",
            action="REDUCING",
        ),
        BreakerKind(
            "margin_ratio",
            "account",
            "%",
            _rule(80, wait=60),
            "maintenance margin against what the margin account is worth",
            action="REDUCING",
            market="usdm",
        ),
        BreakerKind(
            MARGIN_CALL,
            "account",
            "calls",
            _rule(1, window=300, wait=300),
            "the venue has warned that a position is close to its liquidation",
            action="REDUCING",
            reset="manual",
            market="usdm",
        ),
        BreakerKind("spread", "symbol", "bps", _rule(100, wait=10), "between bid and ask, of the mid"),
        BreakerKind(
            "volatility_jump",
            "symbol",
            "sigmas",
            _rule(10, window=3600, samples=30, wait=60),
            "the last one-minute return against the spread of those before",
        ),
        BreakerKind(
            "commit_latency_p99",
            "global",
            "ms",
            _rule(1000, samples=10),
            "how long the database takes to commit",
        ),
    )
}
