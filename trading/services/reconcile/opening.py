"""The first run of an account: what it held before we ever traded, and where each symbol's history begins for us.

Positions and balances older than any history the venue lists are no difficulty then: they are in the opening.
"""

from __future__ import annotations

from typing import cast

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.services.audit import audit_record
from trading.domain.errors import VenueUnavailable
from trading.domain.ports import FuturesVenue
from trading.domain.values import decimal_text
from trading.models import Account, LedgerEntry, SymbolAllowance, TradeCursor
from trading.services.books.transfers import positions_open
from trading.services.exposure import balances_locked
from trading.services.income import income_baseline, income_opened
from trading.services.ledger import Line, ledger_post
from trading.services.reconcile.context import Run
from universe.models import Instrument

SYMBOLS_ASKED = 50
"""Where a venue lists more symbols than this, only those the account may trade or holds are asked at the opening."""


def account_open(run: Run) -> None:
    """Book the opening balances and note the newest trade and order of each symbol. Once per account."""
    instruments = _instruments(run)
    first = run.venue.balances()
    if not first:
        # An account that holds nothing cannot trade; more likely the venue has lost sight of its balances.
        raise VenueUnavailable(None, f"the venue lists no balance of {run.account.name}: not opened")
    held = {b.asset for b in first}
    marks: dict[int, tuple[int, int]] = {}
    for instrument in instruments:
        if len(instruments) > SYMBOLS_ASKED and not _concerns(run, instrument, held):
            continue
        run.keep_lease()
        trades = run.venue.trades(instrument.symbol, from_id=None, start_ms=None)
        orders = run.venue.orders_since(instrument.symbol, from_id=None)
        marks[instrument.pk] = (
            max((t.trade_id for t in trades), default=0),
            max((o.venue_order_id for o in orders if o.status not in ("NEW", "PARTIALLY_FILLED")), default=0),
        )
    baseline = income_baseline(cast("FuturesVenue", run.venue)) if run.is_usdm else None
    balances = run.venue.balances()
    positions = cast("FuturesVenue", run.venue).positions(None) if run.is_usdm else []
    if {b.asset: b.free + b.locked for b in balances} != {b.asset: b.free + b.locked for b in first}:
        raise VenueUnavailable(1.0, f"{run.account.name} trades while it is being opened: not opened yet")
    with transaction.atomic():
        locked = Account.objects.select_for_update(of=("self",), no_key=True).get(pk=run.account.pk)
        if locked.opened_at is not None:
            return
        moment = now()
        for instrument in instruments:
            if instrument.pk in marks:
                last_trade, last_order = marks[instrument.pk]
                TradeCursor.objects.get_or_create(
                    account=run.account,
                    instrument=instrument,
                    defaults={
                        "last_trade_id": last_trade,
                        "opening_trade_id": last_trade,
                        "last_order_id": last_order,
                        "opened_at": moment,
                    },
                )
        balances_locked(run.account, {b.asset for b in balances})
        ledger_post(
            account=run.account,
            transaction="opening",
            lines=[Line(b.asset, b.free + b.locked, LedgerEntry.Kind.OPENING) for b in balances],
            at=moment,
        )
        if baseline is not None:
            income_opened(run.account, baseline)
        positions_open(run.account, positions)
        locked.opened_at = moment
        locked.save(update_fields=["opened_at"])
        audit_record(
            action="account.opened",
            target=run.account.name,
            actor="reconciliation",
            after={b.asset: decimal_text(b.free + b.locked) for b in balances},
        )


def _instruments(run: Run) -> list[Instrument]:
    return list(Instrument.objects.filter(venue=run.account.venue, status="TRADING").order_by("symbol"))


def _concerns(run: Run, instrument: Instrument, held: set[str]) -> bool:
    allowed = SymbolAllowance.objects.filter(account=run.account, instrument=instrument).exists()
    return allowed or instrument.base_asset in held
