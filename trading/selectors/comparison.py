"""Our books beside the venue's as they were last read: orders, fills, positions, balances, with their age."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, Max, Q

from nautilus_site.common.clock import now
from trading.domain.orders import OPEN, OrderStatus
from trading.domain.sweeps import PERIODS_S, Sweep
from trading.domain.values import decimal_text
from trading.models import Account, Balance, Fill, Order, Position, SweepPeriod, SweepState, TradeCursor

SHOWN = 200
DAY = timedelta(hours=24)
WHAT = {
    Sweep.STARTUP: "everything, filters, mode and key, before the first order",
    Sweep.UNKNOWN: "orders whose answer never came, on both services",
    Sweep.OPEN_ORDERS: "all open orders, regular and conditional",
    Sweep.TRADES: "trades by id, positions, balances, income",
    Sweep.DEEP: "all orders of a day, symbol by symbol",
    Sweep.NIGHTLY: "the whole day against the ledger, signed",
}
_AT_THE_VENUE = OPEN - {OrderStatus.RESERVED}


def comparison() -> dict[str, list[dict[str, Any]]]:
    """Rows of the four comparisons and of the sweeps."""
    moment = now()
    accounts = list(Account.objects.select_related("venue").filter(is_active=True).order_by("name"))
    states: dict[tuple[int, str], SweepState] = {
        (s.account_id, s.sweep): s for s in SweepState.objects.filter(account__in=accounts)
    }
    return {
        "balances": _balances(accounts, moment),
        "positions": _positions(accounts, states, moment),
        "orders": _orders(accounts, states),
        "fills": _fills(accounts, moment),
        "sweeps": _sweeps(accounts, states, moment),
    }


def _balances(accounts: list[Account], moment: datetime) -> list[dict[str, Any]]:
    rows = []
    for row in (
        Balance.objects.filter(account__in=accounts)
        .select_related("account")
        .order_by("account__name", "asset")
    ):
        theirs = row.venue_free + row.venue_locked
        if not row.amount and not theirs:
            continue
        read = row.venue_seen_at is not None
        rows.append(
            {
                "id": f"{row.account.name}:{row.asset}",
                "account": row.account.name,
                "asset": row.asset,
                "ours": _text(row.amount),
                "theirs": _text(theirs) if read else None,
                "difference": _text(theirs - row.amount) if read else None,
                "verdict": "not read" if not read else "equal" if theirs == row.amount else "differs",
                "age_s": _age(row.venue_seen_at, moment),
            }
        )
    return rows


def _positions(
    accounts: list[Account], states: dict[tuple[int, str], SweepState], moment: datetime
) -> list[dict[str, Any]]:
    rows = []
    for account in accounts:
        ours = {
            (p.instrument.symbol, str(p.position_side)): p.quantity
            for p in Position.objects.filter(account=account).select_related("instrument")
        }
        state = states.get((account.pk, Sweep.TRADES))
        reading = state.progress.get("reading") if state else None
        usdm = account.market == "usdm"
        theirs = {
            (p["symbol"], p["side"]): Decimal(p["quantity"]) for p in (reading or {}).get("positions", ())
        }
        read_at = datetime.fromisoformat(reading["at"]) if reading else None
        for symbol, side in sorted({k for k, v in ours.items() if v} | set(theirs)):
            mine, their = ours.get((symbol, side), Decimal(0)), theirs.get((symbol, side), Decimal(0))
            compared = usdm and read_at is not None
            rows.append(
                {
                    "id": f"{account.name}:{symbol}:{side}",
                    "account": account.name,
                    "symbol": symbol,
                    "side": side,
                    "ours": _text(mine),
                    "theirs": _text(their) if compared else None,
                    "verdict": _position_verdict(usdm, compared, mine == their),
                    "age_s": _age(read_at, moment) if compared else None,
                }
            )
    return rows


def _position_verdict(usdm: bool, compared: bool, equal: bool) -> str:
    if not usdm:
        return "as balance"
    if not compared:
        return "not read"
    return "equal" if equal else "differs"


def _orders(accounts: list[Account], states: dict[tuple[int, str], SweepState]) -> list[dict[str, Any]]:
    rows = []
    for account in accounts:
        state = states.get((account.pk, Sweep.OPEN_ORDERS))
        theirs = {o["client_order_id"]: o for o in (state.progress.get("orders", ()) if state else ())}
        ours = {
            o.client_order_id: o
            for o in Order.objects.filter(
                Q(status__in=_AT_THE_VENUE) | Q(client_order_id__in=list(theirs)), account=account
            ).select_related("instrument")[:SHOWN]
        }
        for client_order_id in sorted({*ours, *theirs}):
            mine, their = ours.get(client_order_id), theirs.get(client_order_id)
            rows.append(
                {
                    "id": f"{account.name}:{client_order_id}",
                    "account": account.name,
                    "symbol": mine.instrument.symbol if mine else their["symbol"] if their else "",
                    "side": mine.side if mine else their["side"] if their else "",
                    "client_order_id": client_order_id,
                    "service": mine.service if mine else their["service"] if their else "",
                    "ours": mine.status if mine else None,
                    "ours_executed": _text(mine.executed_quantity) if mine else None,
                    "theirs": their["status"] if their else None,
                    "theirs_executed": their["executed"] if their else None,
                    "verdict": _order_verdict(mine, their),
                }
            )
    return sorted(rows, key=lambda row: row["verdict"] == "equal")[:SHOWN]


def _order_verdict(mine: Order | None, their: dict[str, Any] | None) -> str:
    if mine is None:
        return "exchange only"
    if their is None:
        return "ours only"
    same = mine.status == their["status"] and mine.executed_quantity == Decimal(their["executed"])
    return "equal" if same else "differs"


def _fills(accounts: list[Account], moment: datetime) -> list[dict[str, Any]]:
    newest = {
        (row["account_id"], row["instrument_id"]): row
        for row in Fill.objects.filter(account__in=accounts, recorded_at__gt=moment - DAY)
        .order_by()
        .values("account_id", "instrument_id")
        .annotate(n=Count("id"), last=Max("trade_id"))
    }
    rows = []
    cursors = TradeCursor.objects.filter(account__in=accounts).select_related("account", "instrument")
    for cursor in cursors.order_by("account__name", "instrument__symbol")[:SHOWN]:
        found = newest.get((cursor.account_id, cursor.instrument_id))
        rows.append(
            {
                "id": f"{cursor.account.name}:{cursor.instrument.symbol}",
                "account": cursor.account.name,
                "symbol": cursor.instrument.symbol,
                "fills": found["n"] if found else 0,
                "last_booked": found["last"] if found else None,
                "read_to": cursor.last_trade_id,
                "age_s": _age(cursor.swept_at, moment),
                "deep_age_s": _age(cursor.deep_swept_at, moment),
            }
        )
    return rows


def _sweeps(
    accounts: list[Account], states: dict[tuple[int, str], SweepState], moment: datetime
) -> list[dict[str, Any]]:
    periods = {**PERIODS_S, **{Sweep(k): v for k, v in SweepPeriod.objects.values_list("sweep", "every_s")}}
    rows = []
    for account in accounts:
        for sweep, every_s in periods.items():
            state = states.get((account.pk, sweep))
            age = _age(state.finished_at, moment) if state else None
            rows.append(
                {
                    "id": f"{account.name}:{sweep}",
                    "account": account.name,
                    "sweep": str(sweep),
                    "what": WHAT[sweep],
                    "every_s": every_s,
                    "age_s": age,
                    "next_s": None if age is None or sweep is Sweep.UNKNOWN else max(0.0, every_s - age),
                    "failures": state.failures if state else 0,
                }
            )
    return rows


def _age(at: datetime | None, moment: datetime) -> float | None:
    return None if at is None else round(max(0.0, (moment - at).total_seconds()), 1)


def _text(amount: Decimal) -> str:
    return decimal_text(amount.normalize()) if amount else "0"
