"""The state of the policies page: what is in force, every version, what rules did."""

from __future__ import annotations

from typing import Any

from governance.models import PolicyActivation, PolicyVersion, RuleFiring
from governance.selectors.policies import (
    firing_members,
    firing_queryset,
    version_in_force,
    version_members,
    version_queryset,
)
from governance.selectors.shell import shell_state
from nautilus_site.common.clock import now
from nautilus_site.common.models import ChangeRequest
from trading.selectors.notation import utc_text

NAMES = {
    "capital_policy": "how much each strategy gets, and how far the allocator goes alone",
    "strategy_weights": "which share of a symbol each strategy may have",
    "policies": "rules: when this happens and that is true, do one of the known things",
}
_VERSIONS, _FIRINGS = 100, 100
_TONES = {
    RuleFiring.Outcome.DONE: "good",
    RuleFiring.Outcome.STANDING: "off",
    RuleFiring.Outcome.OBSERVED: "off",
    RuleFiring.Outcome.FAILED: "bad",
}


def policies_state() -> dict[str, Any]:
    """Policies with the version in force, versions newest first, firings newest first."""
    waiting = set(
        ChangeRequest.objects.filter(
            kind="policy.activate", state=ChangeRequest.State.PENDING, expires_at__gt=now()
        ).values_list("target", flat=True)
    )
    return {
        **shell_state(),
        "policies": [_policy(name, f"policy:{name}" in waiting) for name in NAMES],
        "versions": [_version(row) for row in version_queryset()[:_VERSIONS]],
        "firings": [
            {
                **{key: value for key, value in firing_members(row).items() if key != "evidence"},
                "lamp": {"tone": _TONES[RuleFiring.Outcome(row.outcome)], "text": row.outcome},
                "evidence": ", ".join(f"{name} {value}" for name, value in row.evidence.items()),
            }
            for row in firing_queryset()[:_FIRINGS]
        ],
    }


def _policy(name: str, waits: bool) -> dict[str, Any]:
    version = version_in_force(name)
    activation = PolicyActivation.objects.filter(version=version).order_by("-id").first() if version else None
    lamp = {"tone": "good", "text": "in force"} if version else {"tone": "off", "text": "none"}
    if waits:
        lamp = {"tone": "warn", "text": f"{lamp['text']}, change waits"}
    return {
        "id": name,
        "name": name,
        "says": NAMES[name],
        "lamp": lamp,
        "version": version.number if version else None,
        "document": version.document if version else {},
        "since": utc_text(activation.at) if activation else None,
        "by": activation.by if activation else None,
    }


def _version(row: PolicyVersion) -> dict[str, Any]:
    members = version_members(row)
    tone = "good" if members["in_force"] else "off"
    return {
        **{key: members[key] for key in ("id", "policy", "version", "in_force", "reason", "created_at")},
        "lamp": {"tone": tone, "text": "in force" if members["in_force"] else "older"},
        "digest": members["digest"][:12],
        "created_by": members["created_by"] or "the platform",
        "document": members["document"],
    }
