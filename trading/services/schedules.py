"""The periodic tasks, as rows that beat reads; created where missing, an operator's changes stay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

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


@dataclass(frozen=True, slots=True)
class ByHand:
    """Whether one person may have a job run out of turn."""

    may: bool
    why: str
    """What makes it harmless, or what would be the harm."""


def yes(why: str) -> ByHand:
    return ByHand(True, why)


def no(why: str) -> ByHand:
    return ByHand(False, why)


# Every job of SCHEDULES by its task. Running one early must neither allow more, nor renew, nor count anything.
BY_HAND: Final[Mapping[str, ByHand]] = {
    "trading.tasks.trading_tick": no("it places orders"),
    "trading.tasks.control_tick": no("it probes and closes breakers, and compares the books"),
    "trading.tasks.equity_tick": no("each mark is a sample that hard stops and breakers judge by"),
    "trading.tasks.jobs_tick": no("it is a sign of life, which nobody gives for a worker"),
    "trading.tasks.research_tick": yes("it takes up research jobs whose messages were lost"),
    "trading.tasks.books_tick": no("it corrects what the caps have in use, and books dust"),
    "trading.tasks.housekeeping": yes("it deletes only what is past its time"),
    "universe.tasks.instruments_sync_task": yes("it reads what the exchange says of its instruments"),
    "trading.tasks.listings_watch": no("what it finds is bought at once by who may buy listings"),
    "universe.tasks.funding_follow_task": yes("it reads the history of funding rates"),
    "universe.tasks.bars_prune_task": yes("it deletes only bars past their retention"),
}
_by_hand: dict[str, ByHand] = dict(BY_HAND)


def by_hand_register(jobs: Mapping[str, ByHand]) -> None:
    """Add what the apps above say of their own jobs."""
    _by_hand.update(jobs)


def by_hand(task: str) -> ByHand:
    """Whether a job may be run by hand. One nobody has judged may not."""
    return _by_hand.get(task, no("nobody has found out whether running it early is harmless"))


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
