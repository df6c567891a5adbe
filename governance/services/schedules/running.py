"""Who may send a periodic job now, and how its last run went."""

from __future__ import annotations

from typing import Any, Final

from django.db import connection

from governance.domain.schedules import CLOCK_AHEAD_S, earliest_gap_s
from trading.services.schedules import by_hand

ASKED: Final = "asked_run"
"""Header of the message of a run that a person asked for: its number."""

_CREATE = """
INSERT INTO governance_schedulestate (name, since, sent_by, result, error, runs, failures, refused)
VALUES (%s, clock_timestamp(), '', '', '', 0, 0, 0) ON CONFLICT (name) DO NOTHING
"""
# By the database's clock: two beats on two hosts agree on it. The row lock makes the second one wait, and then lose.
_CLAIM = """
UPDATE governance_schedulestate SET sent_at = clock_timestamp(), sent_by = %(holder)s
 WHERE name = %(name)s
   AND (sent_at IS NULL OR sent_at <= clock_timestamp() - make_interval(secs => %(gap)s)
        OR sent_at > clock_timestamp() + make_interval(secs => %(ahead)s))
"""
_REFUSE = "UPDATE governance_schedulestate SET refused = refused + 1 WHERE name = %s"
_FINISH = """
INSERT INTO governance_schedulestate
    (name, since, sent_by, result, error, runs, failures, failures_in_row, failing_since, refused, finished_at,
     duration_s)
VALUES (%(name)s, clock_timestamp(), '', %(result)s, %(error)s, 1, %(failed)s, %(failed)s,
        CASE WHEN %(failed)s = 1 THEN clock_timestamp() END, 0, clock_timestamp(), %(took)s)
ON CONFLICT (name) DO UPDATE SET
    result = excluded.result, error = excluded.error, finished_at = excluded.finished_at,
    duration_s = excluded.duration_s, runs = governance_schedulestate.runs + 1,
    failures = governance_schedulestate.failures + excluded.failures,
    failures_in_row = CASE excluded.failures_in_row WHEN 0 THEN 0 ELSE governance_schedulestate.failures_in_row + 1 END,
    failing_since = CASE excluded.failures_in_row WHEN 0 THEN NULL
                    ELSE coalesce(governance_schedulestate.failing_since, excluded.failing_since) END
"""
# A message that is delivered again has begun already.
_START = "UPDATE governance_schedulestate SET started_at = clock_timestamp() WHERE name = %s"
_START_ASKED = """
UPDATE governance_schedulerun SET started_at = clock_timestamp()
 WHERE id = %s AND name = %s AND started_at IS NULL
"""
_FINISH_ASKED = """
UPDATE governance_schedulerun
   SET finished_at = clock_timestamp(), duration_s = %(took)s, result = %(result)s, error = %(error)s
 WHERE id = %(run)s AND name = %(name)s AND finished_at IS NULL
"""


def schedule_claim(*, name: str, every_s: float, holder: str) -> bool:
    """Claim the next message of a job. False when it was sent less than nine tenths of its period ago, by anybody.

    One that was sent in what is now the future was sent before the clock was put back, and holds up nobody.
    """
    parameters: dict[str, Any] = {
        "name": name,
        "gap": earliest_gap_s(every_s),
        "ahead": CLOCK_AHEAD_S,
        "holder": holder[:80],
    }
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, parameters)
        if cursor.rowcount:
            return True
        cursor.execute(_CREATE, [name])
        if cursor.rowcount:
            cursor.execute(_CLAIM, parameters)  # another beat may have seen the new row, too
            if cursor.rowcount:
                return True
        cursor.execute(_REFUSE, [name])
        return False


def asked_run_of(request: Any) -> int | None:
    """The run a message is of that a person asked for; None: beat sent it."""
    number = getattr(request, ASKED, None)
    return number if isinstance(number, int) else None


def schedule_started(*, name: str, task: str, asked_run: int | None = None) -> None:
    """Write down that a worker has taken up a run, of jobs that may be run by hand: another must not be sent beside it.

    The others run every second; nobody asks for them, and this would be a write for each.
    """
    if not by_hand(task).may:
        return
    with connection.cursor() as cursor:
        cursor.execute(_START, [name[:200]])
        if asked_run is not None:
            cursor.execute(_START_ASKED, [asked_run, name[:200]])


def schedule_finished(*, name: str, took_s: float, error: str = "", asked_run: int | None = None) -> None:
    """Write down how a run ended; an empty error is a good end."""
    parameters: dict[str, Any] = {
        "name": name[:200],
        "result": "failed" if error else "ok",
        "error": error[:300],
        "failed": int(bool(error)),
        "took": took_s,
    }
    with connection.cursor() as cursor:
        cursor.execute(_FINISH, parameters)
        if asked_run is not None:
            cursor.execute(_FINISH_ASKED, {**parameters, "run": asked_run})
