"""Which fault makes a playbook act, and how it is taken out again. Only the paper exchange can be given one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from governance.adapters.testnet_control import control
from governance.models import Playbook
from nautilus_site.common.errors import Conflict
from trading.models import Account, Balance, LossMeasure, Position, SymbolAllowance
from trading.selectors.marks import marks_read
from trading.selectors.positions import position_notional
from universe.models import Instrument, Quote

ORDER_PATHS = {"spot": "/api/v3/order", "usdm": "/fapi/v1/order"}
_DEEPEST_FALL = 0.6


@dataclass(frozen=True, slots=True)
class Fault:
    """What was put in: the scope it should be noticed on, ids of faults, and calls that take it back."""

    scope: str
    ids: tuple[Any, ...] = ()
    undo: tuple[dict[str, Any], ...] = ()


def fault_inject(playbook: Playbook) -> Fault:
    """Put in what the playbook should notice.

    Raises
    ------
    Conflict : NOT_REHEARSABLE, no fault of the exchange makes it act, or too little is held for one.
    ControlError : the paper exchange cannot be reached or refuses.
    """
    inject = _INJECT.get(playbook.name)
    if inject is None:
        raise Conflict(
            "NOT_REHEARSABLE",
            f"no fault of the paper exchange leads to {playbook.name}; its trigger is tested with rows",
        )
    return inject(playbook)


def fault_withdraw(fault: dict[str, Any]) -> None:
    """Take a fault out again. Raises ControlError."""
    for number in fault.get("ids", ()):
        control("DELETE", f"/faults/{number}")
    for call in fault.get("undo", ()):
        control(call["method"], call["path"], call["body"])


def _venue_lag(playbook: Playbook) -> Fault:
    account = _account()
    late = {"delay_ms": int(playbook.threshold * 1.5) + 200}
    return Fault(f"venue:{account.venue.name}", (_fault(account, late),))


def _reject_spike(playbook: Playbook) -> Fault:
    account = _account()
    refusal = {"error_before": {"status": 400, "code": -2010}}
    return Fault(f"account:{account.name}", (_fault(account, refusal),))


def _stale_data(playbook: Playbook) -> Fault:
    row = SymbolAllowance.objects.select_related("instrument").order_by("instrument__symbol").first()
    if row is None:
        raise Conflict("NOT_REHEARSABLE", "no symbol may be traded")
    symbol = row.instrument.symbol
    made = control("POST", "/faults", {"match": {"symbol": symbol}, "effect": {"drop_event": True}})
    return Fault(f"symbol:{symbol}", (made["id"],))


def _drawdown(playbook: Playbook) -> Fault:
    held: dict[str, float] = {}
    for row in _held():
        held[row.account] = held.get(row.account, 0.0) + row.notional
    if not held:
        raise Conflict("NOT_REHEARSABLE", "nothing is held: a fall of prices would cost nothing")
    account = max(held, key=lambda name: held[name])
    measure = LossMeasure.objects.filter(scope=f"account:{account}").first()
    if measure is None:
        raise Conflict("NOT_REHEARSABLE", "the account's result was not measured yet")
    wanted = float(measure.peak) * playbook.threshold / 100 - float(measure.peak - measure.value)
    return Fault(f"account:{account}", undo=_fall(account, wanted))


def _daily_loss(playbook: Playbook) -> Fault:
    row = LossMeasure.objects.filter(scope="global").first()
    if row is None:
        raise Conflict("NOT_REHEARSABLE", "the day's result was not measured yet")
    return Fault("global", undo=_fall(None, playbook.threshold - float(row.day_start - row.value)))


def _fall(account: str | None, loss: float) -> tuple[dict[str, Any], ...]:
    """Let the prices of what is held long fall until so much is lost, with a third to spare."""
    held = [row for row in _held() if account in (None, row.account)]
    worth = sum(row.notional for row in held)
    share = max(loss, 0.0) * 4 / 3 / worth if worth > 0 else 1.0
    if share > _DEEPEST_FALL:
        raise Conflict("NOT_REHEARSABLE", "too little is held: prices would have to fall by more than 60 %")
    undo = []
    for instrument in {row.instrument.pk: row.instrument for row in held}.values():
        quote = Quote.objects.filter(instrument=instrument).first()
        if quote is None or quote.bid is None:
            continue
        market = {"symbol": instrument.symbol, "market": instrument.market}
        low = str(round(quote.bid * (1 - Decimal(str(round(share, 6)))), 8))
        back = [[30, str(round(quote.bid, 8))]]
        control("POST", "/market", {**market, "path": [[1, low], [3600, low]]})
        undo.append({"method": "POST", "path": "/market", "body": {**market, "path": back}})
    return tuple(undo)


@dataclass(frozen=True, slots=True)
class _Holding:
    account: str
    instrument: Instrument
    notional: float


def _held() -> list[_Holding]:
    """What a fall of prices would cost: coins of spot accounts, and long contracts; USDT."""
    marks, held = marks_read(), list[_Holding]()
    for account in Account.objects.filter(is_active=True).select_related("venue"):
        if account.market == "usdm":
            for row in Position.objects.filter(account=account, quantity__gt=0).select_related("instrument"):
                notional = float(position_notional(row, marks.of(row.instrument_id)))
                held.append(_Holding(account.name, row.instrument, notional))
            continue
        amounts = dict(Balance.objects.filter(account=account, amount__gt=0).values_list("asset", "amount"))
        pairs = Instrument.objects.filter(venue=account.venue, base_asset__in=amounts, quote_asset="USDT")
        for instrument in pairs:
            mark = marks.of(instrument.pk)
            if mark is not None:
                held.append(_Holding(account.name, instrument, float(amounts[instrument.base_asset] * mark)))
    return held


def _fault(account: Account, effect: dict[str, Any]) -> Any:
    match = {"path": ORDER_PATHS[account.market], "method": "POST"}
    return control("POST", "/faults", {"match": match, "effect": effect})["id"]


def _account() -> Account:
    row = (
        Account.objects.select_related("venue").filter(is_active=True).order_by("venue__market", "pk").first()
    )
    if row is None:
        raise Conflict("NOT_REHEARSABLE", "there is no active account")
    return row


_INJECT: dict[str, Callable[[Playbook], Fault]] = {
    "venue_lag": _venue_lag,
    "reject_spike": _reject_spike,
    "stale_data": _stale_data,
    "drawdown": _drawdown,
    "daily_loss": _daily_loss,
}
