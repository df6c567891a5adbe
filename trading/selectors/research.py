"""Research jobs as the API, the pages and the events show them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet

from nautilus_site.common.errors import NotFound
from trading.domain.research.legs import leg_of
from trading.models import ResearchJob
from trading.selectors.notation import utc_text

_HEAVY = ("checkpoint", "ledger")
_NO_REPORT = ResearchJob.Kind.LOOKAHEAD


def job_queryset() -> QuerySet[ResearchJob]:
    """Jobs newest first, without their stored runs."""
    return ResearchJob.objects.select_related("requested_by", "same_as").defer(*_HEAVY).order_by("-id")


def job_get(uid: Any) -> ResearchJob:
    """Return one job.

    Raises
    ------
    NotFound : code UNKNOWN_JOB.
    """
    job = job_queryset().filter(uid=uid).first()
    if job is None:
        raise NotFound("UNKNOWN_JOB", f"no job has the id {uid}")
    return job


def job_members(job: ResearchJob, *, brief: bool = False) -> dict[str, Any]:
    """The public members of a job; `figures` of one under way are those of the part that was run.

    Parameters
    ----------
    brief : leave out the table of a sweep.
    """
    figures = job.figures
    if brief:
        figures = {name: value for name, value in figures.items() if name != "results"}
    return {
        "id": str(job.uid),
        "kind": job.kind,
        "title": job.title,
        "state": job.state,
        "progress": job.done / job.total if job.total else 0.0,
        "done": job.done,
        "total": job.total,
        "partial": bool(figures) and job.state != ResearchJob.State.DONE,
        "strategy": job.request.get("strategy"),
        "symbol": job.request.get("symbol"),
        "interval": job.request.get("interval"),
        "request": job.request,
        "figures": figures,
        "notes": job.notes,
        "error": job.error,
        "engine": job.engine,
        "elapsed_s": job.elapsed_s,
        "same_as": str(job.same_as.uid) if job.same_as else None,
        "requested_by": job.requested_by.username if job.requested_by else None,
        "created_at": utc_text(job.created_at),
        "started_at": utc_text(job.started_at),
        "finished_at": utc_text(job.finished_at),
        "command": job_command(job),
        "report_url": f"/research/report/?id={job.uid}" if figures and job.kind != _NO_REPORT else None,
    }


def job_command(job: ResearchJob) -> str:
    """The command that gives the same result on a machine with the same bars."""
    asked = job.request
    words = ["manage.py", job.kind, asked["strategy"], "--symbol", asked["symbol"]]
    words += ["--interval", asked["interval"]]
    if asked.get("market") == "usdm":
        words += ["--market", "usdm"]
    for name in ("start", "end"):
        if asked.get(name):
            words += [f"--{name}", asked[name]]
    if asked.get("params"):
        words += ["--param", *(f"{name}={value}" for name, value in asked["params"].items())]
    for name in ("cash", "quantity", "allocation", "fee_bps", "slippage_bps", "impact", "leverage"):
        if asked.get(name) is not None and asked[name] != _DEFAULTS.get(name):
            words += [f"--{name.replace('_', '-')}", str(asked[name])]
    if asked.get("fill", "next_open") != "next_open":
        words += ["--fill", asked["fill"]]
    if asked.get("long_only"):
        words.append("--long-only")
    if asked.get("latency_bars"):
        words += ["--latency-bars", str(asked["latency_bars"])]
    limits = asked.get("limits") or {}
    if limits.get("account"):
        words += ["--limits", limits["account"]]
    if limits.get("values"):
        words += ["--limit", *(f"{name}={value}" for name, value in limits["values"].items())]
    if asked.get("share"):
        words += ["--share", asked["share"]]
    for leg in asked.get("legs") or ():
        words += ["--also", *leg_of(leg).words()]
    if asked.get("grid"):
        words += ["--grid", *asked["grid"]]
        if not asked.get("walk") and asked.get("score", "sharpe") != "sharpe":
            words += ["--score", asked["score"]]
    for name, value in (asked.get("walk") or asked.get("lookahead") or {}).items():
        if value is not None:
            words += [f"--{name}", str(value)]
    return shlex.join(words)


_COMPARED = (
    "total_return",
    "max_drawdown",
    "sharpe",
    "trades",
    "win_rate",
    "fees",
    "exposure",
    "final_equity",
)


def comparison(jobs: Sequence[ResearchJob]) -> dict[str, Any]:
    """Several jobs side by side: figures, differences from the first, and what was asked differently.

    Figures of runs over other bars are not comparable; `same_bars` says whether they are those of the first.
    """
    first = jobs[0]
    rows = []
    for job in jobs:
        figures = job.figures
        row = {
            "id": str(job.uid),
            "title": job.title,
            "state": job.state,
            "partial": job.state != ResearchJob.State.DONE,
            **{name: figures.get(name) for name in _COMPARED},
            "difference": {
                name: figures[name] - first.figures[name]
                for name in _COMPARED
                if figures.get(name) is not None and first.figures.get(name) is not None
            },
            "same_bars": _bars_of(job) == _bars_of(first),
            "asked_differently": {
                name: value
                for name, value in job.request.items()
                if value != first.request.get(name) and job is not first
            },
        }
        rows.append(row)
    return {"columns": list(_COMPARED), "rows": rows}


def _bars_of(job: ResearchJob) -> tuple[Any, ...]:
    return tuple(job.figures.get(name) for name in ("symbol", "interval", "start", "end", "bars"))


_DEFAULTS = {"cash": "100000", "slippage_bps": "0", "impact": "0", "leverage": "1"}
