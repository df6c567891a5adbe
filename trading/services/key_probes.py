"""An approved key comes into use once a worker has opened it, reached the exchange with it and seen what it may do.

Until then, and for ever where it is refused, the key before it stays in use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

import structlog
from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.outbox import publish
from trading.domain.errors import VenueError, VenueRejected
from trading.domain.ports import ExecutionVenue
from trading.models import Account, CandidateKey, Credential
from trading.services.credentials import AS_NEW, credential_open, secret_open
from trading.services.key_checks import key_verdict
from trading.services.key_owners import identity_note, key_owner

log = structlog.get_logger(__name__)
TRADES: Final = frozenset({Credential.Purpose.EXECUTOR, Credential.Purpose.WATCHDOG})
RETRY: Final = timedelta(seconds=15)
GIVEN_UP: Final = timedelta(hours=24)
Connect = Callable[[Account, str, str], ExecutionVenue]
State = CandidateKey.State


def keys_to_probe() -> list[int]:
    """Candidates whose turn it is, oldest first."""
    moment = now()
    waiting = CandidateKey.objects.filter(state=State.WAITING, account__is_active=True).order_by("pk")
    return [row.pk for row in waiting if row.retry_at is None or row.retry_at <= moment]


def key_probe(*, candidate_id: int, connect: Connect) -> str:
    """Look at one candidate and put it in use, refuse it, or try again later. Returns its state.

    Only where secrets can be opened; `connect(account, api_key, secret)` makes a connection nothing is counted on:
    a candidate that the exchange refuses must not look like our own key being refused.

    Raises
    ------
    ApplicationError : NO_CREDENTIAL, in the web process.
    """
    candidate = CandidateKey.objects.select_related("account__venue").get(pk=candidate_id)
    if candidate.state != State.WAITING:
        return str(candidate.state)
    flags: Mapping[str, bool] = {}
    identity = ""
    try:
        secret = secret_open(bytes(candidate.sealed_secret))
        venue = connect(candidate.account, candidate.api_key, secret)
        venue.balances()  # the secret signs, and the key reads this market
        flags, faults = key_verdict(
            venue, market=candidate.account.market, trades=candidate.purpose in TRADES
        )
        known = _in_use_tells(candidate.account, connect)
        identity, strange = key_owner(candidate.account, venue, known=known)
        faults += strange
    except ApplicationError as error:
        if error.status == HTTPStatus.FORBIDDEN:
            raise  # this process opens no secrets, which says nothing about the key
        faults = [error.message]
    except VenueRejected as error:
        faults = [f"the exchange refuses the key: {error.code}"]
    except VenueError as error:
        return _later(candidate_id, f"the exchange did not answer: {type(error).__name__}")
    return _refuse(candidate_id, flags, faults) if faults else _use(candidate_id, flags, identity)


def _in_use_tells(account: Account, connect: Connect) -> str:
    """The account as a key in use tells it, kept from then on; empty where none is in use.

    Raises
    ------
    ApplicationError : KEY_OWNER_UNKNOWN, there are keys in use and the exchange takes none of them.
    VenueError : the exchange did not answer.
    """
    if account.venue_identity:
        return account.venue_identity
    in_use = Credential.objects.filter(account=account, revoked_at=None)
    purposes = list(in_use.values_list("purpose", flat=True))
    for purpose in purposes:
        try:
            told = connect(account, *credential_open(account=account, purpose=purpose)).identity()
        except VenueRejected:
            continue  # revoked already, or it does not read: another may tell
        if told:
            identity_note(account, told)
            return told
    if purposes:
        raise ApplicationError(
            "KEY_OWNER_UNKNOWN",
            f"no key in use tells which account at the exchange is that of {account.name}, so none can be compared",
        )
    return ""


@transaction.atomic
def _later(candidate_id: int, why: str) -> str:
    candidate = _locked(candidate_id)
    if candidate.state != State.WAITING:
        return str(candidate.state)
    if now() - candidate.created_at > GIVEN_UP:
        return _decide(candidate, State.REFUSED, {}, f"{why}, for a day")
    candidate.attempts += 1
    candidate.result, candidate.retry_at = why, now() + RETRY
    candidate.save(update_fields=["attempts", "result", "retry_at"])
    return str(candidate.state)


@transaction.atomic
def _refuse(candidate_id: int, flags: Mapping[str, bool], faults: list[str]) -> str:
    candidate = _locked(candidate_id)
    if candidate.state != State.WAITING:
        return str(candidate.state)
    return _decide(candidate, State.REFUSED, flags, "; ".join(faults))


@transaction.atomic
def _use(candidate_id: int, flags: Mapping[str, bool], identity: str) -> str:
    candidate = _locked(candidate_id)
    if candidate.state != State.WAITING:
        return str(candidate.state)
    identity_note(candidate.account, identity)
    before = Credential.objects.filter(account=candidate.account, purpose=candidate.purpose).first()
    Credential.objects.update_or_create(
        account=candidate.account,
        purpose=candidate.purpose,
        defaults={
            "api_key": candidate.api_key,
            "sealed_secret": bytes(candidate.sealed_secret),
            "last_four": candidate.last_four,
            "created_at": now(),
            **AS_NEW,
        },
    )
    return _decide(candidate, State.IN_USE, flags, "", before=before.last_four if before else None)


def _decide(
    candidate: CandidateKey,
    state: CandidateKey.State,
    flags: Mapping[str, bool],
    result: str,
    *,
    before: str | None = None,
) -> str:
    candidate.state, candidate.flags, candidate.result = state, dict(flags), result
    candidate.sealed_secret, candidate.decided_at, candidate.retry_at = b"", now(), None
    candidate.attempts += 1
    candidate.save()
    used = state == State.IN_USE
    after: dict[str, Any] = {
        "last_four": candidate.last_four,
        "may": sorted(n for n, on in flags.items() if on),
    }
    audit_record(
        action="credential.replaced" if used else "credential.refused",
        target=f"{candidate.account.name}:{candidate.purpose}",
        actor=candidate.approved_by if used else "key probe",
        reason=candidate.reason if used else result,
        before={"last_four": before} if used else None,
        after=after,
    )
    publish(
        "approvals",
        {
            "id": str(candidate.approval),
            "kind": "credential.replace",
            "target": f"key:{candidate.account.name}:{candidate.purpose}",
            "state": "applied",
            "probe": state.value,
        },
    )
    log.info("key_probed", account=candidate.account.name, purpose=candidate.purpose, state=state.value)
    return state.value


def _locked(candidate_id: int) -> CandidateKey:
    return (
        CandidateKey.objects.select_for_update(of=("self",), no_key=True)
        .select_related("account")
        .get(pk=candidate_id)
    )
