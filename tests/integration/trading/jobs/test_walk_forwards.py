"""Walk-forwards as jobs: the figures of the command, and a report."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.trading.jobs.workers import SWEEP, by_command, work
from trading.models import ResearchJob, TrialTally
from trading.services.jobs import job_create, job_request, parts

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
