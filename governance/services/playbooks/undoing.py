"""Taking back what a playbook did. All of it raises risk, so each step becomes a request for a second person."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from django.db import transaction
from django.db.models import QuerySet

from governance.domain.playbooks import Verb
from governance.models import Incident, PlaybookAction
from governance.selectors.steps import Standing, StepStanding, step_standing
from governance.services.playbooks.incidents import incident_locked, incident_note
from governance.services.playbooks.trimming import trim_undo
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.change_requests import request_is_good
from nautilus_site.common.services.turns import one_at_a_time
from trading.domain.values import Level
from trading.services.controls import latched_level, limit_change, resume_request
from trading.services.controls.blackouts import blackout_end_request
from trading.services.strategies import strategy_enable_request

State = PlaybookAction.State
_IN_FORCE = (State.DONE, State.VERIFIED)


@one_at_a_time
def incident_undo(*, incident_id: int, requester: User, reason: str) -> list[ChangeRequest]:
    """Ask for everything that was done because of an incident to be taken back. Nothing changes until approved.

    Only what a step left is taken back: where it is over by itself or was taken back in another way, nothing is
    asked for; where somebody has put something stricter in its place, that is theirs and stays. Of steps that left the
    same, the newest is asked for and answers for all. A level another incident's step had latched before is asked for
    where that one is over. A step that may not be taken back yet refuses the whole.

    Raises
    ------
    Conflict : REVIEW_REQUIRED, a hard stop nobody has reviewed, this one or another that holds the same scope;
        NOTHING_TO_UNDO.
    ApplicationError : REASON_REQUIRED.
    """
    incident = incident_locked(incident_id)
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    if incident.needs_review and incident.reviewed_at is None:
        raise Conflict("REVIEW_REQUIRED", "a hard stop is reviewed before anything is undone")
    why = f"undo of incident {incident.pk}: {reason.strip()}"
    made: list[ChangeRequest] = []
    left: list[str] = []
    asked: dict[tuple[str, ...], str] = {}
    # Newest run first, and in it a level before anything else, as it was raised.
    for row in _locked().filter(run__incident=incident, state__in=_IN_FORCE).order_by("-run_id", "pk"):
        same = _same(row)
        if row.undo_request:
            asked.setdefault(same, row.undo_request)
            continue
        found = _standing(row)
        if found.standing is Standing.in_force and same in asked:
            # What it left was over when the newer step left it again; that one's request takes it back.
            row.undo_request = asked[same]
            row.save(update_fields=["undo_request"])
        elif found.standing is Standing.in_force:
            made += _ask(row, requester, why)
            asked[same] = row.undo_request
        elif found.standing is Standing.over:
            row.state = State.UNDONE
            row.save(update_fields=["state"])
        else:
            left.append(found.said)
    found_latched = PlaybookAction.objects.filter(
        run__incident=incident, verb=Verb.kill, state=State.STANDING
    )
    for scope in sorted(set(found_latched.values_list("scope", flat=True))):
        made += _ask_of_holder(incident, scope, requester, why, left)
    if not made:
        said = "".join(f"; {said}" for said in left)
        raise Conflict("NOTHING_TO_UNDO", f"nothing that was done because of it is in force any more{said}")
    incident_note(
        incident,
        actor=requester.username,
        what=f"undo asked for: {len(made)} request{'' if len(made) == 1 else 's'}",
        detail={"requests": [str(request.pk) for request in made], "left": left},
    )
    return made


def _ask_of_holder(
    incident: Incident, scope: str, requester: User, reason: str, left: list[str]
) -> list[ChangeRequest]:
    """Ask for a level this incident's step found latched by another's, down to what was before that.

    Finding it raised the version, so a request of before is void. A rehearsal takes back no more than rehearsals did.
    """
    latched_level(scope)  # locked, as in `_standing`
    rows = _locked().filter(verb=Verb.kill, scope=scope, state__in=_IN_FORCE).exclude(run__incident=incident)
    rows = rows.filter(run__incident__is_rehearsal=incident.is_rehearsal).order_by("-pk")
    held = (row for row in rows if step_standing(row).standing is Standing.in_force)
    holder = next(held, None)
    if holder is None:
        return []
    other = holder.run.incident
    if other.state == Incident.State.OPEN:
        left.append(f"incident {other.pk} ({other.kind}) holds {scope} and is not over")
        return []
    if any(request_is_good(request) for request in _requests(holder)):
        left.append(f"that {scope} is resumed is asked for by the undo of incident {other.pk} already")
        return []
    return _ask(holder, requester, reason)


def undos_settle() -> int:
    """See what became of the requests that take steps back. Returns how many are decided.

    Approved: the step is undone. Rejected, expired or void: it can be asked for again, where it is in force still.
    """
    asked = PlaybookAction.objects.filter(state__in=_IN_FORCE).exclude(undo_request="")
    return sum(_settle(pk) for pk in asked.order_by("pk").values_list("pk", flat=True))


@transaction.atomic
def _settle(pk: int) -> bool:
    row = (
        PlaybookAction.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
        .select_related("run__incident")
        .filter(pk=pk, state__in=_IN_FORCE)
        .exclude(undo_request="")
        .first()
    )
    requests = _requests(row) if row is not None else []
    if row is None or any(not _decided(request) for request in requests):
        return False
    refused = [request for request in requests if request.state != ChangeRequest.State.APPLIED]
    # A newer step asked, for both: what becomes of the request is told with that one.
    told_elsewhere = PlaybookAction.objects.filter(
        run__incident=row.run.incident_id, undo_request=row.undo_request, pk__gt=row.pk
    ).exists()
    found = step_standing(row)
    if requests and not refused and not (told_elsewhere and found.standing is Standing.in_force):
        row.state = State.UNDONE
        said = f"{row.verb} {row.scope} was taken back; {requests[0].approver} approved"
    else:
        row.undo_request = ""
        how = ", ".join(sorted({_ended(request) for request in refused})) or "gone"
        said = f"what was to take back {row.verb} {row.scope} is {how}"
        if found.standing is Standing.in_force:
            said = f"{row.verb} {row.scope} stays in force: what was to take it back is {how}"
        elif found.standing is Standing.over:
            row.state, said = State.UNDONE, f"{said}; it is over: {found.said}"
        else:
            said = f"{said}; {found.said}"
    row.save(update_fields=["state", "undo_request"])
    if not told_elsewhere:
        incident_note(row.run.incident, actor="guardian", what=said)
    return True


def _locked() -> QuerySet[PlaybookAction]:
    rows = PlaybookAction.objects.select_for_update(of=("self",), no_key=True)
    return rows.select_related("run__playbook", "run__incident")


def _same(row: PlaybookAction) -> tuple[str, ...]:
    """What two steps share where one request takes both back. Each window is a blackout of its own."""
    told = row.after or {}
    window = str(told.get("blackout", "")) if row.verb == Verb.blackout else ""
    return row.verb, row.scope, str(told.get("limit", "")), window


def _requests(row: PlaybookAction) -> list[ChangeRequest]:
    """The request that takes a step back; of a trim, which files one for each weight, all of them."""
    first = ChangeRequest.objects.select_related("approver").filter(pk=row.undo_request).first()
    if first is None or row.verb != Verb.trim:
        return [first] if first is not None else []
    filed = ChangeRequest.objects.filter(
        kind=first.kind, reason=first.reason, requester=first.requester, created_at__gte=first.created_at
    )
    return list(filed.select_related("approver").order_by("created_at"))


def _decided(request: ChangeRequest) -> bool:
    return request.state != ChangeRequest.State.PENDING or request.expires_at <= now()


def _ended(request: ChangeRequest) -> str:
    return "expired" if request.state == ChangeRequest.State.PENDING else str(request.state)


def _standing(row: PlaybookAction) -> StepStanding:
    """Where a step stands, with its level locked: nobody raises it between the look and the request."""
    if row.verb == Verb.kill:
        latched_level(row.scope)
    return step_standing(row)


def _ask(row: PlaybookAction, requester: User, reason: str) -> list[ChangeRequest]:
    outcome = _UNDO[Verb(row.verb)](row, requester, reason)
    asked = outcome if isinstance(outcome, list) else [outcome]
    requests = [item for item in asked if isinstance(item, ChangeRequest)]
    if requests:
        row.undo_request = str(requests[0].pk)
    else:  # what takes it back raised no risk, and is done
        row.state = State.UNDONE
    row.save(update_fields=["state", "undo_request"])
    return requests


def _kill(row: PlaybookAction, requester: User, reason: str) -> ChangeRequest:
    before = Level[(row.before or {}).get("level", "ACTIVE")]
    return resume_request(scope=row.scope, to_level=before, reason=reason, requester=requester)


def _blackout(row: PlaybookAction, requester: User, reason: str) -> ChangeRequest:
    return blackout_end_request(blackout_id=(row.after or {})["blackout"], requester=requester, reason=reason)


def _tighten(row: PlaybookAction, requester: User, reason: str) -> ChangeRequest | object:
    told = row.before or {}
    return limit_change(
        name=told["limit"], scope=row.scope, value=Decimal(told["value"]), reason=reason, actor=requester
    )


def _disable(row: PlaybookAction, requester: User, reason: str) -> ChangeRequest:
    return strategy_enable_request(name=row.scope.partition(":")[2], requester=requester, reason=reason)


_UNDO: dict[Verb, Callable[[PlaybookAction, User, str], object]] = {
    Verb.kill: _kill,
    Verb.blackout: _blackout,
    Verb.tighten: _tighten,
    Verb.trim: trim_undo,
    Verb.disable: _disable,
}
