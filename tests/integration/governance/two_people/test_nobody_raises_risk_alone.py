"""No sequence of requests, decisions, admin posts, API calls, role changes and tokens lets one person raise risk.

`TWO_PEOPLE_RUNS` and `TWO_PEOPLE_STEPS` make it longer: the long one walks 10,000 steps.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from random import Random

import pytest
import structlog
from django.contrib import admin
from django.core.cache import cache
from django.db import transaction
from django.forms.models import model_to_dict
from django.urls import reverse
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from governance.models import CapitalState, NotificationChannel
from governance.services.capital import capital_run
from governance.services.routing import routing_run
from mlregistry.models import ModelVersion
from nautilus_site.common.clock import now
from nautilus_site.common.models import ApiToken, ChangeRequest, SecondFactor, User
from nautilus_site.common.roles import permissions_of, permits
from nautilus_site.common.services.appliers import applier_for, registered_kinds
from nautilus_site.common.services.change_requests import (
    change_request_approve,
    change_request_reject,
    change_requests_expire,
)
from tests.factories.second_factors import enrol
from tests.integration.governance.two_people.asking import Ask
from tests.integration.governance.two_people.changes import COVERS, LOWERS, NOTHING_TO_LOWER, RAISES, covered
from tests.integration.governance.two_people.exposure import exposure, raised
from tests.integration.governance.two_people.judge import Judge
from tests.integration.governance.two_people.world import PEOPLE, WAYS, World
from trading.models import CircuitBreaker, CorrelationGroup, StrategyInstance, SymbolAllowance
from universe.models import Instrument

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
RUNS = int(os.environ.get("TWO_PEOPLE_RUNS", "100"))
STEPS = int(os.environ.get("TWO_PEOPLE_STEPS", "100"))
APPLIED, PENDING = ChangeRequest.State.APPLIED, ChangeRequest.State.PENDING


def expire(judge: Judge) -> None:
    """A day passes for everything that waits."""
    waiting = ChangeRequest.objects.filter(state=PENDING)
    judge.ended |= set(waiting.values_list("pk", flat=True))
    waiting.update(expires_at=now() - timedelta(seconds=1))


def decide(ask: Ask, rng: Random) -> None:
    """Approve or reject any request there is, closed ones too, mostly one that waits."""
    every = ChangeRequest.objects.order_by("created_at", "pk")
    waiting = list(every.filter(state=PENDING).values_list("pk", flat=True))
    requests = waiting if waiting and rng.random() < 0.7 else list(every.values_list("pk", flat=True))
    if not requests:
        return
    pk = requests[-1] if rng.random() < 0.5 else rng.choice(requests)
    verb = "approve" if rng.random() < 0.85 else "reject"
    if ask.way == "service":
        service = change_request_approve if verb == "approve" else change_request_reject
        ask.serve(service, request_id=pk, approver=ask.person)
    else:
        ask.call("POST", f"/approvals/{pk}/{verb}", note="n")


def post_to_the_admin(ask: Ask, rng: Random) -> None:
    """Any form of the admin, with every field of the row in it and some of them changed."""
    models = sorted(admin.site._registry, key=lambda model: model._meta.label)
    changeable = [model for model in models if hasattr(admin.site._registry[model], "governed_fields")]
    model = rng.choice(changeable if rng.random() < 0.8 else models)
    row = model._default_manager.order_by("pk").first()
    site = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    client = ask.world.client(ask.name, "session" if ask.way == "service" else ask.way)
    what = rng.choice(["change", "change", "change", "add", "delete", "action"])
    if what == "action":
        picked = {
            "action": rng.choice(["delete_selected", "revoke", "test_selected"]),
            "_selected_action": [row.pk if row else 1],
            "post": "yes",
        }
        client.post(reverse(f"{site}_changelist"), picked)
        return
    if what == "delete" and row is not None:
        client.post(reverse(f"{site}_delete", args=[row.pk]), {"post": "yes"})
        return
    values = (
        {name: "" if value is None else str(value) for name, value in model_to_dict(row).items()}
        if row
        else {}
    )
    for name in rng.sample(sorted(values), min(2, len(values))):
        values[name] = rng.choice(["0", "1", "99999", "", "on", "risk_officer", "2030-01-01", "closed", "{}"])
    values |= {"reason": "because", "is_active": "on", "is_superuser": "on", "password": "x", "_save": "Save"}
    if what == "add" or row is None:
        client.post(reverse(f"{site}_add"), values)
    else:
        client.post(reverse(f"{site}_change", args=[row.pk]), values)


def handle_tokens(ask: Ask, rng: Random) -> None:
    """Make a token, or revoke any."""
    if rng.random() < 0.5:
        scopes = rng.choice([[], ["read"], ["change.decide"], ["kill.resume"], ["orders.place"]])
        ask.call("POST", "/tokens", name="t", scopes=scopes, days=1)
    else:
        tokens = list(ApiToken.objects.filter(name="t").order_by("pk").values_list("pk", flat=True))
        ask.call("DELETE", f"/tokens/{rng.choice(tokens) if tokens else 1}")


def propose_anything(ask: Ask, rng: Random) -> None:
    """The general route, with a kind and a target that may not belong together."""
    kind, targets = (
        rng.choice(registered_kinds()),
        ChangeRequest.objects.order_by("pk").values_list("target", flat=True),
    )
    target = rng.choice(
        [*targets, "max_notional@global", ask.name, "policy:policies", "strategy:trend", "key:desk:feed"]
    )
    payload = rng.choice(
        [
            {},
            {"value": "1e9"},
            {"role": "risk_officer"},
            {"is_armed": False},
            {"document": {}},
            {"every_s": 999},
        ]
    )
    ask.propose(kind, target, payload)


def let_machines_work() -> None:
    """What the router and the allocator do by themselves, every few seconds."""
    routing_run()
    capital_run(trigger="walk")


OFFICERS = sorted(name for name, role in PEOPLE.items() if role == "risk_officer")
DOORS = (
    "raise",
    "raise",
    "raise",
    "lower",
    "machines",
    "decide",
    "decide",
    "decide",
    "admin",
    "tokens",
    "anything",
    "time",
)


class TwoPeople(RuleBasedStateMachine):
    """One step: somebody, through some door."""

    world: World
    totals: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self.outer = transaction.atomic()
        self.outer.__enter__()
        cache.clear()
        self.judge = Judge()
        self.turn = 0

    def teardown(self) -> None:
        self.totals.update(self.judge.seen)
        transaction.set_rollback(True)
        self.outer.__exit__(None, None, None)

    @rule(
        name=st.sampled_from(sorted(PEOPLE)),
        door=st.sampled_from(DOORS),
        way=st.sampled_from(["session", "session", "service", *WAYS]),
        seed=st.integers(0, 2**32 - 1),
    )
    def somebody_does_something(self, name: str, door: str, way: str, seed: int) -> None:
        self.turn += 1
        # Seeds are often small or the same again; with its number no step is another's copy.
        rng = Random(f"{seed}/{self.turn}")
        if door == "decide" and rng.random() < 0.6:
            # Else most decisions are refused for who makes them, and little is ever in force to be abused.
            name, way = rng.choice(OFFICERS), rng.choice(["session", "service"])
        ask = Ask(self.world, name, "session" if way == "service" and door != "decide" else way)
        self.totals[door] += 1
        if self.totals.total() % 50 == 0:
            cache.clear()  # the throttle is not what is tested
        self.judge.step(name, ask.way, lambda: self._act(door, ask, rng))
        if self.turn % 20 == 0:
            assert self.judge.before == exposure(), "the judge saw it all"

    def _act(self, door: str, ask: Ask, rng: Random) -> None:
        if door == "raise":
            # Mostly what the role may ask for: what it may not is soon refused, and nobody learns from it.
            held = permissions_of(User.objects.get(username=ask.name).role)
            own = [kind for kind in sorted(RAISES) if permits(held, applier_for(kind).permission)]
            RAISES[rng.choice(own if own and rng.random() < 0.7 else sorted(RAISES))](ask, rng)
        elif door == "lower":
            LOWERS[rng.choice(sorted(LOWERS))](ask, rng)
        elif door == "machines":
            let_machines_work()
        elif door == "decide":
            decide(ask, rng)
        elif door == "admin":
            post_to_the_admin(ask, rng)
        elif door == "tokens":
            handle_tokens(ask, rng)
        elif door == "anything":
            propose_anything(ask, rng)
        elif rng.random() < 0.3:
            expire(self.judge)
            if rng.random() < 0.5:
                change_requests_expire()


def walk(world: World, runs: int, steps: int) -> Counter[str]:
    TwoPeople.world, TwoPeople.totals = world, Counter()
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        TwoPeople,
        settings=settings(
            max_examples=runs,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return TwoPeople.totals


def test_every_kind_there_is_has_its_ways_here() -> None:
    """A new kind has a way to ask for more and one to less, or the reason why there is nothing to lower."""
    kinds = set(registered_kinds())
    assert set(RAISES) == set(COVERS) == kinds
    assert set(LOWERS) | set(NOTHING_TO_LOWER) == kinds
    assert not set(LOWERS) & set(NOTHING_TO_LOWER)
    assert all(NOTHING_TO_LOWER.values())


def test_each_kind_is_made_safer_by_one_person_at_once(world: World) -> None:
    """Not vacuous: each way to less does lower something for somebody, alone, and raises nothing."""
    wide_open(world)
    for kind in sorted(LOWERS):
        with transaction.atomic():
            for name in ("risk", "trader", "admin", "owner"):
                assert not transaction.get_rollback()
                if any(lowers(kind, Ask(world, name), seed) for seed in range(10)):
                    break
            else:
                raise AssertionError(f"{kind}: nobody made it safer")
            transaction.set_rollback(True)


@pytest.mark.parametrize("whose", ["viewer", "admin2"])
def test_the_judge_sees_a_second_factor_that_one_person_takes_away_or_exchanges(
    world: World, whose: str
) -> None:
    """Also one's own: a found session must not make its person weaker than two people would."""
    factor = SecondFactor.objects.get(user__username=whose)
    with pytest.raises(AssertionError, match=f"factor {whose} gone"):
        Judge().step("admin2", "session", lambda: SecondFactor.objects.filter(pk=factor.pk).delete())
    factor.save(force_insert=True)
    if whose != "admin2":
        with pytest.raises(AssertionError, match=f"factor {whose}"):
            Judge().step("admin2", "session", lambda: enrol(User.objects.get(username=whose)))


def wide_open(world: World) -> None:
    """What the world holds back is given, so that there is something to take back."""
    CircuitBreaker.objects.filter(pk=world.breaker.pk).update(state="closed")
    StrategyInstance.objects.filter(pk=world.idle.pk).update(is_enabled=True)
    SymbolAllowance.objects.get_or_create(
        account=world.desk.account, instrument=Instrument.objects.get(symbol="BNBUSDT"),
        defaults={"added_by": world.people["risk"], "added_at": now()},
    )  # fmt: skip
    CorrelationGroup.objects.update(symbols=["BTCUSDT"])
    NotificationChannel.objects.update(is_enabled=False)
    family = world.versions[0].family
    until = (now() + timedelta(days=1)).isoformat()
    envelope = {"until": until, "champion": True, "canary": True, "most_capital": 1}
    type(family).objects.filter(pk=family.pk).update(envelope=envelope)
    User.objects.create_user(username="ada", role="trader")
    User.objects.create_user(username="grace", role="trader")


def lowers(kind: str, ask: Ask, seed: int) -> bool:
    """Whether a way to less made something safer and nothing riskier."""
    before = exposure()
    LOWERS[kind](ask, Random(seed))
    after = exposure()
    safer = raised(after, before)
    return bool(safer) and not [name for name in raised(before, after) if not name.startswith("password ")]


def test_nothing_one_person_lowers_gives_back_what_another_took(world: World) -> None:
    """A strategy's weight and capital are taken by hand; then the policies are tightened around it."""
    CapitalState.objects.update(stopped=False, multiplier=1.0)  # else there is nothing to give back
    capital_run(trigger="test")
    judge = Judge()
    taken = {
        "account": "desk",
        "symbol": "BTCUSDT",
        "weight": "0",
        "allocation": "1000",
        "reason": "too much",
    }
    judge.step("risk", "session", lambda: Ask(world, "risk").call("POST", "/strategy/trend/grant", **taken))
    for seed in range(6):
        judge.step("risk2", "session", partial(LOWERS["policy.activate"], Ask(world, "risk2"), Random(seed)))
        judge.step("risk2", "session", let_machines_work)
    row = StrategyInstance.objects.get(pk=world.instance.pk)
    assert (row.weight, row.allocation) == (0, 1000)


def askers(kind: str) -> Iterator[str]:
    """Who may ask for a kind, a risk officer last: with them the other one decides."""
    preferred = {
        "user.change": ["admin"],
        "user.create": ["admin"],
        "user.reset_second_factor": ["admin"],
        "credential.replace": ["admin"],
        "model.promote": ["owner"],
        "model.envelope": ["owner"],
        "model.extend_canary": ["owner"],
    }
    yield from preferred.get(kind, ["trader", "risk"])


def file_one(kind: str, world: World, judge: Judge) -> ChangeRequest:
    """A request of a kind, by the first person and chance that gets one."""
    waiting = ChangeRequest.objects.filter(kind=kind, state=PENDING)
    if waiting.exists():
        return waiting.get()  # the machine asked when the world was built
    for seed in range(40):
        for name in askers(kind):
            act = partial(RAISES[kind], Ask(world, name), Random(seed))
            judge.step(name, "session", act)
            if waiting.exists():
                return waiting.get()
    raise AssertionError(f"{kind}: nothing that was asked for became a request")


def who_may_not(request: ChangeRequest) -> list[tuple[str, str]]:
    """The requester through every door, one of every other role, and the decider by what is not a fresh log-in."""
    own = request.requester.username
    others = ("viewer", "trader2", "owner", "admin2")
    return [
        *((own, way) for way in (*WAYS, "service") if own in PEOPLE),
        *((name, way) for name in others for way in ("session", "service")),
        *(("risk2", way) for way in ("token", "stale")),
    ]


def approve(ask: Ask, request: ChangeRequest) -> int:
    if ask.way == "service":
        return ask.serve(change_request_approve, request_id=request.pk, approver=ask.person)
    return ask.call("POST", f"/approvals/{request.pk}/approve", note="")


def test_each_kind_is_asked_for_by_one_and_raised_by_two(world: World) -> None:
    """Not vacuous: each way in does ask, nobody alone gets further, and the second person's yes raises it."""
    for kind in sorted(RAISES):
        with transaction.atomic():
            if kind in ("capital.allocate", "capital.quotas"):
                CapitalState.objects.update(
                    stopped=False, multiplier=1.0
                )  # else there is nothing to give out
            judge = Judge()
            request = file_one(kind, world, judge)
            for name, way in who_may_not(request):
                judge.step(name, way, partial(approve, Ask(world, name, way), request))
            request.refresh_from_db()
            assert (kind, request.state) == (kind, PENDING)
            assert request.effect, f"{kind}: who decides is not told what it would do"
            before = judge.before
            judge.step("risk2", "session", partial(approve, Ask(world, "risk2"), request))
            request.refresh_from_db()
            assert (kind, request.state) == (kind, APPLIED)
            found = raised(before, judge.before)
            if kind == "capital.endorse":
                # The machine is nobody: its request becomes that of who said yes, and raises nothing.
                assert not found
                assert (
                    ChangeRequest.objects.get(kind="capital.allocate", state=PENDING).requester.username
                    == "risk2"
                )
                transaction.set_rollback(True)
                continue
            assert found, f"{kind}: the judge did not notice what two people raised"
            assert all(covered(kind, request.target, name) for name in found), (kind, found)
            transaction.set_rollback(True)


def back_and_forth(world: World) -> None:
    """The shortest walk chance seldom takes: what a risk officer rolled back, its owner asks to roll back again."""
    judge = Judge()
    for name in ("risk", "owner", "risk"):
        (champion,) = [
            row for row in ModelVersion.objects.filter(stage="champion") if row.pk != world.canary.version_id
        ]
        judge.step(
            name,
            "session",
            partial(Ask(world, name).call, "POST", f"/models/{champion.pk}/rollback", reason="r"),
        )
    assert ModelVersion.objects.get(pk=world.versions[0].pk).stage == "champion", (
        "one step back, and no further"
    )


def test_no_sequence_lets_one_person_raise_risk(world: World) -> None:
    with transaction.atomic():
        back_and_forth(world)
        transaction.set_rollback(True)
    totals = walk(world, runs=4, steps=30)
    assert totals.total() > 80


@pytest.mark.long
def test_no_long_sequence_lets_one_person_raise_risk(world: World) -> None:
    totals = walk(world, runs=RUNS, steps=STEPS)
    structlog.get_logger(__name__).info("two_people_walked", **dict(sorted(totals.items())))
    assert sum(totals[door] for door in set(DOORS)) >= 0.9 * RUNS * STEPS
    applied = set(registered_kinds()) & set(totals)
    # Some take a chain of events that chance seldom makes; `test_each_kind_…` goes through every one of them.
    assert len(applied) > len(registered_kinds()) / 2, f"approved: {sorted(applied)}"
