"""The Celery application. Messages carry ids only; Postgres is the queue of record."""

from __future__ import annotations

import ctypes
import os
import signal
import warnings
from typing import Any

from celery import Celery
from celery.platforms import SecurityWarning
from celery.signals import setup_logging, worker_process_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nautilus_site.settings.local")

app = Celery("nautilus")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

PR_SET_PDEATHSIG = 1

# Messages are JSON with ids only, so a worker that runs as root deserialises nothing that could act as root.
warnings.filterwarnings("ignore", category=SecurityWarning)


@worker_process_init.connect
def die_with_the_worker(**_: Any) -> None:
    """Let no pool child outlive a worker that was killed with -9 (Linux)."""
    libc = ctypes.CDLL(None)
    prctl = getattr(libc, "prctl", None)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@setup_logging.connect
def use_our_logging(**_: Any) -> None:
    """Keep Celery from replacing the logging set up by the common app."""
    from nautilus_site.common.logs import configure_logging

    configure_logging()
