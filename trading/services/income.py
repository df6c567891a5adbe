"""USD-M income: funding, transfers and liquidation fees, booked once by the venue's own transaction id.

The user stream says only that a wallet has changed, and for funding neither the symbol nor an id; so it is the hint to
read the income now, and the sweeps read it again. What fills have booked already, results and commissions, is in the
income too and is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Final

import structlog
from django.db import transaction
from django.db.models import F

from nautilus_site.common.clock import now
from nautilus_site.common.services.audit import audit_record
from trading.domain.clock import ms_to_ns, ns_to_datetime
from trading.domain.ports import FuturesVenue, IncomeReport
from trading.domain.subaccounts import PEOPLE, split_amount, split_signed
from trading.domain.values import PositionSide, decimal_text, from_units, to_units
from trading.models import Account, IncomeCursor, LedgerEntry, Order, Position, SubPosition
from trading.services.capital import capital_moved, transfer_value
from trading.services.exposure import balances_locked, positions_locked
from trading.services.ledger import Line, Posting, ledger_write
from universe.models import Instrument

log = structlog.get_logger(__name__)

OVERLAP_MS = 120_000
"""How far behind the newest row a sweep reads again: rows may appear a little late."""
DEEP_OVERLAP_MS = 24 * 3_600_000
BATCH = 200

FROM_FILLS: Final = frozenset({"REALIZED_PNL", "COMMISSION"})
_KINDS: Final = MappingProxyType(
    {
        "FUNDING_FEE": LedgerEntry.Kind.FUNDING,
        "TRANSFER": LedgerEntry.Kind.TRANSFER,
        "INTERNAL_TRANSFER": LedgerEntry.Kind.TRANSFER,
        "CROSS_COLLATERAL_TRANSFER": LedgerEntry.Kind.TRANSFER,
        "STRATEGY_UMFUTURES_TRANSFER": LedgerEntry.Kind.TRANSFER,
        "INSURANCE_CLEAR": LedgerEntry.Kind.LIQUIDATION,
        "LIQUIDATION_FEE": LedgerEntry.Kind.LIQUIDATION,
    }
)


def income_baseline(venue: FuturesVenue) -> tuple[int, list[str]]:
    """Where the income stands: the time of its newest row, and the rows of that very millisecond."""
    rows = venue.income(start_ms=0)
    if not rows:
        return 0, []
    last = max(row.time_ms for row in rows)
    return last, sorted(_key(row) for row in rows if row.time_ms == last)


def income_opened(account: Account, baseline: tuple[int, list[str]]) -> None:
    """Note that everything up to a baseline is in the opening balance."""
    last_ms, ids = baseline
    IncomeCursor.objects.get_or_create(
        account=account,
        defaults={"opened_ms": last_ms, "opening_ids": ids, "read_to_ms": last_ms},
    )


def income_sweep(account: Account, venue: FuturesVenue, *, deep: bool = False) -> int:
    """Read the income since the last time, and book what is new. Returns how many rows were booked.

    Raises
    ------
    VenueError : the venue cannot be asked now.
    """
    cursor = IncomeCursor.objects.filter(account=account).first()
    if cursor is None:
        return 0  # not opened yet
    start = max(cursor.opened_ms, cursor.read_to_ms - (DEEP_OVERLAP_MS if deep else OVERLAP_MS))
    rows = [
        row
        for row in venue.income(start_ms=start)
        if row.time_ms > cursor.opened_ms
        or (row.time_ms == cursor.opened_ms and _key(row) not in cursor.opening_ids)
    ]
    booked = income_book(account, rows)
    newest = max((row.time_ms for row in rows), default=cursor.read_to_ms)
    IncomeCursor.objects.filter(pk=cursor.pk, read_to_ms__lte=newest).update(read_to_ms=newest, read_at=now())
    return booked


def income_book(account: Account, rows: Sequence[IncomeReport]) -> int:
    """Book rows that are not booked yet and that no fill has booked. Returns how many."""
    wanted = {_transaction(row): row for row in rows if row.kind not in FROM_FILLS and row.amount}
    booked = 0
    names = sorted(wanted)
    for start in range(0, len(names), BATCH):
        part = names[start : start + BATCH]
        known = set(
            LedgerEntry.objects.filter(account=account, transaction__in=part).values_list(
                "transaction", flat=True
            )
        )
        for name in part:
            if name not in known:
                booked += _book(account, name, wanted[name])
    return booked


@transaction.atomic
def _book(account: Account, name: str, row: IncomeReport) -> bool:
    kind = _KINDS.get(row.kind, LedgerEntry.Kind.OTHER)
    instrument = (
        Instrument.objects.filter(venue=account.venue, symbol=row.symbol).first() if row.symbol else None
    )
    locked = Account.objects.select_for_update(of=("self",), no_key=True).get(pk=account.pk)
    positions = positions_locked(account, instrument, _sides(account)) if instrument is not None else {}
    balances_locked(account, {row.asset})
    if LedgerEntry.objects.filter(account=account, transaction=name).exists():
        return False  # another sweep was faster
    amount = to_units(row.amount)
    if kind == LedgerEntry.Kind.FUNDING and positions:
        position = _funded(row, positions)
        shares = _funding_shares(amount, position) or {PEOPLE: amount}
        _funding_follows(position, shares)
    elif kind == LedgerEntry.Kind.LIQUIDATION and instrument is not None:
        shares = _liquidation_shares(account, instrument, amount)
    else:
        shares = {PEOPLE: amount}
    lines = [Line(row.asset, from_units(units), kind, owner) for owner, units in sorted(shares.items())]
    at = ns_to_datetime(ms_to_ns(row.time_ms))
    ledger_write(account=account, postings=[Posting(name, lines, at, None, instrument)])
    if kind == LedgerEntry.Kind.TRANSFER:
        value = transfer_value(account, row.asset, row.amount)
        capital_moved(locked, value)
        audit_record(
            action="account.transfer",
            target=account.name,
            actor="income",
            after={
                "asset": row.asset,
                "amount": decimal_text(row.amount),
                "value": decimal_text(value),
                "id": row.transaction_id,
            },
        )
    elif kind == LedgerEntry.Kind.OTHER:
        log.warning(
            "income_of_a_kind_without_a_name", account=account.name, kind=row.kind, id=row.transaction_id
        )
    return True


def _key(row: IncomeReport) -> str:
    return f"{row.kind}:{row.transaction_id}"


def _transaction(row: IncomeReport) -> str:
    return f"income:{_key(row)}"[:80]


def _sides(account: Account) -> set[str]:
    if account.hedge_mode:
        return {PositionSide.LONG.value, PositionSide.SHORT.value}
    return {PositionSide.BOTH.value}


def _funded(row: IncomeReport, positions: dict[str, Position]) -> Position:
    """Which side a payment is for. In hedge mode each side is paid on its own and no row says which.

    Both are paid the same fraction of their value, so where both are held the larger payment is the larger side's,
    and of equal sides it does not matter. The other row of the same moment tells which of the two this one is.
    """
    held = [position for position in positions.values() if position.quantity]
    if len(held) < 2:
        return held[0] if held else next(iter(positions.values()))
    large, small = sorted(held, key=lambda position: abs(position.quantity), reverse=True)
    other = LedgerEntry.objects.filter(
        account_id=large.account_id,
        instrument_id=large.instrument_id,
        owner="venue",
        kind=LedgerEntry.Kind.FUNDING,
        at=ns_to_datetime(ms_to_ns(row.time_ms)),
    ).first()
    if other is not None:
        return large if abs(row.amount) > abs(other.amount) else small
    rate = _rate_of(large)
    if rate:  # longs pay when it is positive
        pays = PositionSide.LONG if rate > 0 else PositionSide.SHORT
        return positions[pays] if row.amount < 0 else positions[_other(pays)]
    return large


def _other(side: PositionSide) -> str:
    return PositionSide.SHORT if side is PositionSide.LONG else PositionSide.LONG


def _rate_of(position: Position) -> Decimal | None:
    quote = getattr(position.instrument, "quote", None)
    rate: Decimal | None = quote.funding_rate if quote is not None else None
    return rate


def _funding_shares(amount: int, position: Position) -> dict[str, int]:
    """Funding follows the quantity each owner has of the position."""
    parts = SubPosition.objects.filter(position=position).exclude(quantity=0)
    return split_signed(amount, {part.owner: to_units(part.quantity) for part in parts})


def _funding_follows(position: Position, shares: dict[str, int]) -> None:
    """Funding paid is a cost; received it is a negative one."""
    Position.objects.filter(pk=position.pk).update(funding=F("funding") - from_units(sum(shares.values())))
    for owner, units in sorted(shares.items()):
        changed = SubPosition.objects.filter(position=position, owner=owner).update(
            funding=F("funding") - from_units(units)
        )
        if not changed:
            SubPosition.objects.create(position=position, owner=owner, funding=-from_units(units))


def _liquidation_shares(account: Account, instrument: Instrument, amount: int) -> dict[str, int]:
    """A liquidation's fee is for those whose position it closed: as its last fill was split."""
    entries = LedgerEntry.objects.filter(
        account=account,
        instrument=instrument,
        owner="account",
        kind=LedgerEntry.Kind.COMMISSION,
        fill__order__origin=Order.Origin.EXTERNAL,
    )
    last = entries.order_by("-fill_id").values_list("fill_id", flat=True).first()
    if last is None:
        return {PEOPLE: amount}
    weights = {
        owner: abs(to_units(paid))
        for owner, paid in LedgerEntry.objects.filter(
            fill_id=last, owner="account", kind=LedgerEntry.Kind.COMMISSION
        ).values_list("sub", "amount")
    }
    return split_amount(amount, weights)
