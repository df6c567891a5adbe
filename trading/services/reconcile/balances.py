"""S3, second half: every asset's ledger sum against what the venue holds, and USD-M positions against its own.

A difference is told, never booked away. Before it is, the trades that could explain it are asked for: those of
the symbols it touches. Only then does a second reading count.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import cast

import structlog

from nautilus_site.common.clock import now
from trading.domain.evidence import judge_balances, judge_positions
from trading.domain.orders import OrderStatus
from trading.domain.ports import BalanceReport, FuturesVenue, PositionReport
from trading.domain.reconcile import DivergenceKind
from trading.domain.sweeps import Sweep
from trading.domain.values import Side, decimal_text
from trading.models import Balance, Divergence, Order, Position, SweepState, TradeCursor
from trading.services.divergences import balance_totals, divergence_open, last_ledger_entry
from trading.services.reconcile.context import Run, instruments_watched
from trading.services.reconcile.trades import stalest, trades_book
from universe.models import Instrument

log = structlog.get_logger(__name__)

READINGS = 3
"""Pairs of readings tried in one run until nothing moved between them."""
EXPLAIN_PER_RUN = 20
"""Symbols asked for trades in one run because of a difference; each further run asks the next ones."""


def sweep_balances(run: Run, before: list[BalanceReport]) -> None:
    """Compare what the venue holds with the ledger, once two readings with all trades between them agree."""
    first = before
    for _ in range(READINGS):
        booked_to = last_ledger_entry(run.account)
        after = run.venue.balances()
        positions = cast("FuturesVenue", run.venue).positions(None) if run.is_usdm else []
        if balance_totals(first) == balance_totals(after) and _settled(run, booked_to):
            run.report.balances_compared = True
            _remember(run, positions)
            _compare(run, after, positions)
            return
        first = after


def _settled(run: Run, booked_to: int | None) -> bool:
    """Nothing is on its way into the books: no outcome is unknown, and nothing was booked since `booked_to`."""
    unsure = Order.objects.filter(account=run.account, status__in=(OrderStatus.SENDING, OrderStatus.UNKNOWN))
    return not unsure.exists() and last_ledger_entry(run.account) == booked_to


def _remember(run: Run, positions: list[PositionReport]) -> None:
    """Keep the venue's positions as they were read, for people to look at."""
    told = {
        "at": now().isoformat(),
        "positions": [
            {"symbol": p.symbol, "side": str(p.position_side), "quantity": decimal_text(p.quantity)}
            for p in positions
        ],
    }
    state, _ = SweepState.objects.get_or_create(account=run.account, sweep=Sweep.TRADES)
    SweepState.objects.filter(pk=state.pk).update(progress={**state.progress, "reading": told})


def _compare(run: Run, theirs: list[BalanceReport], positions: list[PositionReport]) -> None:
    verdict = judge_balances(_ours(run), balance_totals(theirs), _locked(run))
    differing, doubt = dict(verdict.differing), verdict.doubt
    moved: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
    if run.is_usdm and not doubt:
        moved, doubt = _positions_differ(run, theirs, positions)
    if doubt:
        _doubt(run, doubt, theirs)
        return
    if (differing or moved) and _explain(run, set(differing), {symbol for symbol, _ in moved}):
        # Trades were booked meanwhile: what is left is judged by what the books say now.
        ours = _ours(run)
        differing = {
            asset: (ours.get(asset, Decimal(0)), their)
            for asset, (_, their) in differing.items()
            if ours.get(asset, Decimal(0)) != their
        }
        if run.is_usdm:
            moved, _ = _positions_differ(run, theirs, positions)
    _note(run, theirs)
    run.report.checked |= {DivergenceKind.BALANCE_MISMATCH, DivergenceKind.ACCOUNT_EMPTY}
    for asset, (ours_, theirs_) in differing.items():
        instruments = _touched(run, {asset})
        divergence_open(
            run.account,
            run.report,
            DivergenceKind.BALANCE_MISMATCH,
            asset,
            decimal_text(ours_.normalize()),
            decimal_text(theirs_),
            symbols=[i.symbol for i in instruments if i.base_asset == asset],
            evidence=_trade_list(run, DivergenceKind.BALANCE_MISMATCH, asset, instruments),
        )
    if run.is_usdm:
        run.report.checked.add(DivergenceKind.POSITION_MISMATCH)
    for (symbol, side), (ours_, theirs_) in moved.items():
        touched = [i for i in instruments_watched(run.account) if i.symbol == symbol]
        subject = symbol if side == "BOTH" else f"{symbol}:{side}"
        divergence_open(
            run.account,
            run.report,
            DivergenceKind.POSITION_MISMATCH,
            subject,
            decimal_text(ours_.normalize()),
            decimal_text(theirs_),
            symbols=[symbol],
            evidence=_with_price(
                _trade_list(run, DivergenceKind.POSITION_MISMATCH, subject, touched), positions, symbol, side
            ),
        )


def _doubt(run: Run, doubt: str, theirs: list[BalanceReport]) -> None:
    """An answer that cannot be believed: told, and nothing else is made of it."""
    run.report.checked.add(DivergenceKind.ACCOUNT_EMPTY)
    ours = {asset: decimal_text(amount.normalize()) for asset, amount in sorted(_ours(run).items()) if amount}
    shown = {b.asset: decimal_text(b.free + b.locked) for b in theirs}
    divergence_open(
        run.account,
        run.report,
        DivergenceKind.ACCOUNT_EMPTY,
        "account",
        ours,
        shown,
        evidence={"doubt": doubt},
        doubted=True,
    )


def _explain(run: Run, assets: set[str], symbols: set[str]) -> bool:
    """Ask for the trades that could explain a difference. True when some were booked.

    A trade moves its base asset, so symbols whose base differs come first; then those longest not asked.
    """
    booked = run.report.fills_booked
    touched = [*_touched(run, assets), *(i for i in instruments_watched(run.account) if i.symbol in symbols)]
    since = {row.subject: row.same_since or row.first_seen_at for row in _open_rows(run)}
    oldest = min([run.since, *since.values()])
    due = stalest(run.account, dict.fromkeys(touched), oldest)
    due.sort(key=lambda i: i.base_asset not in assets and i.symbol not in symbols)
    for instrument in due[:EXPLAIN_PER_RUN]:
        trades_book(run, instrument)
    return run.report.fills_booked > booked


def _trade_list(run: Run, kind: str, subject: str, instruments: list[Instrument]) -> dict[str, str]:
    """The second kind of evidence: every symbol that could explain it was asked since it looks as it does."""
    row = next((r for r in _open_rows(run) if r.kind == kind and r.subject == subject), None)
    since: datetime = (row.same_since or row.first_seen_at) if row is not None else run.since
    left = stalest(run.account, instruments, since)
    if left:
        return {}
    ids = dict(
        TradeCursor.objects.filter(account=run.account, instrument__in=instruments).values_list(
            "instrument__symbol", "last_trade_id"
        )
    )
    read = ", ".join(f"{symbol} to {last}" for symbol, last in sorted(ids.items())[:20]) or "no symbol has it"
    return {"trade list": f"explains nothing: {read}"}


def _with_price(
    evidence: dict[str, str], positions: list[PositionReport], symbol: str, side: str
) -> dict[str, str]:
    """Add the venue's entry price: what an adoption would book the difference at."""
    told = next((p for p in positions if p.symbol == symbol and p.position_side == side), None)
    if evidence and told is not None:
        return {**evidence, "entry price": decimal_text(told.entry_price)}
    return evidence


def _open_rows(run: Run) -> list[Divergence]:
    kinds = (DivergenceKind.BALANCE_MISMATCH, DivergenceKind.POSITION_MISMATCH)
    return list(Divergence.objects.filter(account=run.account, resolved_at=None, kind__in=kinds))


def _touched(run: Run, assets: set[str]) -> list[Instrument]:
    return [i for i in instruments_watched(run.account) if {i.base_asset, i.quote_asset} & assets]


def _ours(run: Run) -> dict[str, Decimal]:
    rows = Balance.objects.filter(account=run.account).values_list("asset", "amount")
    return dict(rows)


def _locked(run: Run) -> set[str]:
    """Assets the venue's own list of open orders says it holds back; on USD-M an order holds margin only."""
    if run.is_usdm:
        return set()
    known = (
        {i.symbol: i for i in Instrument.objects.filter(venue=run.account.venue)} if run.open_orders else {}
    )
    return {
        known[o.symbol].quote_asset if o.side is Side.BUY else known[o.symbol].base_asset
        for o in run.open_orders
        if o.symbol in known and o.executed_quantity < o.quantity
    }


def _positions_differ(
    run: Run, balances: list[BalanceReport], positions: list[PositionReport]
) -> tuple[dict[tuple[str, str], tuple[Decimal, Decimal]], str]:
    rows = Position.objects.filter(account=run.account).select_related("instrument")
    ours = {(row.instrument.symbol, str(row.position_side)): row.quantity for row in rows}
    theirs = {(p.symbol, str(p.position_side)): p.quantity for p in positions}
    empty = not any(total for total in balance_totals(balances).values())
    return judge_positions(ours, theirs, wallet_is_empty=empty)


def _note(run: Run, theirs: list[BalanceReport]) -> None:
    moment = now()
    for entry in theirs:
        Balance.objects.update_or_create(
            account=run.account,
            asset=entry.asset,
            defaults={"venue_free": entry.free, "venue_locked": entry.locked, "venue_seen_at": moment},
        )
