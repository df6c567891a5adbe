"""The user stream's journal: stored as it came, once, and settled afterwards by a worker.

Events of a kind nobody here knows are kept like the others: they are evidence, and never a reason to stop.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import structlog
from django.db import DataError, IntegrityError, transaction

from nautilus_site.common.clock import now
from nautilus_site.common.crash_points import crash_point
from nautilus_site.common.services.hints import enqueue_on_commit
from nautilus_site.common.services.leases import lease_acquire, lease_release
from nautilus_site.common.services.outbox import publish
from trading.adapters.binance.parse import parse_execution_report
from trading.adapters.binance.parse_usdm_events import parse_algo_update, parse_order_update
from trading.domain.errors import DomainError
from trading.domain.values import decimal_of
from trading.models import Account, Balance, OrderList, VenueEvent
from trading.services.adoption import report_settle
from trading.services.transfers import transfer_book

log = structlog.get_logger(__name__)

IGNORED: Final = frozenset({"TRADE_LITE"})
"""An early, shorter copy of what another event tells in full."""


@transaction.atomic
def venue_event_store(*, account_id: int, event: Mapping[str, Any]) -> bool:
    """Journal one message and hint that it is there. False for a repeat, or a kind that tells nothing."""
    if event.get("e") in IGNORED:
        return False
    text = json.dumps(event, sort_keys=True, separators=(",", ":"))
    _, created = VenueEvent.objects.get_or_create(
        account_id=account_id,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        defaults={"kind": str(event.get("e", "?"))[:32], "payload": dict(event), "received_at": now()},
    )
    if created:
        enqueue_on_commit("trading.tasks.venue_events_settle", queue="trading", account_id=account_id)
    return created


def venue_events_settle(*, account_id: int) -> int:
    """Settle what is journalled, in order of arrival. Returns how many; 0 when another worker is at it."""
    account = Account.objects.select_related("venue").get(pk=account_id)
    settled = 0
    while VenueEvent.objects.filter(account=account, settled_at=None).exists():
        held = lease_acquire(name=f"events:{account.name}", holder=f"settle:{now().isoformat()}")
        if held is None:
            return settled
        try:
            for event in VenueEvent.objects.filter(account=account, settled_at=None).order_by("pk")[:200]:
                _settle(account, event)
                settled += 1
        finally:
            lease_release(held)
    return settled


def _settle(account: Account, event: VenueEvent) -> None:
    error = ""
    crash_point("stream")
    handler = _HANDLERS.get(event.kind)
    try:
        if handler is not None:
            handler(account, event.payload)
    except (
        DomainError,
        LookupError,
        ValueError,
        TypeError,
        ArithmeticError,
        DataError,
        IntegrityError,
    ) as failure:
        # One message that cannot be settled must not hold up the rest; the sweep will tell what it meant.
        error = f"{type(failure).__name__}: {failure}"[:1000]
        log.error("venue_event_not_settled", event_id=event.pk, kind=event.kind, error=error)
    VenueEvent.objects.filter(pk=event.pk).update(settled_at=now(), error=error)


Payload = Mapping[str, Any]


def _execution_report(account: Account, payload: Payload) -> None:
    report_settle(account=account, report=parse_execution_report(payload), source="stream")


def _order_update(account: Account, payload: Payload) -> None:
    report_settle(account=account, report=parse_order_update(payload), source="stream")


def _algo_update(account: Account, payload: Payload) -> None:
    report_settle(account=account, report=parse_algo_update(payload), source="stream")


def _transfer(account: Account, payload: Payload) -> None:
    transfer_book(account=account, event=payload)


def _list_status(account: Account, payload: Payload) -> None:
    """The venue's id of a list of ours; its orders tell of themselves."""
    OrderList.objects.filter(account=account, client_list_id=str(payload["C"]), venue_list_id=None).update(
        venue_list_id=int(payload["g"])
    )
    if payload.get("L") == "REJECT":
        log.warning("order_list_refused", account=account.name, client_list_id=str(payload["C"]))


def _note_balances(account: Account, payload: Payload) -> None:
    for entry in payload["B"]:
        _note_balance(account, entry["a"], free=entry["f"], locked=entry["l"])


def _account_update(account: Account, payload: Payload) -> None:
    """USD-M: wallets as they are now. What changed them is read from the income, which names each cause once."""
    change = payload["a"]
    for entry in change.get("B", ()):
        _note_balance(account, entry["a"], free=entry["wb"], locked="0")
    if change.get("m") != "ORDER":
        enqueue_on_commit("trading.tasks.income_read", queue="trading", account_id=account.pk)


def _note_balance(account: Account, asset: str, *, free: str, locked: str) -> None:
    Balance.objects.update_or_create(
        account=account,
        asset=str(asset),
        defaults={
            "venue_free": decimal_of(str(free)),
            "venue_locked": decimal_of(str(locked)),
            "venue_seen_at": now(),
        },
    )


def _margin_call(account: Account, payload: Payload) -> None:
    """A position is close to its liquidation: everybody who looks shall see it."""
    positions = [{k: p.get(k) for k in ("s", "ps", "pa", "mp", "up", "mm")} for p in payload.get("p", ())]
    log.error("margin_call", account=account.name, positions=positions)
    publish("incidents", {"kind": "margin_call", "account": account.name, "positions": positions})


def _trigger_refused(account: Account, payload: Payload) -> None:
    """A conditional order was refused when it triggered: what it protected is without protection."""
    told = payload["or"]
    log.error("conditional_order_refused", account=account.name, symbol=told.get("s"), reason=told.get("r"))
    publish(
        "incidents",
        {
            "kind": "trigger_rejected",
            "account": account.name,
            "symbol": told.get("s"),
            "algo_id": told.get("i"),
            "reason": told.get("r"),
        },
    )


def _settings_changed(account: Account, payload: Payload) -> None:
    """Leverage or margin mode was changed at the venue; what is in force now is read there."""
    log.info("account_settings_changed", account=account.name, change=payload.get("ac") or payload.get("ai"))
    enqueue_on_commit("trading.tasks.account_mode", queue="control", account_id=account.pk)


_HANDLERS: Final[Mapping[str, Callable[[Account, Payload], None]]] = MappingProxyType(
    {
        "executionReport": _execution_report,
        "balanceUpdate": _transfer,
        "outboundAccountPosition": _note_balances,
        "listStatus": _list_status,
        "ORDER_TRADE_UPDATE": _order_update,
        "ALGO_UPDATE": _algo_update,
        "ACCOUNT_UPDATE": _account_update,
        "ACCOUNT_CONFIG_UPDATE": _settings_changed,
        "MARGIN_CALL": _margin_call,
        "CONDITIONAL_ORDER_TRIGGER_REJECT": _trigger_refused,
    }
)
