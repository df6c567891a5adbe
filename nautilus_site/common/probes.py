"""Is it alive, may traffic come, which build is it, how is it doing."""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest, multiprocess
from redis.exceptions import RedisError

from nautilus_site.common.addresses import request_address
from nautilus_site.common.api.authentication import bearer_token
from nautilus_site.common.api.problems import plain_problem
from nautilus_site.common.build import commit_sha, migration_heads
from nautilus_site.common.collectors import RegisteredCollectors, register_collector
from nautilus_site.common.roles import permits
from nautilus_site.common.services.powers import permissions_now
from nautilus_site.common.services.tokens import token_user

__all__ = ["livez", "metrics", "readyz", "register_collector", "register_readiness", "version"]

log = structlog.get_logger(__name__)

Check = Callable[[], str | None]
"""Returns None when all is well, else one sentence saying what is not."""

_started = time.monotonic()
_checks: dict[str, Check] = {}


def register_readiness(name: str, check: Check) -> None:
    """Add a dependency to /readyz. Registering a name again replaces it."""
    _checks[name] = check


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """200 while the process serves at all; asks nobody."""
    return JsonResponse({"status": "ok", "uptime_s": round(time.monotonic() - _started, 1)})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when every dependency answers, else 503 naming those that do not."""
    results = {name: _outcome(name, check) for name, check in _checks.items()}
    failing = {name: problem for name, problem in results.items() if problem}
    body: dict[str, Any] = {
        "status": "unavailable" if failing else "ok",
        "checks": {name: problem or "ok" for name, problem in results.items()},
        "failing": sorted(failing),
    }
    return JsonResponse(body, status=503 if failing else 200)


@require_safe
def version(request: HttpRequest) -> HttpResponse:
    """The build that answers."""
    sha = commit_sha()
    return JsonResponse({"version": "1", "sha": sha, "build": sha[:12], "migrations": migration_heads()})


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text for a client on this machine, elsewhere for a `read:metrics` token."""
    if not _may_scrape(request):
        refused = plain_problem(request, "NOT_AUTHENTICATED", "a token that may read:metrics is needed", 401)
        refused["WWW-Authenticate"] = 'Bearer realm="metrics"'
        return refused
    registry: CollectorRegistry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):  # prometheus_client's own switch
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    own = CollectorRegistry()
    own.register(RegisteredCollectors())
    text = generate_latest(registry)
    try:
        text += generate_latest(own)
    except DatabaseError as error:
        log.warning("collectors_unavailable", error=type(error).__name__)
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)


def _may_scrape(request: HttpRequest) -> bool:
    token = bearer_token(request.headers.get("Authorization", ""))
    if token is not None:
        found = token_user(token, address=request_address(request)) if token else None
        return found is not None and permits(permissions_now(found[0], found[1].scopes), "read:metrics")
    # Behind a proxy every client comes from the proxy's address: only a loopback bind is trusted as such.
    return _is_loopback(request.META.get("REMOTE_ADDR", "")) and _is_loopback(settings.BIND)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _outcome(name: str, check: Check) -> str | None:
    try:
        return check()
    except Exception as error:  # noqa: BLE001  a check that cannot tell means: not ready
        log.warning("readiness_check_failed", name=name, error=type(error).__name__)
        return f"the check failed: {type(error).__name__}"


def _database() -> str | None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return f"Postgres does not answer: {type(error).__name__}"
    return None


def _broker() -> str | None:
    try:
        cache.set("readyz", "1", timeout=5)
        return None if cache.get("readyz") == "1" else "the cache does not keep what it is given"
    except (RedisError, OSError) as error:
        return f"the broker does not answer: {type(error).__name__}"


_migrated = False


def _migrations() -> str | None:
    global _migrated
    if _migrated:
        return None
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if pending:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in pending[:5])
        return f"{len(pending)} migrations are not applied: {names}"
    _migrated = True
    return None


register_readiness("database", _database)
register_readiness("broker", _broker)
register_readiness("migrations", _migrations)
