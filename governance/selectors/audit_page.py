"""The audit trail as its page shows it: searched as the URL says, with what changed and where the chain stands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from django.http import QueryDict
from django.utils.dateparse import parse_datetime

from governance.domain.differences import differences
from governance.selectors.shell import shell_state
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import AuditEntry, AuditSeal, AuditVerification, UnsealedEntry
from nautilus_site.common.selectors.audit import AuditSearch, audit_page, waiting_among
from nautilus_site.common.services.audit_chain import audit_verify_tail
from nautilus_site.common.services.audit_digests import rows_as_stored
from nautilus_site.common.services.audit_losses import TARGET, audit_folder, audit_losses_accepted
from nautilus_site.common.services.audit_signing import SigningKeyUnusable, public_key, signer_there
from trading.selectors.exports import csv_text
from trading.selectors.notation import utc_text

PAGE, EXPORT_PAGE = 100, 2_000
_EXPORTED = ("id", "at", "actor", "action", "target", "reason", "before", "after", "request_id")
COUNTED = 10_000
_LONGEST = 160


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What the URL asks for; empty text means all. Times without a zone are UTC."""

    actor: str = ""
    action: str = ""
    target: str = ""
    text: str = ""
    since: str = ""
    until: str = ""
    request_id: str = ""
    before: str = ""

    @classmethod
    def from_query(cls, query: QueryDict) -> AuditFilter:
        """Read and check the query string.

        Raises
        ------
        ApplicationError : INVALID_FILTER.
        """
        values = {field.name: query.get(field.name, "").strip()[:_LONGEST] for field in fields(cls)}
        if any("\x00" in value for value in values.values()):
            raise ApplicationError("INVALID_FILTER", "a filter holds a NUL character")
        before = values["before"]
        if before and not (before.isascii() and before.isdigit() and len(before) < 19):
            raise ApplicationError("INVALID_FILTER", "before: expected the number of an entry")
        chosen = cls(**values)
        chosen.search()
        return chosen

    def search(self) -> AuditSearch:
        return AuditSearch(
            actor=self.actor,
            action=self.action,
            target=self.target,
            text=self.text,
            since=_moment("since", self.since),
            until=_moment("until", self.until),
            request_id=self.request_id,
        )


def audit_page_state(chosen: AuditFilter) -> dict[str, Any]:
    """A page of entries, where to go on, and the chain. Nothing here counts the whole trail."""
    page = audit_page(chosen.search(), before=int(chosen.before) if chosen.before else None, size=PAGE)
    waiting = waiting_among([entry.pk for entry in page.entries])
    return {
        **shell_state(),
        "filter": asdict(chosen),
        "entries": [entry_row(entry, entry.pk not in waiting) for entry in page.entries],
        "older": page.older,
        "stopped": page.stopped,
        "chain": chain_members(),
        "verification": verification_members(),
        "signing": signing_members(),
    }


def audit_export_pages(chosen: AuditFilter, *, below: int) -> Iterator[str]:
    """Yield the CSV of every entry that matches, newest first: the head, then pages. One page is in memory."""
    yield csv_text([_EXPORTED])
    for entries in _pages(chosen, below):
        yield csv_text([_exported(entry) for entry in entries])


def audit_bundle_rows(chosen: AuditFilter, *, below: int) -> Iterator[list[dict[str, Any]]]:
    """Yield every entry that matches as it is stored, newest first, in pages. One page is in memory."""
    for entries in _pages(chosen, below):
        numbers = [entry.pk for entry in entries]
        yield list(rows_as_stored(AuditEntry.objects.filter(pk__in=numbers)).order_by("-pk"))


def _pages(chosen: AuditFilter, below: int) -> Iterator[list[AuditEntry]]:
    before: int | None = below
    while before is not None:
        page = audit_page(chosen.search(), before=before, size=EXPORT_PAGE)
        if page.entries:
            yield page.entries
        before = page.older


def _exported(entry: AuditEntry) -> list[Any]:
    texts = [
        "" if value is None else json.dumps(value, sort_keys=True) for value in (entry.before, entry.after)
    ]
    own = [entry.pk, entry.at, entry.actor_name, entry.action, entry.target, entry.reason]
    return [*own, *texts, entry.request_id]


def entry_row(entry: AuditEntry, is_sealed: bool) -> dict[str, Any]:
    """An entry as a table row, with each member that changed."""
    changes, more = differences(entry.before, entry.after)
    first = changes[0] if changes else None
    rest = len(changes) + more - 1
    summary = f"{first.path or 'value'}: {_short(first.before)} → {_short(first.after)}" if first else ""
    return {
        "id": entry.pk,
        "at": utc_text(entry.at),
        "actor": entry.actor_name,
        "action_name": entry.action,
        "target": entry.target,
        "summary": summary + (f" and {rest} more" if rest > 0 else ""),
        "reason": entry.reason,
        "request_id": entry.request_id,
        "sealed": {"tone": "good", "text": "sealed"} if is_sealed else {"tone": "warn", "text": "waiting"},
        "changes": [asdict(change) for change in changes],
        "more": more,
    }


def chain_members() -> dict[str, Any]:
    """Sealed up to when, waiting, known lost, and whether the newest part still matches."""
    newest = AuditSeal.objects.order_by("-pk").only("pk", "hash", "sealed_at").first()
    waiting = UnsealedEntry.objects.all()[:COUNTED].count()
    intact, accepted = audit_verify_tail(), audit_losses_accepted()
    return {
        "lamp": {"tone": "good", "text": "newest seals match"}
        if intact
        else {"tone": "bad", "text": "BROKEN: run the verification"},
        "seal": newest.pk if newest else None,
        "head": newest.hash if newest else "",
        "sealed_at": utc_text(newest.sealed_at) if newest else None,
        "waiting": f"{COUNTED} or more" if waiting == COUNTED else str(waiting),
        "lost": len(accepted.lost),
        "accepted": list(accepted.sentences),
        "loss_target": TARGET,
    }


def signing_members() -> dict[str, Any]:
    """The public key exports and head lines are signed for, and whether this host can sign."""
    told = {"public_key": "", "can_sign": False}
    try:
        told["public_key"] = public_key(audit_folder()) or ""
        told["can_sign"] = signer_there(audit_folder()) is not None
    except SigningKeyUnusable as error:
        told["public_key"] = told["public_key"] or f"unusable: {error}"
    return told


def verification_members() -> dict[str, Any] | None:
    """The newest verification of the whole trail; the page follows it while it runs."""
    row = AuditVerification.objects.order_by("-id").first()
    if row is None:
        return None
    return {
        "id": row.pk,
        "state": row.state,
        "rows": row.rows,
        "total": row.total,
        "first_bad_id": row.first_bad_id,
        "problem": row.problem,
        "unsealed": row.unsealed,
        "lost": row.lost,
        "finished_at": utc_text(row.finished_at),
    }


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


def _moment(name: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise ApplicationError("INVALID_FILTER", f"{name}: expected a time such as 2026-11-30T15:00")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
