"""The state of the platform in one read: what `GET /status` answers and the first page shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Count, OuterRef, Subquery

from nautilus_site.common.clock import now as wall_now
from nautilus_site.common.models import ChangeRequest, OutboxEvent
from trading.domain.orders import OrderStatus
from trading.models import (
    Account,
    Balance,
    CircuitBreaker,
    Divergence,
    Order,
    Position,
    ProcessHeartbeat,
    ReconcileRun,
)
from trading.selectors.breakers import breaker_members
from trading.selectors.controls import global_level, level_members, trading_state_members, trading_states
from trading.selectors.marks import marks_read
from trading.selectors.notation import age_s, amount_text, utc_text
from trading.selectors.orders import OPEN_STATUSES
from trading.selectors.portfolio import Worth, total_worth, worth_by_account
from trading.selectors.rates import RateUse, queue_depths, rate_uses
from trading.selectors.strategies import strategy_list
from universe.models import StreamState

# Events that come every second or with every bar would push everything else off a short list.
_FREQUENT_TOPICS = ("prices", "equity", "decisions")
_EVENTS = 20
_WORKERS = 100


def status_snapshot() -> dict[str, Any]:
    """Everything at a glance. Ages are seconds of wall time at `at`, computed here.

    A constant number of queries, whatever there is to show.
    """
    now = wall_now()
    last_run = ReconcileRun.objects.filter(account=OuterRef("pk")).order_by("-id").values("pk")[:1]
    accounts = list(
        Account.objects.filter(is_active=True)
        .select_related("venue")
        .annotate(last_run_id=Subquery(last_run))
        .order_by("name")
    )
    marks = marks_read()
    worths = worth_by_account(
        accounts, Balance.objects.all(), Position.objects.select_related("instrument"), marks
    )
    states = trading_states()
    orders = _open_orders()
    return {
        "at": utc_text(now),
        "mode": "paper" if settings.BINANCE_ENV in ("local", "testnet", "demo") else "live",
        "environment": settings.BINANCE_ENV,
        "trading": {
            **level_members(global_level(states)),
            "scopes": [
                {**trading_state_members(state), "age_s": age_s(state.changed_at, now)} for state in states
            ],
        },
        "breakers": [breaker_members(row) for row in CircuitBreaker.objects.order_by("name", "scope")],
        "portfolio": _portfolio(accounts, worths),
        "orders": orders,
        "strategies": [_with_ages(strategy, now) for strategy in strategy_list()],
        "workers": _workers(now),
        "streams": _streams(now),
        "prices": {
            "oldest_age_s": max(
                (age_s(mark.received_at, now) or 0.0 for mark in marks.by_instrument.values()), default=None
            ),
            "count": len(marks.by_instrument),
        },
        "queues": queue_depths(),
        "rate_limits": [_rate(use) for use in rate_uses(now)],
        "reconcile": _reconcile(accounts, now),
        "approvals_pending": ChangeRequest.objects.filter(
            state=ChangeRequest.State.PENDING, expires_at__gt=now
        ).count(),
        "events": _events(now),
    }


def _open_orders() -> dict[str, int]:
    open_orders = Order.objects.filter(status__in=OPEN_STATUSES).order_by()
    rows = open_orders.values("status").annotate(count=Count("id"))
    counts = {row["status"]: row["count"] for row in rows}
    return {
        "open": sum(counts.values()),
        "unknown": counts.get(OrderStatus.UNKNOWN, 0),
        "by_status": {status: counts.get(status, 0) for status in OPEN_STATUSES},
    }


def _portfolio(accounts: Iterable[Account], worths: dict[int, Worth]) -> dict[str, Any]:
    rows = []
    day_started, peaks = [], []
    for account in accounts:
        worth = worths[account.pk]
        day_started.append(account.day_start_equity)
        peaks.append(account.peak_equity)
        rows.append(
            {
                "account": account.name,
                **worth.members(),
                **_results(worth.equity, account.day_start_equity, account.peak_equity),
                "loaded": account.opened_at is not None,
            }
        )
    total = total_worth(worths.values())
    return {
        **total.members(),
        **_results(total.equity, _sum_known(day_started), _sum_known(peaks)),
        "loaded": bool(rows) and all(row["loaded"] for row in rows),
        "by_account": rows,
    }


def _results(equity: Decimal, day_start: Decimal | None, peak: Decimal | None) -> dict[str, Any]:
    """Today's result, and the drawdown as a fraction of the peak (which counts what is reached right now)."""
    top = None if peak is None else max(peak, equity)
    return {
        "day_pnl": None if day_start is None else amount_text(equity - day_start),
        "peak_equity": amount_text(top),
        "drawdown": None if top is None or top <= 0 else max(0.0, float(1 - equity / top)),
    }


def _sum_known(values: list[Decimal | None]) -> Decimal | None:
    """The sum, or None while one of its parts is not known."""
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) if known and len(known) == len(values) else None


def _with_ages(strategy: dict[str, Any], now: datetime) -> dict[str, Any]:
    for instance in strategy["instances"]:
        decision = instance["last_decision"]
        instance["last_decision_age_s"] = (
            age_s(datetime.fromisoformat(decision["decided_at"]), now) if decision else None
        )
    return strategy


def _workers(now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "name": row.name,
            "kind": row.kind,
            "pid": row.pid,
            "started_at": utc_text(row.started_at),
            "beat_at": utc_text(row.beat_at),
            "age_s": age_s(row.beat_at, now),
            "detail": row.detail,
        }
        for row in ProcessHeartbeat.objects.order_by("name")[:_WORKERS]
    ]


def _streams(now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "name": row.name,
            "connected": row.connected_at is not None,
            "last_message_at": utc_text(row.last_message_at),
            "age_s": age_s(row.last_message_at, now),
            "gap_since": utc_text(row.gap_since),
            "reconnects": row.reconnects,
            "detail": row.detail,
        }
        for row in StreamState.objects.order_by("name")
    ]


def _rate(use: RateUse) -> dict[str, Any]:
    return {
        "venue": use.venue,
        "kind": use.kind,
        "used": use.used,
        "limit": use.limit,
        "ratio": round(use.ratio, 4),
        "blocked_until": utc_text(use.blocked_until),
        "reason": use.reason,
    }


def _reconcile(accounts: Sequence[Any], now: datetime) -> dict[str, Any]:
    run_ids = [account.last_run_id for account in accounts if account.last_run_id is not None]
    runs = {run.account_id: run for run in ReconcileRun.objects.filter(pk__in=run_ids)}
    rows = []
    for account in accounts:
        run = runs.get(account.pk)
        rows.append(
            {
                "account": account.name,
                "reconciled_at": utc_text(account.reconciled_at),
                "lag_s": age_s(account.reconciled_at, now),
                "last_run": None
                if run is None
                else {
                    "id": run.pk,
                    "trigger": run.trigger,
                    "started_at": utc_text(run.started_at),
                    "finished_at": utc_text(run.finished_at),
                    "outcome": run.outcome or None,
                },
            }
        )
    lags = [row["lag_s"] for row in rows]
    known = [lag for lag in lags if isinstance(lag, float)]
    return {
        "lag_s": max(known) if known and len(known) == len(lags) else None,
        "open_divergences": Divergence.objects.filter(resolved_at=None).count(),
        "accounts": rows,
    }


def _events(now: datetime) -> list[dict[str, Any]]:
    rows = OutboxEvent.objects.exclude(topic__in=_FREQUENT_TOPICS).order_by("-id")[:_EVENTS]
    return [
        {
            "id": row.event_id,
            "topic": row.topic,
            "at": utc_text(row.at),
            "age_s": age_s(row.at, now),
            "data": row.data,
        }
        for row in rows
    ]
