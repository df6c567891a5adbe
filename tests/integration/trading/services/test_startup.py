"""S0 comes first: whatever asks after a start or a sleep, the key, the mode and every symbol are looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.trading.services.sweeping import due, later, level, run
from trading.domain.errors import VenueUnavailable
from trading.models import Account, Divergence
from trading.services.reconcile import account_reconcile, reconcile_request, sweeps_restart

if TYPE_CHECKING:
    from tests.factories.trading import Desk

WITHDRAWS = {"enableSpotAndMarginTrading": True, "ipRestrict": True, "enableWithdrawals": True}


@pytest.mark.parametrize("first", ["gap", "manual", "lost"])
def test_nothing_comes_before_the_start_up_sweep(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """A gap of the stream, a person, or a row nobody finished may ask before the schedule does."""
    run(desk)
    sweeps_restart()
    monkeypatch.setattr(type(desk.venue), "key_permissions", lambda self: WITHDRAWS)
    if first == "lost":
        reconcile_request(account=desk.account, actor="test", trigger="gap")
        done = due(desk)
    else:
        done = account_reconcile(account_id=desk.account.pk, venue=desk.venue, trigger=first)
    assert done is not None
    assert (done.sweep, done.outcome) == ("S4" if first == "manual" else "S0", "divergent")
    assert Divergence.objects.get().kind == "KEY_PERMISSIONS"
    assert level("account:desk") == 3
    assert Account.objects.get().reconciled_at is None, "new risk stays off"


def test_a_start_up_that_failed_is_not_over_because_it_was_tried(desk: Desk) -> None:
    run(desk)
    later(61)
    desk.venue.fails["balances"] = [VenueUnavailable(None, "down")]
    assert run(desk, trigger="gap").outcome == "failed"
    again = run(desk, trigger="gap")
    assert (again.sweep, again.outcome) == ("S0", "clean")
    third = run(desk, trigger="gap")
    assert (third.sweep, third.outcome) == ("S3", "clean")


def test_a_run_from_before_the_platform_started_does_not_count_for_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(desk)
    read = type(desk.venue).open_orders

    def started_meanwhile(venue: Any, symbol: str | None) -> Any:
        sweeps_restart()
        return read(venue, symbol)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(type(desk.venue), "open_orders", started_meanwhile)
        assert run(desk).outcome == "clean"
    assert Account.objects.get().reconciled_at is None
    assert run(desk).sweep == "S0"
