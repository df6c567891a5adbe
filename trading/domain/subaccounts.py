"""Whose a fill is: an account's positions divided among the strategies that trade on it, exactly.

Every fill is split over the shares of its order, in whole steps, and folded into one book per owner with that owner's
own average cost. The parts of a fill sum to the fill in every number, so the owners sum to the account in every asset.

What a venue realises follows the account's average cost, not the owners'. The difference is the owner `NETTING`: it
holds nothing, and what its wallet has gained its cost has lost, so that it is never worth anything; it is empty again
whenever the owners' costs sum to the account's (always when all are flat).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from trading.domain.apportionment import split_steps
from trading.domain.orders import Fill
from trading.domain.portfolio import Position, apply_fill, as_told, trade_units, wallet_lines
from trading.domain.values import Instrument, Market, Side

PEOPLE: Final = ""
"""Orders of people, and adopted ones: whatever no strategy asked for."""

NETTING: Final = "@netting"
"""Not a valid strategy name, so no strategy can be called that."""

Flows = dict[tuple[str, str, str], int]
"""(owner, asset, kind) -> units that came to the owner's wallet."""


@dataclass(frozen=True, slots=True)
class OwnedFill:
    """A fill with whom it is for.

    Attributes
    ----------
    shares : owner -> weight, frozen when the order was planned. Empty: whoever holds what it reduces.
    order : names the order, so that the pieces of one order are split as one.
    realized : what the venue says it realised, None where it does not say.
    """

    fill: Fill
    fee_value: int
    shares: Mapping[str, int]
    order: int = 0
    realized: int | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """Base units that change owner inside the account, at a price: nothing happens at the venue.

    Attributes
    ----------
    giver : who sells, None when the venue does: a position that was there when the books were opened.
    after_trade_id : the last trade folded before it.
    kind : what the lines in the wallets are called. Dust need not be whole steps.
    """

    taker: str
    giver: str | None
    quantity: int
    quote: int
    after_trade_id: int
    side: Side = Side.BUY
    kind: str = "cross"


@dataclass(frozen=True, slots=True)
class Part:
    """What one owner got of a fill."""

    owner: str
    fill: Fill
    fee_value: int
    realized: int


@dataclass(frozen=True, slots=True)
class Applied:
    """One fill after it was folded: the account's result, its parts, and every wallet's change."""

    realized: int
    parts: tuple[Part, ...]
    flows: Flows


@dataclass(slots=True)
class Book:
    """One position of an account, and the same position by owner.

    `taken` says how many steps of an order each owner has had so far; kept only for orders with several owners.
    """

    position: Position = field(default_factory=Position)
    owners: dict[str, Position] = field(default_factory=dict)
    taken: dict[int, dict[str, int]] = field(default_factory=dict)
    last_trade_id: int = 0

    def copy(self) -> Book:
        """The same, to go on with separately."""
        return Book(
            self.position,
            dict(self.owners),
            {order: dict(steps) for order, steps in self.taken.items()},
            self.last_trade_id,
        )

    def apply(self, owned: OwnedFill, instrument: Instrument) -> Applied:
        """Fold one fill into the account and into its owners.

        Raises
        ------
        InvariantViolation : the fill is not one of this instrument.
        """
        fill = owned.fill
        steps = self._split(owned, instrument)
        quotes = split_amount(fill.quote, steps)
        fees = split_amount(fill.fee, steps)
        # By the fees, not by the steps: whoever pays none of a fee in base gives none of it up.
        fee_values = split_amount(owned.fee_value, fees if fill.fee else steps)
        before = self.position
        after = apply_fill(before, fill, instrument, owned.fee_value)
        self.position = as_told(after, after.realized - before.realized, owned.realized)
        realized = self.position.realized - before.realized
        self.last_trade_id = max(self.last_trade_id, fill.trade_id)
        parts = []
        flows: Flows = {}
        for owner, quantity in steps.items():
            held = self.owners.get(owner, Position())
            part = replace(fill, quantity=quantity, quote=quotes[owner], fee=fees[owner])
            now = apply_fill(held, part, instrument, fee_values[owner])
            own = now.realized - held.realized
            if len(steps) == 1 and held == before:
                now = self.position  # alone on the symbol: the venue's cut of a fraction is the owner's
                own = realized
            self.owners[owner] = now
            parts.append(Part(owner, part, fee_values[owner], own))
            for asset, units, kind in wallet_lines(part, instrument, own):
                add(flows, (owner, asset, kind), units)
        if instrument.market is not Market.spot:
            rest = realized - sum(part.realized for part in parts)
            add(flows, (NETTING, instrument.quote_asset, "realized"), rest)
        return Applied(realized, tuple(parts), flows)

    def transfer(self, transfer: Transfer, instrument: Instrument) -> Flows:
        """Move a quantity from one owner to another at a price; returns what every wallet changes by."""
        flows: Flows = {}
        moved = [(transfer.taker, transfer.side)]
        if transfer.giver is None:
            self.position = trade_units(self.position, transfer.side.sign * transfer.quantity, transfer.quote)
        else:
            moved.append((transfer.giver, transfer.side.opposite))
        for owner, side in moved:
            held = self.owners.get(owner, Position())
            now = trade_units(held, side.sign * transfer.quantity, transfer.quote)
            self.owners[owner] = now
            if transfer.giver is None:
                continue
            if instrument.market is Market.spot:
                add(flows, (owner, instrument.base_asset, transfer.kind), side.sign * transfer.quantity)
                add(flows, (owner, instrument.quote_asset, transfer.kind), -side.sign * transfer.quote)
            else:
                gained = now.realized - held.realized
                add(flows, (owner, instrument.quote_asset, transfer.kind), gained)
                add(flows, (NETTING, instrument.quote_asset, transfer.kind), -gained)
        return flows

    def close_order(self, order: int) -> None:
        """Forget how an order was split so far: it is over."""
        self.taken.pop(order, None)

    def _split(self, owned: OwnedFill, instrument: Instrument) -> dict[str, int]:
        fill = owned.fill
        shares = {owner: weight for owner, weight in owned.shares.items() if weight > 0}
        if not shares:
            return self._over_holders(fill, instrument)
        if len(shares) == 1:
            return dict.fromkeys(shares, fill.quantity)
        taken = self.taken.setdefault(owned.order, {})
        parts = split_fill(fill.quantity, shares, taken)
        for owner, steps in parts.items():
            taken[owner] = taken.get(owner, 0) + steps
        return parts

    def _over_holders(self, fill: Fill, instrument: Instrument) -> dict[str, int]:
        """Who holds what this fill reduces, in proportion; what nobody holds is the people's."""
        step = instrument.step_units
        holders = {
            owner: abs(held.quantity) // step
            for owner, held in sorted(self.owners.items())
            if held.quantity * fill.side.sign < 0 and abs(held.quantity) >= step
        }
        covered = min(fill.quantity, sum(holders.values()))
        parts: dict[str, int] = {}
        if covered:
            shares = split_steps(covered, list(holders.values()))
            parts = {owner: steps for owner, steps in zip(holders, shares, strict=True) if steps}
        if covered < fill.quantity:
            parts[PEOPLE] = parts.get(PEOPLE, 0) + fill.quantity - covered
        return parts


def split_fill(steps: int, shares: Mapping[str, int], taken: Mapping[str, int]) -> dict[str, int]:
    """Split the whole steps of one piece of an order: what each share is still owed, largest remainder first.

    Parameters
    ----------
    shares : owner -> weight, more than zero.  taken : owner -> steps of earlier pieces of the same order.

    Splitting in pieces gives each owner what splitting the whole order would have given, to the step.
    """
    names = sorted(shares)
    total = steps + sum(taken.values())
    due = split_steps(total, [shares[name] for name in names])
    owed = [max(0, want - taken.get(name, 0)) for name, want in zip(names, due, strict=True)]
    parts = owed if sum(owed) == steps else split_steps(steps, owed)
    return {name: part for name, part in zip(names, parts, strict=True) if part}


def split_amount(amount: int, parts: Mapping[str, int]) -> dict[str, int]:
    """Split an amount of either sign in proportion to whole parts; nothing is created or lost."""
    names = list(parts)
    if len(names) == 1:
        return {names[0]: amount}
    shares = split_steps(abs(amount), [parts[name] for name in names])
    sign = -1 if amount < 0 else 1
    return {name: sign * share for name, share in zip(names, shares, strict=True)}


def split_signed(amount: int, holdings: Mapping[str, int]) -> dict[str, int]:
    """Split what a net position received over its holders, longs and shorts with their own sign.

    A funding payment of -10 on a net +1 is -20 for the owner of +2 and +10 for the owner of -1. What cutting to whole
    units leaves over goes to the largest holder. Empty when the net is zero.
    """
    net = sum(holdings.values())
    if net == 0:
        return {}
    shares = {owner: amount * quantity // net for owner, quantity in holdings.items() if quantity}
    largest = max(sorted(shares), key=lambda owner: abs(holdings[owner]))
    shares[largest] += amount - sum(shares.values())
    return {owner: share for owner, share in shares.items() if share}


def fold_book(
    fills: Iterable[OwnedFill],
    transfers: Iterable[Transfer],
    instrument: Instrument,
    start: Book | None = None,
    flows: Flows | None = None,
) -> Book:
    """Fold fills in ascending trade id, and transfers where they happened between them, into a book.

    Parameters
    ----------
    flows : where given, every wallet's change is added up in it.
    """
    book = start.copy() if start else Book()
    waiting = sorted(transfers, key=lambda transfer: transfer.after_trade_id)
    at = 0
    for owned in fills:
        while at < len(waiting) and waiting[at].after_trade_id < owned.fill.trade_id:
            merge(flows, book.transfer(waiting[at], instrument))
            at += 1
        merge(flows, book.apply(owned, instrument).flows)
    for transfer in waiting[at:]:
        merge(flows, book.transfer(transfer, instrument))
    return book


def netting(book: Book) -> Position:
    """The owner that makes the owners sum to the account: no quantity, and whatever cost and result are left.

    Its cost is signed, unlike a position's: what the account's signed cost is above the owners'.
    """
    cost = signed_cost(book.position) - sum(signed_cost(held) for held in book.owners.values())
    realized = book.position.realized - sum(held.realized for held in book.owners.values())
    return Position(0, cost, realized, 0)


def signed_cost(position: Position) -> int:
    """What the open quantity was paid with; negative: what it was sold for."""
    return position.cost if position.quantity >= 0 else -position.cost


def add(flows: Flows, key: tuple[str, str, str], units: int) -> None:
    """Add to one entry; entries that come to nothing are left out."""
    total = flows.get(key, 0) + units
    if total:
        flows[key] = total
    else:
        flows.pop(key, None)


def merge(into: Flows | None, flows: Flows) -> None:
    """Add every entry of one to another; nothing to do without one."""
    if into is not None:
        for key, units in flows.items():
            add(into, key, units)


def difference(after: Flows, before: Flows) -> Flows:
    """What must be added to `before` to come to `after`."""
    result = dict(after)
    for key, units in before.items():
        add(result, key, -units)
    return result
