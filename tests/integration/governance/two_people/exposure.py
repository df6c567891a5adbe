"""How much risk stands open, read from the rows: the judge of who raised it. It asks none of the code it judges.

Which way is the dangerous one is written down here by hand; the services have tables of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from django_celery_beat.models import PeriodicTask

from governance.models import CapitalState, NotificationChannel, NotificationRoute, Playbook, Policy
from mlregistry.models import Canary, ModelFamily, ModelVersion
from nautilus_site.common.clock import now
from nautilus_site.common.models import ApiToken, AuditEntry, SecondFactor, User
from trading.models import (
    Blackout,
    CandidateKey,
    Ceiling,
    CircuitBreaker,
    CorrelationGroup,
    Credential,
    LedgerEntry,
    ListingGrant,
    OverrideGrant,
    RiskLimit,
    Strategy,
    StrategyInstance,
    SweepPeriod,
    SymbolAllowance,
    TradingState,
)

NEVER = float("inf")
HIGHER_IS_SAFER = {
    *("min_notional", "near_duplicate_window", "loss_cooldown", "margin_rate"),
    *("liquidation_min_distance", "weight_headroom"),
}
SEVERITY = {"info": 0, "success": 1, "warning": 2, "critical": 3}
BREAKER = {"open": 0, "half_open": 1, "closed": 2}
DOES = {"open": 0, "REDUCING": 1, "HALT_NEW": 2, "CANCEL": 3}
# Members of the capital policy the machine changes, and +1 where more of it is more risk.
CAPITAL = {"max_quota_usd": 1, "reserve_equity_usd": -1, "base_equity_frac": 1, "step_up_pct": 1}
NEWS = list(product(("kill.cancel", "breaker.drawdown", "incident.opened"), SEVERITY))


@dataclass(frozen=True, slots=True)
class More:
    """A number: more of it is more risk. `absent` is what no row means."""

    value: float
    absent: float = 0.0


@dataclass(frozen=True, slots=True)
class Same:
    """Something only two people may change, make or take away."""

    value: str


@dataclass(frozen=True, slots=True)
class While:
    """Something only two people may change while it is there."""

    value: str


Reading = More | Same | While
Exposure = dict[str, Reading]


def raised(before: Mapping[str, Reading], after: Mapping[str, Reading]) -> list[str]:
    """Names of what is riskier afterwards."""
    return sorted(name for name in {*before, *after} if _is_raised(before.get(name), after.get(name)))


def _is_raised(old: Reading | None, new: Reading | None) -> bool:
    known = old or new
    if isinstance(known, More):
        was = old.value if isinstance(old, More) else known.absent
        return (new.value if isinstance(new, More) else known.absent) > was
    if isinstance(known, Same):
        return old != new
    return old is not None and new is not None and old != new


def exposure() -> Exposure:
    """Everything that is governed, as it stands."""
    return dict(item for part in PARTS for item in part())


def _limits() -> Iterator[tuple[str, Reading]]:
    for name, scope, value, until in RiskLimit.objects.values_list(
        "name", "scope", "value", "in_force_until"
    ):
        sign = -1 if name in HIGHER_IS_SAFER else 1
        yield f"limit {name}@{scope}", More(sign * float(value), NEVER)
        yield f"limit {name}@{scope} until", More(until.timestamp() if until else NEVER, NEVER)


def _levels() -> Iterator[tuple[str, Reading]]:
    for scope, level, auto in TradingState.objects.values_list("scope", "level", "auto_level"):
        yield f"level {scope}", More(-max(level, auto))


def _breakers() -> Iterator[tuple[str, Reading]]:
    for row in CircuitBreaker.objects.all():
        own = f"breaker {row.pk}"
        yield f"{own} state", More(BREAKER[row.state], NEVER)
        yield f"{own} off", More(not row.is_enabled, NEVER)
        for name in ("threshold", "min_samples"):
            yield f"{own} {name}", More(getattr(row, name), NEVER)
        for name in ("cooldown_s", "cooldown_max_s", "half_open_successes"):
            yield f"{own} {name}", More(-getattr(row, name), NEVER)
        yield f"{own} does", More(-DOES[row.action], NEVER)
        yield f"{own} resets itself", More(row.reset == "auto", NEVER)
        yield f"{own} window", Same(str(row.window_s))


def _strategies() -> Iterator[tuple[str, Reading]]:
    for row in Strategy.objects.all():
        yield f"strategy {row.name} on", More(row.is_enabled)
        if row.is_enabled:
            decides = [row.kind, row.interval, row.parameters, row.model_family]
            yield f"strategy {row.name} decides by", While(_text(decides))
    for one in StrategyInstance.objects.all():
        yield f"instance {one.pk} on", More(one.is_enabled)
        yield f"instance {one.pk} weight", More(float(one.weight) if one.allocation else 0)
        yield f"instance {one.pk} allocation", More(float(one.allocation))
    for held in Ceiling.objects.exclude(instance=None):
        yield f"instance {held.instance_id} may have", More(float(held.most), NEVER)


def _symbols() -> Iterator[tuple[str, Reading]]:
    for account, symbol in SymbolAllowance.objects.values_list("account__name", "instrument__symbol"):
        yield f"allowed {account}:{symbol}", More(1)
    for name, symbols in CorrelationGroup.objects.values_list("name", "symbols"):
        for symbol in symbols:
            yield f"group {name} {symbol}", More(0, 1)
    for window in Blackout.objects.filter(ended_at=None):
        yield f"blackout {window.pk} lifted", More(0, 1)
    for standing in ListingGrant.objects.select_related("strategy", "account"):
        own = f"listings {standing.strategy}:{standing.account}"
        yield f"{own} each", More(float(standing.allocation) if standing.per_day else 0)
        yield f"{own} a day", More(standing.per_day if standing.allocation else 0)
    for grant in OverrideGrant.objects.filter(used_by=None):
        yield f"override {grant.pk}", More(float(grant.max_notional))
    yield "audit forgives", More(AuditEntry.objects.filter(action="audit.loss_accepted").count())
    yield "adjustments", More(LedgerEntry.objects.filter(kind="adjustment").count())
    for sweep, every_s in SweepPeriod.objects.values_list("sweep", "every_s"):
        yield f"sweep {sweep}", More(every_s, NEVER)


def _policies() -> Iterator[tuple[str, Reading]]:
    for policy in Policy.objects.select_related("active"):
        document: dict[str, Any] = dict(policy.active.document) if policy.active else {}
        own = f"policy {policy.name}"
        if policy.name == "capital_policy":
            for name, sign in CAPITAL.items():
                yield f"{own} {name}", More(sign * float(document.pop(name)), NEVER)
        elif policy.name == "strategy_weights":
            for name, weight in document.pop("weights").items():
                # What is not named is out of reach of every regime and cap.
                yield f"{own} {name}", More(float(weight), NEVER)
        else:
            for rule in document.pop("rules"):
                yield f"{own} without {_text(rule)}", More(0, 1)
        yield f"{own} rest", Same(_text(document))
    stopped = CapitalState.objects.filter(stopped=True).exists()
    yield "capital goes on", More(not stopped)


def _told() -> Iterator[tuple[str, Reading]]:
    """For some news: whether each channel is silent about it, and how late it would tell."""
    for channel in NotificationChannel.objects.all():
        own = f"channel {channel.name}"
        yield (
            f"{own} address",
            Same(_text([channel.kind, channel.host, channel.shown, bytes(channel.sealed).hex()])),
        )
        yield f"{own} silent", More(not channel.is_enabled, NEVER)
        routes = {row.kind: row for row in NotificationRoute.objects.filter(channel=channel)}
        for kind, severity in NEWS:
            route = next((routes[name] for name in _widening(kind) if name in routes), None)
            told = route is not None and route.is_enabled and SEVERITY[severity] >= SEVERITY[route.severity]
            yield f"{own} silent about {severity} {kind}", More(not told, 1)
            late = NEVER  # what is not told at all cannot come later still
            if told and route is not None:
                late = route.dedupe_s + (route.digest_s if severity != "critical" else 0)
            yield f"{own} late with {severity} {kind}", More(late, NEVER)


def _widening(kind: str) -> list[str]:
    parts = kind.split(".")
    return [kind, *(".".join(parts[:n]) + ".*" for n in range(len(parts), 0, -1)), "*"]


def _machines() -> Iterator[tuple[str, Reading]]:
    for task in PeriodicTask.objects.select_related("interval").exclude(interval=None):
        every_s = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}[task.interval.period]
        yield f"schedule {task.pk}", More(task.interval.every * every_s if task.enabled else NEVER, NEVER)
    for row in Playbook.objects.all():
        own = f"playbook {row.name}"
        yield f"{own} off", More(not row.is_armed, NEVER)
        for name in ("threshold", "confirm", "min_samples", "cooldown_s", "blind_after"):
            yield f"{own} {name}", More(getattr(row, name), NEVER)
        yield f"{own} reach", More(-row.max_scopes, NEVER)
        yield f"{own} tells", More(-SEVERITY[row.severity], NEVER)
        yield f"{own} window", Same(str(row.window_s))
        for action in row.actions:
            # What is left out of a step means the scope that was measured.
            yield f"{own} without {_text({'on': 'scope', **action})}", More(0, 1)


def _models() -> Iterator[tuple[str, Reading]]:
    for version in ModelVersion.objects.filter(stage__in=("canary", "champion")):
        yield f"model {version.pk} {version.stage}", More(1)
    for family in ModelFamily.objects.all():
        envelope = family.envelope or {}
        opened = bool(envelope.get("canary") or envelope.get("champion") or envelope.get("refit_days"))
        yield f"envelope {family.name} open", More(opened)
        if opened:
            yield f"envelope {family.name}", While(_text(envelope))
    for canary in Canary.objects.filter(ended_at=None):
        yield f"canary {canary.uid} longest_s", More(float(canary.rules["longest_s"]))


def _people() -> Iterator[tuple[str, Reading]]:
    for user in User.objects.all():
        yield f"user {user.username} may", Same(f"{user.role} {user.is_superuser}")
        yield f"user {user.username} on", More(user.is_active)
        yield f"password {user.username}", Same(user.password)
    for factor in SecondFactor.objects.select_related("user").exclude(confirmed_at=None):
        # None at all lets a password in alone; another one lets in whoever holds that.
        yield f"factor {factor.user} gone", More(0, 1)
        yield f"factor {factor.user}", While(bytes(factor.sealed or b"").hex())
        unused = factor.recovery_codes.filter(used_at=None)
        yield f"factor {factor.user} codes", While(_text(sorted(unused.values_list("digest", flat=True))))
    for token in ApiToken.objects.select_related("user"):
        live = token.revoked_at is None and token.expires_at > now()
        yield f"token {token.pk} of {token.user}", More(live)
        yield f"token {token.pk} of {token.user} scopes", While(_text(token.scopes))
    for candidate in CandidateKey.objects.select_related("account"):
        yield f"key {candidate.account}:{candidate.purpose} to come {candidate.pk}", More(1)
    for key in Credential.objects.select_related("account").filter(revoked_at=None):
        yield f"key {key.account}:{key.purpose} in use", More(1)
        yield f"key {key.account}:{key.purpose}", While(f"{key.api_key} {bytes(key.sealed_secret).hex()}")


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


PARTS = (
    *(_limits, _levels, _breakers, _strategies, _symbols, _policies),
    *(_told, _machines, _models, _people),
)
