"""Faults of the way of an order: late answers, refusals, stops that vanish."""

from __future__ import annotations

from datetime import timedelta

from governance.adapters.testnet_stranger import ORDER_PATHS, Stranger
from governance.models import Playbook
from governance.services.playbooks.faults.fault import Fault, NotRehearsable
from governance.services.playbooks.measures import venue_lag as venue_lag_measure
from nautilus_site.common.clock import now
from trading.domain.brackets import BracketState
from trading.domain.execution import RECV_WINDOW_MS
from trading.models import Account, Bracket
from universe.models import Venue

_SLOW_ORDERS, _LATEST_MS = 10, RECV_WINDOW_MS * 0.9
"""So many late orders should be enough, unless each would come so late that the exchange refuses it."""
STOP_PATHS = {"spot": "/api/v3/order", "usdm": "/fapi/v1/algoOrder"}


def venue_lag(playbook: Playbook, fault: Fault) -> None:
    """Orders are answered half as late again as the threshold, later still where many quick ones count beside them."""
    account = _account()
    fault.scope = f"venue:{account.venue.name}"
    same = Venue.objects.filter(market=account.market).exclude(pk=account.venue_id)
    fault.others = [f"venue:{name}" for name in same.order_by("pk").values_list("name", flat=True)]
    moment = now()
    found = venue_lag_measure(fault.scope, moment - timedelta(seconds=playbook.window_s), moment)
    slow = max(playbook.min_samples, _SLOW_ORDERS)
    needed = playbook.threshold + (playbook.threshold - found.value) * found.samples / slow
    late_ms = min(max(playbook.threshold * 1.5 + 200, needed * 1.1), _LATEST_MS)
    if late_ms <= playbook.threshold:
        raise NotRehearsable(
            f"the exchange refuses what comes {_LATEST_MS:g} ms late or later: the threshold is above that"
        )
    fault.stand(_orders(account), {"delay_ms": int(late_ms)})


def reject_spike(playbook: Playbook, fault: Fault) -> None:
    """Every order is refused."""
    account = _account()
    fault.scope = f"account:{account.name}"
    same = Account.objects.filter(is_active=True, venue__market=account.market).exclude(pk=account.pk)
    fault.others = [f"account:{name}" for name in same.order_by("pk").values_list("name", flat=True)]
    fault.stand(_orders(account), {"error_before": {"status": 400, "code": -2010}})


def unprotected_position(playbook: Playbook, fault: Fault) -> None:
    """The stop of a position is taken back by somebody else, and no new one is accepted."""
    # USD-M first: there a stop goes another way than the order that would leave the position in its place.
    guarded = (
        Bracket.objects.filter(ended_at=None, state=BracketState.PROTECTED, account__is_active=True)
        .exclude(stop_price=None, trailing_bps=None)
        .select_related("account__venue", "instrument")
        .order_by("-account__venue__market", "pk")
        .first()
    )
    if guarded is None:
        raise NotRehearsable("no position has a stop at the venue: place an order with a stop first")
    symbol, market = guarded.instrument.symbol, guarded.instrument.market
    fault.scope = f"symbol:{symbol}"
    for path in (STOP_PATHS[market], *(("/api/v3/orderList",) if market == "spot" else ())):
        refusal = {"error_before": {"status": 400, "code": -2010}}
        fault.stand({"path": path, "method": "POST", "symbol": symbol}, refusal)
    Stranger(guarded.account.name, market).cancel_all(symbol)


def _orders(account: Account) -> dict[str, str]:
    return {"path": ORDER_PATHS[account.market], "method": "POST"}


def _account() -> Account:
    row = (
        Account.objects.select_related("venue").filter(is_active=True).order_by("venue__market", "pk").first()
    )
    if row is None:
        raise NotRehearsable("there is no active account")
    return row
