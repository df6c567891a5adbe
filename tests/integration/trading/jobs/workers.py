"""What asks for jobs, what carries them out, and the command they have to agree with."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import call_command

from trading.models import ResearchJob
from trading.services.jobs import advancing, job_step, part_step

BODY = {
    "strategy": "moving_average",
    "symbol": "ETHUSDT",
    "interval": "1h",
    "params": {"fast": 5, "slow": 20},
}
SWEEP = {**BODY, "params": {}, "grid": ["fast=3:9:3", "slow=12:36:12"]}


def work(job: ResearchJob, **options: Any) -> ResearchJob:
    """What workers do until nothing is left to do."""
    for _ in range(500):
        job.refresh_from_db()
        if job.is_over:
            return job
        job_step(job_id=job.pk, **options)
        for part in list(job.parts.filter(finished_at=None)):
            part_step(part_id=part.pk, **options)
    raise AssertionError(f"the job is still {job.state} at {job.done} of {job.total}")


def small_pieces(monkeypatch: pytest.MonkeyPatch, bars: int = 100) -> dict[str, float]:
    monkeypatch.setattr(advancing, "FIRST_PIECE", bars)
    return {"budget_s": 0.0}


def by_command(*words: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command(
        *words, "--symbol", "ETHUSDT", "--interval", "1h", "--json", stdout=out, stderr=io.StringIO()
    )
    found: dict[str, Any] = json.loads(out.getvalue())
    return found
