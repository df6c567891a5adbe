"""What people and planners may ask of a bracket: move its exits, take it down, let go of coins for a sale."""

from __future__ import annotations

import time
from datetime import timedelta
from decimal import Decimal

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record
from trading.domain.brackets import Role, check_exits
from trading.domain.values import Market, PositionSide, Side, decimal_text
from trading.models import Account, Bracket, BracketLeg, Position
from trading.services.brackets.opening import Wanted, exits_set, hint, wanted_members
from trading.services.brackets.reading import exits_of
from trading.services.brackets.stepping import bracket_event
from universe.models import Instrument

YIELD_LIFE = timedelta(seconds=10)
SALE_WAIT_S = 4.0


@transaction.atomic
def bracket_move(*, bracket_id: int, wanted: Wanted, actor: User, reason: str) -> Bracket:
    """Change the exits of an open bracket, in either direction: a person asked.

    Raises
    ------
    Conflict : BRACKET_CLOSED.  ApplicationError : INVALID_ORDER, the exits contradict each other.
    """
    bracket = _locked(bracket_id)
    before = exits_of(bracket, bracket.instrument.to_domain())
    exits_set(bracket, wanted)
    if wanted.stop is not None:
        bracket.trailed_price = None  # a stop somebody placed is not overruled by where the trail was
        bracket.best_price = None
    after = exits_of(bracket, bracket.instrument.to_domain())
    wrong = check_exits(after, Side(bracket.exit_side), None)
    if wrong:
        raise ApplicationError("INVALID_ORDER", wrong)
    if after != before:
        bracket.save()
        bracket_event(bracket, "moved", wanted_members(wanted))
        audit_record(
            action="bracket.moved",
            target=f"bracket:{bracket.pk}",
            actor=actor,
            reason=reason,
            after=wanted_members(wanted),
        )
    hint(bracket)
    return bracket


@transaction.atomic
def bracket_cancel(*, bracket_id: int, actor: User | str, reason: str) -> Bracket:
    """Take the protection down for good; the position stays. Its entry, if it still rests, is left alone."""
    bracket = _locked(bracket_id)
    if bracket.exit_reason:
        raise Conflict("BRACKET_EXITING", "the position is being closed at the market already")
    bracket.stop_price = bracket.stop_limit_price = bracket.trailing_bps = None
    bracket.activation_price = bracket.trailed_price = bracket.exit_at = None
    bracket.take_profits = []
    bracket.save()
    bracket_event(bracket, "taken down", {"reason": reason})
    audit_record(action="bracket.canceled", target=f"bracket:{bracket.pk}", actor=actor, reason=reason)
    hint(bracket)
    return bracket


@transaction.atomic
def bracket_yield(*, bracket_id: int, keep: Decimal, reason: str) -> Bracket | None:
    """Let go of everything above `keep` for a while, so that somebody can sell it; restored when they do not."""
    bracket = (
        Bracket.objects.select_for_update(of=("self",), no_key=True)
        .filter(pk=bracket_id, ended_at=None)
        .first()
    )
    if bracket is None:
        return None
    keep = max(keep, Decimal(0))
    bracket.yield_to = keep if bracket.yield_to is None else min(keep, bracket.yield_to)
    bracket.yield_until = now() + YIELD_LIFE
    bracket.save(update_fields=["yield_to", "yield_until"])
    bracket_event(bracket, "yields", {"keep": decimal_text(keep), "reason": reason})
    hint(bracket)
    return bracket


def bracket_in_the_way(
    *, account: Account, instrument: Instrument, side: Side, quantity: Decimal
) -> tuple[Bracket, Decimal] | None:
    """The bracket whose orders hold the coins of a sale, and what it may keep; None when the sale finds enough free.

    On USD-M protection waits beside other exits and holds nothing.
    """
    if instrument.market != Market.spot:
        return None
    bracket = Bracket.objects.filter(
        account=account,
        instrument=instrument,
        position_side=PositionSide.BOTH,
        exit_side=side,
        ended_at=None,
    ).first()
    position = Position.objects.filter(account=account, instrument=instrument).first()
    if bracket is None or position is None or side is not Side.SELL:
        return None
    free = position.quantity - position.open_sell
    if quantity <= free or quantity > position.quantity:
        return None
    return bracket, position.quantity - quantity


def bracket_leaves(account: Account, instrument: Instrument) -> bool:
    """Whether protection is closing the position right now: no plan is made beside it."""
    brackets = Bracket.objects.filter(account=account, instrument=instrument, ended_at=None)
    if brackets.exclude(exit_reason="").exists():
        return True
    trading = BracketLeg.objects.filter(
        bracket__in=brackets, order__ended_at=None, order__executed_quantity__gt=0
    ).exclude(role=Role.ENTRY)
    return bool(trading.exists())


def yield_for_sale(
    *, account: Account, instrument: Instrument, side: Side, quantity: Decimal, wait_s: float = SALE_WAIT_S
) -> bool:
    """Make room for a person's sale and wait until the venue has let the coins go. False when it took too long."""
    held = bracket_in_the_way(account=account, instrument=instrument, side=side, quantity=quantity)
    if held is None:
        return True
    bracket, keep = held
    bracket_yield(bracket_id=bracket.pk, keep=keep, reason="a person sells")
    until = time.monotonic() + wait_s
    while time.monotonic() < until:
        time.sleep(0.05)
        found = bracket_in_the_way(account=account, instrument=instrument, side=side, quantity=quantity)
        if found is None:
            return True
    return False


def _locked(bracket_id: int) -> Bracket:
    bracket = (
        Bracket.objects.select_for_update(of=("self",), no_key=True)
        .select_related("instrument")
        .filter(pk=bracket_id)
    ).first()
    if bracket is None or bracket.ended_at is not None:
        raise Conflict("BRACKET_CLOSED", "the bracket is over already")
    return bracket
