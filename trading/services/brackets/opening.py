"""How a bracket begins: with a person's entry order, or because strategies want their position guarded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.hints import enqueue_on_commit
from trading.domain.brackets import BracketState, Exits, Role, tightened
from trading.domain.hedge import OF_EXIT
from trading.domain.values import Market, PositionSide, Side, decimal_text
from trading.models import (
    Account,
    Bracket,
    BracketLeg,
    Order,
    Position,
    Strategy,
    StrategyInstance,
)
from trading.services.brackets.reading import exits_of
from trading.services.brackets.stepping import bracket_event
from universe.models import Instrument


@dataclass(frozen=True, slots=True)
class Wanted:
    """The exits somebody asked for, as prices."""

    stop: Decimal | None = None
    stop_limit: Decimal | None = None
    take_profits: tuple[tuple[Decimal, int], ...] = ()
    trailing_bps: int | None = None
    activation: Decimal | None = None
    exit_at: datetime | None = None
    escalate_after_s: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no exit was asked for."""
        bounded = self.stop is not None or self.trailing_bps is not None
        return not bounded and not self.take_profits and self.exit_at is None


def bracket_prepare(
    *,
    account: Account,
    instrument: Instrument,
    exit_side: Side,
    position_side: PositionSide,
    source: str,
    strategy: Strategy | None = None,
    user: User | None = None,
) -> tuple[Bracket, bool]:
    """The locked bracket of a position, new (True) where there is none. Lock it before the position is locked."""
    known = Bracket.objects.select_for_update(of=("self",), no_key=True).filter(
        account=account, instrument=instrument, position_side=position_side, ended_at=None
    )
    found = known.first()
    if found is not None:
        return found, False
    moment = now()
    bracket = Bracket(
        account=account,
        instrument=instrument,
        position_side=position_side,
        exit_side=exit_side,
        state=BracketState.PENDING,
        source=source,
        strategy=strategy,
        requested_by=user,
        covers_all=source == Bracket.Source.STRATEGY,
        opened_at=moment,
        updated_at=moment,
    )
    bracket.save(force_insert=True)
    return bracket, True


def bracket_start(*, bracket: Bracket, entry: Order, wanted: Wanted, user: User) -> None:
    """Tie an entry to its bracket. A second entry adds to what is guarded, and what it says of exits is in force."""
    BracketLeg.objects.get_or_create(bracket=bracket, order=entry, defaults={"role": Role.ENTRY})
    exits_set(bracket, wanted)
    bracket.save()
    bracket_event(bracket, "entry", {"order": str(entry.uid), **wanted_members(wanted)})
    audit_record(
        action="bracket.opened",
        target=f"bracket:{bracket.pk}",
        actor=user,
        reason=f"with order {entry.uid}",
        after=wanted_members(wanted),
    )
    hint(bracket)


def exits_set(bracket: Bracket, wanted: Wanted) -> None:
    """Put exits on a row; what is not named stays as it is."""
    if wanted.stop is not None:
        bracket.stop_price, bracket.stop_limit_price = wanted.stop, wanted.stop_limit
    if wanted.take_profits:
        bracket.take_profits = [
            {"price": decimal_text(price), "share_bps": share} for price, share in wanted.take_profits
        ]
    if wanted.trailing_bps is not None:
        bracket.trailing_bps, bracket.activation_price = wanted.trailing_bps, wanted.activation
    if wanted.exit_at is not None:
        bracket.exit_at = wanted.exit_at
    if wanted.escalate_after_s is not None:
        bracket.escalate_after_s = wanted.escalate_after_s


def wanted_members(wanted: Wanted) -> dict[str, object]:
    """Exits as they are recorded and shown."""
    return {
        "stop": decimal_text(wanted.stop) if wanted.stop is not None else None,
        "stop_limit": decimal_text(wanted.stop_limit) if wanted.stop_limit is not None else None,
        "take_profits": [[decimal_text(price), share] for price, share in wanted.take_profits],
        "trailing_bps": wanted.trailing_bps,
        "exit_at": wanted.exit_at.isoformat() if wanted.exit_at else None,
    }


def exits_of_strategies(instances: list[StrategyInstance]) -> tuple[Wanted, Side] | None:
    """One set for one net position, as the backtest has it: of several the exits nearest to the market."""
    asked: list[dict[str, float]] = [i.protection for i in instances if i.protection and i.target]
    if not asked:
        return None
    side = Side.SELL if sum(i.target or 0.0 for i in instances) >= 0 else Side.BUY
    sign = -side.sign

    def nearest(name: str) -> Decimal | None:
        levels = [Decimal(str(wants[name])) for wants in asked if wants.get(name)]
        if not levels:
            return None
        # A stop is nearest when it is highest below a long position, a take-profit when it is lowest above it.
        return max(levels) if (name == "stop") is (sign > 0) else min(levels)

    trails = [float(wants["trailing"]) for wants in asked if wants.get("trailing")]
    profit = nearest("take_profit")
    return (
        Wanted(
            stop=nearest("stop"),
            take_profits=((profit, 10_000),) if profit is not None else (),
            trailing_bps=max(1, round(min(trails) * 10_000)) if trails else None,
        ),
        side,
    )


@transaction.atomic
def brackets_ensure(*, account_id: int, instrument_id: int) -> Bracket | None:
    """Bring the bracket of a symbol to what its strategies want: a stop is only ever moved nearer to the market."""
    instances = list(
        StrategyInstance.objects.select_related("strategy", "account__venue", "instrument").filter(
            account_id=account_id, instrument_id=instrument_id
        )
    )
    asked = exits_of_strategies(instances)
    if asked is None:
        return None
    wanted, side = asked
    first = next(i for i in instances if i.protection and i.target)
    if not _holds(account_id, instrument_id, side):
        return None
    hedge = first.account.hedge_mode and first.instrument.market == Market.usdm
    bracket, created = bracket_prepare(
        account=first.account,
        instrument=first.instrument,
        exit_side=side,
        position_side=OF_EXIT[side] if hedge else PositionSide.BOTH,
        source=Bracket.Source.STRATEGY,
        strategy=first.strategy if len(instances) == 1 else None,
    )
    if bracket.exit_side != side or bracket.exit_reason:
        return bracket  # the position has turned or is being closed: what is there ends first
    domain = first.instrument.to_domain()
    before = exits_of(bracket, domain)
    draft = replace_exits(bracket, wanted)
    after = exits_of(draft, domain) if created else tightened(before, exits_of(draft, domain), side)
    changed = _exits_write(bracket, after, domain)
    bracket.covers_all = True
    bracket.save()
    if created or changed:
        bracket_event(bracket, "wanted", wanted_members(wanted))
        hint(bracket)
    return bracket


def _holds(account_id: int, instrument_id: int, exit_side: Side) -> bool:
    rows = Position.objects.filter(account_id=account_id, instrument_id=instrument_id)
    held = rows.filter(quantity__gt=0) if exit_side is Side.SELL else rows.filter(quantity__lt=0)
    return bool(held.exists())


def replace_exits(bracket: Bracket, wanted: Wanted) -> Bracket:
    """A copy of the row, not stored, that carries these exits and no others."""
    return Bracket(
        exit_side=bracket.exit_side,
        instrument=bracket.instrument,
        stop_price=wanted.stop,
        stop_limit_price=wanted.stop_limit,
        take_profits=[{"price": str(price), "share_bps": share} for price, share in wanted.take_profits],
        trailing_bps=wanted.trailing_bps,
        activation_price=wanted.activation,
        exit_at=wanted.exit_at,
    )


def _exits_write(bracket: Bracket, exits: Exits, domain) -> bool:  # type: ignore[no-untyped-def]
    before = (bracket.stop_price, bracket.stop_limit_price, bracket.take_profits, bracket.trailing_bps)
    bracket.stop_price = domain.price(exits.stop) if exits.stop is not None else None
    bracket.stop_limit_price = domain.price(exits.stop_limit) if exits.stop_limit is not None else None
    bracket.take_profits = [
        {"price": decimal_text(domain.price(target.ticks)), "share_bps": target.share_bps}
        for target in exits.take_profits
    ]
    bracket.trailing_bps = exits.trailing_bps
    bracket.activation_price = domain.price(exits.activation) if exits.activation is not None else None
    return before != (
        bracket.stop_price,
        bracket.stop_limit_price,
        bracket.take_profits,
        bracket.trailing_bps,
    )


def hint(bracket: Bracket) -> None:
    """Ask for a step as soon as this transaction is committed."""
    enqueue_on_commit("trading.tasks.bracket_step", queue="trading", bracket_id=bracket.pk)
