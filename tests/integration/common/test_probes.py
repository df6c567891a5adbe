"""The probes: honest about what fails, open or closed as promised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from redis.exceptions import ConnectionError as BrokerDown

from nautilus_site.common import collectors, probes
from nautilus_site.common.models import User
from nautilus_site.common.services.tokens import token_create

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.integration.common.toy_urls")]
ELSEWHERE = "10.1.2.3"


@pytest.fixture(autouse=True)
def _own_registrations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        probes, "_checks", {k: probes._checks[k] for k in ("database", "broker", "migrations")}
    )
    monkeypatch.setattr(
        collectors, "_factories", {k: collectors._factories[k] for k in ("approvals", "audit_chain")}
    )


def samples(client: Any, **extra: Any) -> dict[str, float]:
    response = client.get("/metrics", **extra)
    assert response.status_code == 200
    return {
        sample.name + str(sorted(sample.labels.items()) or ""): sample.value
        for family in text_string_to_metric_families(response.content.decode())
        for sample in family.samples
    }


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/version", "/metrics"])
def test_probes_answer_get_and_head_and_nothing_else(client: Any, path: str) -> None:
    assert client.get(path).status_code == 200
    head = client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert client.post(path).status_code == 405


@pytest.mark.parametrize(
    ("module", "name", "error"),
    [("database", "connection", OperationalError), ("broker", "cache", BrokerDown)],
)
def test_readiness_names_what_does_not_answer(
    client: Any, monkeypatch: pytest.MonkeyPatch, module: str, name: str, error: type[Exception]
) -> None:
    class Down:
        def __getattr__(self, _: str) -> Any:
            raise error("no answer")

    client.get("/readyz")  # once in good health: applied migrations are not looked up again
    monkeypatch.setattr(probes, name, Down())
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["failing"] == [module]
    assert client.get("/livez").status_code == 200


def test_a_registered_check_counts_and_one_that_raises_means_not_ready(client: Any) -> None:
    probes.register_readiness("reconcile", lambda: None)
    assert client.get("/readyz").json()["checks"]["reconcile"] == "ok"
    probes.register_readiness("reconcile", lambda: "not reconciled for 75 s")
    assert client.get("/readyz").json()["checks"]["reconcile"] == "not reconciled for 75 s"

    def broken() -> str | None:
        raise KeyError("secret")

    probes.register_readiness("reconcile", broken)
    response = client.get("/readyz")
    assert (response.status_code, response.json()["failing"]) == (503, ["reconcile"])
    assert b"secret" not in response.content


def test_metrics_from_elsewhere_need_a_token_that_may(client: Any, viewer: User) -> None:
    def status(**extra: Any) -> int:
        return int(client.get("/metrics", REMOTE_ADDR=ELSEWHERE, **extra).status_code)

    def bearer(scopes: list[str]) -> dict[str, str]:
        return {
            "HTTP_AUTHORIZATION": f"Bearer {token_create(user=viewer, name='m', actor=viewer, scopes=scopes)}"
        }

    assert status() == 401
    assert status(HTTP_AUTHORIZATION="Bearer nhmm_wrong") == 401
    assert status(**bearer(["read:fills"])) == 401
    assert status(**bearer(["read:metrics"])) == 200


def test_a_bind_beyond_loopback_trusts_no_address(client: Any, settings: Any) -> None:
    settings.BIND = "192.0.2.1"
    assert client.get("/metrics").status_code == 401


def test_a_failing_collector_is_reported_and_hides_no_other(client: Any) -> None:
    def broken() -> Any:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM no_such_table")

    collectors.register_collector(broken, name="broken")
    collectors.register_collector(lambda: [GaugeMetricFamily("toy_gauge", "Toy.", value=7)], name="toy")
    found = samples(client)
    assert found["collector_up[('name', 'broken')]"] == 0
    assert found["collector_up[('name', 'toy')]"] == 1
    assert found["toy_gauge"] == 7
    assert (found["approvals_pending"], found["audit_chain_ok"]) == (0, 1)


def test_pending_approvals_are_counted_at_the_scrape(client: Any, make_user: Callable[..., User]) -> None:
    from nautilus_site.common.services.change_requests import change_request_create

    make_user("viewer", username="someone")
    change_request_create(
        kind="user.change",
        target="someone",
        payload={"role": "trader"},
        reason="r",
        requester=make_user("admin"),
    )
    assert samples(client)["approvals_pending"] == 1
