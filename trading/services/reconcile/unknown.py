"""S1: what became of orders whose answer never came. Every second, and at the head of every other sweep."""

from __future__ import annotations

import structlog

from nautilus_site.common.errors import ApplicationError
from trading.domain.errors import VenueRejected
from trading.domain.orders import OrderStatus
from trading.domain.ports import ExecutionVenue
from trading.services.execution.resolve import order_resolve, orders_in_doubt
from trading.services.reconcile.context import Run

log = structlog.get_logger(__name__)


def account_resolve(*, account_id: int, venue: ExecutionVenue) -> int:
    """Take one step for every order in doubt; returns how many are settled now.

    A refusal of one look-up (our clock was wrong, -1021; a symbol that is gone) says nothing about its order: it
    counts as not asked, and the next order's turn comes.

    Raises
    ------
    VenueUnavailable : nothing can be asked now.
    """
    settled = 0
    for order_id in orders_in_doubt(account_id):
        try:
            status = order_resolve(order_id=order_id, venue=venue)
        except (VenueRejected, ApplicationError) as error:
            log.warning("order_not_resolved", order_id=order_id, error=str(error)[:200])
            continue
        settled += status not in (OrderStatus.SENDING, OrderStatus.UNKNOWN)
    return settled


def sweep_unknown(run: Run) -> None:
    """S1 as the first step of a run."""
    run.report.resolved += account_resolve(account_id=run.account.pk, venue=run.venue)
