"""Which champion of a family a rollback would put back in force, and why there is none."""

from __future__ import annotations

from mlregistry.domain.rollbacks import Move, standing_champions
from mlregistry.domain.stages import Stage
from mlregistry.models import ModelFamily, ModelVersion, StageChange


def rollback_target(family: ModelFamily) -> tuple[ModelVersion | None, str]:
    """The version before the present champion, or None and why: a rollback only ever goes further back."""
    moves = _moves(family)
    present = ModelVersion.objects.filter(family=family, stage=Stage.CHAMPION).first()
    standing = [version for version in standing_champions(moves) if present is None or version != present.pk]
    if standing:
        return ModelVersion.objects.select_related("family").get(pk=standing[-1]), ""
    served = {move.version for move in moves if move.to is Stage.CHAMPION}
    if present is not None:
        served.discard(present.pk)
    if not served:
        return None, f"no earlier champion of {family.name} is known"
    names = ModelVersion.objects.select_related("family").filter(pk__in=served).order_by("number")
    return None, (
        f"no earlier champion of {family.name} is left: {', '.join(str(version) for version in names)} "
        "went out of force since it was approved, and comes back by another approval only"
    )


def rollback_members(version: ModelVersion) -> dict[str, str | None] | None:
    """Of a champion: what a rollback would put in its place, or why it cannot. None for every other version."""
    if version.stage != Stage.CHAMPION:
        return None
    found, why = rollback_target(version.family)
    return {"to": str(found) if found else None, "why_not": why}


def _moves(family: ModelFamily) -> list[Move]:
    """The moves that bring a version into force or out of it, oldest first."""
    rows = StageChange.objects.filter(version__family=family).order_by("id")
    return [
        Move(row.version_id, Stage(row.from_stage) if row.from_stage else None, Stage(row.to_stage),
             bool(row.approval), row.actor)
        for row in rows.only("version_id", "from_stage", "to_stage", "approval", "actor")
    ]  # fmt: skip
