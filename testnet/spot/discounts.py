"""Commissions paid in BNB at a discount."""

from __future__ import annotations

from testnet.accounts import Account
from testnet.engine import Engine
from testnet.persistence import Record
from testnet.values import SCALE, units_text

BNB = "BNB"
DISCOUNT = SCALE // 4  # a quarter off, as the venue's account/commission tells


class Discounts:
    """What a commission costs in BNB; prices are noted in the journal, so that a restart gets the same."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # Units of the quote asset for one BNB, by quote asset.
        self._prices: dict[str, int] = {}

    def note_price(self, quote: str) -> None:
        """Remember the last price of BNB in a quote asset, before a trade that may need it."""
        listing = self._engine.listings.get(BNB + quote)
        if listing is None or quote == BNB:
            return
        price = listing.tape.last_price * listing.instrument.tick
        if price and self._prices.get(quote) != price:
            self._prices[quote] = price
            self._engine.sink.noted({"t": "bnb", "quote": quote, "p": price})

    def recover_price(self, record: Record) -> None:
        """Apply a journalled price."""
        self._prices[record["quote"]] = record["p"]

    def commission(
        self, account: Account, received: str, units: int, quote: str, value: int, rate: int
    ) -> int:
        """BNB units due for a trade, 0 when it must be paid from what was received instead.

        Parameters
        ----------
        received, units : the asset the account receives, and how much.
        quote, value : the trade's quote asset and amount.
        rate : the standard commission, a fraction in 1e-8 units.
        """
        if not account.bnb_burn:
            return 0
        discounted = rate * (SCALE - DISCOUNT)
        if received == BNB:
            return units * discounted // (SCALE * SCALE)
        price = SCALE if quote == BNB else self._prices.get(quote, 0)
        if not price:
            return 0
        due = value * discounted // (SCALE * price)
        return due if due <= account.balance(BNB).free else 0

    def state(self) -> dict[str, int]:
        """The prices noted last."""
        return dict(self._prices)

    def restore(self, state: dict[str, int]) -> None:
        """Continue from `state()`."""
        self._prices = dict(state)


def discount_json(account: Account) -> dict[str, object]:
    """The `discount` block of commission answers: the fraction taken off when paid in BNB."""
    return {
        "enabledForAccount": account.bnb_burn,
        "enabledForSymbol": True,
        "discountAsset": BNB,
        "discount": units_text(DISCOUNT),
    }
