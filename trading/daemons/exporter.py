"""The exporter: the read-only half of the pair. It publishes account and market metrics and has no way to trade."""

from __future__ import annotations

import signal
import threading
from types import FrameType

import structlog
from django.conf import settings
from django.db import DatabaseError, close_old_connections
from prometheus_client import CollectorRegistry, start_http_server

from nautilus_site.common.collectors import RegisteredCollectors
from trading.services.heartbeats import heartbeat

log = structlog.get_logger(__name__)
HEARTBEAT_S = 2.0


def run() -> None:
    """Serve `/metrics` on EXPORTER_PORT until SIGTERM."""
    registry = CollectorRegistry()
    registry.register(RegisteredCollectors())
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    server, thread = start_http_server(settings.EXPORTER_PORT, addr=settings.BIND, registry=registry)
    log.info("exporter_ready", port=settings.EXPORTER_PORT)
    while not stopping.wait(HEARTBEAT_S):
        try:
            close_old_connections()
            heartbeat(kind="exporter")
        except DatabaseError as error:
            log.warning("exporter_heartbeat_failed", error=type(error).__name__)
    server.shutdown()
    thread.join(timeout=2)
