"""Judging a version beside its family's champion: as a job, in a process of its own, followed live, canceled.

The row is the job, as with training; what it ends as is the record, with every number, limit and answer.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import structlog
from django.db import transaction

from mlregistry.domain.stages import Stage
from mlregistry.models import GateVerdict, ModelVersion
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.hints import enqueue_on_commit
from nautilus_site.common.services.outbox import publish
from trading.domain.errors import DomainError

log = structlog.get_logger(__name__)

SILENT_FOR = timedelta(seconds=120)
MAXIMUM_ATTEMPTS = 2
FEWEST_FOLDS, MOST_FOLDS = 2, 50
_UNFINISHED = (GateVerdict.State.QUEUED, GateVerdict.State.RUNNING)


class JudgingCanceled(Exception):
    """Somebody asked the running judgement to stop."""


@transaction.atomic
def judge_request(
    *,
    version: ModelVersion,
    requester: User | str,
    folds: int = 5,
    bars: int | None = None,
    train: int | None = None,
) -> GateVerdict:
    """Queue a judgement.

    Parameters
    ----------
    folds : about how many tests follow one another.  bars : the newest so many, None for all that are stored.
    train : bars of the first training part, None for half of them.

    Raises
    ------
    ApplicationError : INVALID_JUDGEMENT.  Conflict : BEING_JUDGED, it is queued or running already.
    """
    if not FEWEST_FOLDS <= folds <= MOST_FOLDS:
        raise ApplicationError(
            "INVALID_JUDGEMENT", f"expected {FEWEST_FOLDS} to {MOST_FOLDS} folds, were {folds}"
        )
    if any(count is not None and count < 1 for count in (bars, train)):
        raise ApplicationError("INVALID_JUDGEMENT", "expected bars and a training part of at least one bar")
    ModelVersion.objects.select_for_update(of=("self",), no_key=True).get(pk=version.pk)
    if GateVerdict.objects.filter(version=version, state__in=_UNFINISHED).exists():
        raise Conflict("BEING_JUDGED", f"{version} is being judged already")
    champion = ModelVersion.objects.filter(family=version.family_id, stage=Stage.CHAMPION).first()
    verdict = GateVerdict.objects.create(
        version=version,
        champion=None if champion == version else champion,
        asked={"folds": folds, "bars": bars, "train": train},
        requested_by=requester if isinstance(requester, User) else None,
        created_at=now(),
    )
    audit_record(
        action="model.judgement_requested",
        target=f"model:{version}",
        actor=requester,
        after={"verdict": str(verdict.uid), **verdict.asked},
    )
    enqueue_on_commit("mlregistry.tasks.training_tick", queue="training")
    return verdict


@transaction.atomic
def judge_cancel(*, verdict: GateVerdict, actor: User | str) -> GateVerdict:
    """Cancel a judgement: at once where it has not begun, at its next test where it has.

    Raises
    ------
    Conflict : JUDGEMENT_OVER.
    """
    locked = GateVerdict.objects.select_for_update(of=("self",), no_key=True).get(pk=verdict.pk)
    if locked.state not in _UNFINISHED:
        raise Conflict("JUDGEMENT_OVER", f"the judgement is {locked.state} already")
    if locked.cancel_requested_at is None:
        locked.cancel_requested_at = now()
        locked.save(update_fields=["cancel_requested_at"])
        audit_record(action="model.judgement_cancel_requested", target=f"verdict:{locked.uid}", actor=actor)
    if locked.state == GateVerdict.State.QUEUED:
        _end(locked, GateVerdict.State.CANCELED)
    return locked


@transaction.atomic
def judge_claim(*, slots: int, only: GateVerdict | None = None) -> GateVerdict | None:
    """Take the next queued judgement, or this one; None where there is none or `slots` are running."""
    lost = GateVerdict.objects.select_for_update(skip_locked=True, of=("self",), no_key=True).filter(
        state=GateVerdict.State.RUNNING, beat_at__lt=now() - SILENT_FOR
    )
    for verdict in lost:
        if verdict.attempts >= MAXIMUM_ATTEMPTS:
            _end(verdict, GateVerdict.State.FAILED, error="its process was lost every time it was tried")
        else:
            verdict.state = GateVerdict.State.QUEUED
            verdict.save(update_fields=["state"])
            log.warning("judgement_lost", verdict=str(verdict.uid), attempts=verdict.attempts)
    if GateVerdict.objects.filter(state=GateVerdict.State.RUNNING).count() >= slots:
        return None
    queued = GateVerdict.objects.select_for_update(skip_locked=True, of=("self",), no_key=True).filter(
        state=GateVerdict.State.QUEUED
    )
    taken = (queued if only is None else queued.filter(pk=only.pk)).order_by("pk").first()
    if taken is None:
        return None
    moment = now()
    taken.state, taken.started_at, taken.beat_at = GateVerdict.State.RUNNING, moment, moment
    taken.attempts += 1
    taken.save(update_fields=["state", "started_at", "beat_at", "attempts"])
    _tell(taken)
    return taken


def judge_execute(*, verdict_id: int) -> GateVerdict:
    """Carry out a claimed judgement and write down its verdict. Never raises what data or model did wrong."""
    verdict = GateVerdict.objects.select_related("version__family", "champion__family").get(pk=verdict_id)
    if verdict.state != GateVerdict.State.RUNNING:
        return verdict
    from mlregistry.domain.gate import judge
    from mlregistry.services.evidence import evidence_gather

    try:
        evidence, members = evidence_gather(
            version=verdict.version,
            champion=verdict.champion,
            asked=verdict.asked,
            progress=_Progress(verdict),
        )
        found = judge(evidence)
    except JudgingCanceled:
        return _ended(verdict, GateVerdict.State.CANCELED)
    except (ApplicationError, DomainError, ValueError, OSError) as error:
        return _ended(verdict, GateVerdict.State.FAILED, error=str(error))
    return _ended(
        verdict,
        GateVerdict.State.DONE,
        passed=found.passed,
        criteria=[one.members() for one in found.criteria],
        figures={**found.figures, **members["figures"]},
        policy=members["policy"],
        bars_sha256=members["bars_sha256"],
    )


class _Progress:
    """Says that the judgement lives and how far it is, and stops it when that was asked for."""

    def __init__(self, verdict: GateVerdict) -> None:
        self._verdict, self._done = verdict, 0

    def __call__(self, doing: str, total: int) -> None:
        running = GateVerdict.objects.filter(pk=self._verdict.pk, state=GateVerdict.State.RUNNING)
        self._done += 1
        if not running.filter(cancel_requested_at=None).update(
            stage=doing[:60], done=min(self._done, total), total=total, beat_at=now()
        ):
            raise JudgingCanceled
        self._verdict.refresh_from_db(fields=["stage", "done", "total"])
        with transaction.atomic():
            _tell(self._verdict)


@transaction.atomic
def _ended(verdict: GateVerdict, state: str, *, error: str = "", **values: Any) -> GateVerdict:
    locked = (
        GateVerdict.objects.select_for_update(of=("self",), no_key=True)
        .select_related("version__family")
        .get(pk=verdict.pk)
    )
    for name, value in values.items():
        setattr(locked, name, value)
    _end(locked, state, error=error)
    if state == GateVerdict.State.DONE:
        audit_record(
            action="model.judged",
            target=f"model:{locked.version}",
            actor=locked.requested_by or "training",
            after={
                "verdict": str(locked.uid),
                "passed": locked.passed,
                "failed": [one["name"] for one in locked.criteria if not one["passed"]],
            },
        )
    return locked


def _end(verdict: GateVerdict, state: str, *, error: str = "") -> None:
    verdict.state, verdict.error, verdict.finished_at = state, error[:2000], now()
    if state == GateVerdict.State.DONE:
        verdict.done = verdict.total = max(1, verdict.total)
    verdict.save()
    _tell(verdict)


def _tell(verdict: GateVerdict) -> None:
    publish(
        "models",
        {
            "verdict": str(verdict.uid),
            "family": verdict.version.family.name,
            "version": verdict.version.number,
            "state": verdict.state,
            "stage": verdict.stage,
            "done": verdict.done,
            "total": verdict.total,
            "passed": verdict.passed,
        },
    )
