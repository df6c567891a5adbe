"""Celery tasks of governance. Each finds its work in Postgres, and each may run twice or late."""

from __future__ import annotations

from celery import shared_task

from governance.services.capital import capital_run_if_due, runs_prune
from governance.services.routing import routing_run


@shared_task
def capital_tick() -> None:
    """Every ten seconds: run the allocator when its policy says it is time."""
    capital_run_if_due()


@shared_task
def routing_tick() -> None:
    """Every ten seconds: bring the weights to what the set and the regimes say now."""
    routing_run()


@shared_task
def housekeeping() -> None:
    """Hourly: forget what nobody looks at any more."""
    runs_prune()
