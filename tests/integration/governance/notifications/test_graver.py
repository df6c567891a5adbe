"""What is critical is told at once and as critical, whatever was told of the same before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from governance.models import NotificationChannel, NotificationDelivery, NotificationRoute
from governance.services.notifications import channel_mute
from governance.services.playbooks.incidents import incident_open, incident_publish
from nautilus_site.common.services.outbox import publish
from tests.factories.receivers import HttpReceiver

Tell = Callable[..., None]


def incident(severity: str) -> None:
    publish(
        "incidents",
        {
            "id": 1, "kind": "stale_data", "scope": "symbol:BTCUSDT", "subject": "symbol:BTCUSDT",
            "severity": severity, "title": "old price", "state": "open",
        },
    )  # fmt: skip


def types(receiver: HttpReceiver) -> list[str]:
    return [request.body["type"] for request in receiver.requests]


def test_what_became_critical_is_told_again_and_a_warning_after_it_is_not(
    hook: NotificationChannel, receiver: HttpReceiver, tell: Tell
) -> None:
    for severity in ("warning", "warning", "critical", "critical", "warning"):
        incident(severity)
        tell()
    assert types(receiver) == ["warning", "failure"]
    assert "heard 1 more time since" in receiver.texts()[1]
    assert list(NotificationDelivery.objects.order_by("pk").values_list("severity", "repeats")) == [
        ("warning", 1),
        ("critical", 2),
    ]


@pytest.mark.parametrize("held_by", ["digest", "mute"])
def test_it_does_not_wait_with_the_warning_that_is_collected_or_held_back(
    hook: NotificationChannel, receiver: HttpReceiver, tell: Tell, risk_officer: Any, held_by: str
) -> None:
    if held_by == "digest":
        NotificationRoute.objects.filter(kind="*").update(digest_s=3600)
    else:
        channel_mute(name="hook", minutes=600, actor=risk_officer, reason="maintenance")
    incident("warning")
    tell()
    assert receiver.requests == []
    incident("critical")
    tell()
    assert types(receiver) == ["failure"]


def test_an_incident_of_which_nothing_was_done_says_so_in_a_message_of_its_own(
    hook: NotificationChannel, receiver: HttpReceiver, tell: Tell
) -> None:
    row, _ = incident_open(
        kind="stale_data", scope="symbol:BTCUSDT", severity="critical", title="old price", actor="guardian",
        evidence={},
    )  # fmt: skip
    incident_publish(row, severity="critical", news="held_back", reason="people are called instead")
    incident_publish(row, severity="critical", news="no_effect:7", reason="the window is gone")
    incident_publish(row, severity="critical", news="no_effect:8", reason="the limit is not in force")
    tell()
    first, held, seventh, eighth = receiver.texts()
    assert first.startswith("[LOCAL] CRITICAL: old price\n")
    assert held.startswith("[LOCAL] CRITICAL: old price (held back)\npeople are called instead")
    assert seventh.startswith("[LOCAL] CRITICAL: old price (no effect)\nthe window is gone")
    assert "the limit is not in force" in eighth
