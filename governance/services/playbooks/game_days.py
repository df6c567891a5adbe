"""Game days: playbooks rehearsed one after another with one word, which goes on by itself and can be called off."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction

from governance.domain.playbooks import PLAYBOOKS
from governance.models import GameDay, Rehearsal
from governance.selectors.game_days import game_day_waits
from governance.services.playbooks.changing import playbook_get
from governance.services.playbooks.rehearsing import UNDER_WAY, check_ends, rehearsal_start
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict, NotFound
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.powers import person_may

log = structlog.get_logger(__name__)
State = GameDay.State
_NEED_ORDERS = ("venue_lag", "reject_spike", "unprotected_position")
"""First, before anything that was rehearsed stands in the way of orders; hard stops, which stop everything, last."""


def game_day_start(*, playbooks: Sequence[str], actor: User, reason: str) -> GameDay:
    """Begin one over these playbooks, over all of them where none is named. A later tick rehearses the first.

    Raises
    ------
    NotFound : UNKNOWN_PLAYBOOK.  ApplicationError : REASON_REQUIRED.
    Conflict : NOT_LOCAL, GAME_DAY_UNDER_WAY, REHEARSAL_UNDER_WAY.
    Forbidden : REVIEWER_REQUIRED, as of each rehearsal.
    """
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    if settings.BINANCE_ENV != "local":
        raise Conflict("NOT_LOCAL", "rehearsals put faults into the paper exchange only")
    names = _ordered(playbooks or list(PLAYBOOKS))
    for name in names:
        check_ends(playbook_get(name), actor)
    if Rehearsal.objects.filter(state__in=UNDER_WAY).exists():
        raise Conflict("REHEARSAL_UNDER_WAY", "one fault at a time")
    try:
        with transaction.atomic():
            row = GameDay.objects.create(
                requested_by=actor, reason=reason.strip()[:500], playbooks=names, started_at=now()
            )
            audit_record(
                action="playbook.game_day_started",
                target=f"game_day:{row.pk}",
                actor=actor,
                reason=reason,
                after={"playbooks": names},
            )
    except IntegrityError:
        raise Conflict("GAME_DAY_UNDER_WAY", "a game day is under way already") from None
    return row


@transaction.atomic
def game_day_cancel(*, game_day_id: int, actor: User | str, reason: str) -> GameDay:
    """Rehearse no more of them. The fault that is in is taken out with the next tick, and marked as far as it came.

    Raises
    ------
    NotFound : UNKNOWN_GAME_DAY.  Conflict : GAME_DAY_OVER.  ApplicationError : REASON_REQUIRED.
    """
    row = GameDay.objects.select_for_update(no_key=True).filter(pk=game_day_id).first()
    if row is None:
        raise NotFound("UNKNOWN_GAME_DAY", "no such game day")
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    if row.state != State.RUNNING:
        raise Conflict("GAME_DAY_OVER", "the game day is over already")
    Rehearsal.objects.filter(game_day=row, state=Rehearsal.State.WATCHING).update(deadline_at=now())
    _end(row, State.CANCELED, actor=actor, reason=reason)
    return row


@transaction.atomic
def game_days_step() -> int:
    """Put in the next fault of the game day under way, once the one before is over. Returns how many ended."""
    row = (
        GameDay.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
        .select_related("requested_by")
        .filter(state=State.RUNNING)
        .first()
    )
    if row is None or Rehearsal.objects.filter(state__in=UNDER_WAY).exists():
        return 0
    over = {*row.skipped, *row.rehearsals.values_list("playbook__name", flat=True)}
    left = [name for name in row.playbooks if name not in over]
    if not left:
        _end(row, State.DONE, actor="guardian", reason="every playbook had its turn")
        return 1
    person = row.requested_by
    if not person.is_active or not person_may(person, "playbooks.operate"):
        _end(row, State.CANCELED, actor="guardian", reason=f"{person.username} may rehearse no more")
        return 1
    _, until = game_day_waits(row)
    if until is not None and now() < until:
        return 0
    try:
        rehearsal_start(name=left[0], actor=person, reason=f"game day {row.pk}: {row.reason}", game_day=row)
    except ApplicationError as error:
        row.skipped[left[0]] = error.message
        row.save(update_fields=["skipped"])
        log.info("game_day_skipped", playbook=left[0], why=error.message)
    return 0


def _end(row: GameDay, state: State, *, actor: User | str, reason: str) -> None:
    row.state, row.finished_at = state, now()
    row.save(update_fields=["state", "finished_at"])
    audit_record(
        action=f"playbook.game_day_{state.value}", target=f"game_day:{row.pk}", actor=actor, reason=reason
    )


def _ordered(names: Sequence[str]) -> list[str]:
    catalogue = list(PLAYBOOKS)
    for name in names:
        playbook_get(name)

    def turn(name: str) -> tuple[bool, bool, int]:
        return PLAYBOOKS[name].family == "governor", name not in _NEED_ORDERS, catalogue.index(name)

    return sorted(set(names), key=turn)
