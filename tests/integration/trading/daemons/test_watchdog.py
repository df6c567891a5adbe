"""The watchdog stops trading on its own: no broker, no control worker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nautilus_site.common.errors import ApplicationError
from trading.daemons.watchdog import Watchdog
from trading.domain.errors import VenueUnavailable
from trading.domain.values import Level
from trading.models import Account, Credential, KillEnforcement, ProcessHeartbeat, TradingState
from trading.services.controls import kill_raise
from trading.services.controls.kill_report import kill_report

if TYPE_CHECKING:
    from tests.factories.trading import Desk


@pytest.fixture
def watchdog(desk: Desk, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watchdog:
    settings.NAUTILUS_HOME = tmp_path
    purposes: list[str] = []

    def venue(account: Account, purpose: str) -> object:
        purposes.append(purpose)
        assert purpose == Credential.Purpose.WATCHDOG, "the watchdog has a key of its own"
        if account.name == "keyless":
            raise ApplicationError("NO_CREDENTIAL", "no key")
        return desk.venue

    monkeypatch.setattr("trading.daemons.watchdog.execution_venue", venue)
    return Watchdog()


def test_the_flag_file_halts_everything_and_cancels_at_the_exchange(desk: Desk, watchdog: Watchdog) -> None:
    order = desk.send(desk.submit("BUY", "0.001", price="59800"))
    watchdog.round()
    assert TradingState.objects.get(scope="global").level == Level.ACTIVE
    watchdog.flag.touch()
    watchdog.round()
    state = TradingState.objects.get(scope="global")
    assert (state.level, state.changed_by) == (Level.CANCEL, "watchdog")
    assert desk.fresh(order).status == "CANCELED"


def test_the_flag_stays_a_halt_after_it_is_removed_and_is_raised_only_once(
    desk: Desk, watchdog: Watchdog
) -> None:
    watchdog.flag.touch()
    for _ in range(3):
        watchdog.round()
    version = TradingState.objects.get(scope="global").version
    watchdog.flag.unlink()
    Watchdog().round()
    state = TradingState.objects.get(scope="global")
    assert (state.level, state.version) == (Level.CANCEL, version)


def test_a_kill_is_confirmed_by_the_watchdog_alone(desk: Desk, watchdog: Watchdog) -> None:
    desk.send(desk.submit("BUY", "0.001", price="59800"))
    kill_raise(scope="account:desk", level=Level.CANCEL, reason="drill", actor="test")
    watchdog.round()
    assert not kill_report("account:desk", 0.0).confirmed
    watchdog.round()
    assert kill_report("account:desk", 0.0).confirmed
    assert set(KillEnforcement.objects.values_list("enforcer", flat=True)) == {"watchdog"}


def test_one_account_that_cannot_be_reached_does_not_keep_the_orders_of_another(
    desk: Desk, watchdog: Watchdog
) -> None:
    Account.objects.create(name="keyless", venue=desk.venue_row, opened_at=desk.account.opened_at)
    Account.objects.filter(pk=desk.account.pk).update(is_active=True)  # a new row version: it is read last
    order = desk.send(desk.submit("BUY", "0.001", price="59800"))
    kill_raise(scope="global", level=Level.CANCEL, reason="drill", actor="test")
    watchdog.round()
    assert desk.fresh(order).status == "CANCELED"


def test_a_venue_that_is_down_ends_no_round_and_the_next_one_goes_on(desk: Desk, watchdog: Watchdog) -> None:
    order = desk.send(desk.submit("BUY", "0.001", price="59800"))
    kill_raise(scope="global", level=Level.CANCEL, reason="drill", actor="test")
    desk.venue.fails["open_orders"] = [VenueUnavailable(None, "down")]
    watchdog.round()
    assert desk.fresh(order).status == "NEW"
    watchdog.round()
    assert desk.fresh(order).status == "CANCELED"
    assert ProcessHeartbeat.objects.filter(kind="watchdog").exists()
