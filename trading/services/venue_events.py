"""The user stream's journal: stored as it came, once, and settled afterwards by a worker.

Events of a kind nobody here knows are kept like the others: they are evidence, and never a reason to stop.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import structlog
from django.db import connection, transaction

from nautilus_site.common.clock import now
from nautilus_site.common.crash_points import crash_point
from nautilus_site.common.services.hints import enqueue_on_commit
from nautilus_site.common.services.leases import lease_acquire, lease_release
from trading.domain.values import decimal_of
from trading.models import Account, OrderList, VenueEvent
from trading.services.transfers import transfer_book
from trading.services.venue_balances import BalanceTold, balances_note
from trading.services.venue_executions import (
    EXECUTIONS,
    UNSETTLED,
    Told,
    event_failed,
    events_settled,
    executions_settle,
)
from trading.services.venue_warnings import margin_call, trigger_refused

log = structlog.get_logger(__name__)

ZERO: Final = Decimal(0)
IGNORED: Final = frozenset({"TRADE_LITE"})
"""An early, shorter copy of what another event tells in full."""


BATCH: Final = 500

_STORE: Final = """
INSERT INTO trading_venueevent (account_id, kind, digest, payload, received_at, error)
VALUES (%s, %s, %s, %s::jsonb, %s, '') ON CONFLICT (account_id, digest) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Journalled:
    """One stored message that is not settled yet."""

    pk: int
    kind: str
    payload: Mapping[str, Any]


@transaction.atomic
def venue_event_store(*, account_id: int, event: Mapping[str, Any]) -> bool:
    """Journal one message and hint that it is there. False for a repeat, or a kind that tells nothing."""
    if event.get("e") in IGNORED:
        return False
    text = json.dumps(event, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    with connection.cursor() as cursor:
        cursor.execute(_STORE, [account_id, str(event.get("e", "?"))[:32], digest, text, now()])
        created = bool(cursor.rowcount == 1)
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
            rows = VenueEvent.objects.filter(account=account, settled_at=None).order_by("pk")
            events = [Journalled(*row) for row in rows.values_list("pk", "kind", "payload")[:BATCH]]
            _settle(account, events)
            settled += len(events)
        finally:
            lease_release(held)
    return settled


def _settle(account: Account, events: Sequence[Journalled]) -> None:
    """Executions that follow each other are settled together, and the balances told between them after those.

    What the venue says it holds is only noted and changes nothing that settling reads; every other kind is settled
    by itself, behind what came before it.
    """
    executions: list[Told] = []
    notes: list[Journalled] = []
    for event in events:
        crash_point("stream")
        parse = EXECUTIONS.get(event.kind)
        if parse is not None:
            try:
                executions.append(Told(event.pk, parse(event.payload)))
            except UNSETTLED as failure:
                event_failed(event.pk, failure)
        elif _only_balances(event):
            notes.append(event)
        else:
            _settle_run(account, executions, notes)
            executions, notes = [], []
            _settle_one(account, event)
    _settle_run(account, executions, notes)


def _only_balances(event: Journalled) -> bool:
    if event.kind == "outboundAccountPosition":
        return True
    change = event.payload.get("a")
    return event.kind == "ACCOUNT_UPDATE" and isinstance(change, Mapping) and change.get("m") == "ORDER"


def _settle_run(account: Account, executions: Sequence[Told], notes: Sequence[Journalled]) -> None:
    executions_settle(account, executions)
    if not notes:
        return
    try:
        with transaction.atomic():
            balances_note(account, [entry for note in notes for entry in _balances_told(note.payload)])
            events_settled(note.pk for note in notes)
    except UNSETTLED:
        for note in notes:
            _settle_one(account, note)


def _settle_one(account: Account, event: Journalled) -> None:
    handler = _HANDLERS.get(event.kind)
    try:
        with transaction.atomic():
            if handler is not None:
                handler(account, event.payload)
            events_settled([event.pk])
    except UNSETTLED as failure:
        event_failed(event.pk, failure)


Payload = Mapping[str, Any]


def _transfer(account: Account, payload: Payload) -> None:
    transfer_book(account=account, event=payload)


def _list_status(account: Account, payload: Payload) -> None:
    """The venue's id of a list of ours; its orders tell of themselves."""
    OrderList.objects.filter(account=account, client_list_id=str(payload["C"]), venue_list_id=None).update(
        venue_list_id=int(payload["g"])
    )
    if payload.get("L") == "REJECT":
        log.warning("order_list_refused", account=account.name, client_list_id=str(payload["C"]))


def _balances_told(payload: Payload) -> list[BalanceTold]:
    """What a message says the account holds: spot tells free and locked, USD-M the wallet."""
    if "a" in payload:
        return [BalanceTold(str(b["a"]), decimal_of(str(b["wb"])), ZERO) for b in payload["a"].get("B", ())]
    return [BalanceTold(str(b["a"]), decimal_of(str(b["f"])), decimal_of(str(b["l"]))) for b in payload["B"]]


def _note_balances(account: Account, payload: Payload) -> None:
    balances_note(account, _balances_told(payload))


def _account_update(account: Account, payload: Payload) -> None:
    """USD-M: wallets as they are now. What changed them is read from the income, which names each cause once."""
    balances_note(account, _balances_told(payload))
    if payload["a"].get("m") != "ORDER":
        enqueue_on_commit("trading.tasks.income_read", queue="trading", account_id=account.pk)


def _settings_changed(account: Account, payload: Payload) -> None:
    """Leverage or margin mode was changed at the venue; what is in force now is read there."""
    log.info("account_settings_changed", account=account.name, change=payload.get("ac") or payload.get("ai"))
    enqueue_on_commit("trading.tasks.account_mode", queue="control", account_id=account.pk)


_HANDLERS: Final[Mapping[str, Callable[[Account, Payload], None]]] = MappingProxyType(
    {
        "balanceUpdate": _transfer,
        "outboundAccountPosition": _note_balances,
        "listStatus": _list_status,
        "ACCOUNT_UPDATE": _account_update,
        "ACCOUNT_CONFIG_UPDATE": _settings_changed,
        "MARGIN_CALL": margin_call,
        "CONDITIONAL_ORDER_TRIGGER_REJECT": trigger_refused,
    }
)
