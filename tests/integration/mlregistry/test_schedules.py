"""What the registry does by itself: a row beat reads for each task, each task known, and old bytes that go."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from mlregistry import tasks
from mlregistry.models import ModelVersion
from mlregistry.receivers import SCHEDULES
from mlregistry.services.register import version_register

pytestmark = pytest.mark.django_db


def test_every_schedule_of_the_registry_is_a_row_and_its_task_exists() -> None:
    rows = {row.name: row for row in PeriodicTask.objects.select_related("interval")}
    for name, task, queue, every_s, _ in SCHEDULES:
        assert (rows[name].task, rows[name].queue, rows[name].interval.every) == (task, queue, every_s)
        assert getattr(tasks, task.rpartition(".")[2]).name == task


def test_what_is_old_and_never_traded_is_pruned_by_the_schedule(
    settings: Any, tmp_path: Path, encoded: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.NAUTILUS_HOME = tmp_path
    monkeypatch.setattr(tasks, "KEEP", 1)
    old, new = (version_register(encoded=encoded[name], metrics={}, actor="test") for name in encoded)
    ModelVersion.objects.update(created_at=timezone.now() - timedelta(days=91))
    tasks.prune_tick()
    for version, gone in ((old, True), (new, False)):
        version.artefact.refresh_from_db()
        assert (version.artefact.pruned_at is not None) is gone
