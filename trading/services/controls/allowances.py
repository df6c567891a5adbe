"""Symbols an account may take risk in. Removing one is immediate, adding one takes a second person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows, TargetChanged
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_request_create
from trading.models import Account, SymbolAllowance
from universe.models import Instrument


@transaction.atomic
def symbol_disallow(*, account: Account, instrument: Instrument, actor: User | str, reason: str) -> bool:
    """Take a symbol off the list at once; what is held in it can still be sold. False when it was not on it."""
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    removed, _ = SymbolAllowance.objects.filter(account=account, instrument=instrument).delete()
    if removed:
        audit_record(
            action="symbol.disallowed",
            target=f"{account.name}:{instrument.symbol}",
            actor=actor,
            reason=reason,
        )
    return bool(removed)


def symbol_allow_request(
    *, account: Account, instrument: Instrument, requester: User, reason: str, expires_in_s: int | None = None
) -> ChangeRequest:
    """Ask for a symbol to be allowed.

    Raises
    ------
    NotFound, Conflict : as `allowance_clean`.
    """
    return change_request_create(
        kind="symbol.allow",
        target=f"{account.name}:{instrument.symbol}",
        payload={"account_id": account.pk, "instrument_id": instrument.pk},
        diff={"allowed": [False, True]},
        reason=reason,
        requester=requester,
        expires_in_s=expires_in_s,
    )


def allowance_clean(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What is allowed is what the target names, whatever a payload says.

    Raises
    ------
    NotFound : UNKNOWN_ACCOUNT, UNKNOWN_SYMBOL.  Conflict : ALREADY_ALLOWED.
    """
    name, _, symbol = target.partition(":")
    account = Account.objects.filter(name=name).first()
    if account is None:
        raise NotFound("UNKNOWN_ACCOUNT", f"no account is called {name!r}")
    instrument = Instrument.objects.filter(venue_id=account.venue_id, symbol=symbol).first()
    if instrument is None:
        raise NotFound("UNKNOWN_SYMBOL", f"{name} has no symbol {symbol!r}")
    if SymbolAllowance.objects.filter(account=account, instrument=instrument).exists():
        raise Conflict("ALREADY_ALLOWED", f"{symbol} is allowed already")
    return {"account_id": account.pk, "instrument_id": instrument.pk}


def allowance_snapshot(target: str) -> dict[str, Any]:
    account, _, symbol = target.partition(":")
    exists = SymbolAllowance.objects.filter(account__name=account, instrument__symbol=symbol).exists()
    return {"allowed": exists}


def allowance_rows(target: str) -> Rows:
    """The line on the list, while it is on it; `apply_allow` looks at what is not there to be locked."""
    account, _, symbol = target.partition(":")
    return [SymbolAllowance.objects.filter(account__name=account, instrument__symbol=symbol)]


def apply_allow(request: ChangeRequest, approver: User) -> None:
    """Add the symbol as approved; runs inside the approving transaction.

    Raises
    ------
    TargetChanged : a listing that was taken up has put it on the list meanwhile.
    """
    _, created = SymbolAllowance.objects.get_or_create(
        account_id=request.payload["account_id"],
        instrument_id=request.payload["instrument_id"],
        defaults={"added_by": approver, "added_at": now()},
    )
    if not created:
        raise TargetChanged(f"{request.target} is allowed by now")
