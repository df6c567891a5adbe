"""A walk of many steps: at each somebody does something through some door, and the judge looks on."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from random import Random

from django.contrib import admin
from django.core.cache import cache
from django.db import transaction
from django.forms.models import model_to_dict
from django.urls import reverse
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from governance.services.capital import capital_run
from governance.services.routing import routing_run
from nautilus_site.common.clock import now
from nautilus_site.common.models import ApiToken, ChangeRequest, User
from nautilus_site.common.roles import permissions_of, permits
from nautilus_site.common.services.appliers import applier_for, registered_kinds
from nautilus_site.common.services.change_requests import (
    change_request_approve,
    change_request_reject,
    change_requests_expire,
)
from tests.integration.governance.two_people.asking import Ask
from tests.integration.governance.two_people.changes import LOWERS, RAISES
from tests.integration.governance.two_people.exposure import exposure
from tests.integration.governance.two_people.judge import Judge
from tests.integration.governance.two_people.world import PEOPLE, WAYS, World

PENDING = ChangeRequest.State.PENDING


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
