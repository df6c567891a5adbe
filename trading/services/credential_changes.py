"""Another exchange key for a purpose: an admin proposes it sealed, a risk officer decides, nobody sees it again."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, NotFound
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import Rows
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.change_requests import change_request_create
from trading.models import Account, CandidateKey, Credential
from trading.services.credentials import secret_seal

KIND = "credential.replace"
_KEY = re.compile(r"[A-Za-z0-9_\-]{16,128}")
_SECRET = re.compile(r"[\x20-\x7e\n]{16,4096}")
USED_FOR = {
    Credential.Purpose.EXECUTOR: "places and cancels orders",
    Credential.Purpose.FEED: "hears the user stream",
    Credential.Purpose.WATCHDOG: "cancels on its own when the rest fails",
    Credential.Purpose.EXPORTER: "reads for the metrics",
}


def credential_request(
    *,
    account: str,
    purpose: str,
    api_key: str,
    api_secret: str,
    requester: User,
    reason: str,
    expires_in_s: int | None = None,
) -> ChangeRequest:
    """Ask for a key to be used for a purpose from now on. Its secret is sealed before it is stored anywhere.

    Raises
    ------
    ApplicationError : INVALID_KEY; the message never holds the secret.  NotFound : UNKNOWN_ACCOUNT.
    """
    target = f"key:{account}:{purpose}"
    before = credential_snapshot(target)
    if _KEY.fullmatch(api_key) is None:
        raise ApplicationError("INVALID_KEY", "api_key: expected 16 to 128 letters, digits, - and _")
    if _SECRET.fullmatch(api_secret) is None:
        raise ApplicationError("INVALID_KEY", "api_secret: expected 16 to 4096 printable characters")
    last_four = api_key[-4:]
    return change_request_create(
        kind=KIND,
        target=target,
        payload={
            "api_key": api_key,
            "last_four": last_four,
            "sealed": base64.b64encode(secret_seal(api_secret)).decode(),
        },
        diff={"key ends in": [before["last_four"], last_four]},
        seen=before,
        reason=reason,
        requester=requester,
        expires_in_s=expires_in_s,
    )


def credential_snapshot(target: str) -> dict[str, Any]:
    """The key in use: a request is void once it was replaced by another."""
    account, purpose = _named(target)
    row = Credential.objects.filter(account=account, purpose=purpose).first()
    if row is None:
        return {"last_four": None, "since": None}
    return {"last_four": row.last_four, "since": row.created_at.isoformat()}


def credential_rows(target: str) -> Rows:
    """The key in use, and the one that may come into use: whoever looks at that holds it until it is."""
    account, purpose = _named(target)
    return [
        CandidateKey.objects.filter(account=account, purpose=purpose, state=CandidateKey.State.WAITING),
        Credential.objects.filter(account=account, purpose=purpose),
    ]


def credential_effect(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What goes through the new key once it was found to be in order."""
    account, purpose = _named(target)
    return {
        "account": account.name,
        "venue": account.venue.name,
        "purpose": f"{purpose.value}: {USED_FOR[purpose]}",
        "first": "a worker opens it and asks the exchange what it may do; a key that may withdraw is refused",
        "the old key": "stays in use until then; revoke it at the exchange afterwards",
    }


def apply_credential(request: ChangeRequest, approver: User) -> None:
    """Let workers look at the sealed key, which replaces the one in use if it may do what it should and no more."""
    account, purpose = _named(request.target)
    waiting = CandidateKey.objects.select_for_update(no_key=True).filter(
        account=account, purpose=purpose, state=CandidateKey.State.WAITING
    )
    waiting.update(state=CandidateKey.State.SUPERSEDED, sealed_secret=b"", decided_at=now())
    CandidateKey.objects.create(
        account=account,
        purpose=purpose,
        api_key=request.payload["api_key"],
        sealed_secret=base64.b64decode(request.payload["sealed"]),
        last_four=request.payload["last_four"],
        approval=request.pk,
        approved_by=f"{request.requester} and {approver}",
        reason=request.reason,
        created_at=now(),
    )
    audit_record(
        action="credential.approved",
        target=f"{account.name}:{purpose}",
        actor=f"{request.requester} and {approver}",
        reason=request.reason,
        before={"last_four": credential_snapshot(request.target)["last_four"]},
        after={"last_four": request.payload["last_four"]},
    )


def _named(target: str) -> tuple[Account, Credential.Purpose]:
    name, _, purpose = target.removeprefix("key:").partition(":")
    account = Account.objects.select_related("venue").filter(name=name).first()
    if account is None:
        raise NotFound("UNKNOWN_ACCOUNT", f"no account is called {name!r}")
    if purpose not in Credential.Purpose.values:
        raise ApplicationError(
            "INVALID_KEY", f"purpose: expected one of {', '.join(Credential.Purpose.values)}"
        )
    return account, Credential.Purpose(purpose)
