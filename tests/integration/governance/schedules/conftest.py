"""The one job there is."""

from __future__ import annotations

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask

JOB = "governance.tasks.compliance_tick"


@pytest.fixture
def job(db: None) -> PeriodicTask:
    """The only job there is, every ten seconds, never run."""
    PeriodicTask.objects.all().delete()
    interval, _ = IntervalSchedule.objects.get_or_create(every=10, period=IntervalSchedule.SECONDS)
    return PeriodicTask.objects.create(name="test job", task=JOB, queue="governance", interval=interval)
