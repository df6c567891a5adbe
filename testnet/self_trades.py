"""Prevented self-trades: what happens to both orders, and the record of it."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING

from testnet.listing import Listing
from testnet.orders import Order, PreventedMatch, Status
from testnet.prevention import prevented_steps

if TYPE_CHECKING:
    from testnet.engine import Engine


def prevent_match(engine: Engine, listing: Listing, taker: Order, maker: Order, price: int, left: int) -> int:
    """Prevent an account from trading with itself; return the steps the taker lost of those left."""
    lost = prevented_steps(taker.stp_mode, taker.remaining, maker.remaining)
    engine.prevented_id += 1
    match = PreventedMatch(
        match_id=engine.prevented_id,
        symbol=listing.instrument.symbol,
        account_id=taker.account_id,
        mode=taker.stp_mode,
        price=price,
        taker_id=taker.order_id,
        maker_id=maker.order_id,
        taker_steps=lost[0],
        maker_steps=lost[1],
        time_ms=engine.sink.now_ms(),
    )
    engine.sink.noted({"t": "prevent", "k": listing.instrument.key, "m": astuple(match), "size": taker.steps})
    # The whole entry goes while its size is known, and what is left of it comes back in its place.
    if lost[1] == maker.remaining:
        engine.withdraw(maker)
    note_prevention(engine, match)
    for order, steps in ((maker, lost[1]), (taker, lost[0])):
        if not steps:
            continue
        if order.remaining == 0:
            engine.end(order, Status.EXPIRED_IN_MATCH, None)
        else:
            if order is maker:
                listing.book.side(maker.side).shrink_order(price, maker)
                listing.book.update_id += 1
            if engine.contingencies is not None:
                engine.contingencies.changed(order, "TRADE_PREVENTION")
        if order is maker:
            engine.clearing.announce(order)
    return min(left, lost[0])


def note_prevention(engine: Engine, match: PreventedMatch) -> None:
    """Take prevented steps off both orders; also used by recovery."""
    engine.prevented_id = max(engine.prevented_id, match.match_id)
    engine.prevented.append(match)
    for order_id, steps in ((match.maker_id, match.maker_steps), (match.taker_id, match.taker_steps)):
        order = engine.by_id[order_id]
        if not steps:
            continue
        order.prevented += steps
        order.prevented_match_id = match.match_id
        order.updated_ms = match.time_ms
        if order.remaining:
            engine.clearing.release(order)
            engine.clearing.accept(order)
