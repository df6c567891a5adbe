"""What trading tells the shared edge when the apps are ready: appliers, readiness checks, collectors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from nautilus_site.common.clock import now
from nautilus_site.common.collectors import register_collector
from nautilus_site.common.probes import register_readiness
from nautilus_site.common.services.appliers import WORD, Applier, named, numbered, register_appliers
from trading.models import Account
from trading.selectors.gauges import trading_gauges
from trading.services import breakers, credential_changes, effects
from trading.services.controls import allowances, blackouts, groups, limits, overrides, resume
from trading.services.reconcile import adopting, periods
from trading.services.scopes import SCOPE
from trading.services.strategies import defining, granting, listings, switching
from trading.services.strategies.owners import instance_bars, listing_bars, strategy_bars

RECONCILED_WITHIN = timedelta(seconds=60)

# What trading changes only with a second person: how each is looked at, carried out, told and checked.
APPLIERS: Final[Mapping[str, Applier]] = {
    "blackout.end": Applier(
        blackouts.blackout_end_snapshot,
        blackouts.apply_blackout_end,
        blackouts.blackout_end_effect,
        rows=blackouts.blackout_rows,
        target=numbered("blackout"),
    ),
    "breaker.reset": Applier(
        breakers.breaker_snapshot,
        breakers.apply_reset,
        effects.breaker_reset_effect,
        permission="breakers.reset",
        rows=breakers.breaker_rows,
        target=numbered("breaker"),
    ),
    "breaker.rule": Applier(
        breakers.rule_snapshot,
        breakers.apply_rule,
        effects.breaker_rule_effect,
        clean=breakers.rule_request_clean,
        rows=breakers.breaker_rows,
        target=numbered("breaker"),
    ),
    credential_changes.KIND: Applier(
        credential_changes.credential_snapshot,
        credential_changes.apply_credential,
        credential_changes.credential_effect,
        permission="keys.propose",
        sealed=frozenset({"sealed"}),
        rows=credential_changes.credential_rows,
        target=re.compile(f"key:{WORD}:{WORD}"),
    ),
    "group.shrink": Applier(
        groups.group_snapshot,
        groups.apply_shrink,
        effects.group_effect,
        rows=groups.group_rows,
        target=named("group"),
    ),
    "limit.loosen": Applier(
        limits.limit_snapshot,
        limits.apply_loosen,
        limits.limit_effect,
        rows=limits.limit_rows,
        target=re.compile(f"{WORD}@({SCOPE})"),
    ),
    "order.override": Applier(
        overrides.override_snapshot,
        overrides.apply_override,
        effects.override_effect,
        clean=overrides.override_clean,
        permission="orders.place",
        rows=overrides.override_rows,
        target=re.compile(f"{WORD}:{WORD}:{WORD}"),
    ),
    "reconcile.adopt": Applier(
        adopting.adopt_snapshot,
        adopting.apply_adopt,
        adopting.adopt_effect,
        rows=adopting.adopt_rows,
        target=numbered("divergence"),
    ),
    "reconcile.period": Applier(
        periods.period_snapshot,
        periods.apply_period,
        effects.period_effect,
        clean=periods.period_clean,
        permission="platform.propose",
        rows=periods.period_rows,
        target=named("sweep"),
    ),
    "strategy.change": Applier(
        defining.change_snapshot,
        defining.apply_change,
        effects.redefine_effect,
        clean=defining.change_clean,
        permission="strategies.define",
        bars=strategy_bars,
        rows=switching.strategy_rows,
        target=named("strategy"),
    ),
    "strategy.enable": Applier(
        switching.strategy_snapshot,
        switching.apply_enable,
        effects.strategy_effect,
        bars=strategy_bars,
        rows=switching.strategy_rows,
        target=named("strategy"),
    ),
    "strategy.grant": Applier(
        granting.grant_snapshot,
        granting.apply_grant,
        effects.grant_effect,
        bars=instance_bars,
        permission="capital.propose",
        rows=granting.instance_rows,
        target=numbered("instance"),
    ),
    "strategy.instance_enable": Applier(
        granting.instance_snapshot,
        granting.apply_instance_enable,
        effects.instance_effect,
        bars=instance_bars,
        rows=granting.instance_rows,
        target=numbered("instance"),
    ),
    "strategy.listing_grant": Applier(
        listings.listing_grant_snapshot,
        listings.apply_listing_grant,
        effects.listing_effect,
        clean=listings.listing_grant_clean,
        permission="capital.propose",
        bars=listing_bars,
        rows=listings.listing_grant_rows,
        target=re.compile(f"{WORD}:{WORD}"),
    ),
    "symbol.allow": Applier(
        allowances.allowance_snapshot,
        allowances.apply_allow,
        effects.allowance_effect,
        clean=allowances.allowance_clean,
        permission="universe.propose",
        rows=allowances.allowance_rows,
        target=re.compile(f"{WORD}:{WORD}"),
    ),
    "trading_state.lower": Applier(
        resume.state_snapshot,
        resume.apply_lower,
        effects.level_effect,
        permission="kill.resume",
        rows=resume.state_rows,
        target=re.compile(SCOPE),
    ),
}


def register() -> None:
    """Register everything; called once per process."""
    register_appliers(APPLIERS)
    register_readiness("reconciliation", _reconciled)
    register_collector(trading_gauges, name="trading")


def _reconciled() -> str | None:
    """Which active account was not found equal to its venue lately, or None when all were."""
    oldest = now() - RECONCILED_WITHIN
    for account in Account.objects.filter(is_active=True):
        if account.reconciled_at is None:
            return f"account {account.name} was never reconciled"
        if account.reconciled_at < oldest:
            age = int((now() - account.reconciled_at).total_seconds())
            return f"account {account.name} was reconciled {age} s ago"
    return None
