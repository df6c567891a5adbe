"""The facts a position was folded from, in the venue's order, from the newest snapshot that is old enough."""

from __future__ import annotations

from collections.abc import Iterator

from trading.domain.orders import Fill as DomainFill
from trading.domain.subaccounts import Book, OwnedFill, Transfer
from trading.domain.values import Instrument, Market, Side, times_of, to_units
from trading.models import Fill, PlanShare, Position, PositionTransfer
from trading.services.books.snapshots import book_start
from trading.services.execution.owners import plan_weights, shares_of

CHUNK = 2000


def history_before(
    position: Position, domain: Instrument, trade_id: int
) -> tuple[Book, list[OwnedFill], list[Transfer]]:
    """Where to start folding so that a trade can still be put in its place, and every fact since."""
    start, after, last_transfer = book_start(position, before_trade_id=trade_id)
    return (
        start,
        list(fills_after(position, domain, after)),
        transfers_after(position, last_transfer),
    )


def fills_after(position: Position, domain: Instrument, trade_id: int) -> Iterator[OwnedFill]:
    """Booked fills of a position in ascending trade id, with whom each is for."""
    shares = plan_weights(
        PlanShare.objects.filter(
            plan__account_id=position.account_id, plan__instrument_id=position.instrument_id
        )
    )
    rows = (
        Fill.objects.filter(
            account_id=position.account_id,
            instrument_id=position.instrument_id,
            order__position_side=position.position_side,
            trade_id__gt=trade_id,
        )
        .order_by("trade_id")
        .values_list(
            *("trade_id", "side", "price", "quantity", "quote_quantity", "commission", "commission_asset"),
            *("commission_quote", "realized", "maker", "order_id", "order__origin", "order__strategy__name"),
            *("order__client_order_id", "order__plan_id"),
        )
    )
    is_usdm = domain.market is not Market.spot
    for row in rows.iterator(chunk_size=CHUNK):
        number, side, price, quantity, quote, fee, fee_asset, fee_value, realized, maker, order = row[:11]
        origin, strategy, client_order_id, plan = row[11:]
        yield OwnedFill(
            fill=DomainFill(
                trade_id=number,
                symbol=domain.symbol,
                side=Side(side),
                price=times_of(price, domain.tick_size)[0],
                quantity=domain.steps(quantity),
                quote=to_units(quote),
                fee=to_units(fee),
                fee_asset=fee_asset,
                maker=maker,
                time_ms=0,
            ),
            fee_value=to_units(fee_value),
            shares=shares_of(
                origin=origin,
                strategy=strategy,
                client_order_id=client_order_id,
                planned=shares.get(plan) if plan is not None else None,
            ),
            order=order,
            realized=to_units(realized) if is_usdm else None,
        )


def transfers_after(position: Position, pk: int) -> list[Transfer]:
    """Quantities that changed owner without a trade, oldest first."""
    return [
        Transfer(
            taker=row.taker,
            giver=row.giver,
            quantity=to_units(row.quantity),
            quote=to_units(row.quote),
            after_trade_id=row.after_trade_id,
            side=Side(row.side),
            kind=row.kind,
        )
        for row in PositionTransfer.objects.filter(position=position, pk__gt=pk).order_by("pk")
    ]
