"""The admin's form of a policy: it proposes versions, it never edits one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.test import Client

from governance.models import Policy, PolicyVersion
from nautilus_site.common.models import ChangeRequest, User
from tests.factories.trading import Desk
from tests.integration.governance.conftest import in_force

PATH = "/admin/governance/policy/capital_policy/change/"


def saved(client: Client, document: Any, reason: str = "by the form") -> Any:
    text = document if isinstance(document, str) else json.dumps(document)
    return client.post(PATH, {"document": text, "reason": reason}, follow=True)


def test_a_stricter_document_is_in_force_and_a_looser_one_becomes_a_request(
    desk: Desk, risk_officer: User, browser: Callable[[User], Client]
) -> None:
    in_force("capital_policy", max_quota_usd=10_000)
    client = browser(risk_officer)
    assert '"max_quota_usd": "10000"' in client.get(PATH).content.decode().replace("&quot;", '"')
    assert saved(client, {"max_quota_usd": 9000}).status_code == 200
    policy = Policy.objects.select_related("active").get(pk="capital_policy")
    assert policy.active is not None
    assert (policy.active.number, policy.active.document["max_quota_usd"]) == (2, "9000")
    answer = saved(client, {"max_quota_usd": 9001})
    request = ChangeRequest.objects.get(kind="policy.activate")
    assert f"/admin/common/changerequest/{request.pk}/change/" in answer.redirect_chain[-1][0]
    assert PolicyVersion.objects.filter(policy=policy).count() == 2


def test_a_wrong_document_and_a_role_that_may_not_change_nothing(
    desk: Desk, risk_officer: User, viewer: User, trader: User, browser: Callable[[User], Client]
) -> None:
    in_force("capital_policy", max_quota_usd=10_000)
    for text, part in (('{"max_quota_usd": "much"}', "expected a number"), ("{", "valid JSON")):
        assert part in saved(browser(risk_officer), text).content.decode()
    assert (
        "lacks the permission limits.tighten"
        in saved(browser(trader), {"max_quota_usd": 9000}).content.decode()
    )
    saved(browser(viewer), {"max_quota_usd": 9000})
    for route in ("add/", "capital_policy/delete/"):
        assert (
            browser(risk_officer).post(f"/admin/governance/policy/{route}", {"post": "yes"}).status_code
            == 403
        )
    assert PolicyVersion.objects.count() == 1
    assert not ChangeRequest.objects.exists()
