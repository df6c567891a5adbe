"""Advancing jobs: each call does a few seconds' work, writes down where it is, and lets go.

A job needs no particular worker: whoever holds its lease goes on from what the last one wrote. Since a run is
the same to the byte however it is cut, a step that is done twice changes nothing.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import structlog
from django.db import transaction
from django.db.models import F, Q, Sum

from nautilus_site.common.build import commit_sha
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.services.hints import enqueue_on_commit, send_group, send_hint
from nautilus_site.common.services.leases import Held, lease_acquire, lease_release, lease_renew
from trading.domain.backtest import BacktestResult, BacktestRun, Inputs
from trading.domain.report.from_backtest import summary_of
from trading.domain.research.evaluate import with_strategy
from trading.domain.research.grid import Candidates
from trading.domain.research.outcomes import Outcome, outcome_of
from trading.models import ResearchJob, ResearchPart
from trading.services.backtests import backtest_prepare
from trading.services.backtests.figures import result_members
from trading.services.backtests.running import chosen_engine, run_compiled_here
from trading.services.jobs.asking import QUEUE, JobRequest, job_request
from trading.services.jobs.events import job_publish
from trading.services.jobs.record import pack_ledger, pack_outcomes, pack_text, unpack_outcomes, unpack_text
from trading.services.research.study import Study, study_open
from trading.services.research.sweep import candidates_of, sweep_report
from trading.services.research.sweep_figures import sweep_members

log = structlog.get_logger(__name__)

BUDGET_S: Final = 1.5
"""Of computing between two writes. Short, because a worker that does this does other things too."""
LEASE_LIFE: Final = timedelta(seconds=30)
PIECE_S: Final = 0.2
FIRST_PIECE: Final = 2_000
SILENT: Final = timedelta(seconds=30)
"""A running job nobody has written to for so long has lost its message or its worker."""
PART_BARS: Final = 1_000_000
PART_BARS_COMPILED: Final = 40_000_000
MOST_PARTS: Final = 400

State = ResearchJob.State


def jobs_hint() -> int:
    """Send word of jobs that wait or run but have fallen silent: one of their messages was lost. How many."""
    late = now() - SILENT
    silent = Q(stepped_at=None, created_at__lt=late) | Q(stepped_at__lt=late)
    rows = ResearchJob.objects.filter(silent, state__in=(State.QUEUED, State.RUNNING)).order_by("id")
    found = list(rows.values_list("pk", flat=True))
    for job_id in found:
        send_hint("trading.tasks.research_step", queue=QUEUE, job_id=job_id)
    return len(found)


def job_step(*, job_id: int, budget_s: float = BUDGET_S) -> None:
    """Advance one job; when more is to be done, send word for the next step."""
    with _leased(f"research:{job_id}") as held:
        if held is None:
            return
        job = _begun(job_id)
        if job is None:
            return
        with _failing(job):
            if job.kind == ResearchJob.Kind.SWEEP:
                _sweep_step(job)
            else:
                _backtest_step(job, held, budget_s)


def part_step(*, part_id: int, budget_s: float = BUDGET_S) -> None:
    """Run configurations of one part of a sweep; whoever finishes the last part finishes the sweep."""
    part = ResearchPart.objects.select_related("job").filter(pk=part_id).first()
    if part is None or part.finished_at is not None or part.job.state != State.RUNNING:
        return
    with _leased(f"research:{part.job_id}:{part.number}") as held:
        if held is None:
            return
        part.refresh_from_db()
        if part.finished_at is None:
            with _failing(part.job):
                _part_step(part, held, budget_s)
                _finish_sweep(part.job_id)


@contextmanager
def _leased(name: str) -> Iterator[Held | None]:
    holder = f"{socket.gethostname()}:{os.getpid()}:{time.monotonic_ns()}"
    held = lease_acquire(name=name, holder=holder, life=LEASE_LIFE)
    try:
        yield held
    finally:
        if held is not None:
            lease_release(held)


@contextmanager
def _failing(job: ResearchJob) -> Iterator[None]:
    """End a job whose step fails: it would fail again. What was run stays, and it can be resumed."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  somebody's own code runs here
        said = error.message if isinstance(error, ApplicationError) else str(error)
        code = error.code if isinstance(error, ApplicationError) else type(error).__name__
        log.error("research_job_failed", job=str(job.uid), error=f"{code}: {said}"[:300])
        changed = ResearchJob.objects.filter(pk=job.pk, state=State.RUNNING).update(
            state=State.FAILED, error=f"{code}: {said}"[:500], finished_at=now()
        )
        if changed:
            job.refresh_from_db()
            job_publish(job)


@transaction.atomic
def _begun(job_id: int) -> ResearchJob | None:
    job = ResearchJob.objects.select_for_update().filter(pk=job_id).first()
    if job is None or job.is_over:
        return None
    if job.state == State.QUEUED:
        job.state = State.RUNNING
        job.started_at = job.started_at or now()
        job.save(update_fields=["state", "started_at"])
    return job


def _save(job: ResearchJob, **columns: Any) -> bool:
    """Write down columns unless somebody has stopped the job meanwhile, and tell; False when it was stopped."""
    with transaction.atomic():
        written = ResearchJob.objects.filter(pk=job.pk, state=State.RUNNING).update(
            stepped_at=now(), **columns
        )
        if not written:
            return False
        job.refresh_from_db()
        job_publish(job)
        if job.state == State.RUNNING and job.kind == ResearchJob.Kind.BACKTEST:
            enqueue_on_commit("trading.tasks.research_step", queue=QUEUE, job_id=job.pk)
    return True


def _backtest_step(job: ResearchJob, held: Held, budget_s: float) -> None:
    request = job_request(job.request)
    prepared = backtest_prepare(request.run)
    content = _content(request, prepared.inputs)
    if job.content_sha256 != content:
        # The first step, or other bars than when it was stopped: what was run of those is worth nothing.
        job.checkpoint = None
        if _taken_over(job, content):
            return
    engine = chosen_engine(prepared.inputs, request.engine)
    began, spent = time.perf_counter(), job.elapsed_s
    if engine == "compiled":
        result = run_compiled_here(prepared.inputs)
        done = total = len(prepared.inputs.series[0])
        checkpoint = None
    else:
        run = BacktestRun(prepared.inputs)
        if job.checkpoint is not None:
            run.restore(unpack_text(bytes(job.checkpoint)))
        _advance(run, held, budget_s)
        result, done, total = run.result(), run.done, run.total
        checkpoint = None if run.finished else pack_text(run.checkpoint())
    spent += time.perf_counter() - began
    figures = result_members(
        request.run.strategy, prepared.params, result, summary_of(result), round(spent, 3), prepared.legs
    )
    columns: dict[str, Any] = {
        "done": done,
        "total": total,
        "engine": engine,
        "elapsed_s": spent,
        "notes": list(prepared.notes),
        "content_sha256": content,
        "checkpoint": checkpoint,
        "figures": figures | {"sha256": result.sha256},
    }
    if result.complete:
        columns |= {"state": State.DONE, "finished_at": now(), "ledger": pack_ledger(result.ledger)}
    _save(job, **columns)


def _advance(run: BacktestRun, held: Held, budget_s: float) -> None:
    """Run for about so many seconds, in pieces short enough to keep the lease."""
    until, piece = time.monotonic() + budget_s, FIRST_PIECE
    while not run.finished:
        before = time.monotonic()
        run.advance(piece)
        after = time.monotonic()
        if after >= until or not lease_renew(held, life=LEASE_LIFE):
            return
        piece = max(1, min(piece * 4, int(piece * PIECE_S / max(after - before, 1e-6))))


def _taken_over(job: ResearchJob, content: str) -> bool:
    """Take the result of an earlier job with the same content, where there is one."""
    same = ResearchJob.objects.filter(content_sha256=content, state=State.DONE).exclude(pk=job.pk).last()
    if same is None:
        return False
    return _save(
        job,
        same_as=same.same_as or same,
        state=State.DONE,
        finished_at=now(),
        content_sha256=content,
        done=same.done,
        total=same.total,
        figures=same.figures,
        notes=same.notes,
        engine=same.engine,
        ledger=same.ledger,
        checkpoint=None,
    )


def _content(request: JobRequest, inputs: Inputs) -> str:
    """Everything a result depends on: bars, assumptions, parameters, and the code that is run."""
    parts = {
        "inputs": inputs.header(),
        "fixed": dict(request.run.params),
        "grid": sorted(request.grid),
        "score": request.score if request.grid else "",
        "strategy": [_source(type(a.strategy)) for a in inputs.assignments],
        "build": commit_sha(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _source(kind: type) -> str:
    try:
        text = inspect.getsource(inspect.getmodule(kind) or kind)
    except (OSError, TypeError):
        return kind.__qualname__
    return hashlib.sha256(text.encode()).hexdigest()


def _sweep_step(job: ResearchJob) -> None:
    """Cut the grid into parts once, and send the group of those that are not done."""
    request = job_request(job.request)
    study = study_open(request.run)
    content = _content(request, study.inputs)
    if job.content_sha256 != content:
        job.parts.all().delete()
        if _taken_over(job, content):
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
        if not _save(job, **first):
            return
    elif not _save(job):
        return
    unfinished = list(job.parts.filter(finished_at=None).order_by("number").values_list("pk", flat=True))
    if unfinished:
        send_group("trading.tasks.research_part", QUEUE, [{"part_id": pk} for pk in unfinished])
    else:
        _finish_sweep(job.pk)


def _cut(job: ResearchJob, study: Study, found: Candidates) -> None:
    compiled = chosen_engine(study.inputs, "auto", runs=len(found.valid)) == "compiled"
    bars = PART_BARS_COMPILED if compiled else PART_BARS
    size = max(1, round(bars / len(study.series)), -(-len(found.valid) // MOST_PARTS))
    ResearchPart.objects.bulk_create(
        ResearchPart(job=job, number=number, first=first, count=min(size, len(found.valid) - first))
        for number, first in enumerate(range(0, len(found.valid), size))
    )


def _part_step(part: ResearchPart, held: Held, budget_s: float) -> None:
    job = part.job
    request = job_request(job.request)
    study = study_open(request.run)
    if _content(request, study.inputs) != job.content_sha256:
        raise ApplicationError("BARS_CHANGED", "the stored bars or the strategy changed while the sweep ran")
    valid = candidates_of(study, request.grid).valid[part.first : part.first + part.count]
    rows = study.rows()
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
            _advance(run, held, max(0.1, began + budget_s - time.monotonic()))
            result = run.result() if run.finished else None
            checkpoint = None if run.finished else pack_text(run.checkpoint())
        if result is not None:
            outcomes.append(outcome_of(result, rows))
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


def _finish_sweep(job_id: int) -> None:
    """When every part is there: rank, count the trials, judge. Once, whoever comes last."""
    with transaction.atomic():
        job = ResearchJob.objects.select_for_update().get(pk=job_id)
        if job.state != State.RUNNING or job.parts.filter(finished_at=None).exists():
            return
        request = job_request(job.request)
        study = study_open(request.run)
        found = candidates_of(study, request.grid)
        outcomes = [
            outcome
            for data in job.parts.order_by("number").values_list("outcomes", flat=True)
            for outcome in unpack_outcomes(bytes(data or b""))
        ]
        report = sweep_report(
            study, found, outcomes, request.grid, score=request.score, keep=1, elapsed_s=job.elapsed_s
        )
        best = report.best[0]
        figures = sweep_members(report)
        figures |= result_members(
            request.run.strategy,
            report.best_params,
            best,
            summary_of(best, report.trials),
            job.elapsed_s,
        ) | {"sha256": best.sha256}
        counted = job.parts.aggregate(done=Sum("done"))["done"]
        job.state, job.finished_at, job.stepped_at = State.DONE, now(), now()
        job.figures, job.ledger, job.done = figures, pack_ledger(best.ledger), counted
        job.save()
        job.parts.update(outcomes=None, checkpoint=None)
        job_publish(job)
