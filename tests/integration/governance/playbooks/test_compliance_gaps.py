"""The daily report says what it does not know."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from governance.models import Incident, PlaybookRun
from governance.services.playbooks import compliance_generate
from nautilus_site.common.clock import now
from tests.factories.trading import Desk
from tests.integration.governance.playbooks.conftest import Arm, Watch
from tests.integration.governance.playbooks.test_triggers import daily_loss
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
    """Opened long before the day, of which nothing is written down yet."""
    Account.objects.update(opened_at=START - timedelta(days=3))
    return Account.objects.get()


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
    account: Account, desk: Desk, arm: Arm, watch: Watch
) -> None:
    arm("daily_loss")
    daily_loss(desk, True)
    watch()
    PlaybookRun.objects.update(at=START + timedelta(hours=5))
    assert compliance_generate(day=DAY).violations == 1
    Incident.objects.update(is_rehearsal=True)
    report = compliance_generate(day=DAY)
    assert [row["rehearsal"] for row in report.content["violations"]] == [True]
    assert report.violations == 0
