"""Deposits and withdrawals are no result: day starts and peaks of equity move with them."""

from __future__ import annotations

from decimal import Decimal

import structlog
from django.db.models import F
from django.db.models.functions import Greatest

from trading.models import Account, EquityAnchor
from trading.selectors.marks import marks_read

log = structlog.get_logger(__name__)
CASH = "USDT"
ZERO = Decimal(0)


def capital_moved(account: Account, value: Decimal) -> None:
    """Move day start and peak of an account, and of everything, by what came in (negative: went out).

    The equity last marked moves with them, so that until the next mark nothing is compared with what it was
    before. The account row is locked by the caller, as it is by whoever marks. What leaves one account for another
    of ours moves both, one after the other, and so comes to nothing over all.
    """
    account.transferred += value
    changed = ["transferred"]
    for name in ("day_start_equity", "peak_equity"):
        before = getattr(account, name)
        if before is not None:
            setattr(account, name, max(before + value, ZERO))
            changed.append(name)
    account.save(update_fields=changed)
    for scope in (f"account:{account.name}", "global"):
        EquityAnchor.objects.filter(pk=scope).update(
            equity=F("equity") + value,
            day_start_equity=Greatest(F("day_start_equity") + value, ZERO),
            peak_equity=Greatest(F("peak_equity") + value, ZERO),
        )


def transfer_value(account: Account, asset: str, amount: Decimal) -> Decimal:
    """What an amount is worth in the cash asset now; nothing when the asset has no price."""
    price = marks_read().of_asset(account.venue_id, asset, CASH)
    if price is None:
        log.warning("transfer_not_valued", account=account.name, asset=asset)
        return ZERO
    return amount * price
