"""A second person's leave for one order beyond a soft limit: proposed, granted, used once, or expired."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows
from nautilus_site.common.services.audit import audit_record
from trading.domain.values import Side, decimal_text, normalise_symbol, written_decimal
from trading.models import Account, Order, OverrideGrant
from universe.models import Instrument

LONGEST_S = 3600


def override_clean(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Check `account:symbol:side` and how large an order it is for, in quote currency, and for how long.

    Raises
    ------
    NotFound : UNKNOWN_ACCOUNT, UNKNOWN_SYMBOL.
    ApplicationError : INVALID_VALUE.
    """
    name, _, rest = target.partition(":")
    symbol, _, side = rest.partition(":")
    account = Account.objects.filter(name=name, is_active=True).first()
    if account is None:
        raise NotFound("UNKNOWN_ACCOUNT", f"no account is called {name!r}")
    instrument = Instrument.objects.filter(venue_id=account.venue_id, symbol=symbol).first()
    if instrument is None or normalise_symbol(symbol) != symbol:
        raise NotFound("UNKNOWN_SYMBOL", f"{name} has no symbol {symbol!r}")
    if side not in set(Side):
        raise ApplicationError("INVALID_VALUE", f"expected BUY or SELL after the symbol, was {side!r}")
    try:
        notional = written_decimal(payload.get("max_notional", ""))
        life_s = int(payload.get("valid_for_s", 300))
    except (ValueError, TypeError):
        raise ApplicationError("INVALID_VALUE", "expected numbers max_notional and valid_for_s") from None
    if notional <= 0 or not 0 < life_s <= LONGEST_S:
        raise ApplicationError(
            "INVALID_VALUE",
            f"expected a positive max_notional and 1 to {LONGEST_S} s, were {notional} and {life_s}",
        )
    return {
        "account_id": account.pk,
        "instrument_id": instrument.pk,
        "side": side,
        "max_notional": decimal_text(notional),
        "valid_for_s": life_s,
    }


def override_snapshot(target: str) -> dict[str, Any]:
    """The newest grant there ever was: a second one needs a request of its own, and one that lapses changes nothing."""
    newest = _grants(target).first()
    return {"newest_grant": newest.pk if newest else None}


def override_rows(target: str) -> Rows:
    """None: approvals alone grant, one after the other, and a grant of before cannot become the newest."""
    return []


def _grants(target: str) -> QuerySet[OverrideGrant]:
    name, _, rest = target.partition(":")
    symbol, _, side = rest.partition(":")
    return OverrideGrant.objects.filter(account__name=name, instrument__symbol=symbol, side=side)


def apply_override(request: ChangeRequest, approver: User) -> None:
    """Grant as approved; runs inside the approving transaction. The time it holds begins now."""
    payload, moment = request.payload, now()
    OverrideGrant.objects.create(
        account_id=payload["account_id"],
        instrument_id=payload["instrument_id"],
        side=payload["side"],
        max_notional=Decimal(payload["max_notional"]),
        expires_at=moment + timedelta(seconds=payload["valid_for_s"]),
        requested_by=str(request.requester),
        approved_by=str(approver),
        created_at=moment,
    )


def override_use(*, order: Order, notional: Decimal) -> bool:
    """Use up the grant an order passed by, once; False when another order was faster. Runs inside Tx A."""
    waiting = OverrideGrant.objects.select_for_update(skip_locked=True, no_key=True).filter(
        account=order.account,
        instrument=order.instrument,
        side=order.side,
        used_by=None,
        expires_at__gt=now(),
        max_notional__gte=notional,
    )
    grant = waiting.order_by("expires_at").first()
    if grant is None:
        return False
    grant.used_by = order
    grant.save(update_fields=["used_by"])
    audit_record(
        action="override.used",
        target=f"order:{order.uid}",
        actor=str(order.requested_by or order.strategy or order.origin),
        after={"grant": grant.pk, "max_notional": decimal_text(grant.max_notional)},
    )
    return True
