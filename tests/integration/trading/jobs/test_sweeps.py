"""Sweeps as jobs: cut into parts, done by anybody in any order, one result."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.trading.jobs.workers import SWEEP, by_command, small_pieces, work
from trading.models import ResearchJob, TrialTally
from trading.services.jobs import job_create, job_request, job_result, job_step, part_step, parts


def test_a_sweep_over_parts_is_the_sweep_in_one_process_and_counts_its_trials(
    trader: Any, token_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = by_command("sweep", "moving_average", "--grid", *SWEEP["grid"])
    TrialTally.objects.all().delete()
    monkeypatch.setattr(parts, "PART_BARS", 2 * 1440)
    client = token_client(trader)
    answer = client.post("/api/v1/backtests", SWEEP, format="json").json()
    job = ResearchJob.objects.get(uid=answer["id"])
    job_step(job_id=job.pk)
    assert [part.count for part in job.parts.order_by("number")] == [2, 2, 2, 2, 1]
    work(job)
    body = client.get(f"/api/v1/backtests/{job.uid}").json()
    assert (body["state"], body["done"], body["total"]) == ("done", 9, 9)
    for name in ("trials", "effective_trials", "trials_counted", "dsr", "pbo", "plateau", "best", "results"):
        assert body["figures"][name] == expected[name], name
    assert body["figures"]["equity_sha256"] == expected["best_equity_sha256"]
    tally = TrialTally.objects.get()
    assert (tally.strategy, tally.count) == ("moving_average", 9)
    assert job_result(job).equity_sha256 == expected["best_equity_sha256"]


def test_parts_cut_anywhere_and_done_in_any_order_give_the_same_sweep(
    trader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = by_command("sweep", "moving_average", "--grid", *SWEEP["grid"])
    monkeypatch.setattr(parts, "PART_BARS", 4 * 1440)
    job = job_create(request=job_request(SWEEP), actor=trader)
    pieces = small_pieces(monkeypatch, 700)
    job_step(job_id=job.pk)
    for part in job.parts.order_by("-number"):
        part_step(part_id=part.pk, **pieces)
        part_step(part_id=part.pk, **pieces)
    work(job, budget_s=0.05)
    assert job.parts.filter(finished_at=None).count() == 0
    job.refresh_from_db()
    assert job.figures["results"] == expected["results"]
