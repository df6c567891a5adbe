"""What an order would find on the book, without touching it."""

from __future__ import annotations

from testnet.book import Level
from testnet.listing import Listing
from testnet.orders import Order


def crosses(side: str, limit: int, price: int) -> bool:
    """True when an order of this side and limit (ticks) trades at a price (ticks)."""
    return price <= limit if side == "BUY" else price >= limit


def walk(
    listing: Listing, side: str, steps: int | None, quote: int | None, spared: str | None = None
) -> tuple[int, int]:
    """Steps and quote units a market order would trade against the book as it stands.

    Hidden iceberg parts count; orders of the account `spared` do not.
    """
    got_steps = got_quote = 0
    contra = listing.book.contra(side)
    for price in contra.prices():
        per_step = price * listing.instrument.quote_per
        level = contra.levels[price]
        available = take = level.steps + level.hidden - (_own(level, spared) if spared is not None else 0)
        if steps is not None:
            take = min(take, steps - got_steps)
        if quote is not None:
            take = min(take, (quote - got_quote) // per_step)
        got_steps += take
        got_quote += take * per_step
        if take < available:
            break
    return got_steps, got_quote


def fillable(listing: Listing, order: Order) -> int:
    """Steps an order could trade at once within its limit, no more than it has left.

    With self-trade prevention its owner's orders do not count, and unless only they expire nothing behind
    the first of them does.
    """
    available = 0
    contra = listing.book.contra(order.side)
    guarded = order.stp_mode != "NONE"
    for price in contra.prices():
        if available >= order.remaining or not crosses(order.side, order.price, price):
            break
        level = contra.levels[price]
        if not guarded or not _own(level, order.account_id):
            available += level.steps + level.hidden
            continue
        if order.stp_mode == "EXPIRE_MAKER":
            available += level.steps + level.hidden - _own(level, order.account_id)
            continue
        for entry in level.queue:
            if entry.order is not None and entry.order.account_id == order.account_id:
                return min(available, order.remaining)
            available += entry.steps
    return min(available, order.remaining)


def spares(order: Order) -> str | None:
    """The account whose own resting orders a taker passes by instead of trading with them."""
    return order.account_id if order.stp_mode == "EXPIRE_MAKER" else None


def _own(level: Level, account_id: str) -> int:
    return sum(
        entry.steps + entry.hidden
        for entry in level.queue
        if entry.order is not None and entry.order.account_id == account_id
    )
