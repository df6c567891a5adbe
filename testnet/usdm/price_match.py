"""`priceMatch`: a limit price taken from the book when the order is placed."""

from __future__ import annotations

from testnet.errors import ApiError
from testnet.listing import Listing

# Levels into the book: of the other side (OPPONENT) or the order's own (QUEUE).
MODES = {
    "NONE": 0,
    "OPPONENT": 1,
    "OPPONENT_5": 5,
    "OPPONENT_10": 10,
    "OPPONENT_20": 20,
    "QUEUE": 1,
    "QUEUE_5": 5,
    "QUEUE_10": 10,
    "QUEUE_20": 20,
}


def matched_price(listing: Listing, side: str, mode: str) -> int:
    """The price a mode stands for now, in 1e-8 units; ApiError -5041 when the book is not that deep."""
    book = listing.book
    levels = (book.contra(side) if mode.startswith("OPPONENT") else book.side(side)).top(MODES[mode])
    if len(levels) < MODES[mode]:
        raise ApiError(-5041, "No depth matches this BBO order.")
    return levels[-1][0] * listing.instrument.tick
