"""Separation of duties as it stands: who could ask for and decide about each kind, and who decided whose requests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from statistics import median
from typing import Any, Final

from nautilus_site.common.clock import now
from nautilus_site.common.models import ChangeRequest, Role, User
from nautilus_site.common.roles import ROLE_PERMISSIONS, permits
from nautilus_site.common.services.appliers import applier_for, registered_kinds
from nautilus_site.common.services.deciders import DECIDING

WINDOW: Final = timedelta(days=90)


def duties_report() -> dict[str, Any]:
    """Roles with their people, kinds with who may ask and decide, and the decisions of the last 90 days."""
    people = _people()
    return {
        "roles": [
            {"role": role.value, "name": str(role.label), "people": people[role.value]} for role in Role
        ],
        "kinds": [_kind(kind, people) for kind in registered_kinds()],
        "decisions": _decisions(),
        "days": WINDOW.days,
    }


def _people() -> Mapping[str, Sequence[str]]:
    """Active people who can log in, by role."""
    found: dict[str, list[str]] = {role.value: [] for role in Role}
    for name, role in (
        User.objects.filter(is_active=True).order_by("username").values_list("username", "role")
    ):
        found[role].append(name)
    return found


def _kind(kind: str, people: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    applier = applier_for(kind)
    asks = [] if applier.by_machine else _holders(applier.permission)
    decides = _holders(DECIDING)
    askers, deciders = _of(asks, people), _of(decides, people)
    return {
        "kind": kind,
        "asks": asks or ["the platform itself"],
        "decides": decides,
        "may_ask": len(askers),
        "may_decide": len(deciders),
        "blocked": _blocked(askers, deciders, by_machine=applier.by_machine),
    }


def _blocked(askers: set[str], deciders: set[str], *, by_machine: bool) -> str:
    """Why no request of the kind could be made and decided now; empty: two different people could."""
    if not deciders:
        return "nobody who may decide is active"
    if by_machine:
        return ""
    if not askers:
        return "nobody who may ask is active"
    if len(askers | deciders) < 2:
        return "the only person who may ask is the only one who may decide"
    return ""


def _holders(permission: str) -> list[str]:
    return [role.value for role in Role if permits(ROLE_PERMISSIONS[role], permission)]


def _of(roles: Iterable[str], people: Mapping[str, Sequence[str]]) -> set[str]:
    return {name for role in roles for name in people[role]}


def _decisions() -> list[dict[str, Any]]:
    """Of each pair of people: how many requests the one decided that the other had made, and how fast."""
    rows = ChangeRequest.objects.filter(approver__isnull=False, decided_at__gt=now() - WINDOW).values_list(
        "requester__username", "approver__username", "state", "created_at", "decided_at"
    )
    pairs: dict[tuple[str, str], list[tuple[str, float]]] = defaultdict(list)
    for requester, approver, state, created, decided in rows:
        assert decided is not None, "an approver comes with the moment"
        pairs[requester, approver].append((state, (decided - created).total_seconds()))
    return [
        {
            "requester": requester,
            "approver": approver,
            "applied": sum(state == ChangeRequest.State.APPLIED for state, _ in found),
            "rejected": sum(state == ChangeRequest.State.REJECTED for state, _ in found),
            "median_s": round(median(took for _, took in found), 1),
            "fastest_s": round(min(took for _, took in found), 1),
        }
        for (requester, approver), found in sorted(pairs.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    ]
