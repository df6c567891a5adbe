"""The periodic tasks, as rows that beat reads; created where missing, an operator's changes stay."""

from __future__ import annotations

from collections.abc import Iterable

from django_celery_beat.models import IntervalSchedule, PeriodicTask

# name, task, queue, seconds, seconds after which a late message is worthless
SCHEDULES = (
    ("trading tick", "trading.tasks.trading_tick", "trading", 1, 2),
    ("control tick", "trading.tasks.control_tick", "control", 1, 2),
    ("equity tick", "trading.tasks.equity_tick", "control", 2, 4),
    ("jobs tick", "trading.tasks.jobs_tick", "governance", 2, 4),
    ("research tick", "trading.tasks.research_tick", "training", 10, 15),
    ("books tick", "trading.tasks.books_tick", "control", 10, 10),
    ("housekeeping", "trading.tasks.housekeeping", "universe", 3600, 600),
    ("instruments sync", "universe.tasks.instruments_sync_task", "universe", 300, 120),
    ("listings watch", "trading.tasks.listings_watch", "universe", 15, 10),
    ("funding follow", "universe.tasks.funding_follow_task", "universe", 120, 60),
    ("bars prune", "universe.tasks.bars_prune_task", "universe", 3600, 600),
)


def schedules_install(schedules: Iterable[tuple[str, str, str, int, int]] = SCHEDULES) -> None:
    """Create every schedule that is not there yet, and have each worked on where it belongs.

    How often it runs, and whether, is an operator's; which worker runs it is not.
    """
    for name, task, queue, every_s, expires_s in schedules:
        interval, _ = IntervalSchedule.objects.get_or_create(every=every_s, period=IntervalSchedule.SECONDS)
        row, _ = PeriodicTask.objects.get_or_create(
            name=name,
            defaults={"task": task, "queue": queue, "interval": interval, "expire_seconds": expires_s},
        )
        if (row.task, row.queue) != (task, queue):
            row.task, row.queue = task, queue
            row.save(update_fields=["task", "queue"])
