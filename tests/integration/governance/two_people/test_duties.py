"""Every role at every line of the table of duties, through the API and the services: what it says, no more, no less."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

import pytest
from django.core.cache import cache
from django.db import DataError, IntegrityError, transaction

from governance.models import CapitalState
from governance.services.capital_asking import machine_user
from mlregistry.models import ModelVersion
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.appliers import registered_kinds
from nautilus_site.common.services.change_requests import (
    change_request_approve,
    change_request_create,
)
from tests.integration.governance.two_people.asking import Ask
from tests.integration.governance.two_people.changes import RAISES
from tests.integration.governance.two_people.duties import (
    BESIDES,
    KEPT,
    KINDS,
    ROLES,
    Cell,
    cell,
    expected_of_kinds,
    lines,
)
from tests.integration.governance.two_people.world import World
from trading.models import Strategy, TradingState

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
FIRST = {
    "viewer": "viewer",
    "trader": "trader",
    "risk_officer": "risk",
    "model_owner": "owner",
    "admin": "admin",
}
PENDING = ChangeRequest.State.PENDING
TRIES = 40
ENOUGH = 4
"""How many refusals by role settle that a role may not ask."""
OVER = {
    "account": "desk", "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "0.001", "price": "59000",
    "dry_run": True,
}  # fmt: skip


@contextmanager
def undone() -> Iterator[None]:
    """What happens in here did not happen afterwards."""
    cache.clear()
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def asked(kind: str, world: World, name: str) -> ChangeRequest | None:
    """The request of a kind this person gets filed by the way people use; None where their role may not ask."""
    refused = 0
    for seed in range(TRIES):
        if RAISES[kind](Ask(world, name), Random(f"{kind}{seed}")) == 403:
            refused += 1
        found = ChangeRequest.objects.filter(kind=kind, state=PENDING, requester__username=name).first()
        if found is not None:
            return found
        if refused >= ENOUGH:
            return None
    raise AssertionError(f"{kind}: {name} was neither refused nor did they get a request")


def filed(kind: str, world: World, names: list[str]) -> ChangeRequest:
    """A request of a kind by the first of these people, or the machine's own."""
    if kind == "capital.endorse":
        return ChangeRequest.objects.get(kind=kind, state=PENDING)
    made = asked(kind, world, names[0])
    assert made is not None, f"{kind}: {names[0]} may not ask for it"
    return made


def may_ask(kind: str, world: World, role: str) -> bool:
    if kind == "capital.endorse":  # it is the machine's: no route asks for it
        assert Ask(world, FIRST[role]).propose(kind, f"capital:run:{world.run.pk}", {}) in (400, 403)
        return False
    return asked(kind, world, FIRST[role]) is not None


def decides(world: World, name: str, request: ChangeRequest) -> bool:
    """Whether a person gets it applied: from a fresh session, and past every view."""
    with undone():
        by_service = Ask(world, name).serve(
            change_request_approve, request_id=request.pk, approver=world.people[name]
        )
    with undone():
        answer = Ask(world, name).answer("POST", f"/approvals/{request.pk}/approve", note="")
    assert {answer.status_code, by_service} in ({200}, {403}), (
        request.kind,
        name,
        answer.content,
        by_service,
    )
    return by_service == 200


def test_every_kind_of_request_has_its_line() -> None:
    of_lines = [kind for kinds in KINDS.values() for kind in kinds] + list(BESIDES)
    assert sorted(of_lines) == sorted(registered_kinds())


def test_what_differs_is_named_and_written_down() -> None:
    text = Path("docs/decisions/0015-duties-by-kind.md").read_text().lower()
    for (action, role), (given, why) in KEPT.items():
        (line,) = [line for line in lines() if line.action == action]
        assert cell(given) != cell(line.cells[role]), f"{action}, {role}: it is as the table has it"
        assert why
        assert action in text, action


def seen_of_kind(kind: str, world: World) -> dict[str, Cell]:
    """What each role turned out to be able to do about a kind."""
    if kind in ("capital.allocate", "capital.quotas"):
        CapitalState.objects.update(stopped=False, multiplier=1.0)  # else there is nothing to give out
    seen: dict[str, set[str]] = {role: set() for role in ROLES}
    for role in ROLES:
        with undone():
            if may_ask(kind, world, role):
                seen[role].add("propose")
    request = filed(kind, world, [FIRST[role] for role in ROLES if "propose" in seen[role]])
    for role in ROLES:
        name = {"risk": "risk2", "trader": "trader2", "admin": "admin2"}.get(FIRST[role], FIRST[role])
        if name != request.requester.username and decides(world, name, request):
            seen[role].add("approve")
    if request.requester.username in world.people:
        assert not decides(world, request.requester.username, request), "nobody decides their own"
    return {role: frozenset(words) for role, words in seen.items()}


def test_who_asks_and_who_decides_is_as_the_table_says(world: World) -> None:
    seen = {}
    for kind in registered_kinds():
        with undone():
            seen[kind] = seen_of_kind(kind, world)
    assert seen == expected_of_kinds()


def test_a_level_is_lowered_by_risk_officers_whatever_its_height_and_whose_the_strategy(world: World) -> None:
    told = {line.action: line for line in lines()}
    Strategy.objects.filter(name="trend").update(owner=world.people["trader"])
    for action, levels in (("lower level 1-2", (1, 2)), ("lower level 3-4", (3, 4))):
        for level in levels:
            TradingState.objects.filter(scope="strategy:trend").update(level=level)
            for role in ROLES:
                with undone():
                    ask = Ask(world, FIRST[role])
                    got = ask.call(
                        "POST", "/resume", scope="strategy:trend", to_level="ACTIVE", reason="found why"
                    )
                expects = "propose" in told[action].expected(role)
                assert got == (202 if expects else 403), (action, level, role, got)


def _pages(ask: Ask) -> int:
    return max(
        ask.world.client(ask.name).get(path).status_code for path in ("/", "/risk/", "/capital/", "/models/")
    )


def _kill(scope: str) -> Callable[[Ask], int]:
    return lambda ask: ask.call("POST", "/kill?timeout=1", scope=scope, level="HALT_NEW", reason="r")


def _own_kill(ask: Ask) -> int:
    version = ask.world.versions[0]
    ModelVersion.objects.filter(pk=version.pk).update(created_by=ask.world.people["owner"])
    Strategy.objects.filter(name="trend").update(
        model_family=version.family.name, model_version=version.number
    )
    return _kill(f"model:{version.family.name}@{version.number}")(ask)


def _train(ask: Ask) -> int:
    return ask.call("POST", "/models/train", family="none")


def _audit(ask: Ask) -> int:
    seen = {ask.call("GET", "/audit"), ask.call("GET", "/audit/verify"),
            ask.world.client(ask.name).get("/admin/common/auditentry/").status_code}  # fmt: skip
    assert seen in ({200}, {403}, {403, 302}), seen
    for path in ("/admin/common/auditentry/add/", "/admin/common/auditentry/1/delete/"):
        assert ask.world.client(ask.name).post(path, {"post": "yes"}).status_code in (302, 403), (
            "nobody writes it"
        )
    return min(seen) if seen == {200} else 403


ALONE: dict[str, Callable[[Ask], int]] = {
    "see the dashboards": _pages,
    "raise a level of any scope": _kill("global"),
    "raise the level of one's model": _own_kill,
    "train and register": _train,
    "backtest": lambda ask: ask.call("POST", "/backtests", strategy="none"),
    "manual order": lambda ask: ask.call("POST", "/orders", **OVER),
    "read the audit trail": _audit,
}
SHAPED = ("train and register", "backtest")
"""Asked with a body that is refused once the role was let in: the work itself takes long."""
BY_REQUEST = {*KINDS, "lower level 3-4"}


def test_each_line_is_driven_by_one_of_the_tests_here() -> None:
    assert {line.action for line in lines()} == {*ALONE, *BY_REQUEST}


def test_who_does_it_alone_is_as_the_table_says(world: World) -> None:
    seen: dict[tuple[str, str], Cell] = {}
    for action, drive in ALONE.items():
        for role in ROLES:
            with undone():
                status = drive(Ask(world, FIRST[role]))
            assert status in (200, 201, 403) or (action in SHAPED and status in (400, 404)), (
                action,
                role,
                status,
            )
            seen[action, role] = frozenset() if status == 403 else frozenset({"yes"})
    assert seen == {
        (line.action, role): line.expected(role) for line in lines() if line.action in ALONE for role in ROLES
    }


def test_nobody_holds_a_second_role_or_decides_by_a_former_one(world: World) -> None:
    for other in ("trader", "model_owner", "admin"):
        no_second_role(other, world)
    with pytest.raises(ApplicationError) as refused:
        change_request_create(
            kind="model.envelope", target=f"family:{world.versions[0].family.name}", payload={}, reason="r",
            requester=machine_user(),
        )  # fmt: skip
    assert refused.value.code == "ROLE_REQUIRED", "a machine widens its own envelope"
    request = asked("limit.loosen", world, "trader")
    assert request is not None
    User.objects.filter(username="trader").update(role="risk_officer")
    answer = Ask(world, "trader").answer("POST", f"/approvals/{request.pk}/approve", note="")
    assert (answer.status_code, answer.json()["code"]) == (403, "SELF_APPROVAL")


def no_second_role(other: str, world: World) -> None:
    """Neither the service nor the database takes two roles for a person."""
    both = [other, "risk_officer"]
    ask = partial(Ask(world, "admin").answer, "POST", "/approvals", reason="r")
    for kind, target, payload in (
        ("user.change", "viewer", {"role": both}),
        ("user.create", "ada", {"role": both, "email": "ada@example.org"}),
    ):
        answer = ask(kind=kind, target=target, payload=payload)
        assert (answer.status_code, answer.json()["code"]) == (400, "ROLE_CONFLICT"), kind
    for stored in (",".join(both), f"{other} risk", str(both)[:16]):
        with pytest.raises((IntegrityError, DataError)), transaction.atomic():
            User.objects.filter(username="viewer").update(role=stored)
