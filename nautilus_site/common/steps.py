"""Steps of a tick that fail by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from django.db import DatabaseError, InterfaceError, connection

from nautilus_site.common.errors import ApplicationError
from trading.domain.errors import DomainError

log = structlog.get_logger(__name__)


class StepsFailed(Exception):
    """Steps of a tick that failed, by name: the tick did what it could, and did not end well."""


def steps_alone(*steps: Callable[[], object]) -> None:
    """Take each step whatever becomes of the others; at the end raise StepsFailed, so that the run counts as failed."""
    failed: list[str] = []
    for step in steps:
        with step_alone(step.__name__, _into=failed):
            step()
    if failed:
        raise StepsFailed(", ".join(failed))


@contextmanager
def step_alone(step: str, *, _into: list[str] | None = None, **context: object) -> Iterator[None]:
    """Let one step of a tick fail by itself: an order, a key or a row in trouble never holds up the others.

    A bug in one of them is told with its traceback and stops that one only. So does a statement the database refuses; a
    database that is gone ends the tick.
    """
    failed = [] if _into is None else _into
    try:
        yield
    except (DomainError, ApplicationError) as error:
        failed.append(step)
        log.error("tick_step_failed", step=step, error=f"{type(error).__name__}: {error}"[:300], **context)
    except Exception as error:
        if isinstance(error, DatabaseError | InterfaceError) and not connection.is_usable():
            raise
        failed.append(step)
        log.error("tick_step_broken", step=step, error=repr(error)[:300], exc_info=True, **context)
