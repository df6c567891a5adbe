"""Impact prices: what a contract's impact notional would trade at on average."""

from __future__ import annotations

from testnet.book import BookSide
from testnet.listing import Listing
from testnet.usdm.contracts import Perpetual
from testnet.usdm.funding import impact_notional


def impact_prices(listing: Listing, terms: Perpetual) -> tuple[int, int]:
    """Average prices (1e-8 units) of selling and of buying the impact notional; a side without depth gives 0.

    An empty bid side counts as a bid of 0 and an empty ask side as an ask far above any price, so that
    neither makes a premium.
    """
    wanted = impact_notional(terms)
    bid = _average(listing, listing.book.bids, wanted)
    ask = _average(listing, listing.book.asks, wanted)
    return bid or 0, ask if ask is not None else listing.instrument.max_price


def _average(listing: Listing, side: BookSide, wanted: int) -> int | None:
    # The mean price of a notional is notional over quantity, here over what the book holds up to it.
    got_quote = got_steps = 0
    per = listing.instrument.quote_per
    for price in side.prices():
        steps = side.levels[price].steps
        quote = steps * price * per
        if got_quote + quote >= wanted:
            steps = max(1, (wanted - got_quote) // (price * per))
            quote = steps * price * per
        got_quote += quote
        got_steps += steps
        if got_quote + price * per > wanted:
            break
    if not got_steps:
        return None
    return got_quote * listing.instrument.tick // (got_steps * per)
