"""The training queue: start what is queued, each in a process of its own. Safe to run twice."""

from __future__ import annotations

import subprocess
import sys

import structlog
from celery import shared_task
from django.conf import settings

from mlregistry.services.training import training_claim

log = structlog.get_logger(__name__)
_children: list[subprocess.Popen[bytes]] = []


@shared_task(name="mlregistry.tasks.training_tick", queue="training", ignore_result=True)
def training_tick() -> None:
    """Start queued runs while there are free slots.

    A fit may take longer than any message may: it runs in a child with low priority, which says that it lives in
    its own row. The worker only starts it.
    """
    _children[:] = [child for child in _children if child.poll() is None]
    while (run := training_claim(slots=settings.TRAINING_SLOTS)) is not None:
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "train", "--run", str(run.uid)]
        _children.append(subprocess.Popen(command, stdin=subprocess.DEVNULL))  # noqa: S603  our own interpreter
        log.info("training_started", run=str(run.uid), family=run.family.name)
