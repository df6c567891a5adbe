"""What everything is worth.

Spot: cash plus holdings at the middle of bid and ask, never cash plus unrealised result. USD-M: the wallet plus the
unrealised result at the mark price.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from trading.domain.subaccounts import NETTING, PEOPLE
from trading.domain.values import Market, exact_product
from trading.models import Account, Balance, MarginTerms, Position, SubPosition
from trading.selectors.marks import Marks, marks_read
from trading.selectors.notation import amount_text
from trading.selectors.positions import position_notional, position_unrealized
from universe.models import Instrument

CASH_ASSET = "USDT"
_ZERO = Decimal(0)


@dataclass(slots=True)
class Worth:
    """Sums of one account, or of everything. `unpriced` holdings count as nothing until they have a price.

    Those of them in `gaps` are traded here and were worth something a moment ago: without them the sums look like a
    loss. The others are coins no market here has, such as a gift nobody asked for: they were never in a sum.

    `open_result` is the unrealised result of contracts, which belongs to equity; what spot holdings have gained is
    in their market value. `margin` is the initial margin of open contracts.
    """

    cash: Decimal = _ZERO
    available: Decimal = _ZERO
    market_value: Decimal = _ZERO
    exposure_gross: Decimal = _ZERO
    exposure_net: Decimal = _ZERO
    unrealized: Decimal = _ZERO
    realized: Decimal = _ZERO
    fees: Decimal = _ZERO
    funding: Decimal = _ZERO
    open_result: Decimal = _ZERO
    margin: Decimal = _ZERO
    unpriced: set[str] = field(default_factory=set)
    gaps: set[str] = field(default_factory=set)

    @property
    def equity(self) -> Decimal:
        """Cash, plus the market value of holdings, plus what open contracts have gained or lost."""
        return self.cash + self.market_value + self.open_result

    def add(self, other: Worth) -> None:
        """Take another sum into this one."""
        self.cash += other.cash
        self.available += other.available
        self.market_value += other.market_value
        self.exposure_gross += other.exposure_gross
        self.exposure_net += other.exposure_net
        self.unrealized += other.unrealized
        self.realized += other.realized
        self.fees += other.fees
        self.funding += other.funding
        self.open_result += other.open_result
        self.margin += other.margin
        self.unpriced |= other.unpriced
        self.gaps |= other.gaps

    def members(self) -> dict[str, Any]:
        """The public members, every amount as text."""
        return {
            "equity": amount_text(self.equity),
            "cash": amount_text(self.cash),
            "available": amount_text(self.available),
            "market_value": amount_text(self.market_value),
            "exposure_gross": amount_text(self.exposure_gross),
            "exposure_net": amount_text(self.exposure_net),
            "unrealized_pnl": amount_text(self.unrealized),
            "realized_pnl": amount_text(self.realized),
            "fees": amount_text(self.fees),
            "funding": amount_text(self.funding),
            "margin_used": amount_text(self.margin),
            "unpriced": sorted(self.unpriced),
        }


def worth_by_account(
    accounts: Iterable[Account],
    balances: Iterable[Balance],
    positions: Iterable[Position],
    marks: Marks,
    leverage: Mapping[tuple[int, int], int] | None = None,
) -> dict[int, Worth]:
    """Value rows that were read already; the keys are account ids.

    `leverage` by (account id, instrument id), read when it is not given and there are contracts; 1 where unknown.
    Where a holding has no price, which markets there are is read as well.
    """
    accounts = list(accounts)
    result = {account.pk: Worth() for account in accounts}
    venues = {account.pk: account.venue_id for account in accounts}
    contracts = {account.pk for account in accounts if account.venue.market == Market.usdm}
    if contracts and leverage is None:
        leverage = leverage_by_symbol(contracts)
    for balance in balances:
        worth = result.get(balance.account_id)
        if worth is None:
            continue
        if balance.asset == CASH_ASSET:
            worth.cash += balance.amount
            worth.available += balance.amount - balance.reserved
        elif balance.amount:
            mid = marks.of_asset(venues[balance.account_id], balance.asset, CASH_ASSET)
            if mid is None:
                worth.unpriced.add(balance.asset)
            else:
                worth.market_value += exact_product(balance.amount, mid)
    for position in positions:
        worth = result.get(position.account_id)
        if worth is None:
            continue
        mark = marks.of(position.instrument_id)
        notional = position_notional(position, mark)
        worth.exposure_gross += abs(notional)
        worth.exposure_net += notional
        gained = position_unrealized(position, mark) or _ZERO
        worth.unrealized += gained
        worth.realized += position.realized
        worth.fees += position.commission
        worth.funding += position.funding
        if position.account_id in contracts:
            if mark is None and position.quantity:
                worth.unpriced.add(position.instrument.symbol)
                worth.gaps.add(position.instrument.symbol)
            times = (leverage or {}).get((position.account_id, position.instrument_id), 1)
            margin = abs(notional) / times
            worth.open_result += gained
            worth.margin += margin
            # A gain may back new orders as a loss must be backed: the venue counts both in cross margin.
            worth.available += gained - margin
    without = {asset for worth in result.values() for asset in worth.unpriced - worth.gaps}
    if without:
        traded = _traded(without)
        for worth in result.values():
            worth.gaps |= worth.unpriced & traded
    return result


def _traded(assets: set[str]) -> set[str]:
    """Those of the assets that have a market in cash here; all of them before any market is known."""
    markets = Instrument.objects.filter(quote_asset=CASH_ASSET)
    traded = set(markets.filter(base_asset__in=assets).values_list("base_asset", flat=True))
    return traded if traded or markets.exists() else assets


def leverage_by_symbol(account_ids: Iterable[int]) -> dict[tuple[int, int], int]:
    """Leverage by (account id, instrument id) as the venue last told it."""
    rows = MarginTerms.objects.filter(account_id__in=list(account_ids))
    return {
        (account_id, instrument_id): leverage
        for account_id, instrument_id, leverage in rows.values_list("account_id", "instrument_id", "leverage")
    }


def total_worth(parts: Iterable[Worth]) -> Worth:
    """The sum over accounts."""
    total = Worth()
    for part in parts:
        total.add(part)
    return total


def portfolio_get(account: str | None = None) -> dict[str, Any]:
    """The portfolio of one account or of all of them, in five queries, six with contracts.

    `by_strategy` has a row per owner of a part of a position; null are people and adopted orders. Results, fees and
    funding of its rows add up to the totals: what an owner realised against its own average, and the venue against
    the account's, differs by the row `@netting`, whose own worth is always nothing.
    """
    accounts = list(_of_account(Account.objects.select_related("venue").order_by("name"), "name", account))
    ids = [row.pk for row in accounts]
    balances = Balance.objects.filter(account_id__in=ids)
    positions = list(Position.objects.filter(account_id__in=ids).select_related("instrument"))
    marks = marks_read()
    worths = worth_by_account(accounts, balances, positions, marks)
    return {
        **total_worth(worths.values()).members(),
        "by_account": [{"account": row.name, **worths[row.pk].members()} for row in accounts],
        "by_strategy": _by_strategy(positions, marks),
    }


def _of_account(rows: QuerySet[Account], lookup: str, account: str | None) -> QuerySet[Account]:
    return rows if account is None else rows.filter(**{lookup: account})


def _by_strategy(positions: list[Position], marks: Marks) -> list[dict[str, Any]]:
    parts: dict[int, list[SubPosition]] = {position.pk: [] for position in positions}
    for part in SubPosition.objects.filter(position_id__in=list(parts)):
        parts[part.position_id].append(part)
    by_owner: dict[str, Worth] = {}
    for position in positions:
        mark = marks.of(position.instrument_id)
        owners = parts[position.pk]
        for part in owners:
            _add_part(by_owner.setdefault(part.owner, Worth()), part, mark)
        rest = _rest(position, owners)
        if rest is not None:
            # Quantity nobody is named for is the people's; without any it is what lies between the owners.
            owner = PEOPLE if rest.quantity else NETTING
            _add_part(by_owner.setdefault(owner, Worth()), rest, mark)
    return [
        {
            "strategy": owner or None,
            "exposure_gross": amount_text(worth.exposure_gross),
            "exposure_net": amount_text(worth.exposure_net),
            "unrealized_pnl": amount_text(worth.unrealized),
            "realized_pnl": amount_text(worth.realized),
            "fees": amount_text(worth.fees),
            "funding": amount_text(worth.funding),
            "net_pnl": amount_text(worth.realized + worth.unrealized - worth.fees - worth.funding),
        }
        for owner, worth in sorted(
            by_owner.items(), key=lambda item: (not item[0], item[0] == NETTING, item[0])
        )
    ]


def strategy_results(marks: Marks) -> dict[str, Decimal]:
    """What each strategy has made: realised and unrealised, less fees and funding."""
    results: dict[str, Decimal] = {}
    for (owner, _, _), net in results_by_place(marks).items():
        results[owner] = results.get(owner, _ZERO) + net
    return results


def results_by_place(
    marks: Marks, owners: Iterable[str] | None = None
) -> dict[tuple[str, int, int], Decimal]:
    """The same by (strategy, account id, instrument id), of all strategies or of those named."""
    results: dict[tuple[str, int, int], Decimal] = {}
    parts = SubPosition.objects.exclude(owner__in=[PEOPLE, NETTING]).select_related("position")
    if owners is not None:
        parts = parts.filter(owner__in=list(owners))
    for part in parts:
        worth = Worth()
        _add_part(worth, part, marks.of(part.position.instrument_id))
        net = worth.realized + worth.unrealized - worth.fees - worth.funding
        place = part.owner, part.position.account_id, part.position.instrument_id
        results[place] = results.get(place, _ZERO) + net
    return results


@dataclass(frozen=True, slots=True)
class _Rest:
    quantity: Decimal
    cost: Decimal
    realized: Decimal
    commission: Decimal
    funding: Decimal


def _rest(position: Position, parts: list[SubPosition]) -> _Rest | None:
    """What the owners' parts leave of the position; its cost is signed when it holds nothing."""
    quantity = position.quantity - sum((part.quantity for part in parts), _ZERO)
    cost = _signed_cost(position) - sum((_signed_cost(part) for part in parts), _ZERO)
    rest = _Rest(
        quantity,
        -cost if quantity < 0 else cost,
        position.realized - sum((part.realized for part in parts), _ZERO),
        position.commission - sum((part.commission for part in parts), _ZERO),
        position.funding - sum((part.funding for part in parts), _ZERO),
    )
    return rest if any((rest.quantity, rest.cost, rest.realized, rest.commission, rest.funding)) else None


def _add_part(worth: Worth, part: SubPosition | _Rest, mark: Decimal | None) -> None:
    cost = _signed_cost(part)
    notional = cost if mark is None else exact_product(part.quantity, mark)
    if part.quantity:
        worth.exposure_gross += abs(notional)
        worth.exposure_net += notional
        worth.unrealized += notional - cost
    else:
        worth.unrealized -= cost
    worth.realized += part.realized
    worth.fees += part.commission
    worth.funding += part.funding


def _signed_cost(part: Position | SubPosition | _Rest) -> Decimal:
    return part.cost if part.quantity >= 0 else -part.cost
