"""Tx A of orders that leave as one request: judged each, held once, all or none."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.crash_points import crash_point
from trading.domain.orders import OrderStatus
from trading.domain.values import ListKind, Side
from trading.models import Order, OrderList
from trading.services.orders.judging import judge, premises_read
from trading.services.orders.storing import announce, order_row
from trading.services.orders.submission import OrderDenied, Submission, Verdict
from trading.services.orders.submit import books_of, deny, verdict_again
from trading.services.reserved_books import books_take
from trading.services.verdicts import check_members


def order_list_submit(
    submissions: Sequence[Submission], *, kind: ListKind, client_list_id: str
) -> tuple[Order, ...]:
    """Reserve the legs of a list that sell (or buy back) the same quantity. Asking again returns the first ones.

    Only lists whose legs exclude each other and only reduce are made here: they hold the larger leg's quantity once.

    Raises
    ------
    OrderDenied : a rail denied one of the legs, so none was reserved.
    """
    verdicts = _reserve(submissions, kind, client_list_id)
    for verdict in verdicts:
        if verdict.denial is not None:
            raise OrderDenied(verdict.denial, verdict.checks, verdict.order)
    return tuple(verdict.order for verdict in verdicts if verdict.order is not None)


@transaction.atomic
def _reserve(submissions: Sequence[Submission], kind: ListKind, client_list_id: str) -> list[Verdict]:
    first = submissions[0]
    books = books_of(first, lock=True)
    premises = [premises_read(submission) for submission in submissions]
    if any(read.existing is not None for read in premises):
        known = [read.existing for read in premises if read.existing is not None]
        return [verdict_again(Order.objects.get(pk=pk)) for pk in known]
    market = premises[0].market
    judgements = [
        judge(submission, books, read) for submission, read in zip(submissions, premises, strict=True)
    ]
    denial = next((j.denial for j in judgements if j.denial is not None), None)
    if denial is not None:
        return [
            deny(submission, judged, market, judged.denial or denial)
            for submission, judged in zip(submissions, judgements, strict=True)
        ]
    order_list = OrderList(
        account=first.account,
        instrument=first.instrument,
        kind=kind,
        client_list_id=client_list_id,
        created_at=now(),
    )
    quantity = max(j.routed.order.quantity for j in judgements if j.routed is not None)
    side = Side(first.intent.side)
    order_list.reserved_asset = first.instrument.base_asset
    order_list.reserved_amount = quantity if side is Side.SELL else Decimal(0)
    order_list.held_quantity = quantity  # once for all legs: they sell the same coins
    books_take(
        books,
        first.account,
        asset=order_list.reserved_asset,
        promised=order_list.reserved_amount,
        **{"buy" if side is Side.BUY else "sell": quantity},
    )
    order_list.save(force_insert=True)
    verdicts = []
    for submission, judged in zip(submissions, judgements, strict=True):
        checks = check_members(judged.results, judged.versions)
        order = order_row(submission, judged, market, OrderStatus.RESERVED, checks)
        order.order_list = order_list
        announce(submission, order)
        verdicts.append(Verdict(order, None, checks))
    crash_point("C1")
    return verdicts
