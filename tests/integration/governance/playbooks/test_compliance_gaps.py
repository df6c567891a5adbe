"""The daily report says what it does not know."""

from __future__ import annotations

import math
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from governance.models import GuardianHour, Incident, Playbook, PlaybookRun, PlaybookWatch, Rehearsal
from governance.services.playbooks import (
    compliance_generate,
    compliance_if_due,
    playbook_run,
    playbooks_evaluate,
)
from governance.services.playbooks.guard_gaps import guard_gaps
from governance.services.playbooks.guard_hours import guard_hour_note
from governance.services.playbooks.incidents import incident_open
from governance.services.playbooks.measures import MEASURES
from governance.services.playbooks.violations import violations_of
from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry
from nautilus_site.common.services import audit
from tests.factories.trading import Desk
from tests.integration.governance.playbooks.conftest import Arm, Watch
from tests.integration.governance.playbooks.test_behaviour import pause
from tests.integration.governance.playbooks.test_triggers import daily_loss
from trading.domain.breakers import Reading
from trading.models import Account, EquitySnapshot, Statement

pytestmark = pytest.mark.django_db
DAY = now().date() - timedelta(days=1)
START = datetime.combine(DAY, time.min, tzinfo=UTC)


def worth(account: Account, hour: int, equity: int, transferred: int = 0) -> None:
    EquitySnapshot.objects.create(
        account=account, at=START + timedelta(hours=hour, minutes=30), equity=Decimal(equity),
        transferred=Decimal(transferred), cash=0, market_value=0, unrealized=0, realized=0, commission=0,
    )  # fmt: skip


def signed(account: Account) -> None:
    Statement.objects.create(
        account=account, day=DAY, created_at=now(), agrees=True, content={}, digest="", signature="", path=""
    )


@pytest.fixture
def account(desk: Desk) -> Account:
    """Opened long before the day, of which nothing is written down yet but that it was watched."""
    Account.objects.update(opened_at=START - timedelta(days=3))
    hours = [START + timedelta(hours=number) for number in range(24)]
    GuardianHour.objects.bulk_create(GuardianHour(hour=hour, judged=720, last_at=hour) for hour in hours)
    PlaybookWatch.objects.bulk_create(
        PlaybookWatch(playbook=row, scope="global", read_at=now()) for row in Playbook.objects.all()
    )
    return Account.objects.get()


def complete(account: Account) -> None:
    for hour in range(24):
        worth(account, hour, 100_000)
    signed(account)


def changed(name: str, is_armed: bool, at: datetime) -> None:
    """As people change it, at another time."""
    Playbook.objects.filter(name=name).update(is_armed=is_armed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit, "now", lambda: at)
        audit.audit_record(
            action="playbook.changed", target=f"playbook:{name}", actor="risk", after={"is_armed": is_armed}
        )


def test_a_day_with_the_hard_stops_off_is_not_complete(account: Account) -> None:
    complete(account)
    Playbook.objects.filter(family="governor").update(is_armed=False)
    assert compliance_generate(day=DAY).content["missing"] == [
        f"the hard stop {name} was not armed all day"
        for name in ("daily_loss", "leverage", "open_trades", "position")
    ]


def test_when_a_playbook_was_off_is_told_from_the_audit_trail(account: Account) -> None:
    complete(account)
    changed("leverage", False, START - timedelta(days=2))
    changed("leverage", True, START + timedelta(hours=4, minutes=5))
    changed("drawdown", False, START + timedelta(hours=20))
    changed("position", False, START + timedelta(hours=30))
    assert compliance_generate(day=DAY).content["missing"] == [
        "the hard stop leverage was not armed from 00:00 to 04:05 UTC",
        "the playbook drawdown was not armed from 20:00 to 24:00 UTC",
    ]
    Playbook.objects.filter(name="leverage").update(is_armed=False)
    told = compliance_generate(day=DAY).content["missing"]
    assert "the hard stop leverage is not armed, which no change in the audit trail says" in told


def test_what_nobody_could_measure_and_hours_nobody_watched_are_told(account: Account) -> None:
    complete(account)
    incident, _ = incident_open(
        kind="unmeasured", scope="drawdown:account:desk", severity="warning", title="t", actor="guardian",
        evidence={},
    )  # fmt: skip
    Incident.objects.update(opened_at=START + timedelta(hours=1))
    GuardianHour.objects.filter(hour__in=[START + timedelta(hours=n) for n in (2, 3)]).delete()
    GuardianHour.objects.filter(hour=START + timedelta(hours=4)).update(longest_pause_s=7300.2)
    PlaybookWatch.objects.filter(playbook__name="position").update(read_at=START + timedelta(hours=2))
    assert compliance_generate(day=DAY).content["missing"] == [
        f"the playbook drawdown could not measure account:desk (incident {incident.pk})",
        f"the hard stop position was last judged at {DAY} 02:00 UTC",
        "nothing says that playbooks were judged in the hours 02, 03 UTC",
        "playbooks were not judged for 7300 s until 04 UTC",
    ]
    Incident.objects.update(state="calm", calm_at=START - timedelta(hours=1))
    assert "could not measure" not in str(compliance_generate(day=DAY).content["missing"])


def test_judging_leaves_a_trace_of_the_hour_and_of_the_longest_pause(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seconds in (0, 5, 95, 100):
        guard_hour_note(START + timedelta(seconds=seconds))
    guard_hour_note(START + timedelta(hours=1, seconds=20))
    told = list(GuardianHour.objects.order_by("hour").values_list("judged", "longest_pause_s"))
    assert told == [(4, 90.0), (1, 3520.0)]
    playbooks_evaluate()
    assert GuardianHour.objects.count() == 3


def test_a_statement_that_came_late_is_folded_in(account: Account) -> None:
    for hour in range(24):
        worth(account, hour, 100_000)
    first = compliance_if_due()
    while first is not None and first.day != DAY:
        first = compliance_if_due()
    assert first is not None
    assert len(first.content["missing"]) == 1
    assert compliance_if_due() is None, "nothing has come since"
    signed(account)
    again = compliance_if_due()
    assert again is not None
    assert (again.day, again.content["missing"], again.content["statements"]) == (DAY, [], {"desk": True})
    assert compliance_if_due() is None


def test_a_day_of_which_everything_was_written_down_misses_nothing(account: Account) -> None:
    for hour in range(24):
        worth(account, hour, 100_000)
    signed(account)
    assert compliance_generate(day=DAY).content["missing"] == []


def test_hours_nobody_valued_and_a_statement_that_is_not_there_are_named(
    account: Account, client: Any, viewer: Any
) -> None:
    for hour in set(range(24)) - {3, 4}:
        worth(account, hour, 100_000)
    told = compliance_generate(day=DAY).content["missing"]
    assert told == [
        "desk: its worth was not written down in the hours 03, 04 UTC",
        "desk: there is no signed statement of the day",
    ]
    client.force_login(viewer, backend="django.contrib.auth.backends.ModelBackend")
    (row,) = client.get("/state/playbooks/").json()["reports"]
    assert row["lamp"] == {"tone": "warn", "text": f"2 missing: {'; '.join(told)}"}


def test_a_day_on_which_the_platform_was_away_is_told_as_such(account: Account) -> None:
    told = compliance_generate(day=DAY).content["missing"]
    assert told[0] == "desk: its worth was not written down all day"


def test_hours_before_an_account_was_opened_are_not_missing(account: Account) -> None:
    Account.objects.update(opened_at=START + timedelta(hours=20, minutes=10))
    for hour in range(20, 24):
        worth(account, hour, 100_000)
    signed(account)
    assert compliance_generate(day=DAY).content["missing"] == []


def test_money_that_came_in_is_no_gain(account: Account) -> None:
    worth(account, 1, 100_000, transferred=100_000)
    worth(account, 22, 104_000, transferred=105_000)
    told = compliance_generate(day=DAY).content["equity"]["desk"]
    assert Decimal(told["transferred"]) == 5000
    assert Decimal(told["change"]) == -1000


def test_an_incident_of_an_earlier_day_that_is_open_still_is_in_the_report_with_its_review_missing(
    account: Account, desk: Desk, arm: Arm, watch: Watch
) -> None:
    arm("daily_loss")
    daily_loss(desk, True)
    watch()
    Incident.objects.update(opened_at=START - timedelta(days=2))
    (row,) = compliance_generate(day=DAY).content["incidents"]
    assert (row["kind"], row["state"], row["review_missing"]) == ("daily_loss", "open", True)
    Incident.objects.update(state="closed", closed_at=START - timedelta(hours=1))
    assert compliance_generate(day=DAY).content["incidents"] == []


def test_a_limit_broken_in_a_rehearsal_is_listed_and_not_counted(
    account: Account, desk: Desk, arm: Arm, watch: Watch, risk_officer: Any
) -> None:
    arm("daily_loss")
    daily_loss(desk, True)
    watch()
    PlaybookRun.objects.update(at=START + timedelta(hours=5))
    assert compliance_generate(day=DAY).violations == 1
    row = Rehearsal.objects.create(
        playbook=Playbook.objects.get(name="daily_loss"), requested_by=risk_officer, scope="global",
        injected_at=now(), deadline_at=now(), state="scored",
    )  # fmt: skip
    PlaybookRun.objects.update(rehearsal=row)
    report = compliance_generate(day=DAY)
    assert [row["rehearsal"] for row in report.content["violations"]] == [True]
    assert report.violations == 0


@pytest.fixture
def today(desk: Desk) -> tuple[datetime, datetime]:
    return now() - timedelta(hours=1), now() + timedelta(hours=1)


def test_a_breach_is_one_violation_however_often_its_stop_was_enforced(
    desk: Desk, arm: Arm, watch: Watch, today: tuple[datetime, datetime]
) -> None:
    arm("daily_loss")
    daily_loss(desk, True)
    for _ in range(3):
        watch()
        pause(303)
    (breach,) = violations_of(today)
    assert (breach["acted"], breach["measured"], breach["limit"]) == (3, 100.0, 100.0)
    daily_loss(desk, False)
    watch()
    PlaybookWatch.objects.update(ran_at=now())
    daily_loss(desk, True)
    watch()
    assert [row["acted"] for row in violations_of(today)] == [3, 0], "in its cool-down it is broken as well"
    # What stands when a day begins is broken on that day, too.
    (breach,) = violations_of((now(), now() + timedelta(hours=1)))
    assert (breach["acted"], breach["measured"], breach["limit"]) == (0, 100.0, 100.0)


def test_what_a_rehearsal_broke_is_in_no_count_of_the_audit_trail(
    account: Account, desk: Desk, arm: Arm, watch: Watch
) -> None:
    arm("daily_loss")
    daily_loss(desk, True)
    watch()
    Incident.objects.update(is_rehearsal=True, opened_at=START)
    report = compliance_generate(day=DAY)
    assert ([row["rehearsal"] for row in report.content["violations"]], report.violations) == ([True], 0)
    assert AuditEntry.objects.get(action="compliance.reported").after["violations"] == 0


def test_a_run_a_rule_started_or_with_an_infinite_figure_is_not_without_one(
    desk: Desk, arm: Arm, watch: Watch, monkeypatch: pytest.MonkeyPatch, today: tuple[datetime, datetime]
) -> None:
    def told() -> list[str]:
        return [gap for gap in guard_gaps(today) if "figure" in gap]

    arm("leverage", confirm=1, blind_after=1)
    playbook_run(name="leverage", scope="global", reason="a rule said so")
    pause(303)
    monkeypatch.setitem(MEASURES, "leverage", lambda *_: Reading(math.inf, detail="no equity is left"))
    watch()
    assert PlaybookRun.objects.filter(measured=None).count() == 2
    assert told() == []
    pause(303)

    def broken(*_: Any) -> Reading:
        raise ZeroDivisionError

    monkeypatch.setitem(MEASURES, "leverage", broken)
    watch()
    assert told() == [f"the hard stop leverage acted at {now():%H:%M} UTC without a figure"]
