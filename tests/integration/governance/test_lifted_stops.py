"""After two people lifted the stop of a drawdown: what comes in or goes out is neither a gain nor a loss."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from importlib import import_module

import pytest
from django.apps import apps

from governance.models import CapitalState
from governance.services import capital_reset
from nautilus_site.common.clock import now
from nautilus_site.common.models import User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.trading import Desk
from tests.integration.governance.conftest import in_force
from tests.integration.governance.test_capital import POLICY, run
from trading.models import Account, EquityAnchor
from trading.services.capital import capital_moved


def worth(equity: int) -> None:
    EquityAnchor.objects.filter(pk="global").update(equity=equity, marked_at=now())


def moved(desk: Desk, amount: int) -> None:
    capital_moved(Account.objects.get(pk=desk.account.pk), Decimal(amount))


@pytest.fixture
def lifted(desk: Desk, trader: User, risk_officer: User) -> Desk:
    """Of 100,000 the account had lost 25,000 when two people lifted the stop, and 2,000 had been paid in before."""
    Account.objects.filter(pk=desk.account.pk).update(transferred=2000)
    in_force("capital_policy", **{**POLICY, "reserve_equity_usd": 0})
    EquityAnchor.objects.filter(pk="global").update(peak_equity=100_000)
    worth(75_000)
    assert run().pool == 0
    request = capital_reset.reset_request(requester=trader, reason="the cause is known")
    change_request_approve(request_id=request.pk, approver=risk_officer)
    return desk


def test_a_withdrawal_is_no_fall(lifted: Desk) -> None:
    run()
    for _ in range(2):
        moved(lifted, -20_000)
        made = run()
        assert not CapitalState.objects.get().stopped, made.explanation
    assert made.pool == 3_500, "a tenth of what is left"
    assert "the fall from 35,000.00 USDT of 0.00 % counts" in made.explanation
    worth(28_000)
    assert run().pool == 0, "a fifth of what is left was lost"


def test_a_deposit_hides_no_fall(lifted: Desk) -> None:
    CapitalState.objects.update(lifted_at=now() - timedelta(days=12))
    worth(61_500)
    assert run().pool > 0
    moved(lifted, 13_500)
    made = run()
    assert "the fall from 88,500.00 USDT of 15.25 % counts" in made.explanation
    assert made.multiplier == pytest.approx(0.1), "so much more is no gain"
    worth(61_500)
    assert run().pool == 0, "27,000 of 88,500 were lost"


def test_an_upgrade_takes_what_had_come_in_off_the_peak(lifted: Desk) -> None:
    CapitalState.objects.update(peak_since=75_000)
    import_module("governance.migrations.0014_peak_without_deposits").take_what_came_in_off(apps, None)
    assert CapitalState.objects.get().peak_since == 73_000
    assert "the fall from 75,000.00 USDT of 0.00 %" in run().explanation
