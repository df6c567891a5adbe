"""The kinds of limits there are: unit, which direction is tighter, and the value a new platform starts with."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from trading.selectors.credentials import KEY_MAX_AGE, KEY_MAX_AGE_DAYS
from trading.services.scopes import GLOBAL


@dataclass(frozen=True, slots=True)
class LimitKind:
    """What a limit means and which direction is the safe one."""

    name: str
    unit: str
    tighter: str
    default: Decimal
    description: str
    bucket: str | None = None
    """The bucket prefix whose cap this limit sets."""
    is_of_orders: bool = True
    """Whether orders are judged by it: then none passes where it has no row. Else its default holds there."""

    def loosens(self, before: Decimal, after: Decimal) -> bool:
        """Whether a value allows more than another one."""
        return after > before if self.tighter == "lower" else after < before


LIMITS: dict[str, LimitKind] = {
    kind.name: kind
    for kind in (
        LimitKind(
            "min_notional", "USDT", "higher", Decimal(10), "smallest order; reducing exits may go below it"
        ),
        LimitKind("max_notional", "USDT", "lower", Decimal(5000), "largest order"),
        LimitKind("max_quantity", "base", "lower", Decimal(100000), "largest order in base units"),
        LimitKind(
            "exposure_symbol", "USDT", "lower", Decimal(10000), "gross exposure of one symbol", "symbol:"
        ),
        LimitKind(
            "exposure_strategy",
            "USDT",
            "lower",
            Decimal(20000),
            "gross exposure of one strategy",
            "strategy:",
        ),
        LimitKind(
            "exposure_strategy_symbol",
            "USDT",
            "lower",
            Decimal(10000),
            "gross exposure of one strategy in one symbol",
            "strategy_symbol:",
        ),
        LimitKind(
            "exposure_group",
            "USDT",
            "lower",
            Decimal(30000),
            "gross exposure of any group of correlated symbols",
        ),
        LimitKind(
            "exposure_account", "USDT", "lower", Decimal(40000), "gross exposure of one account", "account:"
        ),
        LimitKind("exposure_global", "USDT", "lower", Decimal(40000), "gross exposure of everything", GLOBAL),
        LimitKind("exposure_net_account", "USDT", "lower", Decimal(40000), "long less short of one account"),
        LimitKind("exposure_net_global", "USDT", "lower", Decimal(40000), "long less short of everything"),
        LimitKind(
            "soft_notional", "USDT", "lower", Decimal(5000), "largest order without a second person's grant"
        ),
        LimitKind(
            "leverage_max", "x", "lower", Decimal(5), "highest leverage a futures symbol may be set to"
        ),
        LimitKind(
            "margin_max_ratio", "share", "lower", Decimal("0.5"), "maintenance margin over margin balance"
        ),
        LimitKind(
            "margin_rate",
            "share",
            "higher",
            Decimal("0.01"),
            "maintenance margin assumed while the brackets are not known",
        ),
        LimitKind(
            "liquidation_min_distance",
            "share",
            "higher",
            Decimal("0.1"),
            "smallest move of all prices that may reach the maintenance margin",
        ),
        LimitKind(
            "orders_per_minute", "orders", "lower", Decimal(60), "orders an account may send in 60 seconds"
        ),
        LimitKind(
            "orders_per_minute_strategy",
            "orders",
            "lower",
            Decimal(60),
            "orders a strategy may send in 60 seconds",
        ),
        LimitKind("max_open_orders", "orders", "lower", Decimal(20), "working orders per symbol"),
        LimitKind(
            "max_open_orders_strategy", "orders", "lower", Decimal(60), "working orders of one strategy"
        ),
        LimitKind(
            "weight_headroom",
            "share",
            "higher",
            Decimal("0.2"),
            "request weight kept for cancels, look-ups and the kill",
        ),
        LimitKind(
            "repeated_executions",
            "fills",
            "lower",
            Decimal(30),
            "executions of one rule in 60 seconds before its strategy is switched off",
        ),
        LimitKind("near_duplicate_window", "s", "higher", Decimal(2), "time between two nearly equal orders"),
        LimitKind(
            "max_sends_per_decision", "orders", "lower", Decimal(10), "orders one decision may lead to"
        ),
        LimitKind("daily_loss", "USDT", "lower", Decimal(2000), "loss since 00:00 UTC, mark to market"),
        LimitKind("max_drawdown", "share", "lower", Decimal("0.25"), "fall from the peak, mark to market"),
        LimitKind("max_loss_streak", "losses", "lower", Decimal(25), "losing trades in a row on one day"),
        LimitKind("loss_cooldown", "s", "higher", Decimal(0), "pause of a strategy after a losing trade"),
        LimitKind("equity_max_age", "s", "lower", Decimal(120), "oldest measured result trading goes by"),
        LimitKind(
            "price_disagreement",
            "bps",
            "lower",
            Decimal(200),
            "how far middle, last trade and mark price may be apart",
        ),
        LimitKind("clock_max_offset", "s", "lower", Decimal("0.25"), "venue's clock against ours"),
        LimitKind("clock_max_age", "s", "lower", Decimal(60), "longest time since the clocks were compared"),
        LimitKind("stream_max_age", "s", "lower", Decimal(30), "longest silence of the user stream"),
        LimitKind(
            "price_collar",
            "bps",
            "lower",
            Decimal(50),
            "how far beyond the middle of the book a limit may pay",
        ),
        LimitKind(
            "market_slippage", "bps", "lower", Decimal(20), "how far beyond the touch a market order may pay"
        ),
        LimitKind("price_max_age", "s", "lower", Decimal(5), "oldest price an order may be judged by"),
        LimitKind("decision_ttl", "s", "lower", Decimal(15), "oldest decision that may be sent"),
        LimitKind(
            "reconcile_max_age", "s", "lower", Decimal(60), "longest time since the account was found clean"
        ),
        LimitKind(
            "unknown_max_age",
            "s",
            "lower",
            Decimal(30),
            "oldest unresolved order beside which a symbol trades",
        ),
        LimitKind(
            "unprotected_max_age",
            "s",
            "lower",
            Decimal(30),
            "longest time a position that should have a stop at the venue may have none; then it is closed",
        ),
        LimitKind(
            KEY_MAX_AGE,
            "days",
            "lower",
            KEY_MAX_AGE_DAYS,
            "age at which an exchange key is to be replaced",
            is_of_orders=False,
        ),
    )
}


OWN_SCOPE = frozenset({"daily_loss", "max_drawdown"})
"""Limits that are measured against exactly the scope they are set for, never against a narrower one."""
