"""How unsure a strategy's regime model is."""

from __future__ import annotations

from datetime import datetime
from statistics import fmean

from governance.domain.playbooks import entropy_bits
from governance.domain.regimes import regime_probabilities
from governance.services.playbooks.measures.unmeasured import name_of
from trading.domain.breakers import Reading
from trading.models import Decision


def entropy_change(scope: str, since: datetime, moment: datetime) -> Reading:
    """Mean entropy of the strategy's regime probabilities, the newer half of the window less the older, bits."""
    entropies = entropies_of(scope, since)
    half = len(entropies) // 2
    if not half:
        return Reading(0.0, 0, "no regime probabilities were decided by")
    change = fmean(entropies[half:]) - fmean(entropies[:half])
    return Reading(
        change, len(entropies), f"entropy changed by {change:+.2f} bits over {len(entropies)} decisions"
    )


def entropies_of(scope: str, since: datetime) -> list[float]:
    """How unsure each decision of a strategy since then was of the regime, bits, oldest first."""
    rows = Decision.objects.filter(instance__strategy__name=name_of(scope), decided_at__gt=since)
    entropies = []
    for features in rows.order_by("pk").values_list("features", flat=True):
        told = list(regime_probabilities(features).values())
        total = sum(told)
        if told and total > 0:
            entropies.append(entropy_bits(p / total for p in told))
    return entropies
