"""What is open and may be closed: of USD-M the venue's positions, of spot what we acquired and the venue still has."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from django.db.models import Sum

from trading.domain.ports import ExecutionVenue, FuturesVenue
from trading.domain.values import Market, PositionSide, Side
from trading.models import Account, Position, Strategy, SubPosition
from trading.services.models import model_name
from universe.models import Instrument

Held = tuple[str, str]
"""Symbol and position side."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A signed quantity in base units, and how much of it can be sent now."""

    quantity: Decimal
    free: Decimal

    @property
    def closing_side(self) -> Side:
        """What closes it."""
        return Side.SELL if self.quantity > 0 else Side.BUY


def holdings(account: Account, venue: ExecutionVenue) -> dict[Held, Holding]:
    """Everything the account holds that the platform may close, as the venue tells it now."""
    if account.market == Market.usdm:
        reports = cast(FuturesVenue, venue).positions(None)
        return {
            (r.symbol, str(r.position_side)): Holding(r.quantity, abs(r.quantity))
            for r in reports
            if r.quantity
        }
    balances = {report.asset: report for report in venue.balances()}
    found: dict[Held, Holding] = {}
    for position in Position.objects.select_related("instrument").filter(account=account, quantity__gt=0):
        held = balances.get(position.instrument.base_asset)
        if held is not None:
            quantity = min(position.quantity, held.free + held.locked)
            found[position.instrument.symbol, str(PositionSide.BOTH)] = Holding(
                quantity, min(quantity, held.free)
            )
    return found


def own_part(
    scope: str, account: Account, instrument: Instrument, position_side: str, holding: Holding
) -> Decimal:
    """How much of a holding a scope may close: all of it, or what its strategies own on the same side."""
    owners = owners_of(scope)
    if owners is None:
        return holding.quantity
    parts = SubPosition.objects.filter(
        position__account=account,
        position__instrument=instrument,
        position__position_side=position_side,
        owner__in=owners,
    )
    own: Decimal = parts.aggregate(total=Sum("quantity"))["total"] or Decimal(0)
    return own if own * holding.quantity > 0 else Decimal(0)


def strategy_of(scope: str) -> str | None:
    """The one strategy a scope is about, where it is about one."""
    kind, _, rest = scope.partition(":")
    if kind == "strategy":
        return rest
    return rest.rpartition(":")[0] if kind == "strategy_symbol" else None


def owners_of(scope: str) -> list[str] | None:
    """The strategies whose parts a scope closes; None for every scope that closes whole positions."""
    kind, _, rest = scope.partition(":")
    if kind == "model":
        return [
            strategy.name
            for strategy in Strategy.objects.exclude(model_family="")
            if model_name(strategy) == rest
        ]
    name = strategy_of(scope)
    return None if name is None else [name]
