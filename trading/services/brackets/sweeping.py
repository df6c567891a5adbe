"""Every tick: which brackets to step, and protective orders that belong to nobody any more."""

from __future__ import annotations

import contextlib
from datetime import timedelta

import structlog
from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import Conflict
from trading import metrics
from trading.domain.brackets import BracketState, Role
from trading.domain.orders import OPEN
from trading.models import Bracket, BracketLeg, Order, StrategyInstance
from trading.services.brackets.opening import brackets_ensure, hint
from trading.services.brackets.stepping import bracket_event
from trading.services.orders.cancel import order_cancel_request

log = structlog.get_logger(__name__)
LATE = timedelta(hours=24)


def brackets_open(account_id: int) -> list[int]:
    """Brackets that are not over, oldest first."""
    rows = Bracket.objects.filter(account_id=account_id, ended_at=None)
    return list(rows.order_by("pk").values_list("pk", flat=True))


def strategies_guard(account_id: int) -> None:
    """Open or tighten the bracket of every symbol whose strategies want their position guarded."""
    wanting = StrategyInstance.objects.filter(
        account_id=account_id, protection__isnull=False, target__isnull=False
    ).exclude(target=0)
    for instrument_id in set(wanting.values_list("instrument_id", flat=True)):
        brackets_ensure(account_id=account_id, instrument_id=instrument_id)


def orphans_sweep(account_id: int) -> int:
    """Cancel protective orders whose bracket is over, and guard what an entry bought after its bracket ended.

    Returns how many orders were asked to be cancelled.
    """
    reopened = _reopen(account_id)
    orphans = Order.objects.filter(
        account_id=account_id,
        origin=Order.Origin.PROTECTION,
        status__in=[s.value for s in OPEN],
        cancel_requested_at=None,
    ).exclude(bracket_leg__bracket__ended_at=None, bracket_leg__isnull=False)
    asked = 0
    for order in orphans:
        log.error("orphan_order", client_order_id=order.client_order_id, status=order.status)
        metrics.ORPHAN_ORDERS.inc()
        with contextlib.suppress(Conflict):
            order_cancel_request(order=order, actor="orphan sweep", reason="its bracket is over")
            asked += 1
    if reopened:
        log.warning("brackets_reopened", brackets=reopened)
    return asked


@transaction.atomic
def _reopen(account_id: int) -> list[int]:
    """A fill told after everything was over: the coins are there, so they are guarded like any others."""
    late = BracketLeg.objects.filter(
        role=Role.ENTRY,
        bracket__account_id=account_id,
        bracket__ended_at__gt=now() - LATE,
        order__updated_at__gt=now() - LATE,
    ).select_related("bracket", "order")
    reopened = []
    for leg in late:
        over = leg.bracket
        assert over.ended_at is not None
        if not leg.order.fills.filter(recorded_at__gt=over.ended_at).exists():
            continue
        if Bracket.objects.filter(
            account_id=account_id,
            instrument_id=over.instrument_id,
            position_side=over.position_side,
            ended_at=None,
        ).exists():
            continue
        locked = Bracket.objects.select_for_update(no_key=True).get(pk=over.pk)
        locked.ended_at, locked.state, locked.exit_reason = None, BracketState.PENDING, ""
        locked.save(update_fields=["ended_at", "state", "exit_reason"])
        bracket_event(locked, "reopened", {"order": str(leg.order.uid)})
        hint(locked)
        reopened.append(locked.pk)
    return reopened
