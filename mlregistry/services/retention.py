"""Forgetting the bytes of models that never served. What served is kept, by a trigger and not by this code."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import Q

from mlregistry.domain.stages import Stage
from mlregistry.models import GateVerdict, ModelArtefact, ModelVersion, StageChange
from mlregistry.services.artefacts import artefact_store
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record

SERVED = (Stage.CANARY, Stage.CHAMPION)
OLDER_THAN_DAYS, KEEP = 90, 20
"""What is pruned unless told otherwise, and once a day."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """One version whose bytes go or went, and how many they are."""

    version: str
    digest: str
    size: int

    def members(self) -> dict[str, object]:
        """Return it as JSON members."""
        return {"version": self.version, "digest": self.digest, "bytes": self.size}


def versions_prunable(*, older_than_days: int, keep: int) -> list[ModelVersion]:
    """Versions whose bytes may be forgotten: candidates and retired ones that never traded, old, not the newest.

    The row of each version stays, with its lineage, scores, verdicts and history; only the bytes go.

    Parameters
    ----------
    keep : of each family, the newest so many versions whatever they are.

    Raises
    ------
    ApplicationError : INVALID_RETENTION.
    """
    if older_than_days < 1 or keep < 0:
        raise ApplicationError(
            "INVALID_RETENTION",
            f"expected a day or more and 0 or more to keep, were {older_than_days} and {keep}",
        )
    served = StageChange.objects.filter(to_stage__in=SERVED).values("version__artefact")
    judged_now = GateVerdict.objects.filter(state__in=("queued", "running")).values("version")
    rows = (
        ModelVersion.objects.filter(
            stage__in=(Stage.CANDIDATE, Stage.RETIRED),
            created_at__lt=now() - timedelta(days=older_than_days),
            artefact__pruned_at=None,
        )
        .exclude(Q(artefact__in=served) | Q(pk__in=judged_now))
        .select_related("family", "artefact")
        .order_by("pk")
    )
    newest = {
        pk
        for family in {row.family_id for row in rows}
        for pk in ModelVersion.objects.filter(family=family)
        .order_by("-number")
        .values_list("pk", flat=True)[:keep]
    }
    return [row for row in rows if row.pk not in newest]


def artefacts_prune(
    *, older_than_days: int, keep: int, actor: User | str, dry_run: bool = False
) -> list[Pruned]:
    """Forget the bytes of every prunable version, in the database and on this host; return which.

    Raises
    ------
    ApplicationError : as `versions_prunable`.
    """
    found = []
    for version in versions_prunable(older_than_days=older_than_days, keep=keep):
        size = len(version.artefact.document) + len(version.artefact.arrays)
        found.append(Pruned(str(version), version.digest, size))
        if not dry_run:
            _prune(version, actor)
    return found


@transaction.atomic
def _prune(version: ModelVersion, actor: User | str) -> None:
    ModelArtefact.objects.filter(pk=version.digest).update(document=b"", arrays=b"", pruned_at=now())
    audit_record(
        action="model.pruned", target=f"model:{version}", actor=actor, after={"digest": version.digest}
    )
    transaction.on_commit(lambda: shutil.rmtree(artefact_store().root / version.digest, ignore_errors=True))
