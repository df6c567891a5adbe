"""Canaries as the API and the pages show them."""

from __future__ import annotations

import math
from typing import Any

from django.db.models import QuerySet

from mlregistry.models import Canary
from nautilus_site.common.errors import NotFound
from trading.domain.values import decimal_text
from trading.selectors.notation import utc_text


def canary_queryset() -> QuerySet[Canary]:
    """Canaries with everything `canary_members` reads, newest first."""
    return Canary.objects.select_related("version__family", "champion", "follower", "strategy").order_by(
        "-id"
    )


def canary_get(uid: Any) -> Canary:
    """One canary.

    Raises
    ------
    NotFound : UNKNOWN_CANARY.
    """
    found = canary_queryset().filter(uid=uid).first()
    if found is None:
        raise NotFound("UNKNOWN_CANARY", f"no canary has the id {uid}")
    return found


def canaries_trading() -> dict[str, str]:
    """By the name of a canary's strategy, the one whose symbols and capital it has a part of; only those under way."""
    rows = Canary.objects.filter(ended_at=None).order_by("pk")
    return dict(rows.values_list("strategy__name", "follower__name"))


def canary_members(canary: Canary) -> dict[str, Any]:
    """The public members of a canary; `p_value` is the always-valid one."""
    return {
        "id": str(canary.uid),
        "model": canary.version.family.name,
        "version": canary.version.number,
        "version_id": canary.version_id,
        "champion": canary.champion.number,
        "strategy": canary.strategy.name,
        "champion_strategy": canary.follower.name,
        "state": canary.state,
        "rules": canary.rules,
        "capital": decimal_text(canary.capital),
        "champion_capital": decimal_text(canary.champion_capital),
        "step": canary.step,
        "step_at": utc_text(canary.step_at or canary.started_at),
        "intervals": canary.n,
        "log_e": canary.log_e,
        "best_log_e": canary.best_log_e,
        "harm_log_e": canary.harm_log_e,
        "p_value": math.exp(-max(0.0, canary.best_log_e)),
        "low": canary.low,
        "high": canary.high,
        "rails": canary.rails,
        "reason": canary.reason,
        "started_at": utc_text(canary.started_at),
        "checked_at": utc_text(canary.checked_at),
        "ended_at": utc_text(canary.ended_at),
        "cool_until": utc_text(canary.cool_until),
    }


def canary_detail(canary: Canary) -> dict[str, Any]:
    """A canary with every paired observation."""
    rows = canary.observations.order_by("number")
    return {
        **canary_members(canary),
        "observations": [
            {
                "from_at": utc_text(row.from_at),
                "to_at": utc_text(row.to_at),
                "canary_return": row.canary_return,
                "champion_return": row.champion_return,
            }
            for row in rows
        ],
    }
