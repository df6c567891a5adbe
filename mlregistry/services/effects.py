"""What the second person should know of a promotion or an envelope: whose capital the model decides about."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db.models import OuterRef, Subquery

from mlregistry.domain.stages import Stage
from mlregistry.models import GateVerdict, ModelVersion, ShadowDecision
from mlregistry.selectors.verdicts import champion_followers
from nautilus_site.common.clock import now
from trading.models import Decision
from trading.selectors.what_if import capital_share, strategy_capital

_WEEK = timedelta(days=7)
_APART = 0.05
"""Targets this far apart, as a share of the allocation, are another decision."""
_MOST = 20_000


def promotion_effect(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """The strategies that decide by it from then on, with their capital, and what it replaces."""
    version = ModelVersion.objects.select_related("family").get(pk=int(target.partition(":")[2]))
    champion = ModelVersion.objects.filter(family=version.family_id, stage=Stage.CHAMPION).first()
    followers = [row.name for row in champion_followers(version.family.name)]
    capital = sum((strategy_capital(name) for name in followers), Decimal(0))
    return {
        "gate": payload["gate"],
        **({"trial": payload["trial"]} if "trial" in payload else {}),
        "replaces": str(champion) if champion else "none",
        **_beside_what_traded(version),
        "decides_for": followers or "no strategy",
        "capital": f"{capital:.2f} USDT",
        "share_of_equity": capital_share(capital),
    }


def _beside_what_traded(version: ModelVersion) -> dict[str, Any]:
    """What the version wanted as a shadow at the bars of the last week, beside what was traded by at the same bars."""
    wanted = ShadowDecision.objects.filter(version=version, bar_open_at__gt=now() - _WEEK)
    traded = Decision.objects.filter(
        instance=OuterRef("instance"), bar_open_at=OuterRef("bar_open_at"), trigger=Decision.Trigger.BAR
    ).order_by("-id")
    both = list(
        wanted.annotate(was=Subquery(traded.values("target")[:1]))
        .filter(was__isnull=False)
        .values_list("target", "was")[:_MOST]
    )
    if not both:
        return {
            "bars_decided_last_7_days": 0,
            "would_have_decided_otherwise": "not known: it ran beside nothing",
        }
    otherwise = sum(abs(then - was) > _APART for then, was in both)
    return {
        "bars_decided_last_7_days": len(both),
        "would_have_decided_otherwise": otherwise,
        "invested_on_average_now": _percent(sum(abs(was) for _, was in both) / len(both)),
        "invested_on_average_then": _percent(sum(abs(then) for then, _ in both) / len(both)),
    }


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def envelope_effect(target: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """How many versions of the last week it would have covered, and how much capital each may move by itself."""
    family = target.partition(":")[2]
    passed = GateVerdict.objects.filter(
        version__family__name=family, passed=True, finished_at__gt=now() - _WEEK
    ).count()
    return {
        "by_itself": [name for name in ("canary", "champion") if payload.get(name)] or "nothing",
        "versions_past_the_gate_last_7_days": passed,
        "capital_of_a_canary_up_to": f"{payload.get('most_capital', 0)} USDT",
        "until": payload.get("until") or "no end",
    }
