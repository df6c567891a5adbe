"""A look-ahead test as a job: some seconds in one go, its lease renewed and its progress told at every cut."""

from __future__ import annotations

import time

from nautilus_site.common.clock import now
from nautilus_site.common.services.leases import Held, lease_renew
from trading.models import ResearchJob
from trading.services.jobs.advancing import LEASE_LIFE
from trading.services.jobs.asking import job_request
from trading.services.jobs.writing import content_of, job_save, taken_over
from trading.services.research.lookahead import lookahead_members, lookahead_strategy
from trading.services.research.study import study_open

TELL_EVERY_S = 1.0


class _Stopped(Exception):
    """Somebody stopped the job, or another worker has it now."""


def lookahead_step(job: ResearchJob, held: Held) -> None:
    """Run the test to its end; what was not finished begins anew with whoever comes next."""
    request = job_request(job.request)
    asked = request.lookahead
    assert asked is not None, "the kind of the job says so"
    study = study_open(request.run)
    content = content_of(request, study.inputs)
    if job.content_sha256 != content and taken_over(job, content):
        return
    if not job_save(job, content_sha256=content, notes=list(study.notes), engine="python"):
        return
    began, told_at = time.perf_counter(), time.monotonic()

    def told(done: int, total: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at < TELL_EVERY_S:
            return
        told_at = time.monotonic()
        if not lease_renew(held, life=LEASE_LIFE) or not job_save(job, done=done, total=total):
            raise _Stopped

    try:
        report = lookahead_strategy(study, bars=asked.bars, cuts=asked.cuts, seed=asked.seed, progress=told)
    except _Stopped:
        return
    figures = lookahead_members(
        report,
        strategy=request.run.strategy,
        model=None,
        symbol=study.series.symbol,
        interval=study.series.interval,
    )
    job_save(
        job,
        done=len(report.cuts),
        total=len(report.cuts),
        elapsed_s=time.perf_counter() - began,
        figures=figures,
        state=ResearchJob.State.DONE,
        finished_at=now(),
    )
