"""A person's order that carries its own exits, or that sells what protection holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from trading.domain.brackets import check_exits
from trading.domain.brackets.exits import WHOLE
from trading.domain.hedge import OF_EXIT
from trading.domain.values import Market, OrderType, PositionSide
from trading.models import Bracket, Order
from trading.services.brackets.commands import yield_for_sale
from trading.services.brackets.opening import Wanted, bracket_prepare, bracket_start, replace_exits
from trading.services.brackets.reading import exits_of
from trading.services.market import market_of
from trading.services.orders.request import OrderOutcome, order_request
from trading.services.orders.submission import OrderDenied, Submission
from trading.services.orders.submit import order_submit


@dataclass(frozen=True, slots=True)
class ExitsRequest:
    """Exits as they stand in a request: `trailing` and shares are fractions."""

    stop: Decimal | None = None
    stop_limit: Decimal | None = None
    take_profits: tuple[tuple[Decimal, Decimal | None], ...] = ()
    trailing: Decimal | None = None
    activation: Decimal | None = None
    time_exit_s: int | None = None
    escalate_after_s: int | None = None

    def wanted(self) -> Wanted:
        """The same as a bracket keeps them; take-profits without a share divide what the others leave.

        Raises
        ------
        ApplicationError : INVALID_ORDER, the shares are more than the whole.
        """
        given = [round(share * WHOLE) for _, share in self.take_profits if share is not None]
        open_shares = len(self.take_profits) - len(given)
        rest = WHOLE - sum(given)
        if rest < open_shares or rest < 0:
            raise ApplicationError("INVALID_ORDER", "the shares of the take-profits are more than the whole")
        targets = []
        for price, share in self.take_profits:
            if share is not None:
                targets.append((price, round(share * WHOLE)))
                continue
            part = rest // open_shares
            rest, open_shares = rest - part, open_shares - 1
            targets.append((price, part))
        return Wanted(
            stop=self.stop,
            stop_limit=self.stop_limit,
            take_profits=tuple(targets),
            trailing_bps=trailing_bps(self.trailing),
            activation=self.activation,
            exit_at=now() + timedelta(seconds=self.time_exit_s) if self.time_exit_s is not None else None,
            escalate_after_s=self.escalate_after_s,
        )


def trailing_bps(fraction: Decimal | None) -> int | None:
    """A trail's distance in basis points.

    Raises
    ------
    ApplicationError : INVALID_ORDER, it is not between 0.0001 and 0.5.
    """
    if fraction is None:
        return None
    if not Decimal("0.0001") <= fraction <= Decimal("0.5"):
        raise ApplicationError("INVALID_ORDER", "trailing: expected a fraction from 0.0001 to 0.5")
    return round(fraction * WHOLE)


def guarded_order_request(*, exits: ExitsRequest, **asked: Any) -> OrderOutcome:
    """Ask for an order whose fills are protected by these exits from their first moment.

    Raises
    ------
    ApplicationError : as `order_request`, and INVALID_ORDER for exits that contradict the entry.
    OrderDenied : a rail said no; no bracket was opened.
    """
    wanted = exits.wanted()
    type_ = OrderType(asked["type"])
    callback = None
    if type_ is OrderType.TRAILING_STOP_MARKET:
        callback = wanted.trailing_bps  # its own distance, not that of a bracket
        wanted = Wanted(
            stop=wanted.stop,
            stop_limit=wanted.stop_limit,
            take_profits=wanted.take_profits,
            exit_at=wanted.exit_at,
            escalate_after_s=wanted.escalate_after_s,
        )
    if not wanted.is_empty and asked["reduce_only"]:
        raise ApplicationError("INVALID_ORDER", "an order that only reduces carries no exits of its own")

    def submit(submission: Submission) -> Order:
        return _submit(submission, wanted)

    return order_request(**asked, callback_bps=callback, submit=submit)


def _submit(submission: Submission, wanted: Wanted) -> Order:
    intent = submission.intent
    domain = submission.instrument.to_domain()
    if wanted.is_empty:
        yield_for_sale(
            account=submission.account,
            instrument=submission.instrument,
            side=intent.side,
            quantity=domain.quantity(intent.quantity),
        )
        return order_submit(submission)
    if domain.market is Market.spot and intent.side.sign < 0:
        raise ApplicationError("INVALID_ORDER", "on spot only a purchase opens a position to protect")
    if intent.position_side is not PositionSide.BOTH and OF_EXIT[intent.side] is intent.position_side:
        raise ApplicationError("INVALID_ORDER", "an order that only reduces carries no exits of its own")
    denied: OrderDenied | None = None
    with transaction.atomic():
        # The bracket before the position, as everywhere.
        bracket, created = bracket_prepare(
            account=submission.account,
            instrument=submission.instrument,
            exit_side=intent.side.opposite,
            position_side=intent.position_side,
            source=Bracket.Source.PERSON,
            user=submission.requested_by,
        )
        _check(bracket, submission, wanted)
        try:
            order = order_submit(submission)
        except OrderDenied as refusal:
            denied = refusal
            if created:
                bracket.delete()
        else:
            assert submission.requested_by is not None
            bracket_start(bracket=bracket, entry=order, wanted=wanted, user=submission.requested_by)
    if denied is not None:
        raise denied
    return order


def _check(bracket: Bracket, submission: Submission, wanted: Wanted) -> None:
    if bracket.exit_side != submission.intent.side.opposite:
        raise ApplicationError("INVALID_ORDER", "the position is guarded on its other side already")
    if bracket.exit_reason:
        raise ApplicationError("INVALID_ORDER", "the position is being closed at the market")
    domain = submission.instrument.to_domain()
    reference = submission.intent.price or submission.intent.stop
    if reference is None:
        book = market_of(submission.instrument)
        touch = book.ask if submission.intent.side.sign > 0 else book.bid
        reference = domain.floor_ticks(touch) if touch else None
    wrong = check_exits(
        exits_of(replace_exits(bracket, wanted), domain), submission.intent.side.opposite, reference
    )
    if wrong:
        raise ApplicationError("INVALID_ORDER", wrong)
