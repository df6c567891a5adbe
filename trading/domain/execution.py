"""What the executor does next with an order: decisions only, no I/O, no clock, no database.

The services read rows, lease, level and clock, ask here, and act. A simulation asks the same functions with rows, clock
and venue of its own (`tests/simulation`), so what is proven there is what runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from trading.domain.errors import OutcomeUnknown, VenueError, VenueRejected, VenueUnavailable
from trading.domain.orders import OrderStatus, advance, is_terminal
from trading.domain.values import Level

MS: Final = 1_000_000
SECOND: Final = 1_000 * MS

RECV_WINDOW_MS: Final = 2_000
CLOCK_ERROR_MS: Final = 250
MARGIN_MS: Final = 500
LEASE_NEEDED_NS: Final = (RECV_WINDOW_MS + 2 * CLOCK_ERROR_MS + MARGIN_MS) * MS
"""How long a lease must still be ours for a send under it: until the signed request is dead by the venue's clock."""
TAKEOVER_GRACE_NS: Final = (RECV_WINDOW_MS + 2 * CLOCK_ERROR_MS) * MS
"""How long after a lease's end its successor waits: a request the dead holder signed may be under way."""
STUCK_AFTER_NS: Final = 8 * SECOND
"""An order that is SENDING for longer has lost its sender: every call to the venue ends sooner."""


class Step(StrEnum):
    """What to do with one reserved order."""

    SEND = "SEND"
    RELEASE = "RELEASE"
    SKIP = "SKIP"
    STOP = "STOP"


@dataclass(frozen=True, slots=True)
class Ready:
    """One order as its executor sees it, everything read in the transaction that would allow the send.

    Attributes
    ----------
    expires_ns : when its decision is too old to be sent, or None.
    reducing : whether it can only shrink the position, its own quantity not counted against it.
    flattener : whether the flattener placed it.
    """

    status: OrderStatus
    expires_ns: int | None
    reducing: bool
    flattener: bool = False


@dataclass(frozen=True, slots=True)
class LeaseView:
    """A lease by the database's clock: `left_ns` is zero or less when it is not ours, or over."""

    left_ns: int
    build_fits: bool = True


@dataclass(frozen=True, slots=True)
class Next:
    """The decision, with the code and words that are written down when nothing is sent."""

    step: Step
    code: str = ""
    message: str = ""


def level_permits(level: Level, *, reducing: bool, flattener: bool) -> bool:
    """Tell whether an order may leave at this level."""
    if level is Level.ACTIVE:
        return True
    if level is Level.REDUCING:
        return reducing
    return level is Level.FLATTEN and flattener and reducing


def next_step(order: Ready, lease: LeaseView, level: Level, scope: str, now_ns: int) -> Next:
    """Decide about one order. Nothing leaves without a lease that outlives the request."""
    if not lease.build_fits:
        return Next(Step.STOP, "BUILD_REFUSED", "another build is deployed")
    if lease.left_ns < LEASE_NEEDED_NS:
        return Next(Step.STOP, "LEASE_LOST", "the lease is not ours any more, or ends too soon")
    if order.status is not OrderStatus.RESERVED:
        return Next(Step.SKIP)
    if order.expires_ns is not None and order.expires_ns <= now_ns:
        return Next(Step.RELEASE, "DECISION_EXPIRED", "its decision is too old to be sent")
    if not level_permits(level, reducing=order.reducing, flattener=order.flattener):
        return Next(Step.RELEASE, "TRADING_HALTED", f"{scope} is at {level.name}")
    return Next(Step.SEND)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer to a send means for the order: `status` is None when the answer's own report says it."""

    status: OrderStatus | None
    code: str = ""
    message: str = ""


def after_answer(error: VenueError | None, *, fence_holds: bool) -> Verdict:
    """Name what a send came to.

    A refusal is the sender's own word: it counts only while the sender's fence is the newest. A report is the venue's
    word and counts whoever brings it; a doubt takes nothing away and may be raised by anybody.
    """
    if error is None:
        return Verdict(None)
    message = str(error)
    if isinstance(error, OutcomeUnknown) or not fence_holds:
        return Verdict(OrderStatus.UNKNOWN, "", message)
    if isinstance(error, VenueRejected):
        return Verdict(OrderStatus.REJECTED, str(error.code), error.message)
    if isinstance(error, VenueUnavailable):
        return Verdict(OrderStatus.RELEASED, str(error.code or "VENUE_UNAVAILABLE"), error.message)
    return Verdict(OrderStatus.UNKNOWN, "", message)


def state_after(
    current: OrderStatus, *, quantity: int, executed: int, told: OrderStatus | None, told_executed: int
) -> OrderStatus:
    """Where an order is, by what is booked of it and the furthest that the venue has told.

    An end that the venue told counts once every execution it counts is booked: only executions are ever booked,
    never assumed.

    Parameters
    ----------
    executed : booked; told_executed : the most the venue has said; base units, like `quantity`.

    Raises
    ------
    IllegalTransition : the venue contradicts itself, or knows an order that was never sent.
    """
    target = current
    if executed >= quantity:
        target = OrderStatus.FILLED
    elif told is not None and is_terminal(told) and told is not OrderStatus.FILLED:
        if executed >= told_executed:
            target = told
        elif executed > 0:
            target = OrderStatus.PARTIALLY_FILLED
    elif executed > 0:
        target = OrderStatus.PARTIALLY_FILLED
    elif told is not None:
        target = OrderStatus.NEW
    return advance(current, target)


def sender_lost(status: OrderStatus, sent_ns: int | None, now_ns: int) -> bool:
    """Tell whether an order's sender must have died: it is SENDING for longer than any call lasts."""
    return status is OrderStatus.SENDING and sent_ns is not None and now_ns - sent_ns >= STUCK_AFTER_NS


class CommandStep(StrEnum):
    """What to do with a cancel or an amendment that was asked for."""

    SEND = "SEND"
    WAIT = "WAIT"
    DONE = "DONE"
    VOID = "VOID"


def next_cancel(order: OrderStatus) -> CommandStep:
    """Decide about a cancel: it is safe to repeat, so only the order's own state counts."""
    if order in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED):
        return CommandStep.SEND
    if order in (OrderStatus.RESERVED, OrderStatus.SENDING, OrderStatus.UNKNOWN):
        return CommandStep.WAIT
    return CommandStep.DONE if order is OrderStatus.CANCELED else CommandStep.VOID


def next_amend(order: OrderStatus, *, sent: bool) -> CommandStep:
    """Decide about an amendment: it is not safe to repeat, so one that was sent is only asked about."""
    if sent or order in (OrderStatus.RESERVED, OrderStatus.SENDING, OrderStatus.UNKNOWN):
        return CommandStep.WAIT
    if order in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED):
        return CommandStep.SEND
    return CommandStep.VOID


def parent_quantity(target: int, position: int) -> int:
    """The most a plan's orders may sum to, base units: what lies between target and position, whatever is working."""
    return abs(target - position)


def child_fits(parent: int, sent: int, quantity: int, *, sends: int, max_sends: int) -> bool:
    """Tell whether one more child stays within its parent, in quantity and in number."""
    return 0 < quantity <= parent - sent and sends < max_sends


GIVES_BACK: Final = frozenset(
    {OrderStatus.RELEASED, OrderStatus.REJECTED, OrderStatus.CANCELED, OrderStatus.EXPIRED}
)
"""Ends that give a child's unexecuted part back to its parent: certainly not executed, certainly over.

ABSENT does not: should it land after all, parent and children must still add up. FILLED has nothing to give.
"""


def given_back(end: OrderStatus, quantity: int, executed: int) -> int:
    """What an ended child returns to its parent, base units."""
    return quantity - executed if end in GIVES_BACK else 0
