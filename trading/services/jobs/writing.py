"""What every step of a job does: hold its lease, write down where it is, end what fails, take over what is known."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import structlog
from django.db import transaction

from nautilus_site.common.build import commit_sha
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.services.hints import enqueue_on_commit
from nautilus_site.common.services.leases import Held, lease_acquire, lease_release
from trading.domain.backtest import Inputs
from trading.models import ResearchJob
from trading.services.jobs.advancing import LEASE_LIFE
from trading.services.jobs.asking import QUEUE, JobRequest
from trading.services.jobs.events import job_publish

log = structlog.get_logger(__name__)

State = ResearchJob.State


@contextmanager
def leased(name: str) -> Iterator[Held | None]:
    """Hold a lease while something is done; None where somebody else has it."""
    holder = f"{socket.gethostname()}:{os.getpid()}:{time.monotonic_ns()}"
    held = lease_acquire(name=name, holder=holder, life=LEASE_LIFE)
    try:
        yield held
    finally:
        if held is not None:
            lease_release(held)


@contextmanager
def failing(job: ResearchJob) -> Iterator[None]:
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
def job_begun(job_id: int) -> ResearchJob | None:
    """Return a job that is to be advanced, marked as running; None where it is over."""
    job = ResearchJob.objects.select_for_update(no_key=True).filter(pk=job_id).first()
    if job is None or job.is_over:
        return None
    if job.state == State.QUEUED:
        job.state = State.RUNNING
        job.started_at = job.started_at or now()
        job.save(update_fields=["state", "started_at"])
    return job


def job_save(job: ResearchJob, **columns: Any) -> bool:
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


def taken_over(job: ResearchJob, content: str) -> bool:
    """Take the result of an earlier job with the same content, where there is one."""
    same = ResearchJob.objects.filter(content_sha256=content, state=State.DONE).exclude(pk=job.pk).last()
    if same is None:
        return False
    return job_save(
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


def content_of(request: JobRequest, inputs: Inputs) -> str:
    """Everything a result depends on: bars, assumptions, parameters, and the code that is run."""
    parts = {
        "inputs": inputs.header(),
        "fixed": dict(request.run.params),
        "grid": sorted(request.grid),
        "score": request.score if request.grid else "",
        "lookahead": None if request.lookahead is None else asdict(request.lookahead),
        "walk": None if request.walk is None else asdict(request.walk),
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
