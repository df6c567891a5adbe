"""Channels that lead to receivers on this machine, made as people make them: proposed by one, approved by another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from governance.models import NotificationChannel
    from nautilus_site.common.models import User
    from nautilus_site.common.services.leases import Held
    from tests.factories.receivers import HttpReceiver

AddChannel = Callable[..., "NotificationChannel"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, settings: Any, db: None) -> Path:
    """A home of its own with sealing keys, receivers on this machine allowed, the cursor at the beginning."""
    from governance.models import EventCursor
    from nautilus_site.common.clock import now
    from trading.services.credentials import sealing_keys_install

    settings.NAUTILUS_HOME = tmp_path
    settings.NOTIFY_PRIVATE_HOSTS = ("127.0.0.1",)
    settings.PUBLIC_URL = "http://dashboard.test"
    sealing_keys_install()
    EventCursor.objects.create(name="notifications", event_id=0, moved_at=now())
    return tmp_path


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    from tests.factories.receivers import http_receiver

    with http_receiver() as running:
        yield running


@pytest.fixture
def add_channel(risk_officer: User, second_risk_officer: User) -> AddChannel:
    """`add_channel("hook", "webhook", url=...)`: proposed by risk, approved by risk2."""
    from governance.models import NotificationChannel
    from governance.services.notifications import channel_propose
    from nautilus_site.common.services.change_requests import change_request_approve

    def add(name: str, kind: str, **members: Any) -> NotificationChannel:
        asked = channel_propose(name=name, kind=kind, members=members, requester=risk_officer, reason="test")
        change_request_approve(request_id=asked.pk, approver=second_risk_officer)
        return NotificationChannel.objects.get(name=name)

    return add


@pytest.fixture
def hook(add_channel: AddChannel, receiver: HttpReceiver) -> NotificationChannel:
    """A webhook to `receiver` that is told everything but approvals at once."""
    from governance.models import NotificationRoute

    channel = add_channel(
        "hook", "webhook", url=f"{receiver.url}/alerts?key=sesame", authorization="Bearer s3cret"
    )
    route = NotificationRoute.objects.get(channel=channel)
    NotificationRoute.objects.filter(pk=route.pk).update(severity="info")
    # The approvals that made the channels are not what is tested here.
    route.pk, route.kind, route.is_enabled = None, "approval.*", False
    route.save()
    return channel


@pytest.fixture
def relay(db: None) -> Held:
    """The lease under which events are numbered."""
    from nautilus_site.common.services.leases import lease_acquire

    held = lease_acquire(name="relay", holder="test", life=timedelta(minutes=5))
    assert held is not None
    return held


@pytest.fixture
def tell(relay: Held) -> Callable[..., None]:
    """`tell()` runs the tick, as beat does, until nothing is due or under way; `rounds=1` for a single one."""
    from django.db.models import Q

    from governance.models import NotificationDelivery
    from governance.tasks import notifications_tick
    from nautilus_site.common.clock import now
    from nautilus_site.common.services.event_numbering import events_number

    def run(*, rounds: int | None = None, seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        done = 0
        while time.monotonic() < deadline:
            events_number(relay)
            notifications_tick()
            done += 1
            if rounds is not None and done >= rounds:
                return
            under_way = Q(state="sending") | Q(
                Q(channel__retry_at=None) | Q(channel__retry_at__lte=now()),
                Q(retry_at=None) | Q(retry_at__lte=now()),
                state="waiting",
                due_at__lte=now(),
            )
            if rounds is None and not NotificationDelivery.objects.filter(under_way).exists():
                return
            time.sleep(0.1)
        raise AssertionError("messages are still under way")

    return run
