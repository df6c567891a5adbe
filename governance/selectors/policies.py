"""Policies as they are in force, and their versions."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from governance.models import Policy, PolicyVersion, RuleFiring
from nautilus_site.common.errors import NotFound
from trading.selectors.notation import utc_text


def version_in_force(name: str) -> PolicyVersion | None:
    """The version in force; None while there is none, and nothing may be done by it."""
    policy = Policy.objects.select_related("active__policy").filter(pk=name).first()
    return policy.active if policy else None


def version_get(name: str, number: int) -> PolicyVersion:
    """Raises
    ------
    NotFound : UNKNOWN_VERSION.
    """
    found = PolicyVersion.objects.filter(policy_id=name, number=number).first()
    if found is None:
        raise NotFound("UNKNOWN_VERSION", f"{name} has no version {number}")
    return found


def version_queryset() -> QuerySet[PolicyVersion]:
    return PolicyVersion.objects.select_related("policy", "created_by").order_by("-id")


def version_members(version: PolicyVersion) -> dict[str, Any]:
    """One version for API and pages."""
    return {
        "id": version.pk,
        "policy": version.policy_id,
        "version": version.number,
        "in_force": version.policy.active_id == version.pk,
        "document": version.document,
        "digest": version.digest,
        "reason": version.reason,
        "created_by": version.created_by.username if version.created_by else None,
        "created_at": utc_text(version.created_at),
    }


def firing_queryset() -> QuerySet[RuleFiring]:
    return RuleFiring.objects.select_related("version").order_by("-id")


def firing_members(row: RuleFiring) -> dict[str, Any]:
    """One rule that was met, for API and pages."""
    return {
        "id": row.pk,
        "at": utc_text(row.at),
        "rule": row.rule,
        "trigger": row.trigger,
        "event_id": row.event_id,
        "evidence": row.evidence,
        "action": row.action,
        "outcome": row.outcome,
        "detail": row.detail,
        "policy_version": row.version.number,
    }
