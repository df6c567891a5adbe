"""The Celery application. Messages carry ids only; Postgres is the queue of record."""

from __future__ import annotations

import ctypes
import os
import signal
import warnings
from typing import Any

from celery import Celery
from celery.platforms import SecurityWarning
from celery.signals import setup_logging, task_postrun, task_prerun, worker_init, worker_process_init
from kombu.message import Message

from nautilus_site.common.processes import process_kind

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nautilus_site.settings.local")

app = Celery("nautilus")
app.config_from_object("django.conf:settings", namespace="CELERY")
if process_kind() != "beat":
    # Beat sends names; what stands behind them is the workers' to load.
    app.autodiscover_tasks()

PR_SET_PDEATHSIG = 1

# Messages are JSON with ids only, so a worker that runs as root deserialises nothing that could act as root.
warnings.filterwarnings("ignore", category=SecurityWarning)


def _ack_or_reconnect(message: Message, logger: Any, errors: Any, multiple: bool = False) -> None:
    """Acknowledge, or let the worker connect anew.

    kombu only logs a broker that does not answer. The message then keeps its place among those a worker has in hand,
    one here, and the worker takes no other until the visibility timeout: it looks alive and does nothing.
    """
    try:
        message.ack(multiple=multiple)  # type: ignore[no-untyped-call]
    except errors as error:
        logger.critical("Couldn't ack %r, reason:%r", message.delivery_tag, error)
        raise


@worker_init.connect
def reconnect_when_an_acknowledgement_is_lost(**_: Any) -> None:
    """A worker whose broker stood still for a while goes on afterwards."""
    setattr(Message, "ack_log_error", _ack_or_reconnect)  # noqa: B010  a method of theirs


@worker_process_init.connect
def die_with_the_worker(**_: Any) -> None:
    """Let no pool child outlive a worker that was killed with -9 (Linux)."""
    libc = ctypes.CDLL(None)
    prctl = getattr(libc, "prctl", None)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@task_prerun.connect
def number_the_run(task: Any = None, **_: Any) -> None:
    """Log lines and audit entries of a run carry the request that caused it, else a number of their own."""
    from nautilus_site.common.requests import CAUSE, request_begin

    request = getattr(task, "request", None)
    # A worker makes every header of a message a member of the request; a task that is called has them in one.
    headers = getattr(request, "headers", None) or {}
    request_begin(headers.get(CAUSE) or getattr(request, CAUSE, ""))


@task_postrun.connect
def end_the_run(**_: Any) -> None:
    from nautilus_site.common.requests import request_end

    request_end()


@setup_logging.connect
def use_our_logging(**_: Any) -> None:
    """Keep Celery from replacing the logging set up by the common app."""
    from nautilus_site.common.logs import configure_logging

    configure_logging()
