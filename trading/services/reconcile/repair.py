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
from trading.domain import portfolio
from trading.domain.clock import datetime_to_ns, ns_to_ms
from trading.domain.orders import Fill as DomainFill
from trading.domain.values import Side, decimal_text, from_units, to_units
from trading.models import Fill, LedgerEntry, Order
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
    orders = Order.objects.select_for_update(of=("self",)).filter(
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
    folded = _fold(
        Fill.objects.filter(account=account, instrument=instrument).order_by("trade_id"), instrument
    )
    derived = {
        "quantity": from_units(folded.quantity),
        "cost": from_units(folded.cost),
        "realized": from_units(folded.realized),
        "commission": from_units(folded.fees),
    }
    if position.quantity != derived["quantity"]:
        changed["position"] = [decimal_text(position.quantity), decimal_text(derived["quantity"])]
        for name, value in derived.items():
            setattr(position, name, value)
        position.save(update_fields=list(derived))
    for asset, balance in balances.items():
        entries = LedgerEntry.objects.filter(account=account, owner="account", asset=asset)
        total = entries.aggregate(total=Sum("amount"))["total"] or ZERO
        if balance.amount != total:
            changed[f"balance {asset}"] = [decimal_text(balance.amount), decimal_text(total)]
            balance.amount = total
            balance.save(update_fields=["amount"])
    if changed:
        log.error("books_restored", account=account.name, symbol=instrument.symbol, changed=changed)
        audit_record(
            action="reconcile.books_restored",
            target=f"{account.name}:{instrument.symbol}",
            actor="reconciliation",
            reason="the venue lists a trade below the cursor that is not in the books",
            before={name: values[0] for name, values in changed.items()},
            after={name: values[1] for name, values in changed.items()},
        )


def _fold(rows: Iterable[Fill], instrument: Instrument) -> portfolio.Position:
    domain = instrument.to_domain()
    return portfolio.fold(
        (
            (
                DomainFill(
                    trade_id=row.trade_id,
                    symbol=domain.symbol,
                    side=Side(row.side),
                    price=domain.ticks(row.price),
                    quantity=domain.steps(row.quantity),
                    quote=to_units(row.quote_quantity),
                    fee=to_units(row.commission),
                    fee_asset=row.commission_asset,
                    maker=row.maker,
                    time_ms=ns_to_ms(datetime_to_ns(row.traded_at)),
                ),
                to_units(row.commission_quote),
            )
            for row in rows
        ),
        domain,
    )
