"""What rules may speak of: exactly what trading says, by its own lists of codes, states and levels."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from governance.domain.playbooks import PLAYBOOKS
from governance.domain.rules import Action, Fact, Kind, Parameter, Vocabulary
from trading.domain.risk.reasons import DenyReason
from trading.domain.values import Level, Side
from trading.services.breakers import KINDS

TICK: Final = "tick"
TOPICS: Final = ("orders", "breakers", "trading_state", "incidents")
"""Of the events that can be triggers."""
FAILED_KIND, BLIND_KIND = "rule_failed", "rule_blind"
_OF_RULES: Final = frozenset({"rule", FAILED_KIND, BLIND_KIND})
"""Incidents rules open themselves: a rule that hears itself would never stop."""
PLAYBOOK: Final = "playbook:"
"""What comes before the name of a playbook whose steps a rule takes."""
_TEXT = Fact(Kind.TEXT)
_ORDER: Mapping[str, Fact] = {
    "symbol": _TEXT,
    "account": _TEXT,
    "strategy": Fact(Kind.TEXT),
    "side": Fact(Kind.TEXT, choices=frozenset(side.value for side in Side)),
    "notional": Fact(unit="USDT"),
}
_SHARE = Parameter(Decimal("0.1"), Decimal("0.95"), Decimal("0.7"))

METRICS: Final[Mapping[str, Fact]] = {
    "equity": Fact(unit="USDT"),
    "drawdown": Fact(unit="fraction"),
    "day_result": Fact(unit="USDT"),
    "day_return": Fact(unit="fraction"),
    "exposure_gross": Fact(unit="USDT"),
    "open_orders": Fact(),
    "unknown_orders": Fact(),
    "orders_5m": Fact(),
    "denied_5m": Fact(),
    "rejected_5m": Fact(),
    "fills_5m": Fact(),
    "open_breakers": Fact(),
    "open_divergences": Fact(),
    "reconcile_age_s": Fact(unit="s"),
    "stream_age_s": Fact(unit="s"),
    "level": Fact(unit="0 to 4"),
}

VOCABULARY: Final = Vocabulary(
    triggers={
        TICK: {},
        "order.denied": {
            **_ORDER,
            "code": Fact(Kind.TEXT, choices=frozenset(code.value for code in DenyReason)),
        },
        "order.rejected": {**_ORDER, "venue_code": _TEXT},
        "breaker.opened": {
            "breaker": Fact(Kind.TEXT, choices=frozenset(KINDS)),
            "scope": _TEXT,
            "reason": _TEXT,
        },
        "trading.level": {
            "scope": _TEXT,
            "to_level": Fact(Kind.TEXT, choices=frozenset(level.name for level in Level)),
        },
        "incident": {"kind": _TEXT, "account": _TEXT},
        "reconcile.divergence": {"account": _TEXT},
    },
    metrics=METRICS,
    actions={
        "pause_trading": Action(text="no new risk anywhere (level REDUCING)"),
        "halt_trading": Action(text="no orders but cancels anywhere (level HALT_NEW)"),
        "pause_symbol": Action(needs="symbol", text="no new risk in the symbol"),
        "pause_strategy": Action(needs="strategy", text="no new risk by the strategy"),
        "disable_strategy": Action(needs="strategy", text="switches the strategy off"),
        "reduce_max_order_size": Action(
            {"factor": _SHARE, "floor_usd": Parameter(Decimal(10), Decimal(10**9), Decimal(20))},
            text="`max_notional` times the factor, not below the floor",
        ),
        "reduce_exposure": Action(
            {"factor": _SHARE, "floor_usd": Parameter(Decimal(0), Decimal(10**9), Decimal(500))},
            text="`exposure_global` times the factor, not below the floor",
        ),
        "reduce_order_rate": Action(
            {"factor": _SHARE, "floor": Parameter(Decimal(1), Decimal(10**6), Decimal(3))},
            text="`orders_per_minute` times the factor, not below the floor",
        ),
        "notify": Action(text="an incident that people are told of"),
        **{
            f"{PLAYBOOK}{spec.name}": Action(
                needs="" if spec.of == "global" else spec.of,
                text=f"the steps of the playbook `{spec.name}`, checked by their effect, with its incident and undo",
            )
            for spec in PLAYBOOKS.values()
            if spec.of in ("global", "account", "symbol", "strategy")
        },
    },
)
"""Nothing here can raise risk: what a rule lowered takes people to raise again."""


def facts_of(topic: str, data: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The trigger an event means, with its facts; None where it is no rule's business."""
    if topic == "orders":
        facts: dict[str, Any] = {name: data.get(name) for name in ("symbol", "account", "strategy", "side")}
        facts["notional"] = _notional(data)
        if data.get("status") == "DENIED":
            return "order.denied", {**facts, "code": data.get("code")}
        if data.get("status") == "REJECTED":
            return "order.rejected", {**facts, "venue_code": str(data.get("code") or "")}
    if topic == "breakers" and data.get("state") == "open":
        return "breaker.opened", {
            "breaker": data.get("name"),
            "scope": data.get("scope"),
            "reason": data.get("reason"),
        }
    if topic == "trading_state" and "level_name" in data:
        return "trading.level", {"scope": data.get("scope"), "to_level": data.get("level_name")}
    if topic == "incidents":
        if data.get("kind") == "divergence":
            return "reconcile.divergence", {"account": data.get("account")}
        if data.get("kind") not in _OF_RULES:
            return "incident", {"kind": data.get("kind"), "account": data.get("account")}
    return None


def _notional(data: Mapping[str, Any]) -> Decimal | None:
    try:
        return Decimal(str(data["quantity"])) * Decimal(str(data["price"]))
    except (KeyError, ArithmeticError):
        return None
