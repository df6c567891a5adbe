"""The alarm for a process that is silent, rung by the relay: it hangs on no tick, so on none of the workers.

What was seen is noted with the last sign of life itself. So nothing is told twice, whichever relay looks, and the next
sign takes the note away.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from governance.domain.processes import (
    NOTE,
    REQUIRED,
    Sign,
    is_confirmed,
    is_silent,
    silence_words,
)
from governance.services.schedules.silence import beat_silent_s
from nautilus_site.common.clock import now
from nautilus_site.common.services.hints import send_hint
from nautilus_site.common.services.outbox import publish
from trading.models import ProcessHeartbeat
from trading.services.heartbeats import heartbeat

KIND = "process_silent"


def signs() -> list[Sign]:
    """The last sign of each required kind that ever gave one; a feed that only stands by counts for none."""
    rows = ProcessHeartbeat.objects.filter(name__in=REQUIRED).order_by("name")
    return [Sign(row.kind, row.beat_at, row.started_at, row.detail or {}) for row in rows]


def processes_watch() -> None:
    """Say that the relay lives, and tell of what does not; while worker-jobs is dead, by another worker."""
    heartbeat(kind="relay")
    silent = silences_confirmed()
    for sign in silent:
        if not is_told(sign):
            _tell(sign)
    if any(sign.kind == "worker-jobs" for sign in silent):
        send_hint("governance.tasks.notifications_tick", queue="control", worthless_after_s=5.0)


@transaction.atomic
def _tell(sign: Sign) -> None:
    title, meaning = silence_words(sign, now=now())
    publish(
        "incidents",
        {
            "kind": KIND,
            "scope": scope_of(sign.kind),
            "severity": REQUIRED[sign.kind].severity,
            "title": title,
            "reason": meaning,
            "state": "open",
        },
    )
    silence_told(sign)


def silences_confirmed() -> list[Sign]:
    """Processes that are silent, and were when somebody looked before. Notes what is seen for the first time."""
    moment, confirmed = now(), []
    everybody = signs()
    if beat_silent_s() is not None:
        # Their ticks are not sent: that is told as what it is. Afterwards each has time to run one.
        _forget(sign for sign in everybody if REQUIRED[sign.kind].by_ticks)
        everybody = [sign for sign in everybody if not REQUIRED[sign.kind].by_ticks]
    for sign in everybody:
        if not is_silent(sign, now=moment):
            continue
        if NOTE not in sign.detail:
            _note(sign, {"since": moment.isoformat()})
        elif is_confirmed(sign, now=moment):
            confirmed.append(sign)
    return confirmed


def is_told(sign: Sign) -> bool:
    """Whether people were told of this silence."""
    return bool(sign.detail[NOTE].get("told"))


def silence_told(sign: Sign) -> None:
    """Note that people were told of this silence."""
    _note(sign, {**sign.detail[NOTE], "told": True})


def scope_of(kind: str) -> str:
    return f"process:{kind}"


def _note(sign: Sign, note: dict[str, object]) -> None:
    # Unless it has given another sign by now.
    ProcessHeartbeat.objects.filter(name=sign.kind, beat_at=sign.beat_at).update(
        detail={**sign.detail, NOTE: note}
    )


def _forget(seen: Iterable[Sign]) -> None:
    for sign in seen:
        if NOTE in sign.detail and not is_told(sign):
            kept = {name: value for name, value in sign.detail.items() if name != NOTE}
            ProcessHeartbeat.objects.filter(name=sign.kind, beat_at=sign.beat_at).update(detail=kept)
