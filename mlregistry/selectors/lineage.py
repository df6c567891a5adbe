"""Where a version comes from and what came of it: bars, training runs, champions it was trained beside."""

from __future__ import annotations

from typing import Any

from mlregistry.models import ModelVersion
from trading.selectors.notation import utc_text

MOST_NODES = 60


def lineage_graph(version: ModelVersion) -> dict[str, Any]:
    """Return a version's ancestors and descendants with the bars and runs they came from, as nodes and edges.

    Edges go from what was there to what was made of it: bars to version, champion to the version trained beside it,
    whose states keep its names where they match.
    """
    family = list(
        ModelVersion.objects.filter(family=version.family_id)
        .select_related("dataset", "run")
        .defer("artefact")
        .order_by("number")
    )
    by_id = {one.pk: one for one in family}
    related = {version.pk}
    above = version.parent_id
    while above is not None and above in by_id and above not in related:
        related.add(above)
        above = by_id[above].parent_id
    for one in family:  # by number: a parent comes before its children
        if one.parent_id is not None and _descends(one, version.pk, by_id):
            related.add(one.pk)
    # The nearest in number, where there are too many to look at.
    near = sorted(related, key=lambda pk: abs(by_id[pk].number - version.number))
    kept = sorted(near[:MOST_NODES], key=lambda pk: by_id[pk].number)
    nodes: list[dict[str, Any]] = []
    edges: list[list[str]] = []
    seen: set[str] = set()
    for pk in kept:
        one = by_id[pk]
        name, data = f"version:{one.pk}", f"data:{one.dataset_id}"
        if data not in seen:
            seen.add(data)
            nodes.append(
                {
                    "id": data,
                    "kind": "data",
                    "label": f"{one.dataset.bars} bars to {one.dataset.end_at:%Y-%m-%d}",
                    "sha256": one.dataset.bars_sha256,
                }
            )
        nodes.append(
            {
                "id": name,
                "kind": "version",
                "label": f"version {one.number}",
                "version": one.number,
                "stage": one.stage,
                "this": one.pk == version.pk,
                "digest": one.digest,
                "run": str(one.run.uid) if one.run else None,
                "created_at": utc_text(one.created_at),
            }
        )
        edges.append([data, name])
        if one.parent_id in kept:
            edges.append([f"version:{one.parent_id}", name])
    return {"nodes": nodes, "edges": edges, "left_out": len(related) - len(kept)}


def _descends(one: ModelVersion, ancestor: int, by_id: dict[int, ModelVersion]) -> bool:
    at: int | None = one.parent_id
    walked: set[int] = set()
    while at is not None and at in by_id and at not in walked:
        if at == ancestor:
            return True
        walked.add(at)
        at = by_id[at].parent_id
    return False
