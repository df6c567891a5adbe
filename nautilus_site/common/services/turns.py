"""One at a time: what people change about the same platform is judged and written one after the other."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import connection, transaction

P = ParamSpec("P")
R = TypeVar("R")


def one_at_a_time(change: Callable[P, R]) -> Callable[P, R]:
    """Serialise what people change: a transaction that no other such change, and no approval, runs beside.

    Whether a change raises risk is judged against what is in force. Were that to move between the look and the
    write, two people who each lower something could together raise it, and an approval could undo a tightening.
    Levels and machines do not wait here: what they do only ever lowers, and an approval locks the rows it compares.
    """

    @wraps(change)
    def alone(*args: P.args, **kwargs: P.kwargs) -> R:
        with transaction.atomic():
            wait_for_turn()
            return change(*args, **kwargs)

    return alone


def wait_for_turn() -> None:
    """Wait until no other such change is on its way; held until the end of the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", ["governed.change"])
