"""One object has one name: a target spelled another way is refused, so that nobody passes a bar by its spelling."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from governance.domain.policies.located import node_of
from governance.services.policies import policy_change
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import ChangeRequest
from nautilus_site.common.services.appliers import applier_for, registered_kinds
from nautilus_site.common.services.change_requests import change_request_create
from tests.integration.governance.two_people.asking import Ask
from tests.integration.governance.two_people.test_targets_that_change import filed, prepared
from tests.integration.governance.two_people.world import World
from trading.models import Strategy
from trading.services.strategies.defining import definition_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
NEEDS_NO_ROW = {
    "notification.channel": "it may be a new one",
    "trading_state.lower": "any scope may have a level",
}
"""Kinds whose target may have no row yet: there another name is another thing, which has no owner."""


def spellings(target: str) -> list[str]:
    rest = target.partition(":")[2]
    return [
        *(f"{prefix}:{rest or target}" for prefix in ("x", "instance", "strategy", "model")),
        *(
            f" {target}",
            f"{target} ",
            f"{target}\n",
            f"{target}:",
            f"{target}:x",
            target.replace(":", "::", 1),
        ),
        *(target.swapcase(), target.replace(":", ":0", 1), target.replace(":", ":\u0661", 1)),
        *(
            "",
            ":",
            "instance:",
            "instance:trend",
            f"instance:{'9' * 40}",
            "canary:1",
            "model:x",
            "strategy:no such",
        ),
    ]


def test_no_kind_takes_its_target_in_another_spelling(world: World) -> None:
    for kind in sorted(registered_kinds(), key=lambda kind: (kind != "capital.endorse", kind)):
        prepared(kind, world)
        request = filed(kind, world)
        applier, people = applier_for(kind), world.people
        for target in set(spellings(request.target)) - {request.target}:
            for person in people.values():
                assert isinstance(applier.barred(target, request.payload, person), str), (kind, target)
            try:
                made = change_request_create(
                    kind=kind, target=target, payload=request.payload, reason="r", requester=request.requester
                )
            except ApplicationError:
                continue
            assert kind in NEEDS_NO_ROW, (kind, target)
            made.delete()
        request.delete()


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("strategy:trend", (202, "")),
        ("x:trend", (400, "INVALID_TARGET")),
        ("instance:trend", (400, "INVALID_TARGET")),
        (":trend", (400, "INVALID_TARGET")),
    ],
)
def test_an_owner_does_not_decide_about_their_strategy_however_it_is_called(
    world: World, target: str, answer: tuple[int, str]
) -> None:
    strategy = Strategy.objects.get(name="trend")
    Strategy.objects.filter(pk=strategy.pk).update(owner=world.people["risk"], is_enabled=True)
    told = definition_of(strategy)
    payload: dict[str, Any] = {
        "kind": told.kind, "interval": "4h", "parameters": dict(told.parameters), "model_family": told.model_family,
    }  # fmt: skip
    body = {"kind": "strategy.change", "target": target, "payload": payload, "reason": "r"}
    made = Ask(world, "trader").answer("POST", "/approvals", **body)
    assert (made.status_code, made.json().get("code", "")) == answer
    if made.status_code == 202:
        decided = Ask(world, "risk").answer("POST", f"/approvals/{made.json()['id']}/approve", note="")
        assert (decided.status_code, decided.json()["code"]) == (403, "OWN_OBJECT")


def test_nor_about_capital_weights_and_caps_of_it_whatever_the_kind_of_request(world: World) -> None:
    """The same amount is asked for as a grant, from a file, as what a run proposed, and in a document."""
    owners = Strategy.objects.filter(name__in=("trend", "swing"))
    for kind in ("capital.endorse", "capital.allocate", "capital.quotas", "strategy.grant"):
        prepared(kind, world)
        request = filed(kind, world)
        owners.update(owner=world.people["risk2"])
        decided = Ask(world, "risk2").answer("POST", f"/approvals/{request.pk}/approve", note="")
        assert (kind, decided.status_code, decided.json()["code"]) == (kind, 403, "OWN_OBJECT")
        owners.update(owner=None)
        request.delete()
    Strategy.objects.filter(name="trend").update(owner=world.people["risk2"])
    for name, code in (("trend", "OWN_OBJECT"), ("swing", "")):
        weights = {"trend": "0.5", "swing": "0.3"} | {name: "0.6" if name == "trend" else "0.4"}
        made = policy_change(
            name="strategy_weights",
            node=node_of({"weights": weights}),
            actor=world.people["risk"],
            reason="r",
        )
        assert isinstance(made, ChangeRequest)
        decided = Ask(world, "risk2").answer("POST", f"/approvals/{made.pk}/approve", note="")
        assert (name, decided.json().get("code", "")) == (name, code)


def test_a_request_that_nobody_can_tell_the_owner_of_is_nobodys_to_decide_and_hurts_no_page(
    world: World,
) -> None:
    row = ChangeRequest.objects.create(
        kind="strategy.grant", target="instance:trend", payload={}, payload_hash="", target_hash="", diff={},
        reason="older than the spelling", requester=world.people["trader"], created_at=now(),
        expires_at=now() + timedelta(hours=1),
    )  # fmt: skip
    assert world.client("risk").get("/approvals/").status_code == 200
    answer = Ask(world, "risk").answer("POST", f"/approvals/{row.pk}/approve", note="")
    assert (answer.status_code, answer.json()["code"]) == (403, "OWN_OBJECT")
