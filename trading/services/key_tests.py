"""A look at a key in use, whenever somebody asks for one: does the exchange take it, and what may it do."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import structlog
from django.db import transaction
from django.db.models import F, Q

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, Forbidden, NotFound
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.outbox import publish
from nautilus_site.common.services.powers import person_may
from trading.domain.errors import VenueError, VenueRejected
from trading.models import Credential
from trading.services.credentials import credential_open
from trading.services.key_checks import key_verdict
from trading.services.key_owners import key_owner
from trading.services.key_probes import TRADES, Connect

log = structlog.get_logger(__name__)
OPERATING = "keys.operate"


@transaction.atomic
def key_test_ask(*, credential_id: int, last_four: str, actor: User) -> Credential:
    """Have a worker look at a key in use; the page shows what it found. Asking again while it waits is the same look.

    Raises
    ------
    As `key_to_operate`.
    """
    row = key_to_operate(credential_id=credential_id, last_four=last_four, actor=actor)
    row.test_asked_at = now()
    row.save(update_fields=["test_asked_at"])
    audit_record(
        action="credential.test_asked", target=key_name(row), actor=actor, after={"last_four": row.last_four}
    )
    return row


def keys_to_test() -> list[int]:
    """Keys in use that somebody asked about since they were looked at last, oldest question first."""
    asked = Credential.objects.filter(test_asked_at__isnull=False, revoked_at=None, account__is_active=True)
    due = asked.filter(Q(tested_at=None) | Q(tested_at__lt=F("test_asked_at")))
    return list(due.order_by("test_asked_at").values_list("pk", flat=True))


def key_test(*, credential_id: int, connect: Connect) -> str:
    """Look at one key in use and write down what was found: what is wrong, or nothing.

    Only where secrets can be opened. `connect` as in `key_probe`: what the exchange answers here trips no breaker. A
    key that the exchange does not take, or that may do too much, stays in use: whoever asked decides.

    Raises
    ------
    ApplicationError : NO_CREDENTIAL, in the web process.
    """
    row = Credential.objects.select_related("account__venue").get(pk=credential_id)
    flags: Mapping[str, bool] = {}
    faults: list[str] = []
    try:
        venue = connect(row.account, *credential_open(account=row.account, purpose=row.purpose))
        venue.balances()
        flags, faults = key_verdict(venue, market=row.account.market, trades=row.purpose in TRADES)
        identity, strange = key_owner(row.account, venue)
        faults = faults + (strange if identity else [])
    except ApplicationError as error:
        if error.status == HTTPStatus.FORBIDDEN:
            raise  # this process opens no secrets, which says nothing about the key
        faults = [error.message]
    except VenueRejected as error:
        faults = [f"the exchange refuses the key: {error.code}"]
    except VenueError as error:
        faults = [f"the exchange did not answer: {type(error).__name__}"]
    return _write(row, flags, "; ".join(faults))


@transaction.atomic
def _write(seen: Credential, flags: Mapping[str, bool], result: str) -> str:
    row = (
        Credential.objects.select_for_update(of=("self",), no_key=True)
        .select_related("account")
        .get(pk=seen.pk)
    )
    if row.api_key != seen.api_key or row.revoked_at is not None:
        return result  # another took its place meanwhile: nothing was found out about that one
    row.tested_at, row.test_flags, row.test_result = now(), dict(flags), result
    row.save(update_fields=["tested_at", "test_flags", "test_result"])
    may = sorted(name for name, on in flags.items() if on)
    audit_record(
        action="credential.tested",
        target=key_name(row),
        actor="key probe",
        reason=result,
        after={"last_four": row.last_four, "may": may, "in_order": not result},
    )
    publish(
        "approvals",
        {"kind": "credential", "state": "tested", "target": f"key:{key_name(row)}", "wrong": result},
    )
    log.info("key_tested", account=row.account.name, purpose=row.purpose, in_order=not result)
    return result


def key_to_operate(*, credential_id: int, last_four: str, actor: User) -> Credential:
    """The key in use that somebody means, locked. The last four tell it from the one that took its place meanwhile.

    Raises
    ------
    Forbidden : PERMISSION_DENIED.  NotFound : KEY_NOT_FOUND.  Conflict : KEY_REPLACED, KEY_REVOKED.
    """
    if not person_may(actor, OPERATING):
        raise Forbidden(
            "PERMISSION_DENIED", f"you lack the permission {OPERATING}", extra={"permission": OPERATING}
        )
    rows = Credential.objects.select_for_update(of=("self",), no_key=True).select_related("account__venue")
    row = rows.filter(pk=credential_id).first()
    if row is None:
        raise NotFound("KEY_NOT_FOUND", "no such key")
    if row.last_four != last_four:
        raise Conflict("KEY_REPLACED", f"the key in use ends in {row.last_four}")
    if row.revoked_at is not None:
        raise Conflict("KEY_REVOKED", f"it is revoked already, by {row.revoked_by}")
    return row


def key_name(row: Credential) -> str:
    """How the audit trail calls a key."""
    return f"{row.account.name}:{row.purpose}"
