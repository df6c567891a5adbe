"""Moving versions between stages: promotion by two people, rollback by one, every move kept and applied down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Q

from mlregistry.domain.stages import Stage, check_move, raises_risk
from mlregistry.models import Canary, ModelFamily, ModelVersion, StageChange
from mlregistry.selectors.rollbacks import rollback_target
from mlregistry.selectors.verdicts import champion_followers, verdict_in_force
from mlregistry.services.artefacts import artefact_place
from mlregistry.services.canaries import canary_begin, canary_end, canary_follower, canary_rules
from mlregistry.services.canary_locks import canaries_held, canaries_open
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows, TargetChanged
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_request_create
from nautilus_site.common.services.outbox import publish
from trading.services.models import model_in_force_set

RAMP = 0.25
"""The share an asked-for canary grows to; rules that were approved without one keep its size."""


def promotion_request(
    *,
    version: ModelVersion,
    stage: Stage,
    reason: str,
    requester: User,
    override: bool = False,
    canary: Mapping[str, Any] | None = None,
    expires_in_s: int | None = None,
) -> ChangeRequest:
    """Ask for a version to trade, as canary or champion. Nothing changes until somebody else approves.

    Parameters
    ----------
    canary : rules of a canary that differ from the defaults, as `CanaryRules`; it grows to a quarter unless they say
        otherwise.
    override : promote without a fresh passing verdict, or past the canary; who approves sees that, and what is
        missing. A version that did not pass becomes shadow this way, too.

    Raises
    ------
    IllegalTransition : it cannot go there from where it is.
    Conflict : GATE_NOT_PASSED, with what is missing; CANARY_NOT_WON, for a champion that was not tried beside the
        present one; for a canary, what `canary_follower` raises.
    """
    if not raises_risk(stage) and not (override and stage is Stage.SHADOW):
        raise ApplicationError("NO_APPROVAL_NEEDED", f"{stage} does not trade; move the version directly")
    check_move(Stage(version.stage), stage)
    evidence = gate_evidence(version, override=override)
    payload = {
        "stage": stage.value,
        "digest": version.digest,
        "version": str(version),
        "verdict": evidence["verdict"],
        "gate": evidence["gate"],
    }
    if stage is Stage.CANARY:
        rules = canary_rules({"ramp": RAMP, **(canary or {})})
        canary_follower(version, rules)
        payload["canary"] = rules.members()
    if stage is Stage.CHAMPION:
        payload["trial"] = trial_evidence(version, override=override)["trial"]
    return change_request_create(
        kind="model.promote",
        target=f"model:{version.pk}",
        payload={**payload, "override": True} if override else payload,
        reason=reason,
        requester=requester,
        expires_in_s=expires_in_s,
    )


def gate_evidence(version: ModelVersion, *, override: bool = False) -> dict[str, Any]:
    """What the gate says of a version now: the verdict's id, "passed" or what is missing, and its criteria.

    Raises
    ------
    Conflict : GATE_NOT_PASSED, there is no fresh passing verdict and this is no override.
    """
    verdict, missing = verdict_in_force(version, now())
    if verdict is None and not override:
        raise Conflict("GATE_NOT_PASSED", f"{missing}; judge it, or ask for an override with a reason")
    return {
        "verdict": str(verdict.uid) if verdict else None,
        "gate": "passed" if verdict else f"overridden: {missing}",
        "criteria": verdict.criteria if verdict else [],
    }


def trial_evidence(version: ModelVersion, *, override: bool = False) -> dict[str, Any]:
    """What a canary says of a version that is to be champion: "won", why none was possible, or what is missing.

    Raises
    ------
    Conflict : CANARY_NOT_WON, a strategy that is on trades the champion, and this is no override.
    """
    won = Canary.objects.filter(version=version, state=Canary.State.WON).order_by("-id").first()
    if won is not None:
        return {"trial": "won", "canary": str(won.uid), "n": won.n, "log_e": won.best_log_e, "low": won.low}
    champion = ModelVersion.objects.filter(family=version.family_id, stage=Stage.CHAMPION).first()
    traded = champion_followers(version.family.name).filter(is_enabled=True).exclude(model_digest="")
    if champion is None or not traded.exists():
        return {"trial": "nobody trades a champion to try it beside", "canary": None}
    missing = f"no canary of {version} has won beside {champion}"
    if not override:
        raise Conflict("CANARY_NOT_WON", f"{missing}; make it canary, or ask for an override with a reason")
    return {"trial": f"overridden: {missing}", "canary": None}


@transaction.atomic
def version_move(
    *,
    version_id: int,
    stage: Stage,
    actor: User | str,
    reason: str,
    evidence: Mapping[str, Any] | None = None,
) -> ModelVersion:
    """Move a version to a stage that does not trade: at once, by one person or by the machine.

    A candidate becomes shadow only with a fresh passing verdict; a version that traded may always step back to it.
    A champion that leaves takes its strategies' model with it: they stop deciding until another one serves.

    Raises
    ------
    IllegalTransition, ApplicationError : a stage that trades, or no reason.
    Conflict : GATE_NOT_PASSED.
    """
    if raises_risk(stage):
        raise ApplicationError("APPROVAL_REQUIRED", f"a move to {stage} takes a second person")
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    canaries_held(ModelVersion.objects.filter(pk=version_id).values("family"))
    version = _locked(version_id)
    served = version.stage == Stage.CHAMPION
    if stage is Stage.SHADOW and version.stage == Stage.CANDIDATE:
        evidence = {**(evidence or {}), **gate_evidence(version)}
    if served or version.stage == Stage.CANARY:
        _end_canaries(version, actor=actor, reason=f"{version} became {stage}: {reason}")
    _move(version, stage, actor=str(actor), reason=reason, evidence=evidence)
    if served:
        model_in_force_set(family=version.family.name, digest="", version=None, actor=actor, reason=reason)
    return version


@transaction.atomic
def rollback(*, family: ModelFamily, actor: User | str, reason: str) -> ModelVersion:
    """Put the champion before the present one back in force, at once; the present one is retired.

    It only ever goes further back: what one person took out of force, one person does not put back in.

    Raises
    ------
    Conflict : NOTHING_TO_ROLL_BACK, with the reason: none served before, or what did was taken out of force since.
    ArtefactRefused : the previous champion's bytes were altered; the present one stays.
    """
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    ModelFamily.objects.select_for_update(no_key=True).get(pk=family.pk)
    present = ModelVersion.objects.filter(family=family, stage=Stage.CHAMPION).first()
    earlier, why_not = rollback_target(family)
    if earlier is None:
        raise Conflict("NOTHING_TO_ROLL_BACK", why_not)
    canaries_held([family.pk])
    previous = _locked(earlier.pk)
    artefact_place(previous.digest)
    _end_canaries(previous, actor=actor, reason=f"rollback to {previous}")
    if present is not None:
        _move(_locked(present.pk), Stage.RETIRED, actor=str(actor), reason=f"rolled back: {reason}")
    if previous.stage != Stage.RETIRED:
        _move(previous, Stage.RETIRED, actor=str(actor), reason="on the way back into force")
    _move(previous, Stage.CHAMPION, actor=str(actor), reason=f"rollback: {reason}")
    model_in_force_set(
        family=family.name, digest=previous.digest, version=previous.number, actor=actor, reason=reason
    )
    return previous


def promotion_snapshot(target: str) -> dict[str, Any]:
    """What must not change between a promotion's request and its approval."""
    version = ModelVersion.objects.filter(pk=int(target.partition(":")[2])).first()
    if version is None:
        raise NotFound("UNKNOWN_MODEL", f"no {target}")
    champion = ModelVersion.objects.filter(family=version.family_id, stage=Stage.CHAMPION).first()
    return {
        "stage": version.stage,
        "digest": version.digest,
        "champion": champion.digest if champion else None,
    }


def promotion_rows(target: str) -> Rows:
    """The family, which rollbacks and promotions hold, its canaries, the version and the champion.

    The canaries first: one that is looked at is held while it is ended, and its version sent back.
    """
    version = ModelVersion.objects.filter(pk=int(target.partition(":")[2]))
    family = version.values("family")
    moved = Q(pk__in=version.values("pk")) | Q(family__in=family, stage=Stage.CHAMPION)
    return [
        ModelFamily.objects.filter(pk__in=family),
        canaries_open(family),
        ModelVersion.objects.filter(moved),
    ]


def apply_promotion(request: ChangeRequest, approver: User) -> None:
    """Promote as approved; runs inside the approving transaction. Bytes that were altered stop it."""
    version = _locked(int(request.target.partition(":")[2]))
    if version.digest != request.payload["digest"]:
        raise TargetChanged("the version is not the one that was requested")
    stage = Stage(request.payload["stage"])
    evidence = gate_evidence(version, override=bool(request.payload.get("override")))
    artefact_place(version.digest)
    actor = f"{request.requester} and {approver}"
    if stage is Stage.CHAMPION:
        evidence |= trial_evidence(version, override=bool(request.payload.get("override")))
        promote_champion(
            version, actor=actor, reason=request.reason, approval=str(request.pk), evidence=evidence
        )
        return
    _move(version, stage, actor=actor, reason=request.reason, approval=str(request.pk), evidence=evidence)
    if stage is Stage.CANARY:
        rules = canary_rules(dict(request.payload["canary"]))
        canary_begin(version=version, rules=rules, actor=actor, reason=request.reason)


def promote_champion(
    version: ModelVersion,
    *,
    actor: str,
    reason: str,
    approval: str,
    evidence: Mapping[str, Any] | None = None,
) -> None:
    """Put a locked version in force in place of the present champion, in the caller's transaction.

    Who calls has an approval, or the approved envelope of automatic promotion. Every canary of the family ends: what it
    was paired with is no longer in force.
    """
    if not approval:
        raise ApplicationError("APPROVAL_REQUIRED", "a champion takes an approval, or an approved envelope")
    artefact_place(version.digest)
    _end_canaries(version, actor=actor, reason=f"{version} became champion")
    for former in ModelVersion.objects.select_for_update(no_key=True).filter(
        family=version.family, stage=Stage.CHAMPION
    ):
        _move(former, Stage.RETIRED, actor=actor, reason=f"replaced by {version}", approval=approval)
    _move(version, Stage.CHAMPION, actor=actor, reason=reason, approval=approval, evidence=evidence)
    model_in_force_set(
        family=version.family.name,
        digest=version.digest,
        version=version.number,
        actor=actor,
        reason=reason,
    )


def move_within_envelope(
    *, version_id: int, stage: Stage, actor: str, reason: str, approval: str, evidence: Mapping[str, Any]
) -> ModelVersion:
    """Move a version to canary under an envelope two people approved, in the caller's transaction.

    Raises
    ------
    ApplicationError : APPROVAL_REQUIRED, without an approval.  ArtefactRefused : its bytes were altered.
    """
    if not approval:
        raise ApplicationError("APPROVAL_REQUIRED", f"a move to {stage} takes an approved envelope")
    version = _locked(version_id)
    artefact_place(version.digest)
    _move(version, stage, actor=actor, reason=reason, approval=approval, evidence=evidence)
    return version


def canary_demote(
    *, version_id: int, actor: str, reason: str, evidence: Mapping[str, Any] | None = None
) -> None:
    """Send a canary back to shadow when it has ended; one that was moved already stays where it is."""
    version = _locked(version_id)
    if version.stage == Stage.CANARY:
        _move(version, Stage.SHADOW, actor=actor, reason=reason, evidence=evidence)


def _end_canaries(version: ModelVersion, *, actor: User | str, reason: str) -> None:
    """End every open canary of a family; `version` itself keeps its stage for the move that follows."""
    for canary in (
        Canary.objects.select_for_update(of=("self",), no_key=True)
        .select_related("version__family", "champion", "follower", "strategy")
        .filter(version__family=version.family_id, ended_at=None)
        .order_by("pk")
    ):
        canary_end(
            canary,
            Canary.State.ENDED,
            actor=actor,
            reason=reason,
            moment=now(),
            move=canary.version_id != version.pk,
        )


def _locked(version_id: int) -> ModelVersion:
    version = (
        ModelVersion.objects.select_for_update(of=("self",), no_key=True)
        .select_related("family")
        .filter(pk=version_id)
        .first()
    )
    if version is None:
        raise NotFound("UNKNOWN_MODEL", f"no model version has the id {version_id}")
    return version


def _move(
    version: ModelVersion,
    stage: Stage,
    *,
    actor: str,
    reason: str,
    approval: str = "",
    evidence: Mapping[str, Any] | None = None,
) -> None:
    before = Stage(version.stage)
    check_move(before, stage)
    version.stage = stage
    version.save(update_fields=["stage"])
    StageChange.objects.create(
        version=version,
        from_stage=before,
        to_stage=stage,
        reason=reason.strip(),
        actor=actor,
        approval=approval,
        evidence=dict(evidence or {}),
        at=now(),
    )
    audit_record(
        action="model.stage_changed",
        target=f"model:{version}",
        actor=actor,
        reason=reason,
        before=before.value,
        after=stage.value,
    )
    publish("models", {"family": version.family.name, "version": version.number, "stage": stage.value})
