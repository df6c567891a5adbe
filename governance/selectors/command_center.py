"""The state of the Command Center: one dictionary for the first paint and for every renewal."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from governance.selectors.shell import shell_state
from governance.selectors.tiles import portfolio_tiles
from nautilus_site.common.clock import now
from trading.domain.orders import OrderStatus
from trading.models import Order
from trading.selectors.equity import equity_series
from trading.selectors.fills import fill_list, fill_members
from trading.selectors.limits import limit_list
from trading.selectors.orders import order_members, order_queryset
from trading.selectors.positions import position_list
from trading.selectors.status import status_snapshot

_TONE_OF_BREAKER = {"closed": "good", "open": "bad", "half_open": "warn"}
WORKER_STALE_S = 15.0
STREAM_STALE_S = 15.0
_EQUITY_POINTS = 480


def command_center_state() -> dict[str, Any]:
    """Everything the page shows. Ages are seconds at `at`; money is decimal text."""
    state = shell_state()
    status = status_snapshot()
    since = now() - timedelta(hours=24)
    limits = [limit_row(limit) for limit in limit_list()]
    return {
        **state,
        "tiles": portfolio_tiles(status, limits),
        "equity": [
            {"at": point["at"], "equity": point["equity"]}
            for point in equity_series(since=since, until=now(), points=_EQUITY_POINTS)
        ],
        "accounts": [
            {"account": row["account"], "equity": row["equity"]} for row in status["portfolio"]["by_account"]
        ],
        "orders": order_rows(open_only=True),
        "recent_orders": order_rows(open_only=False, limit=40),
        "fills": [fill_members(fill) for fill in fill_list(limit=60)],
        "positions": [position_row(row) for row in position_list()],
        "breakers": [breaker_row(row) for row in status["breakers"]],
        "strategies": [row for strategy in status["strategies"] for row in strategy_rows(strategy)],
        "limits": limits,
        "processes": process_rows(status),
        "events": status["events"],
        "prices_age_s": status["prices"]["oldest_age_s"],
    }


def order_rows(*, open_only: bool, limit: int = 100) -> list[dict[str, Any]]:
    """Orders as table rows, newest first; denied ones too unless only open ones are wanted."""
    orders = order_queryset(with_events=False)
    if open_only:
        orders = orders.filter(status__in=[s.value for s in OPEN_SHOWN])
    return [order_row(order) for order in orders[:limit]]


OPEN_SHOWN = (
    OrderStatus.RESERVED,
    OrderStatus.SENDING,
    OrderStatus.UNKNOWN,
    OrderStatus.NEW,
    OrderStatus.PARTIALLY_FILLED,
)


def order_row(order: Order) -> dict[str, Any]:
    """An order's public members and what only the page needs."""
    return {
        **order_members(order, with_events=False),
        "code": order.code,
        "message": order.message,
        "cancel_requested": order.cancel_requested_at is not None,
    }


def position_row(position: dict[str, Any]) -> dict[str, Any]:
    return {"id": f"{position['account']}:{position['symbol']}", **position}


def breaker_row(breaker: dict[str, Any]) -> dict[str, Any]:
    """A breaker with its lamp."""
    state = str(breaker["state"])
    lamp = {"tone": _TONE_OF_BREAKER[state], "text": state.replace("_", "-")}
    if not breaker["is_enabled"]:
        lamp = {"tone": "warn", "text": "switched off"}
    measured, threshold, unit = breaker["measured"], breaker["rule"]["threshold"], breaker["unit"]
    does = "denies new risk" if breaker["action"] == "open" else f"{breaker['action']} of its scope"
    return {
        **breaker,
        "lamp": lamp,
        "reading": "not measured" if measured is None else f"{measured:.4g} of {threshold:g} {unit}",
        "does": f"{does}, {'until two people reset it' if breaker['reset'] == 'manual' else 'until it recovers'}",
    }


def limit_row(limit: dict[str, Any]) -> dict[str, Any]:
    """A limit with the share of it that is used and what is left."""
    used, value = limit["used"], Decimal(limit["value"])
    share = float(Decimal(used) / value) if used is not None and value > 0 else None
    return {"id": f"{limit['name']}|{limit['scope']}", **limit, "share": share}


def strategy_rows(strategy: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per running instance, or one for a strategy that has none."""
    on = strategy["enabled"]
    base = {"strategy": strategy["name"], "interval": strategy["interval"]}
    if not strategy["instances"]:
        return [{"id": strategy["name"], **base, "lamp": {"tone": "off", "text": "no instance"}}]
    rows = []
    for instance in strategy["instances"]:
        decision = instance["last_decision"] or {}
        running = on and instance["enabled"]
        rows.append(
            {
                "id": f"{strategy['name']}|{instance['account']}|{instance['symbol']}",
                **base,
                "account": instance["account"],
                "symbol": instance["symbol"],
                "lamp": {"tone": "good", "text": "on"} if running else {"tone": "off", "text": "off"},
                "target": instance["target"],
                "weight": instance["weight"],
                "allocation": instance["allocation"],
                "reason": decision.get("reason"),
                "decided_at": decision.get("decided_at"),
            }
        )
    return rows


def process_rows(status: dict[str, Any]) -> list[dict[str, Any]]:
    """Workers and streams as one table: what it is, how long it has been silent, and a lamp."""
    rows = []
    for worker in status["workers"]:
        rows.append(
            _process_row("worker", worker["name"], worker["age_s"], WORKER_STALE_S, f"pid {worker['pid']}")
        )
    for stream in status["streams"]:
        detail = stream["detail"] or f"{stream['reconnects']} reconnects"
        row = _process_row("stream", stream["name"], stream["age_s"], STREAM_STALE_S, detail)
        if not stream["connected"]:
            row["lamp"] = {"tone": "bad", "text": "disconnected"}
        rows.append(row)
    for account in status["reconcile"]["accounts"]:
        run = account["last_run"] or {}
        row = _process_row(
            "reconcile", account["account"], account["lag_s"], 120.0, run.get("outcome") or "no run yet"
        )
        rows.append(row)
    for use in status["rate_limits"]:
        tone = "bad" if use["ratio"] >= 0.9 else "warn" if use["ratio"] >= 0.7 else "good"
        rows.append(
            {
                "id": f"rate:{use['venue']}:{use['kind']}",
                "kind": "venue rate",
                "name": f"{use['venue']} {use['kind']}",
                "lamp": {"tone": tone, "text": f"{use['ratio']:.0%}"},
                "age_s": None,
                "detail": f"{use['used']} of {use['limit']} in 60 s",
            }
        )
    return rows


def _process_row(kind: str, name: str, age: float | None, stale_s: float, detail: str) -> dict[str, Any]:
    lamp = (
        {"tone": "off", "text": "never seen"}
        if age is None
        else {"tone": "good", "text": "alive"}
        if age <= stale_s
        else {"tone": "bad", "text": "silent"}
    )
    return {"id": f"{kind}:{name}", "kind": kind, "name": name, "lamp": lamp, "age_s": age, "detail": detail}
