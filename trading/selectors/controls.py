"""Levels by scope: what is stopped, by whom, and how far the exchange has followed."""

from __future__ import annotations

from typing import Any

from django.db.models.functions import Greatest

from nautilus_site.common.errors import NotFound
from trading.domain.values import Level
from trading.models import Account, KillEnforcement, Order, Strategy, TradingState
from trading.selectors.notation import utc_text
from universe.models import Instrument, Venue

GLOBAL = "global"
MEANING = {
    Level.ACTIVE: "new risk is allowed",
    Level.REDUCING: "only orders that reduce a position are allowed",
    Level.HALT_NEW: "no new orders; orders that rest at the exchange stay",
    Level.CANCEL: "no new orders; open orders are canceled, protective ones only if that was asked for",
    Level.FLATTEN: "no new orders but the flattener's; open orders are canceled",
}
# An operator's list of scopes is short; a runaway one must not make the status page slow.
MAXIMUM_SCOPES = 200


def trading_states() -> list[TradingState]:
    """Every scope that has a level of its own, the strictest first."""
    strictest = Greatest("level", "auto_level")
    return list(TradingState.objects.order_by(strictest.desc(), "scope")[:MAXIMUM_SCOPES])


def global_level(states: list[TradingState]) -> Level:
    """The level of the global scope. Without its permanent row nobody has ever allowed trading."""
    return next((state.effective for state in states if state.scope == GLOBAL), Level.HALT_NEW)


def scope_check(scope: str) -> None:
    """Make sure that what a canonical scope names exists: stopping a misspelt account would stop nothing.

    Raises
    ------
    NotFound : UNKNOWN_SCOPE.
    """
    kind, _, name = scope.partition(":")
    strategy, _, symbol = name.partition(":") if kind == "strategy_symbol" else (name, "", name)
    exists = True
    if kind == "venue":
        exists = Venue.objects.filter(name=name).exists()
    elif kind == "account":
        exists = Account.objects.filter(name=name).exists()
    if kind in ("strategy", "strategy_symbol"):
        exists = Strategy.objects.filter(name=strategy).exists()
    if kind in ("symbol", "strategy_symbol"):
        exists = exists and Instrument.objects.filter(symbol=symbol).exists()
    if kind == "model":
        family, _, number = name.partition("@")
        version = int(number) if number.isdecimal() else 0
        # One that traded once and does not now may still have orders at the exchange.
        exists = (
            Strategy.objects.filter(model_family=family, model_version=version or None).exists()
            or Order.objects.filter(model_version=name).exists()
        )
    if not exists:
        raise NotFound("UNKNOWN_SCOPE", f"{scope} names nothing that exists")


def level_members(level: Level) -> dict[str, Any]:
    """A level as number, word and sentence."""
    return {"level": level.value, "level_name": level.name, "meaning": MEANING[level]}


def trading_state_members(state: TradingState) -> dict[str, Any]:
    """The public members of one scope's level."""
    return {
        "scope": state.scope,
        **level_members(state.effective),
        "reason": state.reason_in_force,
        "changed_by": state.changed_by,
        "at": utc_text(state.changed_at),
        "version": state.version,
    }


def enforcement_members(row: KillEnforcement) -> dict[str, Any]:
    """How far one enforcer has got at the exchange."""
    return {
        "scope": row.scope,
        "account": row.account.name,
        "enforcer": row.enforcer,
        "cancel_requested": row.cancel_requested,
        "open_orders_remaining": row.open_orders_remaining,
        "unknown_remaining": row.unknown_remaining,
        "kept": row.kept,
        "confirmed": row.confirmed_at is not None,
        "started_at": utc_text(row.started_at),
        "confirmed_at": utc_text(row.confirmed_at),
        "error": row.error,
    }


def enforcement_list(limit: int = 20) -> list[dict[str, Any]]:
    """The latest enforcements, newest first."""
    rows = KillEnforcement.objects.select_related("account").order_by("-id")[:limit]
    return [enforcement_members(row) for row in rows]
