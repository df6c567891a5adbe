"""Telling people of exchange keys older than the limit `key_max_age`. They stay in use: age cuts nobody off."""

from __future__ import annotations

from typing import Final

from django.db import transaction

from nautilus_site.common.models import AuditEntry
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.outbox import publish
from trading.models import Credential
from trading.selectors.credentials import key_ages_allowed, rotation_of
from trading.services.key_tests import key_name

_TOLD: Final = "credential.rotation_due"


def keys_due_tell() -> int:
    """Tell of every key in use that is due to be replaced, once each. Returns of how many."""
    limits = key_ages_allowed()
    rows = Credential.objects.select_related("account").filter(revoked_at=None, account__is_active=True)
    return sum(_tell(row) for row in rows if rotation_of(row, limits)[1] == "due")


@transaction.atomic
def _tell(row: Credential) -> bool:
    Credential.objects.select_for_update(no_key=True).get(pk=row.pk)  # two at once tell once
    told = AuditEntry.objects.filter(action=_TOLD, target=key_name(row), at__gte=row.created_at)
    if told.exists():
        return False
    after = {"last_four": row.last_four, "since": row.created_at}
    audit_record(action=_TOLD, target=key_name(row), actor="clock", after=after)
    publish(
        "approvals",
        {
            "id": str(row.pk),
            "kind": "credential",
            "state": "due",
            "target": f"key:{key_name(row)}",
            "last_four": row.last_four,
            "since": row.created_at,
        },
    )
    return True
