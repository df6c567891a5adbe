"""What everything is worth: cash plus holdings at mid price, never cash plus unrealised result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db.models import Case, DecimalField, F, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce

from trading.domain.values import Side, exact_product
from trading.models import Account, Balance, Fill, Position
from trading.selectors.marks import Marks, marks_read
from trading.selectors.notation import amount_text
from trading.selectors.positions import position_notional, position_unrealized

CASH_ASSET = "USDT"
_ZERO = Decimal(0)
_AMOUNT: DecimalField[Any, Any] = DecimalField(max_digits=38, decimal_places=18)


@dataclass(slots=True)
class Worth:
    """Sums of one account, or of everything. `unpriced` holdings count as nothing until they have a price."""

    cash: Decimal = _ZERO
    available: Decimal = _ZERO
    market_value: Decimal = _ZERO
    exposure_gross: Decimal = _ZERO
    exposure_net: Decimal = _ZERO
    unrealized: Decimal = _ZERO
    realized: Decimal = _ZERO
    fees: Decimal = _ZERO
    unpriced: set[str] = field(default_factory=set)

    @property
    def equity(self) -> Decimal:
        """Cash plus the market value of the holdings."""
        return self.cash + self.market_value

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
        self.unpriced |= other.unpriced

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
            "unpriced": sorted(self.unpriced),
        }


def worth_by_account(
    accounts: Iterable[Account],
    balances: Iterable[Balance],
    positions: Iterable[Position],
    marks: Marks,
) -> dict[int, Worth]:
    """Value rows that were read already; the keys are account ids."""
    result = {account.pk: Worth() for account in accounts}
    venues = {account.pk: account.venue_id for account in accounts}
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
        worth.unrealized += position_unrealized(position, mark) or _ZERO
        worth.realized += position.realized
        worth.fees += position.commission
    return result


def total_worth(parts: Iterable[Worth]) -> Worth:
    """The sum over accounts."""
    total = Worth()
    for part in parts:
        total.add(part)
    return total


def portfolio_get(account: str | None = None) -> dict[str, Any]:
    """The portfolio of one account or of all of them, in five queries.

    `by_strategy` attributes each fill to the strategy of its order (null: orders of no strategy). Realised
    and unrealised results and fees of its rows add up to the totals.
    """
    accounts = list(_of_account(Account.objects.select_related("venue").order_by("name"), "name", account))
    ids = [row.pk for row in accounts]
    balances = Balance.objects.filter(account_id__in=ids)
    positions = list(Position.objects.filter(account_id__in=ids))
    marks = marks_read()
    worths = worth_by_account(accounts, balances, positions, marks)
    return {
        **total_worth(worths.values()).members(),
        "by_account": [{"account": row.name, **worths[row.pk].members()} for row in accounts],
        "by_strategy": _by_strategy(ids, marks),
    }


def _of_account(rows: QuerySet[Account], lookup: str, account: str | None) -> QuerySet[Account]:
    return rows if account is None else rows.filter(**{lookup: account})


def _by_strategy(account_ids: list[int], marks: Marks) -> list[dict[str, Any]]:
    sign = Case(When(side=Side.BUY, then=Value(1)), default=Value(-1))
    fee_in_base = Q(commission_asset=F("instrument__base_asset"))
    rows = (
        Fill.objects.filter(account_id__in=account_ids)
        .order_by()
        .values("order__strategy__name", "instrument_id")
        .annotate(
            # A commission taken in the base asset is base given up at the fill's price: the position
            # holds less and has cost less. That is how the position itself is folded.
            quantity=Sum(sign * F("quantity"), output_field=_AMOUNT)
            - Coalesce(Sum("commission", filter=fee_in_base), Value(_ZERO), output_field=_AMOUNT),
            flow=Sum(sign * F("quote_quantity"), output_field=_AMOUNT)
            - Coalesce(Sum("commission_quote", filter=fee_in_base), Value(_ZERO), output_field=_AMOUNT),
            realized=Sum("realized"),
            fees=Sum("commission_quote"),
        )
    )
    by_name: dict[str | None, Worth] = {}
    for row in rows:
        worth = by_name.setdefault(row["order__strategy__name"], Worth())
        # What was paid less what came back, plus what was earned on the way: the cost of what is left.
        cost = row["flow"] + row["realized"]
        mark = marks.of(row["instrument_id"])
        notional = cost if mark is None else exact_product(row["quantity"], mark)
        worth.exposure_gross += abs(notional)
        worth.exposure_net += notional
        worth.unrealized += notional - cost
        worth.realized += row["realized"]
        worth.fees += row["fees"]
    return [
        {
            "strategy": name,
            "exposure_gross": amount_text(worth.exposure_gross),
            "exposure_net": amount_text(worth.exposure_net),
            "unrealized_pnl": amount_text(worth.unrealized),
            "realized_pnl": amount_text(worth.realized),
            "fees": amount_text(worth.fees),
        }
        for name, worth in sorted(by_name.items(), key=lambda item: (item[0] is None, item[0] or ""))
    ]
