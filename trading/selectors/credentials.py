"""Exchange keys as people may see them: whose, for what, how old, the last four of the key."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from nautilus_site.common.clock import now
from trading.models import CandidateKey, Credential
from trading.selectors.notation import age_s


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


def credential_members(row: Credential, candidate: CandidateKey | None) -> dict[str, Any]:
    """A key on the wire, and the newest that was approved for its place. No key and no secret is in it."""
    return {
        "id": row.pk,
        "account": row.account.name,
        "venue": row.account.venue.name,
        "purpose": row.purpose,
        "last_four": row.last_four,
        "since": row.created_at.isoformat(),
        "age_s": age_s(row.created_at, now()),
        "candidate": candidate_members(candidate) if candidate else None,
    }
