"""Research jobs: from asking to the same figures the command gives, whoever dies or stops them meanwhile."""

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
from trading.models import ResearchJob, TrialTally
from trading.services.jobs import (
    advancing,
    job_create,
    job_request,
    job_result,
    job_step,
    part_step,
    parts,
    stepping,
)

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


@pytest.fixture
def trader(make_user: Any) -> Any:
    return make_user("trader")


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


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"legs": [{"strategy": "moving_average", "symbol": "BNBUSDT"}]}, 404, "NO_BARS"),
        ({"legs": [{"strategy": "nobody", "symbol": "ETHUSDT"}]}, 400, "UNKNOWN_STRATEGY"),
        ({"legs": [{"strategy": "/etc/x.py:X", "symbol": "ETHUSDT"}]}, 400, "UNKNOWN_STRATEGY"),
        (
            {"share": "0.5", "legs": [{"strategy": "moving_average", "symbol": "ETHUSDT", "share": "0.6"}]},
            400,
            "BAD_REQUEST",
        ),
        (
            {"grid": ["fast=3:9:3"], "legs": [{"strategy": "moving_average", "symbol": "ETHUSDT"}]},
            400,
            "BAD_REQUEST",
        ),
    ],
)
def test_legs_that_cannot_be_run_are_refused_at_once(
    trader: Any, token_client: Any, change: dict[str, Any], status: int, code: str
) -> None:
    answer = token_client(trader).post("/api/v1/backtests", {**BODY, **change}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not ResearchJob.objects.exists()


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


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"strategy": "/etc/passwd:Root"}, 400, "UNKNOWN_STRATEGY"),
        ({"strategy": "os.path:join"}, 400, "UNKNOWN_STRATEGY"),
        ({"strategy": "nothing"}, 400, "UNKNOWN_STRATEGY"),
        ({"params": {"fast": 50, "slow": 20}}, 400, "BAD_PARAMETER"),
        ({"params": {}, "grid": ["fats=1:2"]}, 400, "BAD_GRID"),
        ({"symbol": "SOLUSDT"}, 404, "NO_BARS"),
        ({"sweep": True}, 400, "UNKNOWN_FIELD"),
    ],
)
def test_what_cannot_be_run_is_refused_at_once(
    changes: dict[str, Any], status: int, code: str, trader: Any, token_client: Any
) -> None:
    answer = token_client(trader).post("/api/v1/backtests", {**BODY, **changes}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not ResearchJob.objects.exists()


def test_traders_and_model_owners_run_backtests_and_nobody_else(make_user: Any, token_client: Any) -> None:
    for role, status in (("trader", 202), ("model_owner", 202), ("viewer", 403), ("risk_officer", 403)):
        user = make_user(role)
        answer = token_client(user).post("/api/v1/backtests", BODY, format="json")
        assert answer.status_code == status, role
        assert token_client(user).get("/api/v1/backtests").status_code == 200


WALK = {**SWEEP, "walk": {"train": 400, "test": 200}}


def test_a_walk_forward_gives_the_figures_of_the_command_and_a_report(
    trader: Any, token_client: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = by_command(
        "walkforward", "moving_average", "--grid", *SWEEP["grid"], "--train", "400", "--test", "200"
    )
    TrialTally.objects.all().delete()
    monkeypatch.setattr(parts, "PART_BARS", 4 * 1440)
    api = token_client(trader)
    answer = api.post("/api/v1/backtests", WALK, format="json")
    assert (answer.status_code, answer.json()["kind"]) == (202, "walkforward"), answer.json()
    job = work(ResearchJob.objects.get(uid=answer.json()["id"]))
    assert job.state == "done", job.error
    assert job.parts.count() > 1
    assert job.figures == expected
    assert TrialTally.objects.count() == 1
    body = api.get(answer.headers["Location"]).json()
    words = body["command"].removeprefix("manage.py ").split(" ")
    assert words[0] == "walkforward"
    assert {"--train", "--test"} < set(words)
    client.force_login(trader)
    page = client.get(body["report_url"])
    assert page.status_code == 200
    assert "best in hindsight" in page.content.decode()


def test_the_same_walk_forward_again_is_the_first_one_and_its_report_is_there(
    trader: Any, client: Any
) -> None:
    first = work(job_create(request=job_request(WALK), actor=trader))
    again = work(job_create(request=job_request(WALK), actor=trader))
    assert (again.same_as, again.figures) == (first, first.figures)
    client.force_login(trader)
    assert client.get(f"/research/report/?id={again.uid}").status_code == 200


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"walk": {"train": 400}}, None),
        ({"walk": {"train": 0, "test": 5}}, None),
        ({"grid": []}, "BAD_REQUEST"),
        ({"walk": {"train": 400, "test": 200, "mode": "sideways"}}, None),
    ],
)
def test_windows_that_make_no_sense_are_refused_at_once(
    trader: Any, token_client: Any, change: dict[str, Any], code: str | None
) -> None:
    answer = token_client(trader).post("/api/v1/backtests", {**WALK, **change}, format="json")
    assert answer.status_code == 400
    assert code is None or answer.json()["code"] == code


def test_windows_longer_than_the_bars_end_the_job_with_the_reason(trader: Any) -> None:
    body = {**SWEEP, "walk": {"train": 4000, "test": 2000}}
    job = work(job_create(request=job_request(body), actor=trader))
    assert job.state == "failed"
    assert job.error.startswith("BAD_WINDOWS")


CHEAT = '''
from dataclasses import dataclass
from trading.domain.strategies import Desired, Strategy, parameter

@dataclass(frozen=True)
class CheatParams:
    lag: int = parameter(1, ge=0)

class Cheat(Strategy):
    """Remembers what whoever ran before it in this process has seen."""
    name = "cheat"
    Params = CheatParams
    seen = []

    def warmup(self, params):
        return 1

    def initial(self, params):
        return 0

    def step(self, params, state, seen):
        Cheat.seen.append(seen.bar.close)
        return state + 1, Desired(1.0 if max(Cheat.seen) > seen.bar.close else 0.0)
'''


def test_a_look_ahead_test_is_a_job_with_the_figures_of_the_command(trader: Any, token_client: Any) -> None:
    client = token_client(trader)
    body = {**BODY, "lookahead": {"bars": 300, "cuts": 6}}
    answer = client.post("/api/v1/backtests", body, format="json")
    assert (answer.status_code, answer.json()["kind"]) == (202, "lookahead"), answer.json()
    job = work(ResearchJob.objects.get(uid=answer.json()["id"]))
    expected = by_command(
        "lookahead", "moving_average", "--param", "fast=5", "slow=20", "--bars", "300", "--cuts", "6"
    )
    assert (job.state, job.figures) == ("done", expected)
    assert job.figures["passed"] is True
    shown = client.get(answer.headers["Location"]).json()
    assert (shown["report_url"], shown["progress"]) == (None, 1.0)
    refused = client.post("/api/v1/backtests", {**body, "grid": ["fast=3:9:3"]}, format="json")
    assert refused.json()["code"] == "BAD_REQUEST"


def test_a_strategy_that_remembers_the_future_is_found_out(trader: Any, settings: Any) -> None:
    folder = Path(settings.NAUTILUS_HOME) / "strategies"
    folder.mkdir(parents=True)
    (folder / "cheat.py").write_text(CHEAT)
    body = {**BODY, "strategy": "cheat", "params": {}, "lookahead": {"bars": 200, "cuts": 6}}
    job = work(job_create(request=job_request(body), actor=trader))
    assert (job.state, job.error) == ("done", "")
    assert job.figures["passed"] is False
    assert job.figures["leaks"][0]["hint"]
