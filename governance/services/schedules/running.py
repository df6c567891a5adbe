"""Who may send a periodic job now, and how its last run went."""

from __future__ import annotations

from typing import Any

from django.db import connection

from governance.domain.schedules import CLOCK_AHEAD_S, earliest_gap_s

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


def schedule_finished(*, name: str, took_s: float, error: str = "") -> None:
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
