"""structlog, set up once per process: JSON lines, or coloured text on a terminal."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

_SECRET_WORDS = ("secret", "password", "signature", "authorization", "api_key", "token", "cookie")


def redact(_: Any, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Blank every value whose name says it is a secret."""
    for key in event:
        if any(word in key.lower() for word in _SECRET_WORDS):
            event[key] = "[redacted]"
    return event


def not_a_probe(record: logging.LogRecord) -> bool:
    """Drop Django's line for each unready answer of a probe: whoever asks is told in the answer itself."""
    request = getattr(record, "request", None)
    return getattr(request, "path", "") not in ("/readyz", "/favicon.ico")


def configure_logging(level: str | None = None) -> None:
    from django.conf import settings

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: Any = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer(default=str)
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level or settings.LOG_LEVEL)
    for noisy in (
        "celery",
        "kombu",
        "amqp",
        "urllib3",
        "websockets",
        "asyncio",
        "httpx",
        "axes",
        "uvicorn.access",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("django.request").addFilter(not_a_probe)
