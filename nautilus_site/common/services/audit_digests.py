"""The canonical text of the audit trail's rows, and the digests over it.

What was sealed keeps the form it was sealed in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast

from nautilus_site.common.models import AuditEntry

GENESIS = "0" * 64
FIRST_FORM, FORM = 1, 2
"""The first form read JSON as numbers, so that 0.1 and 0.10 were one, and left out when the seal was made."""

_COLUMNS = (
    "id",
    "at",
    "actor_id",
    "actor_name",
    "action",
    "target",
    "reason",
    "before",
    "after",
    "request_id",
)
_AS_STORED = {f"{name}_text": Cast(name, TextField()) for name in ("before", "after")}
STORED_COLUMNS = tuple(f"{name}_text" if f"{name}_text" in _AS_STORED else name for name in _COLUMNS)


def entry_digests(entries: QuerySet[AuditEntry], form: int) -> dict[int, str]:
    """The digest of each of these entries, by its id, in a form."""
    if form == FIRST_FORM:
        rows = entries.values(*_COLUMNS)
        return {row["id"]: first_entry_digest(row) for row in rows}
    return {row["id"]: entry_digest(row) for row in rows_as_stored(entries)}


def rows_as_stored(entries: QuerySet[AuditEntry]) -> QuerySet[AuditEntry, dict[str, Any]]:
    """The columns an entry's digest is of."""
    rows: QuerySet[AuditEntry, dict[str, Any]] = entries.annotate(**_AS_STORED).values(*STORED_COLUMNS)
    return rows


def entry_digest(row: Mapping[str, Any]) -> str:
    """sha256 of an entry's columns as a JSON list; before and after are the text Postgres keeps, or null for none."""
    texts = [row[name] for name in STORED_COLUMNS]
    texts[1] = row["at"].isoformat(timespec="microseconds")
    return _sha256(json.dumps(texts, separators=(",", ":"), ensure_ascii=False))


def first_entry_digest(row: Mapping[str, Any]) -> str:
    """The first form: an object with sorted keys, before and after as their values."""
    text = json.dumps(
        {**row, "at": row["at"].isoformat(timespec="microseconds")},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )
    return _sha256(text)


def seal_digest(
    form: int, previous: str, sealed_at: datetime, ids: Sequence[int], digests: Sequence[str]
) -> str:
    """The link: its form and time, the previous link, then `id:digest` of each entry, one a line."""
    head = [] if form == FIRST_FORM else [str(form), sealed_at.isoformat(timespec="microseconds")]
    lines = [*head, previous, *(f"{number}:{digest}" for number, digest in zip(ids, digests, strict=True))]
    return _sha256("\n".join(lines))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
