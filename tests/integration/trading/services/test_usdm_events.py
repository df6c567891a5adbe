"""USD-M's user events in the journal: what each kind comes to, and that unknown ones harm nobody."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from nautilus_site.common.clock import now
from nautilus_site.common.models import OutboxEvent
from nautilus_site.common.services import hints as hinting
from tests.fakes.instruments import exchange_info_entry
from trading.domain.ports import FuturesMode
from trading.domain.values import Level
from trading.models import (
    Account,
    Balance,
    CircuitBreaker,
    Fill,
    MarginTerms,
    Order,
    OrderList,
    TradeCursor,
    TradingState,
    VenueEvent,
)
from trading.services.account_modes import READ_EVERY, account_mode_is_due, account_mode_read
from trading.services.controls import limits_install, states_install
from trading.services.venue_events import venue_event_store, venue_events_settle
from universe.models import Instrument, Venue


@pytest.fixture
def account(db: None) -> Account:
    moment = now()
    venue = Venue.objects.create(name="binance-usdm", market="usdm", environment="local")
    instrument = Instrument.objects.create(
        venue=venue,
        symbol="BTCUSDT",
        market="usdm",
        base_asset="BTC",
        quote_asset="USDT",
        status="TRADING",
        filters=exchange_info_entry("BTCUSDT"),
        first_seen_at=moment,
        updated_at=moment,
    )
    states_install(level=Level.ACTIVE, reason="test", actor="test")
    limits_install(actor="test")
    account = Account.objects.create(name="futures", venue=venue, opened_at=moment, reconciled_at=moment)
    TradeCursor.objects.create(account=account, instrument=instrument, last_order_id=0, opened_at=moment)
    return account


def told(account: Account, **event: Any) -> VenueEvent | None:
    """Journal and settle one message; its row."""
    if not venue_event_store(account_id=account.pk, event={"E": 1, "T": 1, **event}):
        return None
    venue_events_settle(account_id=account.pk)
    row = VenueEvent.objects.latest("pk")
    assert row.settled_at is not None
    return row


def order_update(client_id: str, **changes: Any) -> dict[str, Any]:
    """The `o` of an ORDER_TRADE_UPDATE, spelled as the venue spells it."""
    return {
        "s": "BTCUSDT", "c": client_id, "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "0.010", "p": "59000",
        "ap": "0", "sp": "0", "x": "NEW", "X": "NEW", "i": 77, "l": "0", "z": "0", "L": "0", "n": "0",
        "N": "USDT", "T": 5, "t": 0, "b": "0", "a": "0", "m": False, "R": False, "wt": "CONTRACT_PRICE",
        "ot": "LIMIT", "ps": "BOTH", "cp": False, "pP": False, "si": 0, "ss": 0, "rp": "0", "V": "NONE",
        "pm": "NONE", "gtd": 0, "er": "0", **changes,
    }  # fmt: skip


def algo_update(client_id: str, **changes: Any) -> dict[str, Any]:
    """The `o` of an ALGO_UPDATE, spelled as the venue spells it."""
    return {
        "caid": client_id, "aid": 41, "at": "CONDITIONAL", "o": "STOP_MARKET", "s": "BTCUSDT", "S": "SELL",
        "ps": "BOTH", "f": "GTC", "q": "0.010", "X": "NEW", "ai": "", "ap": "0.00000", "aq": "0.00000",
        "act": "0", "tp": "58000", "p": "0", "V": "NONE", "wt": "MARK_PRICE", "pm": "NONE", "cp": False,
        "pP": False, "R": True, "tt": 0, "gtd": 0, "rm": "", **changes,
    }  # fmt: skip


@pytest.mark.parametrize("places", list(permutations(range(3))))
def test_a_conditional_order_is_one_row_whatever_is_told_first(
    account: Account, places: tuple[int, ...]
) -> None:
    instrument, moment = Instrument.objects.get(symbol="BTCUSDT"), now()
    Order.objects.create(
        account=account, instrument=instrument, origin="manual", intent_key="k", client_order_id="stop-1",
        service="algo", side="SELL", type="STOP_MARKET", venue_type="STOP_MARKET", quantity="0.010",
        stop_price=58000, reduce_only=True, status="UNKNOWN", created_at=moment, updated_at=moment,
        sent_at=moment,
    )  # fmt: skip
    waiting = {"e": "ALGO_UPDATE", "o": algo_update("stop-1")}
    triggered = {"e": "ALGO_UPDATE", "o": algo_update("stop-1", X="TRIGGERED", ai="77"), "T": 2}
    working = {
        "e": "ORDER_TRADE_UPDATE",
        "o": order_update("stop-1", o="MARKET", ot="STOP_MARKET", R=True, f="GTC"),
    }
    events = [waiting, triggered, working]
    for place in places:
        row = told(account, **events[place])
        assert row is not None
        assert row.error == ""
    order = Order.objects.get(account=account)
    assert (order.algo_id, order.venue_order_id, order.status) == (41, 77, "NEW")
    assert order.triggered_at is not None


@pytest.mark.parametrize("client_id", ["autoclose-1753", "adl_autoclose-88", "web_x1"])
def test_an_order_nobody_here_placed_is_adopted_with_its_execution(account: Account, client_id: str) -> None:
    fill = {"x": "CALCULATED", "X": "FILLED", "l": "0.010", "z": "0.010", "L": "59000", "t": 9, "rp": "-10.5"}
    row = told(account, e="ORDER_TRADE_UPDATE", o=order_update(client_id, **fill, ap="59000"))
    assert row is not None
    assert row.error == ""
    order = Order.objects.get(account=account)
    assert (order.origin, order.client_order_id, order.status) == ("external", client_id, "FILLED")
    booked = Fill.objects.get(order=order)
    assert (booked.trade_id, booked.price, booked.quantity) == (9, 59000, Decimal("0.010"))


def test_the_wallet_is_noted_as_the_venue_tells_it(account: Account) -> None:
    row = told(
        account,
        e="ACCOUNT_UPDATE",
        a={"m": "FUNDING_FEE", "B": [{"a": "USDT", "wb": "99.5", "cw": "99.5", "bc": "-0.5"}], "P": []},
    )
    assert row is not None
    assert row.error == ""
    assert Balance.objects.get(account=account, asset="USDT").venue_free == Decimal("99.5")


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (
            {
                "e": "MARGIN_CALL",
                "cw": "3.1",
                "p": [{"s": "BTCUSDT", "ps": "BOTH", "pa": "0.01", "mp": "59000", "up": "-9", "mm": "2"}],
            },
            "margin_call",
        ),
        (
            {"e": "CONDITIONAL_ORDER_TRIGGER_REJECT", "or": {"s": "BTCUSDT", "i": 4, "r": "no margin"}},
            "trigger_rejected",
        ),
    ],
)
def test_what_endangers_a_position_is_told_as_an_incident(
    account: Account, event: dict[str, Any], kind: str
) -> None:
    row = told(account, **event)
    assert row is not None
    assert row.error == ""
    incident = OutboxEvent.objects.get(topic="incidents").data
    assert (incident["kind"], incident["account"]) == (kind, "futures")


def test_a_copy_is_left_out_and_an_unknown_kind_is_kept(account: Account) -> None:
    assert told(account, e="TRADE_LITE", s="BTCUSDT", t=1) is None
    row = told(account, e="SOMETHING_NEW", anything=[1, 2])
    assert row is not None
    assert (row.kind, row.error) == ("SOMETHING_NEW", "")
    for event in ({"e": "listenKeyExpired"}, {"e": "ACCOUNT_CONFIG_UPDATE", "ac": {"s": "BTCUSDT", "l": 5}}):
        row = told(account, **event)
        assert row is not None
        assert row.error == ""


def test_a_message_that_cannot_be_read_is_kept_with_the_reason(account: Account) -> None:
    row = told(account, e="ORDER_TRADE_UPDATE", o={"s": "BTCUSDT"})
    assert row is not None
    assert "KeyError" in row.error


def test_the_venues_id_of_a_list_is_learned_from_the_stream(account: Account) -> None:
    instrument = Instrument.objects.get(symbol="BTCUSDT")
    mine = OrderList.objects.create(
        account=account, instrument=instrument, kind="OCO", client_list_id="mine", created_at=now()
    )
    row = told(account, e="listStatus", s="BTCUSDT", g=31, c="OCO", l="EXEC_STARTED", L="EXECUTING", C="mine")
    assert row is not None
    assert row.error == ""
    mine.refresh_from_db()
    assert mine.venue_list_id == 31


def test_settings_are_read_until_known_and_again_when_the_venue_says_they_changed(
    account: Account, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    hints: list[str] = []
    monkeypatch.setattr(hinting, "send_hint", lambda task, **_: hints.append(task))
    assert account_mode_is_due(account)
    told_mode = FuturesMode(False, False, {"BTCUSDT": 3, "NOSUCHUSDT": 9}, {"BTCUSDT": True})

    class Told:
        def mode(self) -> FuturesMode:
            return told_mode

    assert account_mode_read(account, Told()) == 1  # type: ignore[arg-type]
    terms = MarginTerms.objects.get(account=account)
    assert (terms.leverage, terms.isolated) == (3, True)
    assert not account_mode_is_due(account)
    MarginTerms.objects.update(seen_at=now() - READ_EVERY * 2)
    assert account_mode_is_due(account)
    with django_capture_on_commit_callbacks(execute=True):
        told(account, e="ACCOUNT_CONFIG_UPDATE", ac={"s": "BTCUSDT", "l": 7})
    assert "trading.tasks.account_mode" in hints


def test_a_margin_call_lets_the_account_only_reduce_until_people_have_looked(account: Account) -> None:
    call = {
        "e": "MARGIN_CALL",
        "cw": "3.1",
        "p": [{"s": "BTCUSDT", "ps": "BOTH", "pa": "0.01", "mp": "59000"}],
    }
    told(account, **call)
    row = CircuitBreaker.objects.get(name="margin_call", scope="account:futures")
    assert (row.state, row.action, row.reset) == ("open", "REDUCING", "manual")
    assert "BTCUSDT" in row.reason
    state = TradingState.objects.get(scope="account:futures")
    assert (state.level, state.changed_by) == (Level.REDUCING, "breaker margin_call")
    # What the breaker does is its row's: people may have made it stricter, or switched it off.
    TradingState.objects.filter(scope="account:futures").delete()
    CircuitBreaker.objects.filter(pk=row.pk).update(state="closed", memory={}, is_enabled=False)
    told(account, **call, E=2)
    assert not TradingState.objects.filter(scope="account:futures").exists()


def test_a_refused_trigger_ends_its_order_even_when_nothing_else_tells(account: Account) -> None:
    instrument = Instrument.objects.get(symbol="BTCUSDT")
    moment = now()
    order = Order.objects.create(
        account=account, instrument=instrument, origin=Order.Origin.PROTECTION, intent_key="stop",
        client_order_id="stop", side="SELL", type="STOP_MARKET", venue_type="STOP_MARKET", service="algo",
        algo_id=4, quantity=Decimal("0.01"), stop_price=Decimal(50_000), reduce_only=True, status="NEW",
        sent_at=moment, acknowledged_at=moment, created_at=moment, updated_at=moment,
    )  # fmt: skip
    told(
        account,
        e="CONDITIONAL_ORDER_TRIGGER_REJECT",
        T=5,
        **{"or": {"s": "BTCUSDT", "i": 4, "r": "no margin"}},
    )
    order.refresh_from_db()
    assert (order.status, order.code, order.executed_quantity) == ("EXPIRED", "TRIGGER_REJECTED", 0)
    assert order.ended_at is not None
