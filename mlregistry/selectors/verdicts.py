"""Verdicts as the API and the pages show them, and whether one still speaks for a version."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from mlregistry.domain.stages import Stage
from mlregistry.models import GateVerdict, ModelVersion
from nautilus_site.common.errors import NotFound
from trading.models import Strategy
from trading.selectors.notation import utc_text

FRESH_FOR = timedelta(days=7)
DEFAULT_POLICIES = {"hmm": "hmm_policy", "hierarchical_hmm": "hierarchical_hmm"}


def verdict_queryset() -> QuerySet[GateVerdict]:
    """Verdicts with everything `verdict_members` reads, newest first."""
    return GateVerdict.objects.select_related("version__family", "champion", "requested_by").order_by("-id")


def verdict_get(uid: Any) -> GateVerdict:
    """One verdict.

    Raises
    ------
    NotFound : UNKNOWN_VERDICT.
    """
    found = verdict_queryset().filter(uid=uid).first()
    if found is None:
        raise NotFound("UNKNOWN_VERDICT", f"no verdict has the id {uid}")
    return found


def verdict_members(verdict: GateVerdict) -> dict[str, Any]:
    """The public members of a verdict."""
    return {
        "id": str(verdict.uid),
        "model": verdict.version.family.name,
        "version": verdict.version.number,
        "version_id": verdict.version_id,
        "champion": verdict.champion.number if verdict.champion else None,
        "asked": verdict.asked,
        "state": verdict.state,
        "stage": verdict.stage,
        "progress": round(verdict.done / verdict.total, 4) if verdict.total else 0.0,
        "passed": verdict.passed,
        "criteria": verdict.criteria,
        "figures": verdict.figures,
        "policy": verdict.policy,
        "bars_sha256": verdict.bars_sha256 or None,
        "error": verdict.error,
        "requested_by": verdict.requested_by.username if verdict.requested_by else None,
        "created_at": utc_text(verdict.created_at),
        "started_at": utc_text(verdict.started_at),
        "finished_at": utc_text(verdict.finished_at),
    }


def verdict_in_force(version: ModelVersion, at: datetime) -> tuple[GateVerdict | None, str]:
    """The passing verdict that speaks for a version at a moment; without one, None and why.

    Only the newest counts: a version judged again and found wanting is not promoted on an older pass. It has to be no
    older than seven days, beside the champion that is still in force, and under the policy that still follows.
    """
    newest = (
        verdict_queryset().filter(version=version, state=GateVerdict.State.DONE, finished_at__lte=at).first()
    )
    if newest is None:
        return None, f"{version} was never judged"
    if not newest.passed:
        failed = [one["name"] for one in newest.criteria if not one["passed"]]
        return None, f"{version} did not pass the gate: {', '.join(failed)}"
    assert newest.finished_at is not None
    if at - newest.finished_at > FRESH_FOR:
        return None, f"the verdict on {version} is older than {FRESH_FOR.days} days"
    champion = ModelVersion.objects.filter(family=version.family_id, stage=Stage.CHAMPION).first()
    # A champion is in force itself; what it was judged beside no longer is.
    if champion != newest.champion and champion != version:
        return None, f"{version} was judged beside another champion than {champion or 'none'}"
    if newest.policy != policy_in_force(version):
        return None, f"{version} was judged under another policy than follows it now"
    return newest, ""


def champion_followers(family: str) -> QuerySet[Strategy]:
    """The strategies that decide with a family's champion, oldest first; canaries are not among them."""
    return Strategy.objects.filter(model_family=family, model_stage="champion").order_by("pk")


def policy_in_force(version: ModelVersion) -> dict[str, Any]:
    """The strategy and parameters a family's models decide through: those of its first follower, else the defaults."""
    follower = champion_followers(version.family.name).first()
    if follower is None:
        return {"strategy": DEFAULT_POLICIES[version.family.kind], "params": {}}
    params = {name: value for name, value in follower.parameters.items() if name != "model"}
    return {"strategy": follower.kind, "params": params}
