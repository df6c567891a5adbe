"""Look-ahead tests as jobs: the figures of the command, and a cheat that is found out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.integration.trading.jobs.workers import BODY, by_command, work
from trading.models import ResearchJob
from trading.services.jobs import job_create, job_request

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
