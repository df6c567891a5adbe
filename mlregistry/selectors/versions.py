"""Versions, families and runs as the API and the pages show them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from mlregistry.domain.stages import Stage
from mlregistry.models import ModelFamily, ModelVersion, StageChange, TrainingRun
from mlregistry.selectors.artefacts import artefact_loaded, portrait
from mlregistry.selectors.canaries import canary_members, canary_queryset
from mlregistry.selectors.drift import drift_of
from mlregistry.selectors.lineage import lineage_graph
from mlregistry.selectors.rollbacks import rollback_members
from mlregistry.selectors.shadows import shadow_members
from mlregistry.selectors.truth import truth_of
from mlregistry.selectors.verdicts import verdict_members, verdict_queryset
from nautilus_site.common.clock import now
from nautilus_site.common.errors import NotFound
from trading.models import ServingHeartbeat
from trading.selectors.notation import utc_text

VERDICTS_SHOWN = 20


def version_queryset() -> QuerySet[ModelVersion]:
    """Versions with everything `version_members` reads, newest first; the bytes stay where they are."""
    return ModelVersion.objects.select_related("family", "dataset", "parent__family", "created_by", "run")


def version_get(pk: int) -> ModelVersion:
    """One version.

    Raises
    ------
    NotFound : UNKNOWN_MODEL.
    """
    version = version_queryset().filter(pk=pk).first()
    if version is None:
        raise NotFound("UNKNOWN_MODEL", f"no model version has the id {pk}")
    return version


def version_members(version: ModelVersion) -> dict[str, Any]:
    """The public members of a version."""
    return {
        "id": version.pk,
        "model": version.family.name,
        "kind": version.family.kind,
        "version": version.number,
        "digest": version.digest,
        "stage": version.stage,
        "symbol": version.family.symbol,
        "market": version.family.market,
        "interval": version.family.interval,
        "states": version.lineage.get("states"),
        "parent_version": version.parent.number if version.parent else None,
        "dataset": {
            "bars_sha256": version.dataset.bars_sha256,
            "start_at": utc_text(version.dataset.start_at),
            "end_at": utc_text(version.dataset.end_at),
            "bars": version.dataset.bars,
        },
        "metrics": version.metrics,
        "build": version.build,
        "notes": version.notes,
        "created_by": version.created_by.username if version.created_by else None,
        "created_at": utc_text(version.created_at),
    }


def version_detail(version: ModelVersion) -> dict[str, Any]:
    """A version with its lineage, its verdicts and every change of its stage."""
    return {
        **version_members(version),
        "portrait": None if version.artefact.pruned_at else portrait(artefact_loaded(version.digest)),
        "pruned_at": utc_text(version.artefact.pruned_at),
        "lineage": version.lineage,
        "verdicts": [
            verdict_members(row) for row in verdict_queryset().filter(version=version)[:VERDICTS_SHOWN]
        ],
        "canaries": [
            canary_members(row) for row in canary_queryset().filter(version=version)[:VERDICTS_SHOWN]
        ],
        "shadow": shadow_members(version),
        "drift": drift_of(version),
        "truth": truth_of(version),
        "graph": lineage_graph(version),
        "envelope": version.family.envelope,
        "rollback": rollback_members(version),
        "stages": [stage_members(change) for change in version.stage_changes.order_by("id")],
    }


def stage_members(change: StageChange) -> dict[str, Any]:
    """The public members of a change of stage."""
    return {
        "from": change.from_stage or None,
        "to": change.to_stage,
        "reason": change.reason,
        "actor": change.actor,
        "approval": change.approval or None,
        "at": utc_text(change.at),
    }


def run_queryset() -> QuerySet[TrainingRun]:
    """Training runs with everything `run_members` reads, newest first."""
    return TrainingRun.objects.select_related("family", "requested_by", "study")


def run_get(uid: Any) -> TrainingRun:
    """One training run.

    Raises
    ------
    NotFound : UNKNOWN_JOB.
    """
    run = run_queryset().filter(uid=uid).first()
    if run is None:
        raise NotFound("UNKNOWN_JOB", f"no training run has the id {uid}")
    return run


def run_members(run: TrainingRun) -> dict[str, Any]:
    """The public members of a run; `eta_s` is by the share that is done, None before anything is."""
    version = ModelVersion.objects.filter(family_id=run.family_id, artefact_id=run.digest).first()
    return {
        "id": str(run.uid),
        "model": run.family.name,
        "asked": run.asked,
        "study": str(run.study.uid) if run.study else None,
        "state": run.state,
        "stage": run.stage,
        "progress": round(run.done / run.total, 4) if run.total else 0.0,
        "eta_s": _eta_s(run),
        "log_likelihood": run.log_likelihood,
        "model_version": version.pk if version and run.digest else None,
        "digest": run.digest or None,
        "error": run.error,
        "requested_by": run.requested_by.username if run.requested_by else None,
        "created_at": utc_text(run.created_at),
        "started_at": utc_text(run.started_at),
        "finished_at": utc_text(run.finished_at),
    }


def _eta_s(run: TrainingRun) -> float | None:
    if run.state != TrainingRun.State.RUNNING or not run.done or run.started_at is None:
        return None
    spent = (now() - run.started_at).total_seconds()
    return round(spent * (run.total - run.done) / run.done, 1)


def serving_members() -> list[dict[str, Any]]:
    """Which worker decided with which model last, and since when; silent ones are left out after an hour."""
    rows = ServingHeartbeat.objects.select_related("strategy").order_by("worker", "strategy__name")
    return [
        {
            "worker": row.worker,
            "strategy": row.strategy.name,
            "model": row.family,
            "version": row.version,
            "digest": row.digest,
            "since": utc_text(row.since),
            "beat_at": utc_text(row.beat_at),
        }
        for row in rows
        if (now() - row.beat_at).total_seconds() < 3600
    ]


def champions_at(moment: datetime) -> list[dict[str, Any]]:
    """What was in force of every family at a moment, since when and by whom, by the history of stages."""
    return _in_stage_at(Stage.CHAMPION, moment)


def canaries_at(moment: datetime) -> list[dict[str, Any]]:
    """Which versions traded as canaries at a moment."""
    return _in_stage_at(Stage.CANARY, moment)


def _in_stage_at(stage: Stage, moment: datetime) -> list[dict[str, Any]]:
    found = []
    for family in ModelFamily.objects.order_by("name"):
        change = change_at(family, stage, moment)
        if change is not None:
            found.append(
                {
                    "model": family.name,
                    "version": change.version.number,
                    "version_id": change.version_id,
                    "digest": change.version.digest,
                    "since": utc_text(change.at),
                    "actor": change.actor,
                    "reason": change.reason,
                    "approval": change.approval or None,
                }
            )
    return found


def change_at(family: ModelFamily, stage: Stage, moment: datetime) -> StageChange | None:
    """The change that put a version of a family into a stage where it was at a moment; None where none was."""
    changes = (
        StageChange.objects.filter(version__family=family, at__lte=moment)
        .filter(Q(from_stage=stage) | Q(to_stage=stage))
        .order_by("id")
    )
    last: StageChange | None = None
    for change in changes.select_related("version__family"):
        if change.to_stage == stage:
            last = change
        elif last is not None and change.version_id == last.version_id:
            last = None
    return last


def champion_at(family: ModelFamily, moment: datetime) -> ModelVersion | None:
    """The champion of a family at a moment; None where none was in force."""
    change = change_at(family, Stage.CHAMPION, moment)
    return None if change is None else version_get(change.version_id)


def champion_in_force(family: str) -> tuple[str, int] | None:
    """Digest and number of a family's champion, None while it has none.

    Raises
    ------
    NotFound : UNKNOWN_MODEL.
    """
    found = ModelFamily.objects.filter(name=family).first()
    if found is None:
        raise NotFound("UNKNOWN_MODEL", f"no family of models is called {family!r}")
    champion = ModelVersion.objects.filter(family=found, stage=Stage.CHAMPION).first()
    return None if champion is None else (champion.digest, champion.number)
