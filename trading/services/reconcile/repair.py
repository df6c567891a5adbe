"""Before a fill that vanished from our books is booked again: what was derived from it is derived anew without it.

Booking adds to the order, the position and the balances. Where these still count the lost fill it would count
twice, so they first become what the facts that are left say.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import structlog
from django.db import transaction
from django.db.models import Sum

from nautilus_site.common.services.audit import audit_record
from trading.domain.values import decimal_text
from trading.models import BookSnapshot, Fill, Order
from trading.services.books.rebuild import balances_rebuild, position_rebuild
from trading.services.exposure import balances_locked, position_locked
from trading.services.reconcile.context import Run
from universe.models import Instrument

log = structlog.get_logger(__name__)
ZERO = Decimal(0)


@transaction.atomic
def facts_restore(run: Run, instrument: Instrument, venue_order_ids: Iterable[int]) -> None:
    """Make orders, position and balances of one symbol say what the stored fills and ledger entries say."""
    account = run.account
    changed: dict[str, list[str]] = {}
    position = position_locked(account, instrument)
    balances = balances_locked(account, {instrument.base_asset, instrument.quote_asset})
    orders = Order.objects.select_for_update(of=("self",), no_key=True).filter(
        account=account, instrument=instrument, venue_order_id__in=set(venue_order_ids)
    )
    for order in orders:
        sums = Fill.objects.filter(order=order).aggregate(base=Sum("quantity"), quote=Sum("quote_quantity"))
        executed, quote = sums["base"] or ZERO, sums["quote"] or ZERO
        if executed < order.executed_quantity:
            changed[f"order {order.client_order_id}"] = [
                decimal_text(order.executed_quantity),
                decimal_text(executed),
            ]
            order.executed_quantity, order.executed_quote = executed, quote
            order.save(update_fields=["executed_quantity", "executed_quote"])
    for name, (before, after) in position_rebuild(position).items():
        changed[f"position {name}"] = [decimal_text(before), decimal_text(after)]
    for asset, (before, after) in balances_rebuild(account, set(balances)).items():
        changed[f"balance {asset}"] = [decimal_text(before), decimal_text(after)]
    if changed:
        # They tell of facts that are not there any more; the next one is taken of what is.
        BookSnapshot.objects.filter(account=account).exclude(content__baseline=True).delete()
        log.error("books_restored", account=account.name, symbol=instrument.symbol, changed=changed)
        audit_record(
            action="reconcile.books_restored",
            target=f"{account.name}:{instrument.symbol}",
            actor="reconciliation",
            reason="the venue lists a trade below the cursor that is not in the books",
            before={name: values[0] for name, values in changed.items()},
            after={name: values[1] for name, values in changed.items()},
        )
