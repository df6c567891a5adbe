"""Windows in which a scope takes no new risk. Setting or lengthening one is immediate; none can be shortened."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.outbox import publish
from trading.models import Blackout
from trading.services.scopes import parse_scope


@transaction.atomic
def blackout_set(
    *, scope: str, starts_at: datetime, ends_at: datetime, reason: str, actor: User | str
) -> Blackout:
    """Take a scope out of trading for a while; what reduces a position still passes.

    Raises
    ------
    ApplicationError : INVALID_SCOPE, INVALID_WINDOW, REASON_REQUIRED.
    """
    scope = parse_scope(scope)
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    if ends_at <= starts_at or ends_at <= now():
        raise ApplicationError("INVALID_WINDOW", "expected a window that ends after it starts, and after now")
    window = Blackout.objects.create(
        scope=scope,
        starts_at=starts_at,
        ends_at=ends_at,
        reason=reason.strip()[:200],
        created_by=str(actor),
        created_at=now(),
    )
    audit_record(
        action="blackout.set",
        target=scope,
        actor=actor,
        reason=reason,
        after={"starts_at": starts_at.isoformat(), "ends_at": ends_at.isoformat()},
    )
    publish("trading_state", {"blackout": scope, "ends_at": ends_at.isoformat()})
    return window
