"""Reads of the audit trail, newest first, whose cost does not grow with the trail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from nautilus_site.common.models import AuditEntry, UnsealedEntry, User

WINDOW = 20_000
"""Entry numbers looked through at a time where no index helps."""
WINDOWS = 10
"""How many windows one page looks through before it stops and offers to go on."""
DISORDER = timedelta(seconds=5)
"""Entries are numbered when they are inserted and timed just before, so their times are almost in order."""
_FIRST, _LAST = datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 1, 1, tzinfo=UTC)
"""Nothing is recorded beyond, and the disorder added to a time at the very end of the calendar is no time."""


@dataclass(frozen=True, slots=True)
class AuditSearch:
    """What is looked for; empty means all. `action` and `target` ending in `*` mean "begins with"."""

    actor: str = ""
    action: str = ""
    target: str = ""
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries, newest first. `older` continues below them, None at the end; `stopped` says that the page ends
    because enough was looked through, not because it is full.
    """

    entries: list[AuditEntry]
    older: int | None
    stopped: bool = False


def audit_page(search: AuditSearch, *, before: int | None = None, size: int = 100) -> AuditPage:
    """One page of the entries that match, numbered below `before`.

    A person, a request, an exact action or an exact target is found by index. Anything else is looked for window
    by window, a bounded number of entries a page, so that a rare word costs several short pages and not one long
    query.
    """
    bottom, top = numbered_between(search.since, search.until)
    top = top if before is None else min(top, before)
    entries = _matching(search).order_by("-pk")
    if _is_indexed(search):
        found = list(entries.filter(pk__gte=bottom, pk__lt=top)[: size + 1])
        return AuditPage(found[:size], found[size - 1].pk if len(found) > size else None)
    found = []
    for _ in range(WINDOWS):
        low = max(bottom, top - WINDOW)
        found += entries.filter(pk__lt=top, pk__gte=low)[: size + 1 - len(found)]
        if len(found) > size:
            return AuditPage(found[:size], found[size - 1].pk)
        top = low
        if top <= bottom:
            return AuditPage(found, None)
    return AuditPage(found, top, stopped=True)


def numbered_between(since: datetime | None, until: datetime | None) -> tuple[int, int]:
    """Numbers around the entries of a time: from the first on, below the second. A little wider than asked."""
    oldest, newest = _oldest() or 0, _newest()
    bottom = oldest if since is None else _first_entry_at(max(since, _FIRST) - DISORDER, oldest, newest)
    top = newest + 1 if until is None else _first_entry_at(min(until, _LAST) + DISORDER, oldest, newest)
    return bottom, top


def of_actor(entries: QuerySet[AuditEntry], name: str) -> QuerySet[AuditEntry]:
    """Those of a person, by the index of people, or of a process; all where no name is given."""
    if not name:
        return entries
    person = User.objects.filter(username=name).first()
    return entries.filter(actor=person) if person else entries.filter(actor_name=name)


def waiting_among(numbers: list[int]) -> set[int]:
    """Which of these entries are not sealed yet."""
    return set(UnsealedEntry.objects.filter(pk__in=numbers).values_list("pk", flat=True))


def _first_entry_at(moment: datetime, low: int, high: int) -> int:
    """The number of about the first entry not before a moment, by halving; `high + 1` when all are older."""
    found = high + 1
    while low <= high:
        middle = (low + high) // 2
        entry = AuditEntry.objects.filter(pk__gte=middle).order_by("pk").values_list("pk", "at").first()
        if entry is None or entry[1] >= moment:
            found, high = entry[0] if entry else found, middle - 1
        else:
            low = entry[0] + 1
    return found


def _matching(search: AuditSearch) -> QuerySet[AuditEntry]:
    entries = of_actor(AuditEntry.objects.all(), search.actor)
    for name, wanted in (("action", search.action), ("target", search.target)):
        if wanted.endswith("*"):
            entries = entries.filter(**{f"{name}__startswith": wanted[:-1]})
        elif wanted:
            entries = entries.filter(**{name: wanted})
    if search.request_id:
        entries = entries.filter(request_id=search.request_id)
    if search.since is not None:
        entries = entries.filter(at__gte=search.since)
    if search.until is not None:
        entries = entries.filter(at__lt=search.until)
    if search.text:
        entries = entries.alias(
            before_text=Cast("before", TextField()), after_text=Cast("after", TextField())
        ).filter(
            Q(reason__icontains=search.text)
            | Q(target__icontains=search.text)
            | Q(before_text__icontains=search.text)
            | Q(after_text__icontains=search.text)
        )
    return entries


def _is_indexed(search: AuditSearch) -> bool:
    """Whether an index leads to the entries, however rare they are, and no other condition thins them out."""
    if search.request_id:
        return True
    if search.text:
        return bool(search.target) and not search.target.endswith("*")
    if search.action.endswith("*") or search.target.endswith("*"):
        return False
    exact = bool(search.action or search.target)
    return exact or (bool(search.actor) and User.objects.filter(username=search.actor).exists())


def _newest() -> int:
    return AuditEntry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def _oldest() -> int | None:
    return AuditEntry.objects.order_by("pk").values_list("pk", flat=True).first()
