"""Approvals lock rows in the order everybody else does: read from the statements they execute."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from mlregistry.domain.stages import Stage
from mlregistry.models import Canary, ModelVersion
from mlregistry.services.canaries import canary_rollback
from mlregistry.services.stages import rollback, version_move
from nautilus_site.common import totp
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.services import appliers
from nautilus_site.common.services.appliers import applier_for
from nautilus_site.common.services.change_requests import change_request_approve
from nautilus_site.common.services.invitations import invitation_code, invitation_link, invitation_use
from nautilus_site.common.services.second_factors import (
    second_factor_begin,
    second_factor_confirm,
    second_factor_pending,
)
from tests.conftest import PASSWORD
from tests.factories.second_factors import code_now
from tests.integration.governance.two_people.test_targets_that_change import filed, prepared
from tests.integration.governance.two_people.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
ORDER = (
    ("common_user", "common_secondfactor"),
    ("common_user", "common_invitation"),
    ("mlregistry_modelfamily", "mlregistry_canary"),
    ("mlregistry_canary", "mlregistry_modelversion"),
    ("governance_policy", "governance_capitalstate"),
    ("governance_capitalstate", "trading_strategyinstance"),
    ("trading_strategy", "trading_strategyinstance"),
    ("trading_strategyinstance", "trading_ceiling"),
)
"""Whoever holds rows of both locks the first before the second."""
_LOCKED = re.compile(r"""^(?:SELECT .*? FROM|UPDATE|DELETE FROM) "(\w+)\"""")


def locked_tables(statements: list[str]) -> list[str]:
    """Tables of which rows are locked or written, in the order of their first time."""
    found = [
        match[1]
        for sql in statements
        if (match := _LOCKED.match(sql)) and ("FOR NO KEY UPDATE" in sql or not sql.startswith("SELECT"))
    ]
    return list(dict.fromkeys(found))


@contextmanager
def in_order(what: str, *expected: str) -> Iterator[None]:
    """What runs inside locks in the platform's order, and tables `expected` among them."""
    with CaptureQueriesContext(connection) as asked:
        yield
    tables = locked_tables([query["sql"] for query in asked])
    assert set(expected) <= set(tables), (what, tables)
    for first, second in ORDER:
        if first in tables and second in tables:
            assert tables.index(first) < tables.index(second), (what, tables)


LOCKS = {
    "capital.allocate": ("trading_strategy", "trading_strategyinstance"),
    "capital.endorse": ("trading_strategy", "trading_strategyinstance"),
    "capital.quotas": ("trading_strategy", "trading_strategyinstance"),
    "model.promote": ("mlregistry_canary", "mlregistry_modelversion"),
    "strategy.grant": ("trading_strategy", "trading_strategyinstance"),
    "strategy.instance_enable": ("trading_strategy", "trading_strategyinstance"),
    "user.reset_second_factor": ("common_user", "common_secondfactor"),
}
"""What the approval of a kind holds, where it is more than one table that others hold too."""


def test_everybody_locks_in_one_order(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    requests(world, monkeypatch)
    approvals(world)
    versions_and_canaries(world)
    factors_and_invitations(world)


def requests(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would happen is found out before the turn: whoever tightens does not wait for a week of orders."""
    for kind in ("limit.loosen", "policy.activate", "strategy.grant"):
        applier = applier_for(kind)
        with transaction.atomic(), CaptureQueriesContext(connection) as asked:
            turns: list[int] = []
            monkeypatch.setitem(
                appliers._appliers, kind, replace(applier, effect=counted(applier.effect, asked, turns))
            )
            prepared(kind, world)
            filed(kind, world)
            transaction.set_rollback(True)
        monkeypatch.setitem(appliers._appliers, kind, applier)
        assert turns == [0], kind


def counted(effect: Any, asked: CaptureQueriesContext, turns: list[int]) -> Any:
    """The same, that notes how often a turn was taken before it began."""

    def noting(*arguments: Any) -> Any:
        turns.append(sum("pg_advisory_xact_lock" in query["sql"] for query in asked.captured_queries))
        return effect(*arguments)

    return noting


def approvals(world: World) -> None:
    for kind, tables in LOCKS.items():
        with transaction.atomic():
            prepared(kind, world)
            request = filed(kind, world)
            with in_order(kind, *tables), suppress(ApplicationError):
                change_request_approve(request_id=request.pk, approver=world.people["risk2"])
            transaction.set_rollback(True)


def versions_and_canaries(world: World) -> None:
    """Whoever moves a version, or ends the canary of one."""
    family, officer, both = world.versions[0].family, world.people["risk"], LOCKS["model.promote"]
    champion = ModelVersion.objects.get(family=family, stage=Stage.CHAMPION)
    row = ModelVersion.objects.filter(family=family).exclude(pk=champion.pk).order_by("-pk")[:1].get()

    def tried() -> Canary:
        ModelVersion.objects.filter(pk=row.pk).update(stage=Stage.CANARY)
        Canary.objects.filter(pk=world.canary.pk).update(
            version=row, champion=champion, ended_at=None, state="running"
        )
        return Canary.objects.get(pk=world.canary.pk)

    canary = tried()
    with in_order("canary_rollback", *both):
        canary_rollback(canary=canary, actor=officer, reason="r")
    tried()
    with in_order("version_move", *both):
        version_move(version_id=row.pk, stage=Stage.SHADOW, actor="test", reason="r")
    tried()
    with in_order("rollback", *both), suppress(ApplicationError):
        rollback(family=family, actor=officer, reason="r")


def factors_and_invitations(world: World) -> None:
    person, people, both = world.people["trader2"], world.people, LOCKS["user.reset_second_factor"]
    person.set_password(PASSWORD)
    person.save()
    client = Client()
    client.post("/accounts/login/", {"username": "trader2", "password": PASSWORD})
    with in_order("log-in", *both):
        client.post("/accounts/code/", {"code": code_now(person)})
    begun = second_factor_begin(user=person)
    secret = second_factor_pending(person, begun)
    assert secret is not None
    with in_order("confirm", *both):
        second_factor_confirm(user=person, begun=begun, code=totp.code_at(secret, totp.step_at(time.time())))
    halves = {
        "link": invitation_link(username="trader", actor=people["admin"]),
        "code": invitation_code(username="trader", actor=people["risk"]),
    }
    with in_order("invitation", "common_user", "common_invitation"):
        invitation_use(**halves, password="quite another long one")
