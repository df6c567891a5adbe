"""A process that carries out a job says that it lives, also while it says nothing of the job itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from django.db import Error, connection
from django.db.models import QuerySet

from nautilus_site.common.clock import now

log = structlog.get_logger(__name__)

EVERY_S = 10.0


@contextmanager
def signs_of_life(row: QuerySet[Any], *, every_s: float = EVERY_S) -> Iterator[None]:
    """Write `beat_at` of a row every few seconds until the block is left.

    Before its first step a fit reads bars, imports and compiles: on a busy machine for longer than a job may be
    silent, and a job that is silent is given to somebody else. Ends by itself once the row is not in `row` any more.

    Parameters
    ----------
    row : the running job, narrowed to this attempt.
    """
    over = threading.Event()

    def beat() -> None:
        try:
            while not over.wait(every_s):
                try:
                    if not row.update(beat_at=now()):
                        return
                except Error as error:
                    log.warning("sign_of_life_not_written", error=str(error)[:300])
                    connection.close()
        finally:
            connection.close()

    thread = threading.Thread(target=beat, name="signs-of-life", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
