"""Exchange keys as people may see them: whose, for what, how old, the last four of the key."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import QuerySet

from nautilus_site.common.clock import now
from trading.models import CandidateKey, Credential, RiskLimit
from trading.selectors.notation import age_s

KEY_MAX_AGE: Final = "key_max_age"
"""The limit, in days, at which a key is to be replaced."""
KEY_MAX_AGE_DAYS: Final = Decimal(90)
"""Where nobody has set another for everything."""
SOON: Final = timedelta(days=14)


def credential_queryset() -> QuerySet[Credential]:
    """Every key, without its sealed secret."""
    return (
        Credential.objects.select_related("account__venue")
        .defer("sealed_secret")
        .order_by("account__name", "purpose")
    )


def candidates_newest() -> dict[tuple[int, str], CandidateKey]:
    """The newest approved key by account and purpose."""
    newest = CandidateKey.objects.order_by("account_id", "purpose", "-id").distinct("account_id", "purpose")
    return {(row.account_id, row.purpose): row for row in newest.defer("sealed_secret")}


def candidate_members(row: CandidateKey) -> dict[str, Any]:
    """What became of an approved key."""
    return {
        "last_four": row.last_four,
        "state": row.state,
        "result": row.result,
        "may": sorted(name for name, on in row.flags.items() if on),
        "approval": str(row.approval),
        "at": (row.decided_at or row.created_at).isoformat(),
    }


def rotation_of(row: Credential, limits: dict[str, Decimal]) -> tuple[datetime, str]:
    """When a key is to be replaced by, and whether that is `later`, `soon` or `due`."""
    everywhere = limits.get("global", KEY_MAX_AGE_DAYS)
    days = min(everywhere, limits.get(f"account:{row.account.name}", everywhere))
    at = row.created_at + timedelta(days=float(days))
    left = at - now()
    return at, "due" if left <= timedelta(0) else "soon" if left <= SOON else "later"


def key_ages_allowed() -> dict[str, Decimal]:
    """The longest age of a key by the scope it is set for, in days."""
    return dict(RiskLimit.objects.filter(name=KEY_MAX_AGE).values_list("scope", "value"))


def tested_members(row: Credential) -> dict[str, Any]:
    """What the latest look at a key in use found, and whether another one is asked for."""
    waits = row.test_asked_at is not None and (row.tested_at is None or row.tested_at < row.test_asked_at)
    return {
        "waits": waits,
        "at": row.tested_at.isoformat() if row.tested_at else None,
        "age_s": age_s(row.tested_at, now()) if row.tested_at else None,
        "may": sorted(name for name, on in row.test_flags.items() if on),
        "wrong": row.test_result,
    }


def credential_members(
    row: Credential, candidate: CandidateKey | None, limits: dict[str, Decimal]
) -> dict[str, Any]:
    """A key on the wire, and the newest that was approved for its place. No key and no secret is in it."""
    rotate_by, rotation = rotation_of(row, limits)
    return {
        "id": row.pk,
        "account": row.account.name,
        "venue": row.account.venue.name,
        "purpose": row.purpose,
        "last_four": row.last_four,
        "since": row.created_at.isoformat(),
        "age_s": age_s(row.created_at, now()),
        "state": "in_use" if row.revoked_at is None else "revoked",
        "revoked_at": row.revoked_at.isoformat() if row.revoked_at else None,
        "revoked_by": row.revoked_by,
        "rotate_by": rotate_by.isoformat(),
        "rotation": rotation,
        "tested": tested_members(row),
        "candidate": candidate_members(candidate) if candidate else None,
    }
