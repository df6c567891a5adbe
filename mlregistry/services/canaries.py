"""Canaries: begun with an approved promotion, looked at every few seconds, ended by evidence, a rail or a person."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import structlog
from django.db import OperationalError, transaction

from mlregistry.domain.stages import Stage
from mlregistry.models import Canary, DriftReport, GateVerdict, ModelVersion
from mlregistry.selectors.canaries import alpha_of, canary_fills
from mlregistry.selectors.verdicts import champion_followers
from mlregistry.services.canary_measures import canary_measured
from mlregistry.services.canary_pairing import canary_mark, canary_observe
from mlregistry.services.incidents import people_call
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError, Conflict
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.outbox import publish
from trading.domain.values import decimal_text
from trading.models import Strategy
from trading.services.canaries import (
    canary_close,
    canary_follow,
    canary_grow,
    canary_open,
    canary_retire,
    pairs_of,
    results_of,
)

if TYPE_CHECKING:
    from mlregistry.domain.canary import CanaryRules, Tested

log = structlog.get_logger(__name__)
ZERO = Decimal(0)
GUARD = "guard rails"
CLOCK = "clock"
_CALLED: dict[str, str] = {Canary.State.BREACHED: "critical", Canary.State.HARMED: "warning"}
OPEN = (Canary.State.RUNNING, Canary.State.WON)


def canary_rules(asked: dict[str, Any]) -> CanaryRules:
    """The rules of what was asked.

    Raises
    ------
    ApplicationError : INVALID_CANARY.
    """
    from mlregistry.domain.canary import rules_read

    try:
        return rules_read(asked)
    except (ValueError, TypeError) as error:
        raise ApplicationError("INVALID_CANARY", str(error)) from None


def canary_follower(version: ModelVersion, rules: CanaryRules) -> Strategy:
    """The strategy a canary of this version would share capital with.

    Raises
    ------
    Conflict : NO_CHAMPION, nothing trades the family's champion; COOLING_DOWN, it ended badly not long ago;
        CANARY_RUNNING, another one is; DRIFTED, its newest drift report is an alarm.
    """
    follower = (
        champion_followers(version.family.name).exclude(model_digest="").filter(is_enabled=True).first()
    )
    if follower is None:
        raise Conflict("NO_CHAMPION", f"no strategy that is on trades a champion of {version.family.name}")
    last = Canary.objects.filter(version=version).order_by("-id").first()
    if last is not None and last.cool_until is not None and last.cool_until > now():
        raise Conflict(
            "COOLING_DOWN", f"{version} may not try again before {last.cool_until:%Y-%m-%d %H:%M} UTC"
        )
    if Canary.objects.filter(follower=follower, state__in=OPEN).exists():
        raise Conflict("CANARY_RUNNING", f"{follower.name} has a canary already")
    drifted = DriftReport.objects.filter(version=version).first()
    if drifted is not None and drifted.verdict == "alarm":
        raise Conflict("DRIFTED", f"{version} drifted on {drifted.day}; as a canary it would end at once")
    return follower


@transaction.atomic
def canary_begin(*, version: ModelVersion, rules: CanaryRules, actor: User | str, reason: str) -> Canary:
    """Give a version its capital and pair it with the champion; runs inside the approving transaction.

    Raises
    ------
    Conflict : as `canary_follower` and `canary_open`.
    """
    follower = canary_follower(version, rules)
    champion = ModelVersion.objects.get(family=version.family_id, stage=Stage.CHAMPION)
    grant = canary_open(
        follower=follower,
        digest=version.digest,
        version=version.number,
        share=Decimal(str(rules.share)),
        cap=Decimal(str(rules.cap)),
        actor=actor,
        reason=reason,
    )
    worth = results_of(grant.strategy)[0] or ZERO
    canary = Canary.objects.create(
        version=version,
        champion=champion,
        follower=follower,
        strategy=grant.strategy,
        rules=rules.members(),
        capital=grant.capital,
        champion_capital=grant.champion_capital,
        begun_canary=worth,
        peak_canary=worth,
        day_canary=worth,
        day=now().date(),
        backtest_drawdown=_backtest_drawdown(version),
        started_at=now(),
    )
    _tell(canary)
    return canary


def _backtest_drawdown(version: ModelVersion) -> float | None:
    """What the version's newest verdict measured; None without one, or where it never fell."""
    verdict = GateVerdict.objects.filter(version=version, state=GateVerdict.State.DONE).first()
    return None if verdict is None else verdict.figures.get("challenger", {}).get("drawdown_99") or None


def canaries_check() -> None:
    """Look at every canary once, each in a transaction of its own: one that cannot be checked stops no other.

    What cannot be checked cannot be guarded: it is ended at once. A database that is busy is asked again.
    """
    for pk in Canary.objects.filter(state__in=OPEN).order_by("pk").values_list("pk", flat=True):
        try:
            canary_check(canary_id=pk)
        except OperationalError as error:
            log.warning("canary_not_checked", canary=pk, error=str(error)[:300])
        except Exception as error:
            log.exception("canary_check_failed", canary=pk)
            told = f"it cannot be checked: {type(error).__name__}: {error}"[:500]
            canary_rollback(canary=Canary.objects.get(pk=pk), actor=GUARD, reason=told)
    for canary in Canary.objects.exclude(state__in=OPEN).filter(closed_at=None).select_related("strategy"):
        again = Canary.objects.filter(strategy=canary.strategy_id, state__in=OPEN).exists()
        if again or canary_retire(canary=canary.strategy):
            Canary.objects.filter(pk=canary.pk).update(closed_at=now())


@transaction.atomic
def canary_check(*, canary_id: int, moment: datetime | None = None) -> Canary | None:
    """Measure the guard rails, take what intervals are over, and end the canary where it is decided.

    A breached rail, harm or the longest time end it: capital and stage go back in this transaction. A win does not: it
    is evidence, and a promotion is asked for by people or inside an approved envelope.
    """
    from mlregistry.domain.canary import guard, rules_read

    canary = (
        Canary.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
        .select_related("version__family", "champion", "follower", "strategy")
        .filter(pk=canary_id, state__in=OPEN)
        .first()
    )
    if canary is None:
        return None
    moment = moment or now()
    rules = rules_read(canary.rules)
    (own,) = results_of(canary.strategy)
    rails = guard(rules, canary_measured(canary, own, moment))
    canary.rails, canary.checked_at = [rail.members() for rail in rails], moment
    breached = [rail for rail in rails if rail.breached]
    if breached:
        told = ", ".join(f"{rail.name} {rail.measured:.6g} above {rail.limit:.6g}" for rail in breached)
        canary.save()
        return canary_end(canary, Canary.State.BREACHED, actor=GUARD, reason=told, moment=moment)
    present = canary_follow(follower=canary.follower, canary=canary.strategy)
    if present <= 0:
        canary.save()
        return canary_end(
            canary,
            Canary.State.ENDED,
            actor=GUARD,
            reason=f"{canary.follower.name} is off, or has no capital in force",
            moment=moment,
        )
    # The allocator may have moved it; each interval is measured against what was there at its end.
    canary.champion_capital = present
    observed = own is not None and canary_observe(canary, rules, moment)
    found = _tested(canary, rules, moment)
    canary.n, canary.log_e = found.better.n, found.better.log_e
    canary.best_log_e, canary.harm_log_e = found.better.best, found.worse.best
    canary.low, canary.high = found.better.low, found.better.high
    if found.won and canary.state == Canary.State.RUNNING:
        canary.state = Canary.State.WON
        audit_record(
            action="model.canary_won",
            target=f"model:{canary.version}",
            actor="sequential test",
            after={"n": canary.n, "log_e": canary.best_log_e, "mean": found.better.mean},
        )
        _tell(canary)
    canary.save()
    # Only between two intervals: each is earned on one capital.
    if found.grows and observed and not found.harmed:
        _grow(canary, rules, moment)
    if found.harmed:
        return canary_end(
            canary,
            Canary.State.HARMED,
            actor="sequential test",
            reason=f"it does worse: log e {found.worse.best:.4g} after {found.worse.n} intervals",
            moment=moment,
        )
    if (
        moment - canary.started_at
    ).total_seconds() > rules.longest_s and canary.state == Canary.State.RUNNING:
        return canary_end(
            canary,
            Canary.State.ENDED,
            actor=CLOCK,
            reason="its time is over without a winner",
            moment=moment,
        )
    return canary


@transaction.atomic
def canary_rollback(*, canary: Canary, actor: User | str, reason: str) -> Canary:
    """End a canary at once: one person, one click.

    Raises
    ------
    ApplicationError : REASON_REQUIRED.  Conflict : CANARY_OVER.
    """
    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    locked = (
        Canary.objects.select_for_update(of=("self",), no_key=True)
        .select_related("version__family", "champion", "follower", "strategy")
        .get(pk=canary.pk)
    )
    if locked.state not in OPEN:
        raise Conflict("CANARY_OVER", f"the canary is {locked.state} already")
    return canary_end(locked, Canary.State.ENDED, actor=actor, reason=reason, moment=now())


def canary_end(
    canary: Canary, state: str, *, actor: User | str, reason: str, moment: datetime, move: bool = True
) -> Canary:
    """Give the capital back, leave the position, send the version back to shadow; in the caller's transaction."""
    from mlregistry.services.stages import canary_demote

    canary_close(follower=canary.follower, canary=canary.strategy, actor=actor, reason=reason)
    canary.state, canary.reason, canary.ended_at = state, reason, moment
    canary.cool_until = moment + timedelta(seconds=float(canary.rules["cool_s"])) if move else None
    canary.save()
    evidence = {"canary": str(canary.uid), "n": canary.n, "log_e": canary.best_log_e, "rails": canary.rails}
    if move:
        canary_demote(version_id=canary.version_id, actor=str(actor), reason=reason, evidence=evidence)
    audit_record(
        action="model.canary_ended",
        target=f"model:{canary.version}",
        actor=actor,
        reason=reason,
        after={"state": state, **evidence},
    )
    if state in _CALLED or actor in (GUARD, CLOCK):
        people_call(
            canary.version,
            kind=f"canary_{state}",
            severity="warning" if actor == CLOCK else _CALLED.get(state, "critical"),
            title=f"canary {canary.version} {state}: rolled back",
            text=reason,
            evidence=evidence,
        )
    log.warning("canary_ended", version=str(canary.version), state=state, reason=reason)
    _tell(canary)
    return canary


def _grow(canary: Canary, rules: CanaryRules, moment: datetime) -> None:
    """Take the ramp's step, as its rules were approved: more capital from the champion, at most the cap in all."""
    before = canary.capital
    grant = canary_grow(
        follower=canary.follower,
        canary=canary.strategy,
        share=Decimal(str(rules.ramp)),
        cap=Decimal(str(rules.cap)),
        actor="sequential test",
        reason=f"log e {canary.log_e:.4g} after {canary.n} intervals and {rules.dwell_s:g} s at {rules.share:g}",
    )
    canary.capital, canary.champion_capital = grant.capital, grant.champion_capital
    canary.step, canary.step_at = canary.step + 1, moment
    places = pairs_of(follower=canary.follower, canary=canary.strategy)
    if places is None:
        canary.mark_at = None  # the next interval begins when both can be valued again
    else:
        canary_mark(canary, moment, places)
    canary.save(update_fields=["capital", "champion_capital", "step", "step_at", "mark_at", "marks"])
    audit_record(
        action="model.canary_grown",
        target=f"model:{canary.version}",
        actor="sequential test",
        before={"capital": decimal_text(before)},
        after={"capital": decimal_text(grant.capital), "n": canary.n, "log_e": canary.log_e},
    )
    _tell(canary)


def _tested(canary: Canary, rules: CanaryRules, moment: datetime) -> Tested:
    from mlregistry.domain.canary import weigh

    since = canary.step_at or canary.started_at
    pairs = canary.observations.order_by("number").values_list("canary_return", "champion_return")
    return weigh(
        [own - other for own, other in pairs],
        rules,
        alpha=alpha_of(canary, rules),
        age_s=(moment - since).total_seconds(),
        fills=canary_fills(canary, since=since),
        step=canary.step,
    )


def _tell(canary: Canary) -> None:
    publish(
        "models",
        {
            "canary": str(canary.uid),
            "family": canary.version.family.name,
            "version": canary.version.number,
            "state": canary.state,
            "n": canary.n,
            "log_e": canary.log_e,
            "reason": canary.reason,
        },
    )
