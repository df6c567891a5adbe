"""Promotion without a person, inside an approved envelope: judged, shadow, canary, champion, one step at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from django.db import transaction

from mlregistry.domain.envelope import Envelope, envelope_read
from mlregistry.domain.stages import Stage
from mlregistry.models import Canary, GateVerdict, ModelFamily, ModelVersion, ShadowDecision, StageChange
from mlregistry.selectors.verdicts import verdict_in_force
from mlregistry.services.canaries import canary_begin, canary_rules
from mlregistry.services.canary_locks import canaries_held
from mlregistry.services.judging import judge_request
from mlregistry.services.stages import gate_evidence, move_within_envelope, promote_champion, version_move
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from trading.domain.errors import DomainError

log = structlog.get_logger(__name__)
ACTOR = "autopromote"


@dataclass(frozen=True, slots=True)
class Taken:
    """One step for one version: what was done, or why nothing was."""

    version: str
    did: str
    why: str

    def members(self) -> dict[str, str]:
        """Return it as JSON members."""
        return {"version": self.version, "did": self.did, "why": self.why}


def autopromote(*, family: ModelFamily | None = None) -> list[Taken]:
    """Take the next step of every family whose envelope allows one, each in a transaction of its own.

    Nothing here may do what its two-person envelope does not name: without one, or past its end, nothing happens.
    """
    rows = ModelFamily.objects.exclude(envelope={}).order_by("name")
    taken = []
    for one in rows if family is None else [family]:
        try:
            taken += _family(one)
        except (ApplicationError, DomainError) as error:
            log.warning("autopromote_refused", family=one.name, error=str(error))
            taken.append(Taken(one.name, "nothing", str(error)))
    return taken


@transaction.atomic
def _family(row: ModelFamily) -> list[Taken]:
    family = ModelFamily.objects.select_for_update(no_key=True).get(pk=row.pk)
    canaries_held([family.pk])
    envelope, moment = envelope_read(family.envelope), now()
    if not (envelope.canary or envelope.champion):
        return [Taken(family.name, "nothing", "its envelope promotes nothing")]
    if not (envelope.allows("canary", moment) or envelope.allows("champion", moment)):
        return [Taken(family.name, "nothing", "its envelope has ended")]
    champion = ModelVersion.objects.filter(family=family, stage=Stage.CHAMPION).first()
    trying = ModelVersion.objects.filter(family=family, stage=Stage.CANARY).first()
    if trying is not None:
        return [_canary(trying, envelope)]
    newer = ModelVersion.objects.filter(family=family, stage__in=(Stage.SHADOW, Stage.CANDIDATE))
    if champion is not None:
        newer = newer.filter(pk__gt=champion.pk)
    version = newer.order_by("-number").first()
    if version is None:
        return [Taken(family.name, "nothing", "no version is newer than the champion")]
    return [_newer(version, envelope)]


def _newer(version: ModelVersion, envelope: Envelope) -> Taken:
    """Judge, then shadow, then canary."""
    name = str(version)
    judged = _judged(version)
    if judged is not None:
        return judged
    if version.stage == Stage.CANDIDATE:
        version_move(version_id=version.pk, stage=Stage.SHADOW, actor=ACTOR, reason="it passed the gate")
        return Taken(name, "shadow", "it passed the gate")
    if not envelope.allows("canary", now()):
        return Taken(name, "nothing", "its envelope begins no canary")
    if not ShadowDecision.objects.filter(version=version).exists():
        return Taken(name, "nothing", "it has not decided in the shadow yet")
    rules = canary_rules(
        {**(envelope.rules or {}), "cap": min(envelope.most_capital, _cap(envelope.rules or {}))}
    )
    evidence = {**gate_evidence(version), "envelope": envelope.members()}
    locked = move_within_envelope(
        version_id=version.pk,
        stage=Stage.CANARY,
        actor=ACTOR,
        reason="inside the approved envelope",
        approval=envelope.approval,
        evidence=evidence,
    )
    canary_begin(version=locked, rules=rules, actor=ACTOR, reason="inside the approved envelope")
    return Taken(name, "canary", "inside the approved envelope")


def _canary(version: ModelVersion, envelope: Envelope) -> Taken:
    """Put a winner in force."""
    name = str(version)
    canary = Canary.objects.filter(version=version, ended_at=None).order_by("-id").first()
    if canary is None or canary.state != Canary.State.WON:
        return Taken(name, "nothing", "the canary has not won yet")
    if not envelope.allows("champion", now()):
        return Taken(name, "nothing", "its envelope names no champion")
    last = StageChange.objects.filter(version__family=version.family_id, to_stage=Stage.CHAMPION).first()
    if last is not None and now() - last.at < timedelta(days=envelope.every_days):
        return Taken(name, "nothing", f"the last champion is younger than {envelope.every_days:g} days")
    judged = _judged(version)
    if judged is not None:
        return judged
    evidence: dict[str, Any] = {
        **gate_evidence(version),
        "envelope": envelope.members(),
        "canary": str(canary.uid),
        "n": canary.n,
        "log_e": canary.best_log_e,
        "low": canary.low,
    }
    locked = (
        ModelVersion.objects.select_for_update(of=("self",), no_key=True)
        .select_related("family")
        .get(pk=version.pk)
    )
    promote_champion(
        locked,
        actor=ACTOR,
        reason="its canary won, inside the approved envelope",
        approval=envelope.approval,
        evidence=evidence,
    )
    return Taken(name, "champion", f"its canary won after {canary.n} intervals")


def _judged(version: ModelVersion) -> Taken | None:
    """None with a fresh passing verdict; otherwise what was done about it."""
    verdict, missing = verdict_in_force(version, now())
    if verdict is not None:
        return None
    unfinished = (GateVerdict.State.QUEUED, GateVerdict.State.RUNNING)
    rows = GateVerdict.objects.filter(version=version)
    if rows.filter(state__in=unfinished).exists():
        return Taken(str(version), "nothing", "it is being judged")
    newest = rows.order_by("-id").first()
    if newest is not None and not newest.passed and newest.state != GateVerdict.State.CANCELED:
        # Judged again and again something would pass: a version that failed waits for a person.
        return Taken(str(version), "nothing", missing)
    judge_request(version=version, requester=ACTOR)
    return Taken(str(version), "judged", missing)


def _cap(rules: Any) -> float:
    return float(rules.get("cap", canary_rules({}).cap))
