"""Quantities that change owner without a trade: what was there at the opening, and opposite targets that cross."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import structlog

from nautilus_site.common.clock import now
from trading.domain.ports import PositionReport
from trading.domain.subaccounts import PEOPLE, Transfer
from trading.domain.values import PositionSide, Side, exact_product, floor_to_step, from_units, to_units
from trading.models import Account, Plan, Position, PositionTransfer
from trading.services.execution.book_rows import book_of, parts_read, parts_write
from trading.services.exposure import (
    balances_locked,
    bucket_scopes,
    buckets_locked,
    buckets_move,
    owner_buckets,
    positions_locked,
)
from trading.services.ledger import Posting, flow_lines, ledger_write
from universe.models import Instrument

log = structlog.get_logger(__name__)
UNIT = Decimal("1E-8")


def positions_open(account: Account, positions: Sequence[PositionReport]) -> None:
    """Take over what a futures account held before its books were opened, at the venue's entry price. The people's."""
    known = {i.symbol: i for i in Instrument.objects.filter(venue=account.venue)}
    for told in positions:
        instrument = known.get(told.symbol)
        if instrument is None or not told.quantity:
            continue
        position = positions_locked(account, instrument, {told.position_side})[told.position_side]
        size = abs(told.quantity)
        _move(
            position,
            instrument,
            kind=PositionTransfer.Kind.OPENING,
            side=Side.BUY if told.quantity > 0 else Side.SELL,
            taker=PEOPLE,
            giver=None,
            quantity=to_units(size),
            price=told.entry_price,
            plan=None,
        )
        _carry(account, instrument, position)


def _carry(account: Account, instrument: Instrument, position: Position) -> None:
    """What was there counts in the caps like what was bought; nothing new fits where it fills them."""
    scopes = bucket_scopes(account.name, instrument.symbol, None)
    buckets_locked(scopes)
    position.carried_notional = position.cost
    position.carried_by = {PEOPLE: str(position.cost)}
    position.save(update_fields=["carried_notional", "carried_by"])
    buckets_move(dict.fromkeys(scopes, position.carried_notional))


def position_adopt(
    account: Account, instrument: Instrument, side: PositionSide, change: Decimal, price: Decimal
) -> Position:
    """Move a position by what the venue says it has more (negative: less), at a price people have agreed on.

    The difference is the people's: no strategy traded it. Caps follow: what is gone gives back its share of them,
    what is new takes its value at the price, whatever the caps.
    """
    position = positions_locked(account, instrument, {side})[side]
    before = abs(position.quantity)
    _move(
        position,
        instrument,
        kind=PositionTransfer.Kind.OPENING,
        side=Side.BUY if change > 0 else Side.SELL,
        taker=PEOPLE,
        giver=None,
        quantity=to_units(abs(change)),
        price=price,
        plan=None,
    )
    _carry_anew(account, instrument, position, before, price)
    return position


def _carry_anew(
    account: Account, instrument: Instrument, position: Position, before: Decimal, price: Decimal
) -> None:
    after, carried = abs(position.quantity), position.carried_notional
    held = {owner: Decimal(text) for owner, text in position.carried_by.items()}
    if after > before:
        added = floor_to_step(exact_product(after - before, price), UNIT)
        new = {**held, PEOPLE: held.get(PEOPLE, Decimal(0)) + added}
        total = carried + added
    else:
        share = after / before if before else Decimal(0)
        new = {owner: floor_to_step(amount * share, UNIT) for owner, amount in held.items()}
        total = floor_to_step(carried * share, UNIT)
    position.carried_notional = total
    position.carried_by = {owner: str(amount) for owner, amount in new.items() if amount}
    position.save(update_fields=["carried_notional", "carried_by"])
    scopes = bucket_scopes(account.name, instrument.symbol, None)
    deltas = dict.fromkeys(scopes, total - carried)
    for owner, amount in new.items():
        if owner:
            change = amount - held.get(owner, Decimal(0))
            deltas |= dict.fromkeys(owner_buckets(owner, instrument.symbol), change)
    buckets_locked(scopes)
    buckets_move(deltas)


def positions_cross(
    position: Position,
    instrument: Instrument,
    *,
    taker: str,
    giver: str,
    quantity: int,
    price: Decimal,
    plan: Plan | None,
) -> None:
    """Let one owner buy from another at a price inside the account. The position is locked by the caller.

    Parameters
    ----------
    quantity : base units, whole steps.
    """
    balances_locked(position.account, {instrument.base_asset, instrument.quote_asset})
    row = _move(
        position,
        instrument,
        kind=PositionTransfer.Kind.CROSS,
        side=Side.BUY,
        taker=taker,
        giver=giver,
        quantity=quantity,
        price=price,
        plan=plan,
    )
    log.info("crossed", symbol=instrument.symbol, taker=taker, giver=giver, quantity=str(row.quantity))


def position_give_up_dust(
    position: Position, instrument: Instrument, *, giver: str, quantity: Decimal, price: Decimal
) -> None:
    """Let people take from a strategy what it can no longer sell, at a price. The position is locked by the caller.

    Its share of the caps goes with it: people have no cap of their own.
    """
    balances_locked(position.account, {instrument.base_asset, instrument.quote_asset})
    row = _move(
        position,
        instrument,
        kind=PositionTransfer.Kind.DUST,
        side=Side.BUY,
        taker=PEOPLE,
        giver=giver,
        quantity=to_units(quantity),
        price=price,
        plan=None,
    )
    held = {owner: Decimal(text) for owner, text in position.carried_by.items()}
    carried = held.pop(giver, Decimal(0))
    if carried:
        held[PEOPLE] = held.get(PEOPLE, Decimal(0)) + carried
        position.carried_by = {owner: str(amount) for owner, amount in held.items() if amount}
        position.save(update_fields=["carried_by"])
        buckets_move(dict.fromkeys(owner_buckets(giver, instrument.symbol), -carried))
    log.info("dust_given_up", symbol=instrument.symbol, owner=giver, quantity=str(row.quantity))


def _move(
    position: Position,
    instrument: Instrument,
    *,
    kind: str,
    side: Side,
    taker: str,
    giver: str | None,
    quantity: int,
    price: Decimal,
    plan: Plan | None,
) -> PositionTransfer:
    quote = to_units(floor_to_step(exact_product(from_units(quantity), price), UNIT))
    moment = now()
    row = PositionTransfer.objects.create(
        position=position,
        kind=kind,
        side=side,
        taker=taker,
        giver=giver,
        quantity=from_units(quantity),
        price=price,
        quote=from_units(quote),
        after_trade_id=position.last_trade_id,
        plan=plan,
        at=moment,
    )
    parts = parts_read(position)
    book = book_of(position, parts.values())
    flows = book.transfer(
        Transfer(taker, giver, quantity, quote, position.last_trade_id, side, kind), instrument.to_domain()
    )
    position.quantity = from_units(book.position.quantity)
    position.cost = from_units(book.position.cost)
    position.realized = from_units(book.position.realized)
    position.updated_at = moment
    position.save(update_fields=["quantity", "cost", "realized", "updated_at"])
    parts_write(position, book, parts)
    if flows:
        ledger_write(
            account=position.account,
            postings=[Posting(f"{kind}:{row.pk}", flow_lines(flows), moment, None, instrument)],
        )
    return row
