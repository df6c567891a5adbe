"""How each kind of change is asked for, and how its target is made safer: by the way in that people use.

`RAISES[kind](ask, rng)` asks for more risk, `LOWERS` for less. A kind without its way here fails the test.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import ROUND_DOWN, Decimal
from random import Random
from typing import Any

from governance.domain.policies.located import node_of
from governance.models import Playbook, Policy
from governance.services.quotas import quotas_change
from mlregistry.models import ModelVersion
from nautilus_site.common.clock import now
from nautilus_site.common.services.invitations import invitation_use
from tests.factories.second_factors import enrol
from tests.integration.governance.two_people.asking import Ask
from tests.integration.governance.two_people.world import NEWCOMERS, PEOPLE, WITH_FACTOR
from trading.domain.values import Level
from trading.models import (
    Account,
    CircuitBreaker,
    CorrelationGroup,
    ListingGrant,
    RiskLimit,
    StrategyInstance,
    SweepPeriod,
    TradingState,
)
from trading.services.breakers import breaker_rule_change
from trading.services.controls import kill_raise, symbol_disallow
from trading.services.controls.groups import group_change
from trading.services.reconcile.periods import sweep_period_change
from universe.models import Instrument

LIMITS = {"max_notional": 1.3, "daily_loss": 1.3, "min_notional": 0.7, "exposure_symbol": 1.3}
"""Names, and by what a value is multiplied to be riskier."""


def _limit(up: bool) -> Callable[[Ask, Random], int]:
    def change(ask: Ask, rng: Random) -> int:
        name = rng.choice(sorted(LIMITS))
        value = RiskLimit.objects.get(name=name, scope="global").value
        factor = Decimal(str(LIMITS[name] if up else 2 - LIMITS[name]))
        value = (value * factor).quantize(Decimal("0.0001"))
        return ask.call("PUT", f"/limits/{name}", scope="global", value=f"{value:f}", reason="r")

    return change


def _resume(ask: Ask, rng: Random) -> int:
    held = list(TradingState.objects.filter(level__gt=0).order_by("scope"))
    state = rng.choice(held) if held else TradingState(scope="symbol:BTCUSDT", level=0)
    to = Level(rng.randrange(max(state.level, 1)))
    return ask.call("POST", "/resume", scope=state.scope, to_level=to.name, reason="found why")


def _kill(ask: Ask, rng: Random) -> int:
    scope = rng.choice(["global", "symbol:BTCUSDT", "strategy:trend", "account:desk"])
    level = Level(rng.randrange(1, 4))
    return ask.serve(kill_raise, scope=scope, level=level, reason="r", actor=ask.person)


def _breaker(verb: str) -> Callable[[Ask, Random], int]:
    return lambda ask, rng: ask.call("POST", f"/breakers/{ask.world.breaker.pk}/{verb}", reason="r")


def _breaker_rule(up: bool) -> Callable[[Ask, Random], int]:
    def change(ask: Ask, rng: Random) -> int:
        row = CircuitBreaker.objects.get(pk=ask.world.breaker.pk)
        more: dict[str, Any] = rng.choice([
            {"threshold": row.threshold * (1.5 if up else 0.6)},
            {"cooldown_s": row.cooldown_s * (0.6 if up else 1.2)},
            {"is_enabled": not up},
            {"reset": "auto" if up else "manual"},
        ])  # fmt: skip
        return ask.serve(breaker_rule_change, breaker_id=row.pk, values=more, actor=ask.person, reason="r")

    return change


def _group(up: bool) -> Callable[[Ask, Random], int]:
    def change(ask: Ask, rng: Random) -> int:
        has = set(CorrelationGroup.objects.get(name="majors").symbols)
        symbols = has - {rng.choice(sorted(has))} if up and has else {*has, "BTCUSDT", "ETHUSDT"}
        return ask.serve(group_change, name="majors", symbols=sorted(symbols), actor=ask.person, reason="r")

    return change


def _blackout_set(ask: Ask, rng: Random) -> int:
    ends = (now() + timedelta(hours=1)).isoformat()
    return ask.call("POST", "/blackouts", scope="symbol:ETHUSDT", ends_at=ends, reason="r")


def _switch(verb: str, **place: str) -> Callable[[Ask, Random], int]:
    def change(ask: Ask, rng: Random) -> int:
        name = "trend" if place else rng.choice(["swing", "trend"])
        return ask.call("POST", f"/strategy/{name}/{verb}", reason="r", **place)

    return change


def _parameters(ask: Ask, rng: Random) -> int:
    values = {"fast": rng.randrange(2, 9), "slow": rng.randrange(10, 30)}
    return ask.call("PATCH", f"/strategy/{rng.choice(['trend', 'swing'])}", parameters=values, reason="r")


def _grant(up: bool) -> Callable[[Ask, Random], int]:
    def change(ask: Ask, rng: Random) -> int:
        row = StrategyInstance.objects.select_related("instrument").get(pk=ask.world.instance.pk)
        values = {"weight": row.weight, "allocation": row.allocation}
        for name in rng.choice([("weight",), ("allocation",), ("weight", "allocation")]):
            least = {"weight": Decimal("0.1"), "allocation": Decimal(1)}[name] if up else Decimal(0)
            part = Decimal(2) if up else rng.choice([Decimal("0.5"), Decimal("0.9"), Decimal(0)])
            values[name] = (values[name] * part or least).quantize(Decimal("0.01"), rounding=ROUND_DOWN)
        values["weight"] = min(values["weight"], Decimal(1))
        return ask.call(
            "POST", "/strategy/trend/grant", account="desk", symbol="BTCUSDT", reason="r",
            **{name: f"{value:f}" for name, value in values.items()},
        )  # fmt: skip

    return change


def _listings(up: bool) -> Callable[[Ask, Random], int]:
    def change(ask: Ask, rng: Random) -> int:
        row = ListingGrant.objects.get(strategy__name="sniper")
        allocation = row.allocation + 50 if up else max(row.allocation - 30, Decimal(0))
        return ask.call(
            "POST", "/strategy/sniper/listings", account="desk", allocation=f"{allocation:.2f}",
            per_day=row.per_day, reason="r",
        )  # fmt: skip

    return change


def _policy(up: bool) -> Callable[[Ask, Random], int]:
    def change(ask: Ask, rng: Random) -> int:
        name = rng.choice(["capital_policy", "strategy_weights", "policies"])
        policy = Policy.objects.select_related("active").get(pk=name)
        assert policy.active is not None
        document = dict(policy.active.document)
        if name == "capital_policy":
            member = rng.choice(["max_quota_usd", "reserve_equity_usd"])
            more = up == (member == "max_quota_usd")
            document[member] = f"{Decimal(document[member]) * Decimal('1.2' if more else '0.9'):.2f}"
        elif name == "strategy_weights":
            who = rng.choice(["trend", "swing"])
            weight = Decimal(document["weights"].get(who, 0)) + (Decimal("0.05") if up else Decimal("-0.05"))
            document["weights"] = {**document["weights"], who: f"{max(weight, Decimal(0))}"}
            if up and rng.random() < 0.3:
                del document["weights"][who]
        else:
            rules = list(document["rules"])
            extra = {
                "name": f"more {rng.randrange(99)}",
                "trigger": "tick",
                "condition": "level > 3",
                "action": "notify",
            }
            document["rules"] = rules[1:] if up and rules else [*rules, extra]
        return ask.call("PUT", f"/policies/{name}", document=document, reason="r")

    return change


def _quotas(up: bool) -> Callable[[Ask, Random], int]:
    def change(ask: Ask, rng: Random) -> int:
        has = sum(
            StrategyInstance.objects.filter(strategy__name="swing").values_list("allocation", flat=True)
        )
        wanted = (Decimal(has) * (Decimal("1.1") if up else Decimal("0.9"))).quantize(Decimal("0.01"))
        node = node_of({"capital_quota_usd": {"swing": wanted or (100 if up else 0)}})
        return ask.serve(quotas_change, node=node, actor=ask.person, reason="r")

    return change


def _allowance(ask: Ask, rng: Random) -> int:
    return ask.propose("symbol.allow", "desk:BNBUSDT", {})


def _disallow(ask: Ask, rng: Random) -> int:
    account, instrument = Account.objects.get(name="desk"), Instrument.objects.get(symbol="BNBUSDT")
    return ask.serve(symbol_disallow, account=account, instrument=instrument, actor=ask.person, reason="r")


def _promote(ask: Ask, rng: Random) -> int:
    version = rng.choice(ask.world.versions)
    stage = rng.choice(["champion", "champion", "shadow"])
    return ask.call("POST", f"/models/{version.pk}/promote", stage=stage, override=True, reason="r")


def _retire(ask: Ask, rng: Random) -> int:
    version = rng.choice(ask.world.versions)
    if rng.random() < 0.8:  # mostly the one in force: of the others there is little to take back
        in_force = ModelVersion.objects.filter(family=version.family_id, stage="champion").first()
        version = in_force or version
    if rng.random() < 0.5:
        return ask.call("POST", f"/models/{version.pk}/rollback", reason="r")
    return ask.call(
        "POST", f"/models/{version.pk}/stage", stage=rng.choice(["retired", "shadow"]), reason="r"
    )


def _envelope(ask: Ask, rng: Random) -> int:
    until = (now() + timedelta(days=rng.randrange(1, 60))).isoformat()
    wanted = {"until": until, "champion": True, "canary": True, "most_capital": rng.randrange(1, 900)}
    family = ask.world.versions[0].family.name
    return ask.call("PUT", f"/models/families/{family}/envelope", envelope=wanted, reason="r")


def _extend(ask: Ask, rng: Random) -> int:
    more_s = 86_400.0 * rng.randrange(1, 60)
    return ask.call("POST", f"/canaries/{ask.world.canary.uid}/extend", more_s=more_s, reason="r")


def _end_canary(ask: Ask, rng: Random) -> int:
    """Its time is given by its rules; less of it is to end it, which a risk officer or its owner does at once."""
    return ask.call("POST", f"/canaries/{ask.world.canary.uid}/rollback", reason="r")


def _envelope_close(ask: Ask, rng: Random) -> int:
    return ask.call(
        "POST", f"/models/families/{ask.world.versions[0].family.name}/envelope/close", reason="r"
    )


def _override(ask: Ask, rng: Random) -> int:
    payload = {"max_notional": str(rng.randrange(100, 9000)), "valid_for_s": 3600}
    return ask.propose("order.override", "desk:BTCUSDT:BUY", payload)


def _period(up: bool) -> Callable[[Ask, Random], int]:
    def change(ask: Ask, rng: Random) -> int:
        row = SweepPeriod.objects.get(sweep=rng.choice(["S2", "S3", "S4"]))
        every_s = row.every_s * (1.2 if up else 0.9)
        return ask.serve(sweep_period_change, sweep=row.sweep, every_s=every_s, actor=ask.person, reason="r")

    return change


def _channel(ask: Ask, rng: Random) -> int:
    name = rng.choice(["ops", "more"])
    members = {"url": f"https://hooks.example.com/{rng.randrange(99)}"}
    return ask.call("POST", "/notifications/channels", name=name, kind="webhook", members=members, reason="r")


def _channel_switch(verb: str) -> Callable[[Ask, Random], int]:
    return lambda ask, rng: ask.call("POST", f"/notifications/channels/ops/{verb}", reason="r")


def _route(up: bool) -> Callable[[Ask, Random], int]:
    def change(ask: Ask, rng: Random) -> int:
        kind = rng.choice(["*", "kill.*", "breaker.drawdown"])
        values = rng.choice(
            [{"severity": "critical"}, {"is_enabled": False}, {"digest_s": rng.randrange(600, 900)}]
            if up
            else [{"severity": "info"}, {"is_enabled": True}, {"digest_s": 0}]
        )
        return ask.call("PUT", "/notifications/routes", channel="ops", kind=kind, reason="r", **values)

    return change


def _job(up: bool) -> Callable[[Ask, Random], int]:
    def change(ask: Ask, rng: Random) -> int:
        job = type(ask.world.job).objects.select_related("interval").get(pk=ask.world.job.pk)
        every_s = job.interval.every + 7 if up else max(1, job.interval.every - 5)
        values = rng.choice([{"every_s": every_s}, {"is_enabled": not up}])
        return ask.call("PUT", f"/schedules/{job.pk}", reason="r", **values)

    return change


def _playbook(up: bool) -> Callable[[Ask, Random], int]:
    def change(ask: Ask, rng: Random) -> int:
        rows = list(Playbook.objects.order_by("name"))
        row = rows[rng.randrange(len(rows))]
        values: dict[str, Any] = rng.choice([
            {"threshold": row.threshold * (1.3 if up else 0.8)},
            {"is_armed": not up},
            {"cooldown_s": row.cooldown_s * (1.3 if up else 0.8)},
            {"actions": row.actions[:-1] if up else [*row.actions, *row.actions[:1]]},
        ])  # fmt: skip
        return ask.call("PUT", f"/playbooks/{row.name}", reason="r", **values)

    return change


def _user(ask: Ask, rng: Random) -> int:
    name = rng.choice(sorted(PEOPLE))
    payload = rng.choice(
        [
            {"role": rng.choice(["viewer", "trader", "risk_officer", "admin"])},
            {"is_active": rng.random() < 0.7},
        ]
    )
    return ask.propose("user.change", name, payload)


def _switch_off(ask: Ask, rng: Random) -> int:
    return ask.call("POST", f"/people/{rng.choice(sorted(PEOPLE))}/deactivate", reason="r")


def _newcomer(ask: Ask, rng: Random) -> int:
    payload = {"role": rng.choice(["trader", "risk_officer", "admin"]), "email": "new@example.org"}
    return ask.propose("user.create", rng.choice(NEWCOMERS), payload)


def _newcomer_off_or_in(ask: Ask, rng: Random) -> int:
    """Switch a newcomer off again, or get into their account."""
    if rng.random() < 0.3:
        return ask.call("POST", f"/people/{rng.choice(NEWCOMERS)}/deactivate", reason="r")
    return _let_in(ask, rng)


def _let_in(ask: Ask, rng: Random) -> int:
    """Whatever half of somebody's password one can get, and the use of those one has, made up where one has none."""
    name, mine = rng.choice([*NEWCOMERS, *sorted(PEOPLE)]), ask.world.halves.setdefault(ask.name, {})
    what = rng.choice(["link", "code", "use"])
    if what != "use":
        answer = ask.answer("POST", f"/people/{name}/{what}")
        if answer.status_code == 201:
            mine[what] = answer.json()[what].rpartition("#")[2]
        return int(answer.status_code)
    given = {"link": mine.get("link", "x"), "code": mine.get("code", "AAAAA-AAAAA")}
    password = "a password that is long enough"
    return ask.serve(invitation_use, **given, password=password)


def _reset_factor(ask: Ask, rng: Random) -> int:
    """Mostly of those who decide nothing: whose factor is reset is logged out, and the walk needs its people."""
    name = rng.choice([*WITH_FACTOR[:2], *WITH_FACTOR[:2], *sorted(PEOPLE)])
    return ask.propose("user.reset_second_factor", name, {})


def _enrol(ask: Ask, rng: Random) -> int:
    """One's own, which is all there is a way to; it ends one's sessions."""
    return ask.serve(enrol, user=ask.person)


def _key(ask: Ask, rng: Random) -> int:
    return ask.call(
        "POST", "/credentials", account="desk", purpose=rng.choice(["executor", "feed", "watchdog"]),
        api_key=f"another-key-{rng.randrange(10**6):06d}", api_secret="another-secret-of-a-key", reason="r",
    )  # fmt: skip


def _nothing(ask: Ask, rng: Random) -> int:
    """The machine asks for it, when the allocator runs; people only say yes or no."""
    return 204


Change = Callable[[Ask, Random], int]
RAISES: dict[str, Change] = {
    "audit.accept_loss": lambda ask, rng: ask.call(
        "POST", "/approvals", kind="audit.accept_loss", target="audit:chain", payload={}, reason="r"
    ),
    "blackout.end": lambda ask, rng: ask.call("POST", f"/blackouts/{ask.world.blackout.pk}/end", reason="r"),
    "breaker.reset": _breaker("reset"),
    "breaker.rule": _breaker_rule(True),
    "capital.allocate": lambda ask, rng: ask.call(
        "POST", f"/allocations/runs/{ask.world.run.pk}/request", reason="r"
    ),
    "capital.endorse": _nothing,
    "capital.quotas": _quotas(True),
    "capital.reset": lambda ask, rng: ask.call("POST", "/allocations/reset", reason="r"),
    "credential.replace": _key,
    "group.shrink": _group(True),
    "limit.loosen": _limit(True),
    "model.envelope": _envelope,
    "model.extend_canary": _extend,
    "model.promote": _promote,
    "notification.channel": _channel,
    "notification.channel_off": _channel_switch("disable"),
    "notification.route": _route(True),
    "order.override": _override,
    "playbook.change": _playbook(True),
    "policy.activate": _policy(True),
    "reconcile.adopt": lambda ask, rng: ask.call(
        "POST", f"/reconcile/divergences/{ask.world.divergence.pk}/adopt", reason="r"
    ),
    "reconcile.period": _period(True),
    "schedule.change": _job(True),
    "strategy.change": _parameters,
    "strategy.enable": _switch("enable"),
    "strategy.grant": _grant(True),
    "strategy.listing_grant": _listings(True),
    "strategy.instance_enable": _switch("enable", account="desk", symbol="ETHUSDT"),
    "symbol.allow": _allowance,
    "trading_state.lower": _resume,
    "user.change": _user,
    "user.create": _newcomer,
    "user.reset_second_factor": _reset_factor,
}
LOWERS: dict[str, Change] = {
    "blackout.end": _blackout_set,
    "breaker.reset": _breaker("open"),
    "breaker.rule": _breaker_rule(False),
    "capital.quotas": _quotas(False),
    "group.shrink": _group(False),
    "limit.loosen": _limit(False),
    "model.envelope": _envelope_close,
    "model.extend_canary": _end_canary,
    "model.promote": _retire,
    "notification.channel_off": _channel_switch("enable"),
    "notification.route": _route(False),
    "playbook.change": _playbook(False),
    "policy.activate": _policy(False),
    "reconcile.period": _period(False),
    "schedule.change": _job(False),
    "strategy.enable": _switch("disable"),
    "strategy.grant": _grant(False),
    "strategy.listing_grant": _listings(False),
    "strategy.instance_enable": _switch("disable", account="desk", symbol="ETHUSDT"),
    "symbol.allow": _disallow,
    "trading_state.lower": _kill,
    "user.change": _switch_off,
    "user.create": _newcomer_off_or_in,
    "user.reset_second_factor": _enrol,
}
NOTHING_TO_LOWER: dict[str, str] = {
    "audit.accept_loss": "what was accepted stays in the trail, and each further loss is another request",
    "capital.allocate": "what it gave is an allocation: `strategy.grant` lowers it",
    "capital.endorse": "it gives nothing by itself",
    "capital.reset": "the hard drawdown stops capital again, which is the machine's own measure",
    "credential.replace": "a key is another one or not; one that may do more than it should is refused",
    "notification.channel": "an address is another one or not; `notification.channel_off` has both ways",
    "order.override": "it is used up by one order or ends within the hour",
    "reconcile.adopt": "what was booked stays in the ledger; the next difference is another request",
    "strategy.change": "what decides is another or not; `strategy.enable` has the way to off",
}
"""Kinds whose target nobody makes safer by hand, each with the reason."""
