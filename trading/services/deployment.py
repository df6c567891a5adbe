"""Which build may send: commit, migrations and the rails as compiled in. The lease row refuses any other.

A worker of the last deployment that was left running (or one of the next, started too early) gets no lease and sends
nothing; that it asked is logged, counted and audited.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from functools import cache

import structlog

from nautilus_site.common.build import commit_sha, migration_heads
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.leases import deployment_announce, deployment_build
from trading import metrics
from trading.domain.risk.reasons import DenyReason
from trading.services.controls.limit_kinds import LIMITS

log = structlog.get_logger(__name__)
_told: set[str] = set()


@cache
def build_identity() -> str:
    """Commit, a dash, and a digest of migration heads and rails: equal for equal code, readable in a row."""
    rails = [sorted(reason.value for reason in DenyReason)]
    limits = [[kind.name, kind.unit, kind.tighter, kind.bucket or ""] for kind in LIMITS.values()]
    text = json.dumps([commit_sha(), migration_heads(), rails, limits], sort_keys=True)
    return f"{commit_sha()[:12]}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def build_deploy(*, actor: str = "prepare") -> str:
    """Make this build the one that may send."""
    before = deployment_announce(build_identity())
    if before != build_identity():
        audit_record(
            action="build.deployed",
            target=DEPLOYMENT_TARGET,
            actor=actor,
            before={"build": before},
            after={"build": build_identity()},
        )
    return build_identity()


DEPLOYMENT_TARGET = "build"


def build_refused(lease: str) -> bool:
    """Tell, and say once where people look, that a lease was refused because another build is deployed."""
    deployed = deployment_build()
    if not deployed or deployed == build_identity():
        return False
    metrics.BUILD_REFUSED.inc()
    log.error("build_refused", lease=lease, ours=build_identity(), deployed=deployed)
    if deployed not in _told:
        _told.add(deployed)
        audit_record(
            action="build.refused",
            target=lease,
            actor=f"{socket.gethostname()}:{os.getpid()}",
            reason="a worker of another build asked for a lane and got none",
            after={"ours": build_identity(), "deployed": deployed},
        )
    return True
