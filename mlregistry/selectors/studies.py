"""Studies as the API, the page and the command show them: how far they are, and what each run came to."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db.models import QuerySet

from mlregistry.models import ModelVersion, TrainingRun, TrainingStudy
from nautilus_site.common.errors import NotFound
from trading.selectors.notation import utc_text


def study_queryset() -> QuerySet[TrainingStudy]:
    """Studies with everything `study_members` reads, newest first."""
    return TrainingStudy.objects.select_related("requested_by").prefetch_related("runs").order_by("-id")


def study_get(uid: Any) -> TrainingStudy:
    """One study.

    Raises
    ------
    NotFound : UNKNOWN_STUDY.
    """
    study = study_queryset().filter(uid=uid).first()
    if study is None:
        raise NotFound("UNKNOWN_STUDY", f"no study has the id {uid}")
    return study


def study_members(study: TrainingStudy) -> dict[str, Any]:
    """The public members of a study."""
    runs = list(study.runs.all())
    by_state = Counter(run.state for run in runs)
    ended = sum(by_state[state] for state in ("done", "failed", "canceled"))
    parts = [1.0 if run.finished_at else run.done / run.total if run.total else 0.0 for run in runs]
    return {
        "id": str(study.uid),
        "asked": study.asked,
        "state": "done" if study.finished_at else "running",
        "runs": len(runs),
        "ended": ended,
        "by_state": dict(by_state),
        "progress": round(sum(parts) / len(parts), 4) if parts else 0.0,
        "requested_by": study.requested_by.username if study.requested_by else None,
        "created_at": utc_text(study.created_at),
        "finished_at": utc_text(study.finished_at),
    }


def study_detail(study: TrainingStudy) -> dict[str, Any]:
    """A study with every run, by model, the smallest BIC first; what did not end well comes last."""
    rows = list(study.runs.select_related("family").order_by("pk"))
    digests = {row.digest for row in rows if row.digest}
    versions = {
        (version.family_id, version.artefact_id): version
        for version in ModelVersion.objects.filter(artefact__in=digests).select_related("family")
    }
    results = [_result(row, versions.get((row.family_id, row.digest))) for row in rows]
    results.sort(key=lambda one: (one["model"], one["bic"] is None, one["bic"] or 0.0))
    return {**study_members(study), "results": results}


def _result(run: TrainingRun, version: ModelVersion | None) -> dict[str, Any]:
    metrics = version.metrics if version is not None else {}
    return {
        "job_id": str(run.uid),
        "model": run.family.name,
        "states": version.lineage.get("states") if version is not None else run.asked["states"],
        "seed": run.asked["seed"],
        "state": run.state,
        "version": version.number if version is not None else None,
        "version_id": version.pk if version is not None else None,
        "log_likelihood": metrics.get("log_likelihood"),
        "bic": metrics.get("bic"),
        "error": run.error,
    }
