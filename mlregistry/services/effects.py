"""What the second person should know of a promotion or an envelope: whose capital the model decides about."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from mlregistry.domain.stages import Stage
from mlregistry.models import GateVerdict, ModelVersion
from mlregistry.selectors.verdicts import champion_followers
from nautilus_site.common.clock import now
from trading.selectors.what_if import capital_share, strategy_capital

_WEEK = timedelta(days=7)


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
        "decides_for": followers or "no strategy",
        "capital": f"{capital:.2f} USDT",
        "share_of_equity": capital_share(capital),
    }


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
