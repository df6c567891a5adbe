"""Shadows beside the champion: how often they agree, and what each would have earned, before costs and after."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mlregistry.models import ModelVersion, ShadowDecision, ShadowTrack
from trading.models import Decision
from trading.selectors.notation import utc_text

COST = 0.0010
"""Fraction of a changed notional, as the venue's spot fee; shadow results inform, they never promote."""
AGREES = 0.1
"""Targets nearer than this lead to the same trades: it is the policies' default band."""
SHOWN, COUNTED = 20, 5000


def shadow_members(version: ModelVersion) -> dict[str, Any]:
    """A shadow's newest decisions and, over those the champion decided at too, both results side by side.

    The result of a decision is its target times the change of price to the next decision of the same instance, less the
    cost of changing the target: on paper, without book or fill.
    """
    rows = list(
        ShadowDecision.objects.filter(version=version)
        .select_related("instance__instrument", "instance__account")
        .order_by("-bar_open_at")[:COUNTED]
    )
    champions = _champion_targets(rows)
    own, other, agreed, pairs = 0.0, 0.0, 0, 0
    by_instance: dict[int, list[ShadowDecision]] = {}
    for row in reversed(rows):
        if (row.instance_id, row.bar_open_at) in champions:
            by_instance.setdefault(row.instance_id, []).append(row)
    for instance_id, decisions in by_instance.items():
        held = [0.0, 0.0]
        for here, after in zip(decisions, [*decisions[1:], None], strict=True):
            targets = [here.target, champions[(instance_id, here.bar_open_at)]]
            agreed += abs(targets[0] - targets[1]) < AGREES
            pairs += 1
            change = 0.0 if after is None else float(after.price / here.price) - 1.0
            results = [
                target * change - COST * abs(target - before)
                for target, before in zip(targets, held, strict=True)
            ]
            own, other, held = own + results[0], other + results[1], targets
    return {
        "decisions": len(rows),
        "paired": pairs,
        "agreement": round(agreed / pairs, 6) if pairs else None,
        "return": round(own, 9) if pairs else None,
        "champion_return": round(other, 9) if pairs else None,
        "refused": [
            {"instance": str(track.instance), "error": track.error}
            for track in ShadowTrack.objects.filter(version=version)
            .exclude(error="")
            .select_related("instance__strategy", "instance__instrument")
        ],
        "newest": [
            {
                "account": row.instance.account.name,
                "symbol": row.instance.instrument.symbol,
                "bar_open_at": utc_text(row.bar_open_at),
                "target": row.target,
                "champion_target": champions.get((row.instance_id, row.bar_open_at)),
                "confidence": row.confidence,
                "reason": row.reason,
            }
            for row in rows[:SHOWN]
        ],
    }


def _champion_targets(rows: list[ShadowDecision]) -> dict[tuple[int, datetime], float]:
    if not rows:
        return {}
    found = Decision.objects.filter(
        instance_id__in={row.instance_id for row in rows}, bar_open_at__gte=rows[-1].bar_open_at
    ).values_list("instance_id", "bar_open_at", "target")
    return {(instance, at): target for instance, at, target in found}
