"""Sweeps and walk-forwards: a grid cut into parts that any number of workers share, judged when all are there."""

from __future__ import annotations

import os
import socket
import time
from typing import Any, Final

from django.db import transaction
from django.db.models import F, Sum

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.services.hints import enqueue_on_commit, send_group
from nautilus_site.common.services.leases import Held, lease_renew
from trading.domain.backtest import BacktestResult, BacktestRun
from trading.domain.report.from_backtest import summary_of
from trading.domain.research.evaluate import with_strategy
from trading.domain.research.grid import Candidates
from trading.domain.research.outcomes import Outcome, outcome_of
from trading.domain.research.splits import Window
from trading.models import ResearchJob, ResearchPart
from trading.services.backtests.figures import result_members
from trading.services.backtests.running import chosen_engine, run_compiled_here
from trading.services.jobs.advancing import LEASE_LIFE, run_advance
from trading.services.jobs.asking import QUEUE, JobRequest, job_request
from trading.services.jobs.events import job_publish
from trading.services.jobs.record import pack_ledger, pack_outcomes, pack_text, unpack_outcomes, unpack_text
from trading.services.jobs.writing import content_of, job_save, taken_over
from trading.services.research.study import Study, study_open
from trading.services.research.sweep import candidates_of, record_of, sweep_report
from trading.services.research.sweep_figures import sweep_members
from trading.services.research.trials import trials_record
from trading.services.research.walk_forward import (
    WalkAsked,
    WalkForwardReport,
    sweep_of,
    walk_forward_report,
    windows_of,
)
from trading.services.research.walk_forward_figures import walk_forward_members

PART_BARS: Final = 1_000_000
PART_BARS_COMPILED: Final = 40_000_000
MOST_PARTS: Final = 400
PARTED: Final = frozenset({ResearchJob.Kind.SWEEP, ResearchJob.Kind.WALK_FORWARD})

State = ResearchJob.State


def parts_step(job: ResearchJob) -> None:
    """Cut the grid into parts once, and send the group of those that are not done."""
    request = job_request(job.request)
    study = study_open(request.run)
    content = content_of(request, study.inputs)
    if job.content_sha256 != content:
        job.parts.all().delete()
        if taken_over(job, content):
            return
        found = candidates_of(study, request.grid)
        _cut(job, study, found)
        first = {
            "total": len(found.valid),
            "done": 0,
            "notes": list(study.notes),
            "content_sha256": content,
            "engine": chosen_engine(study.inputs, "auto", runs=len(found.valid)),
        }
        if not job_save(job, **first):
            return
    elif not job_save(job):
        return
    unfinished = list(job.parts.filter(finished_at=None).order_by("number").values_list("pk", flat=True))
    if unfinished:
        send_group("trading.tasks.research_part", QUEUE, [{"part_id": pk} for pk in unfinished])
    else:
        parts_finish(job.pk)


def _cut(job: ResearchJob, study: Study, found: Candidates) -> None:
    compiled = chosen_engine(study.inputs, "auto", runs=len(found.valid)) == "compiled"
    bars = PART_BARS_COMPILED if compiled else PART_BARS
    size = max(1, round(bars / len(study.series)), -(-len(found.valid) // MOST_PARTS))
    ResearchPart.objects.bulk_create(
        ResearchPart(job=job, number=number, first=first, count=min(size, len(found.valid) - first))
        for number, first in enumerate(range(0, len(found.valid), size))
    )


def part_advance(part: ResearchPart, held: Held, budget_s: float) -> None:
    job = part.job
    request = job_request(job.request)
    study = study_open(request.run)
    if content_of(request, study.inputs) != job.content_sha256:
        raise ApplicationError("BARS_CHANGED", "the stored bars or the strategy changed while the sweep ran")
    valid = candidates_of(study, request.grid).valid[part.first : part.first + part.count]
    rows = study.rows()
    windows = _windows(request, study)
    compiled = job.engine == "compiled"
    outcomes: list[Outcome] = [] if part.outcomes is None else unpack_outcomes(bytes(part.outcomes))
    began, before = time.monotonic(), len(outcomes)
    checkpoint = part.checkpoint
    while len(outcomes) < part.count and time.monotonic() - began < budget_s:
        inputs = with_strategy(study.inputs, study.strategy, valid[len(outcomes)].params)
        if compiled:
            result: BacktestResult | None = run_compiled_here(inputs)
            if not lease_renew(held, life=LEASE_LIFE):
                return
        else:
            run = BacktestRun(inputs)
            if checkpoint is not None:
                run.restore(unpack_text(bytes(checkpoint)))
            run_advance(run, held, max(0.1, began + budget_s - time.monotonic()))
            result = run.result() if run.finished else None
            checkpoint = None if run.finished else pack_text(run.checkpoint())
        if result is not None:
            outcomes.append(outcome_of(result, rows, windows))
    spent = time.monotonic() - began
    with transaction.atomic():
        part.done, part.checkpoint = len(outcomes), checkpoint
        part.outcomes = pack_outcomes(outcomes) if outcomes else None
        part.worker = f"{socket.gethostname()}:{os.getpid()}"
        part.finished_at = now() if len(outcomes) == part.count else None
        part.save()
        written = ResearchJob.objects.filter(pk=job.pk, state=State.RUNNING).update(
            done=F("done") + len(outcomes) - before, elapsed_s=F("elapsed_s") + spent, stepped_at=now()
        )
        if not written:
            return
        job.refresh_from_db()
        job_publish(job)
        if part.finished_at is None:
            enqueue_on_commit("trading.tasks.research_part", queue=QUEUE, part_id=part.pk)


def parts_finish(job_id: int) -> None:
    """When every part is there: rank or walk, count the trials, judge. Once, whoever comes last."""
    with transaction.atomic():
        job = ResearchJob.objects.select_for_update(no_key=True).get(pk=job_id)
        if job.state != State.RUNNING or job.parts.filter(finished_at=None).exists():
            return
        request = job_request(job.request)
        study = study_open(request.run)
        found = candidates_of(study, request.grid)
        outcomes = outcomes_stored(job)
        if request.walk is None:
            job.figures, job.ledger = _ranked(job, request, study, found, outcomes)
            job.parts.update(outcomes=None, checkpoint=None)
        else:
            trials_record(record_of(study, sweep_of(found, outcomes), request.grid))
            windows = _windows(request, study)
            walked = walk_forward_report(study, found, windows, outcomes, request.walk)
            job.figures = walk_forward_members(walked)
        job.state, job.finished_at, job.stepped_at = State.DONE, now(), now()
        job.done = job.parts.aggregate(done=Sum("done"))["done"]
        job.save()
        job_publish(job)


def job_walk(job: ResearchJob) -> tuple[WalkForwardReport, WalkAsked]:
    """Return the whole report of a walk-forward that is done, made from its outcomes and the stored bars, and how.

    Raises
    ------
    Conflict : codes NOT_DONE; BARS_CHANGED, the stored bars or the strategy are no longer those of the run.
    """
    request = job_request(job.request)
    if job.state != State.DONE or request.walk is None:
        raise Conflict("NOT_DONE", f"the job is {job.state}; there is a report when it is done")
    study = study_open(request.run)
    if content_of(request, study.inputs) != job.content_sha256:
        raise Conflict("BARS_CHANGED", "the stored bars or the strategy changed since; run it again")
    found = candidates_of(study, request.grid)
    kept = job.same_as or job
    windows = _windows(request, study)
    report = walk_forward_report(study, found, windows, outcomes_stored(kept), request.walk)
    return report, request.walk


def outcomes_stored(job: ResearchJob) -> list[Outcome]:
    """Return the outcomes of every configuration, in the order of the grid."""
    return [
        outcome
        for data in job.parts.order_by("number").values_list("outcomes", flat=True)
        for outcome in unpack_outcomes(bytes(data or b""))
    ]


def _ranked(
    job: ResearchJob, request: JobRequest, study: Study, found: Candidates, outcomes: list[Outcome]
) -> tuple[dict[str, Any], bytes]:
    report = sweep_report(
        study, found, outcomes, request.grid, score=request.score, keep=1, elapsed_s=job.elapsed_s
    )
    best = report.best[0]
    judged = summary_of(best, report.trials)
    figures = sweep_members(report)
    figures |= result_members(request.run.strategy, report.best_params, best, judged, job.elapsed_s)
    return figures | {"sha256": best.sha256}, pack_ledger(best.ledger)


def _windows(request: JobRequest, study: Study) -> tuple[Window, ...]:
    if request.walk is None:
        return ()
    return windows_of(study, candidates_of(study, request.grid), request.walk)
