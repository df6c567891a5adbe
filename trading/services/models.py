"""Which model is in force for the strategies that follow a family; written here by the registry, read by steps."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction

from nautilus_site.common.clock import now
from nautilus_site.common.errors import NotFound
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.outbox import publish
from trading.domain.errors import DomainError
from trading.domain.strategies.parameters import ParameterError
from trading.models import ServingHeartbeat, Strategy

CHAMPION, CANARY = "champion", "canary"
log = structlog.get_logger(__name__)
_sources: list[Callable[[str], Any]] = []
_champions: list[Callable[[str], tuple[str, int] | None]] = []
_owners: list[Callable[[User, str], bool]] = []


def register_model_source(
    place: Callable[[str], Any], champion: Callable[[str], tuple[str, int] | None]
) -> None:
    """Say who puts a missing model's folder onto this host, and who knows champions; the registry does at start.

    `champion` gives a family's digest and version, None while it has none, and raises NotFound for no family.
    """
    _sources[:] = [place]
    _champions[:] = [champion]


def canary_name(follower: Strategy) -> str:
    """What the strategy is called that tries another version beside a champion's."""
    return f"{follower.name[:33]}-canary"


def register_model_owners(owns: Callable[[User, str], bool]) -> None:
    """Say who knows whose a model `FAMILY@NUMBER` is; the registry does at start."""
    _owners[:] = [owns]


def owns_model(person: User, name: str) -> bool:
    """Whether the model `FAMILY@NUMBER` is this person's; nobody's in a process without a registry."""
    return any(owns(person, name) for owns in _owners)


def champion_of(family: str) -> tuple[str, int] | None:
    """Digest and version of the model in force, None while there is none.

    Raises
    ------
    NotFound : UNKNOWN_MODEL.
    """
    for champion in _champions:
        return champion(family)
    raise NotFound("UNKNOWN_MODEL", "this process has no model registry")


def parameters_in_force(strategy: Strategy) -> dict[str, Any]:
    """A strategy's parameters, with the model in force where it follows a family.

    Raises
    ------
    ParameterError : no model of its family is in force, or its bytes cannot be had or were altered.
    """
    if not strategy.model_family:
        return dict(strategy.parameters)
    digest = strategy.model_digest
    if not digest:
        raise ParameterError("model", f"no version of {strategy.model_family} is in force")
    if not (Path(settings.NAUTILUS_HOME) / "models" / digest).is_dir():
        for place in _sources:
            try:
                place(digest)
            except (DomainError, OSError) as error:
                raise ParameterError("model", f"{digest[:12]} cannot be had here: {error}") from error
    return {**strategy.parameters, "model": digest}


def model_name(strategy: Strategy) -> str:
    """`family@version` of the model in force, as kills and orders name it; empty without one."""
    if not strategy.model_family or strategy.model_version is None:
        return ""
    return f"{strategy.model_family}@{strategy.model_version}"


def serving_note(strategy: Strategy) -> None:
    """Say that this process decides with the strategy's model now; the time since is kept while it stays the same."""
    if not strategy.model_family:
        return
    moment = now()
    worker = f"{socket.gethostname()}:{os.getpid()}"
    ServingHeartbeat.objects.update_or_create(
        worker=worker,
        strategy=strategy,
        defaults={"beat_at": moment},
        create_defaults={
            "beat_at": moment,
            "since": moment,
            "family": strategy.model_family,
            "version": strategy.model_version or 0,
            "digest": strategy.model_digest,
        },
    )
    ServingHeartbeat.objects.filter(worker=worker, strategy=strategy).exclude(
        digest=strategy.model_digest
    ).update(
        since=moment,
        family=strategy.model_family,
        version=strategy.model_version or 0,
        digest=strategy.model_digest,
    )


@transaction.atomic
def model_in_force_set(
    *, family: str, digest: str, version: int | None, actor: User | str, reason: str
) -> int:
    """Write a digest onto every strategy that follows the family; an empty one means that none may decide.

    Workers load it at their next step, within one heartbeat. Returns how many strategies follow.
    """
    followers = (
        Strategy.objects.select_for_update(no_key=True)
        .filter(model_family=family, model_stage=CHAMPION)
        .order_by("pk")
    )
    count = 0
    for strategy in followers:
        before = strategy.model_digest
        strategy.model_digest, strategy.model_version, strategy.updated_at = digest, version, now()
        strategy.save(update_fields=["model_digest", "model_version", "updated_at"])
        audit_record(
            action="strategy.model_in_force",
            target=f"strategy:{strategy.name}",
            actor=actor,
            reason=reason,
            before=before,
            after=digest,
        )
        publish("models", {"strategy": strategy.name, "family": family, "version": version, "digest": digest})
        count += 1
    return count
