"""O4: exposure replayed from the exchange's journal alone, against the caps that were in force.

The journal is a sequence of orders entering and leaving the book and of fills. At every point of it, per account and
symbol: what the position cost, plus what the working orders would add to it at their own prices, the dearest orders
counted as the reducing ones. That is never more than what the platform must have reserved for them, so a sum above a
cap is certain proof that the cap was passed; no tolerance is needed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from tests.chaos.witness import Books, Row, Venue, number

ZERO = Decimal(0)
GONE = {"FILLED", "CANCELED", "EXPIRED", "REJECTED", "EXPIRED_IN_MATCH"}


@dataclass
class Holding:
    """One account's position and working orders in one symbol."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    working: dict[str, list[tuple[int, Decimal, Decimal]]] = field(
        default_factory=lambda: {"BUY": [], "SELL": []}
    )

    def fill(self, side: str, quantity: Decimal, quote: Decimal) -> None:
        """Fold one execution into quantity and cost."""
        signed = quantity if side == "BUY" else -quantity
        if self.quantity == 0 or (self.quantity > 0) == (signed > 0):
            self.quantity, self.cost = self.quantity + signed, self.cost + quote
            return
        closing = min(abs(signed), abs(self.quantity))
        self.cost -= self.cost * closing / abs(self.quantity)
        rest = abs(signed) - closing
        self.quantity += signed
        if rest:
            self.cost = quote * rest / quantity

    def taken(self, quantity: Decimal) -> None:
        """Commission taken from the coin itself: its share of the cost goes with it."""
        if self.quantity > 0:
            left = max(self.quantity - quantity, ZERO)
            self.quantity, self.cost = left, self.cost * left / self.quantity

    def exposure(self) -> Decimal:
        """Worst case of both sides, a lower bound of what had to be reserved."""
        return max(self._worst("BUY", self.quantity), self._worst("SELL", -self.quantity))

    def _worst(self, side: str, held: Decimal) -> Decimal:
        total = self.cost if held > 0 else ZERO
        # What closes a position on the other side adds nothing until it has closed it.
        closes = -held if held < 0 else ZERO
        for _, price, left in sorted(self.working[side], key=lambda order: -order[1]):
            adds = max(left - closes, ZERO)
            closes = max(closes - left, ZERO)
            total += adds * price
        return max(total, ZERO) if held >= 0 else total


def peaks(venue: Venue, *, after_seq: int = 0) -> dict[str, Decimal]:
    """The highest exposure of every symbol, account and of everything, after a point of the journal."""
    holdings: defaultdict[tuple[str, str], Holding] = defaultdict(Holding)
    highest: defaultdict[str, Decimal] = defaultdict(Decimal)
    exposures: dict[tuple[str, str], Decimal] = {}
    for seq, kind, row in _journal(venue):
        key = (row["account_id"], row["symbol"])
        holding = holdings[key]
        if kind == "fill":
            holding.fill(row["side"], number(row["qty"]), number(row["quote_qty"]))
            if row["commission_asset"] and row["symbol"].startswith(row["commission_asset"]):
                holding.taken(number(row["commission"]))
            _less(holding, row["side"], row["order_id"], number(row["qty"]))
        elif kind == "opened":
            holding.working[row["side"]].append(
                (row["order_id"], number(row["price"]), number(row["orig_qty"]))
            )
        else:
            side = holding.working[row["side"]]
            side[:] = [order for order in side if order[0] != row["order_id"]]
        exposures[key] = holding.exposure()
        if seq <= after_seq:
            continue
        account = sum((value for (name, _), value in exposures.items() if name == key[0]), ZERO)
        for scope, value in (
            (f"symbol:{key[0]}:{key[1]}", exposures[key]),
            (f"account:{key[0]}", account),
            ("global", sum(exposures.values(), ZERO)),
        ):
            highest[scope] = max(highest[scope], value)
    return highest


def _less(holding: Holding, side: str, order_id: int, quantity: Decimal) -> None:
    orders = holding.working[side]
    orders[:] = [
        (known, price, left - quantity if known == order_id else left)
        for known, price, left in orders
        if known != order_id or left > quantity
    ]


def _journal(venue: Venue) -> Iterator[tuple[int, str, Row]]:
    steps: list[tuple[int, int, str, Row]] = []
    for order in venue.orders:
        events = order["events"]
        if events:
            steps.append((events[0]["seq"], 0, "opened", order))
        if events and order["status"] in GONE:
            steps.append((events[-1]["seq"], 2, "ended", order))
    steps += [(fill["seq"], 1, "fill", fill) for fill in venue.fills]
    for seq, _, kind, row in sorted(steps, key=lambda step: (step[0], step[1])):
        yield seq, kind, row


def whole(scope: str) -> str:
    """The scope that a bucket is a part of: the global one may be kept in several."""
    return "global" if scope.startswith("global") else scope


def caps_exceeded(venue: Venue, caps: Sequence[Books], *, after_seq: int = 0) -> Iterator[str]:
    """Scopes whose exposure passed the highest of the caps that were in force.

    Parameters
    ----------
    caps : what the books said while this part of the journal was written; the loosest counts.
    """
    accounts = {row["name"] for books in caps for row in books.accounts}
    ours = replace(
        venue,
        orders=[o for o in venue.orders if o["account_id"] in accounts],
        fills=[f for f in venue.fills if f["account_id"] in accounts],
    )
    highest: defaultdict[str, Decimal] = defaultdict(Decimal)
    for books in caps:
        total: defaultdict[str, Decimal] = defaultdict(Decimal)
        for row in books.buckets:
            total[whole(row["scope"])] += number(row["cap"]) + number(row["overrun"])
        for scope, cap in total.items():
            highest[scope] = max(highest[scope], cap)
    for scope, peak in peaks(ours, after_seq=after_seq).items():
        if scope in highest and peak > highest[scope]:
            yield f"{scope}: exposure {peak} above the cap of {highest[scope]}"
