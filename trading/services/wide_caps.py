"""Caps that no single row holds: net exposure over everything, and groups of symbols that move together.

They are sums over the rows of many accounts, which other transactions change meanwhile. An order that would add to one
asks again under a lock that every such order takes before it commits, so that each sees all those before it. Locks:
after the account's buckets and the escrow; groups by name, and the one over everything last.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from django.db import connection

from trading.domain.risk import OrderCheck, RailResult, RiskContext, capacity, order_reserve
from trading.models import CorrelationGroup
from trading.services.risk_context import groups_of, net_of
from trading.services.risk_reads import wide_read

_NET_LOCK: Final = 0x6E_65_74
"""Key of the transaction lock that stands for the net sums over everything."""


def wide_room(order: OrderCheck, context: RiskContext) -> RailResult | None:
    """Judge an order that passed every rail once more by what is committed now; None where there still is room.

    Call in the transaction of the reservation, with the order's own rows locked.
    """
    limits, net = context.limits, context.net_global
    # Gross exposure is never less than net, so a net cap at or above the gross one is held by the escrow already.
    binds = limits.net_global < limits.exposure_global
    adds = binds and net.worst(order.side, order.notional) > net.worst()
    groups = bool(context.groups) and order_reserve(order, context) > 0
    if not adds and not groups:
        return None
    if groups:
        names = [group.name for group in context.groups]
        list(CorrelationGroup.objects.select_for_update(no_key=True).filter(name__in=names).order_by("name"))
    if adds:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_NET_LOCK])
    held, sums = wide_read(order.symbol)
    now_known = replace(context, groups=groups_of(held), net_global=net_of(sums))
    for rail in (capacity.exposure_group, capacity.net_global):
        verdict = rail(order, now_known)
        if not verdict.passed:
            return verdict
    return None
