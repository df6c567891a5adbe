"""Advancing jobs: each call does a few seconds' work, writes down where it is, and lets go.

A job needs no particular worker: whoever holds its lease goes on from what the last one wrote. Since a run is
the same to the byte however it is cut, a step that is done twice changes nothing.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any, Final

from django.db.models import Q

from nautilus_site.common.clock import now
from nautilus_site.common.services.hints import send_hint
from nautilus_site.common.services.leases import Held
from trading.domain.backtest import BacktestResult, BacktestRun
from trading.domain.report.from_backtest import summary_of
from trading.models import ResearchJob, ResearchPart
from trading.services.backtests import backtest_prepare
from trading.services.backtests.figures import more_members, result_members
from trading.services.backtests.running import chosen_engine, run_compiled_here
from trading.services.jobs.advancing import run_advance
from trading.services.jobs.asking import QUEUE, job_request
from trading.services.jobs.leaks import lookahead_step
from trading.services.jobs.parts import PARTED, part_advance, parts_finish, parts_step
from trading.services.jobs.record import pack_ledger, pack_text, unpack_text
from trading.services.jobs.writing import content_of, failing, job_begun, job_save, leased, taken_over

BUDGET_S: Final = 1.5
"""Of computing between two writes. Short, because a worker that does this does other things too."""
SILENT: Final = timedelta(seconds=30)
"""A running job nobody has written to for so long has lost its message or its worker."""

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
    with leased(f"research:{job_id}") as held:
        if held is None:
            return
        job = job_begun(job_id)
        if job is None:
            return
        with failing(job):
            if job.kind in PARTED:
                parts_step(job)
            elif job.kind == ResearchJob.Kind.LOOKAHEAD:
                lookahead_step(job, held)
            else:
                _backtest_step(job, held, budget_s)


def part_step(*, part_id: int, budget_s: float = BUDGET_S) -> None:
    """Run configurations of one part of a sweep; whoever finishes the last part finishes the sweep."""
    part = ResearchPart.objects.select_related("job").filter(pk=part_id).first()
    if part is None or part.finished_at is not None or part.job.state != State.RUNNING:
        return
    with leased(f"research:{part.job_id}:{part.number}") as held:
        if held is None:
            return
        part.refresh_from_db()
        if part.finished_at is None:
            with failing(part.job):
                part_advance(part, held, budget_s)
                parts_finish(part.job_id)


def _backtest_step(job: ResearchJob, held: Held, budget_s: float) -> None:
    request = job_request(job.request)
    prepared = backtest_prepare(request.run)
    content = content_of(request, prepared.inputs)
    if job.content_sha256 != content:
        # The first step, or other bars than when it was stopped: what was run of those is worth nothing.
        job.checkpoint = None
        if taken_over(job, content):
            return
    engine = chosen_engine(prepared.inputs, request.engine)
    began, spent = time.perf_counter(), job.elapsed_s
    result: BacktestResult | None
    if engine == "compiled":
        result = run_compiled_here(prepared.inputs)
        done = total = len(prepared.inputs.series[0])
        checkpoint = None
    else:
        run = BacktestRun(prepared.inputs)
        if job.checkpoint is not None:
            run.restore(unpack_text(bytes(job.checkpoint)))
        run_advance(run, held, budget_s)
        result, done, total = run.result() if run.begun else None, run.done, run.total
        checkpoint = None if run.finished else pack_text(run.checkpoint())
    spent += time.perf_counter() - began
    if result is None:
        # A symbol was listed later than the others and has no bar yet: there is nothing to tell of the whole.
        job_save(job, done=done, total=total, elapsed_s=spent, content_sha256=content, checkpoint=checkpoint)
        return
    statistics = summary_of(result)
    figures = result_members(
        request.run.strategy, prepared.params, result, statistics, round(spent, 3), prepared.legs
    )
    columns: dict[str, Any] = {
        "done": done,
        "total": total,
        "engine": engine,
        "elapsed_s": spent,
        "notes": list(prepared.notes),
        "content_sha256": content,
        "checkpoint": checkpoint,
        "figures": figures | more_members(result, statistics),
    }
    if result.complete:
        columns |= {"state": State.DONE, "finished_at": now(), "ledger": pack_ledger(result.ledger)}
    job_save(job, **columns)
