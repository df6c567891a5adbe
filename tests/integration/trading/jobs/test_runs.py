"""Backtests as jobs: the figures of the command, whoever dies or stops them meanwhile."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry, OutboxEvent
from nautilus_site.common.services.leases import lease_acquire
from tests.factories.bars import store_bars
from tests.integration.trading.jobs.workers import BODY, SWEEP, by_command, small_pieces, work
from trading.models import ResearchJob
from trading.services.jobs import job_create, job_request, job_result, job_step, stepping


def test_a_job_gives_the_figures_of_the_command(trader: Any, token_client: Any) -> None:
    client = token_client(trader)
    answer = client.post("/api/v1/backtests", BODY, format="json")
    assert answer.status_code == 202
    body = answer.json()
    assert (body["state"], body["kind"], body["figures"]) == ("queued", "backtest", {})
    work(ResearchJob.objects.get(uid=body["id"]))
    body = client.get(answer.headers["Location"]).json()
    expected = by_command("backtest", "moving_average", "--param", "fast=5", "slow=20")
    assert (body["state"], body["progress"], body["partial"]) == ("done", 1.0, False)
    for name, value in expected.items():
        if name not in ("elapsed_s", "bars_per_s"):
            assert body["figures"][name] == value, name
    assert AuditEntry.objects.filter(action="research.backtest_requested").exists()


def test_the_command_that_is_shown_gives_the_same_figures(trader: Any) -> None:
    body = {**BODY, "cash": "5000", "fee_bps": "7.5", "long_only": True, "start": "2023-12-01T00:00:00Z"}
    job = work(job_create(request=job_request(body), actor=trader))
    from trading.selectors.research import job_command

    words = job_command(job).removeprefix("manage.py ").split(" ")
    out = io.StringIO()
    call_command(*words, "--json", stdout=out, stderr=io.StringIO())
    assert json.loads(out.getvalue())["equity_sha256"] == job.figures["equity_sha256"]


def test_a_job_with_several_strategies_is_the_command_it_shows(
    trader: Any, token_client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_bars(tmp_path, symbol="BNBUSDT", count=500, seed=8, name="others")
    legs = [
        {"strategy": "moving_average", "symbol": "BNBUSDT", "params": {"fast": 3, "slow": 9}, "share": "0.3"},
        {"strategy": "moving_average", "symbol": "ETHUSDT"},
    ]
    client = token_client(trader)
    answer = client.post("/api/v1/backtests", {**BODY, "legs": legs}, format="json")
    assert answer.status_code == 202, answer.json()
    job = work(ResearchJob.objects.get(uid=answer.json()["id"]), **small_pieces(monkeypatch, 300))
    assert job.state == "done", job.error
    assert [leg["share"] for leg in job.figures["legs"]] == [0.35, 0.3, 0.35]
    out = io.StringIO()
    words = client.get(answer.headers["Location"]).json()["command"].removeprefix("manage.py ").split(" ")
    call_command(*words, "--json", stdout=out, stderr=io.StringIO())
    assert json.loads(out.getvalue())["equity_sha256"] == job.figures["equity_sha256"]
    assert len(job_result(job).series) == 2


def test_figures_of_the_part_that_was_run_are_seen_while_it_runs(
    trader: Any, token_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_create(request=job_request(BODY), actor=trader)
    job_step(job_id=job.pk, **small_pieces(monkeypatch, 400))
    body = token_client(trader).get(f"/api/v1/backtests/{job.uid}").json()
    assert (body["state"], body["done"], body["total"], body["partial"]) == ("running", 400, 1440, True)
    assert body["figures"]["bars"] == 400
    events = [e.data for e in OutboxEvent.objects.filter(topic="research").order_by("id")]
    assert [e["state"] for e in events] == ["queued", "running"]


def test_a_run_in_pieces_is_the_run_in_one(trader: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = work(job_create(request=job_request(BODY), actor=trader))
    ResearchJob.objects.all().delete()  # so that nothing is taken over
    cut = work(job_create(request=job_request(BODY), actor=trader), **small_pieces(monkeypatch))
    assert cut.figures["sha256"] == whole.figures["sha256"]
    assert job_result(cut).canonical_bytes() == job_result(whole).canonical_bytes()


def test_a_stopped_job_keeps_what_was_run_and_goes_on_from_there(
    trader: Any, token_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = token_client(trader)
    pieces = small_pieces(monkeypatch, 500)
    job = job_create(request=job_request(BODY), actor=trader)
    job_step(job_id=job.pk, **pieces)
    body = client.post(f"/api/v1/backtests/{job.uid}/cancel").json()
    assert (body["state"], body["done"], body["figures"]["bars"]) == ("canceled", 500, 500)
    job_step(job_id=job.pk, **pieces)
    job.refresh_from_db()
    assert job.done == 500
    assert client.post(f"/api/v1/backtests/{job.uid}/resume").json()["state"] == "queued"
    finished = work(job, **pieces)
    expected = by_command("backtest", "moving_average", "--param", "fast=5", "slow=20")
    assert finished.figures["equity_sha256"] == expected["equity_sha256"]
    assert client.post(f"/api/v1/backtests/{job.uid}/resume").json()["code"] == "NOT_STOPPED"


def test_what_is_written_after_the_stop_is_lost_not_the_stop(
    trader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_create(request=job_request(BODY), actor=trader)
    advance = stepping.run_advance

    def stopped_meanwhile(*arguments: Any) -> None:
        advance(*arguments)
        ResearchJob.objects.filter(pk=job.pk).update(state="canceled")

    monkeypatch.setattr(stepping, "run_advance", stopped_meanwhile)
    job_step(job_id=job.pk)
    job.refresh_from_db()
    assert (job.state, job.done) == ("canceled", 0)


def test_two_workers_do_not_run_the_same_job(trader: Any) -> None:
    job = job_create(request=job_request(BODY), actor=trader)
    lease_acquire(name=f"research:{job.pk}", holder="another")
    job_step(job_id=job.pk)
    job.refresh_from_db()
    assert job.state == "queued"


def test_a_job_whose_message_was_lost_is_found(trader: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    monkeypatch.setattr(stepping, "send_hint", lambda task, *, queue, job_id: sent.append(job_id))
    fresh = job_create(request=job_request(BODY), actor=trader)
    lost = job_create(request=job_request(SWEEP), actor=trader)
    ResearchJob.objects.filter(pk=lost.pk).update(created_at=now() - timedelta(minutes=5))
    assert stepping.jobs_hint() == 1
    assert sent == [lost.pk] != [fresh.pk]


def test_the_same_question_is_answered_from_the_first_answer(trader: Any) -> None:
    first = work(job_create(request=job_request(BODY), actor=trader))
    again = work(job_create(request=job_request(BODY), actor=trader))
    assert again.same_as == first
    assert again.figures == first.figures
    other = work(job_create(request=job_request({**BODY, "fee_bps": "1"}), actor=trader))
    assert other.same_as is None


def test_other_bars_are_another_question_and_an_old_report_says_so(trader: Any, tmp_path: Path) -> None:
    job = work(job_create(request=job_request(BODY), actor=trader))
    assert job_result(job).sha256 == job.figures["sha256"]
    store_bars(tmp_path, count=24 * 61, name="more")
    with pytest.raises(Exception, match="no longer those of this run"):
        job_result(job)
    assert work(job_create(request=job_request(BODY), actor=trader)).same_as is None


def test_a_strategy_that_fails_ends_its_job_with_the_reason(trader: Any, home: Path) -> None:
    (home / "strategies").mkdir(parents=True)
    (home / "strategies" / "broken.py").write_text(
        "from dataclasses import dataclass\n"
        "from trading.domain.strategies import Strategy\n"
        "@dataclass(frozen=True)\nclass P:\n    pass\n"
        "class Broken(Strategy):\n"
        "    name = 'broken'\n    Params = P\n"
        "    def warmup(self, params): return 1\n"
        "    def initial(self, params): return 0\n"
        "    def step(self, params, state, observation): return 1 / 0\n"
    )
    body = {"strategy": "broken", "symbol": "ETHUSDT", "interval": "1h"}
    job = work(job_create(request=job_request(body), actor=trader))
    assert job.state == "failed"
    assert job.error.startswith("ZeroDivisionError")


def test_runs_are_compared_with_the_first_of_them(trader: Any, token_client: Any) -> None:
    jobs = [
        work(job_create(request=job_request({**BODY, "fee_bps": fee}), actor=trader)) for fee in ("0", "20")
    ]
    query = "&".join(f"id={job.uid}" for job in jobs)
    body = token_client(trader).get(f"/api/v1/backtests/compare?{query}").json()
    free, paid = body["rows"]
    assert set(free["difference"].values()) == {0}
    assert paid["difference"]["fees"] == pytest.approx(paid["fees"])
    assert paid["asked_differently"] == {"fee_bps": "20"}
    assert paid["same_bars"] is True
    alone = token_client(trader).get(f"/api/v1/backtests/compare?id={jobs[0].uid}")
    assert alone.json()["code"] == "BAD_COMPARISON"
