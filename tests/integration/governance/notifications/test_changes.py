"""Who may change who is told: more at once by one person, less by two; each way in does the same."""

from __future__ import annotations

from typing import Any

import pytest

from governance.models import NotificationChannel, NotificationDelivery, NotificationRoute
from nautilus_site.common.clock import now
from nautilus_site.common.models import AuditEntry, ChangeRequest
from nautilus_site.common.services.change_requests import change_request_approve

CHANNELS, ROUTES = "/api/v1/notifications/channels", "/api/v1/notifications/routes"
WEBHOOK = {
    "name": "ops",
    "kind": "webhook",
    "members": {"url": "https://hooks.example.com/x?key=k3y"},
    "reason": "r",
}


@pytest.fixture
def api(token_client: Any, risk_officer: Any) -> Any:
    return token_client(risk_officer)


@pytest.fixture
def ops(add_channel: Any) -> NotificationChannel:
    channel: NotificationChannel = add_channel("ops", "webhook", url="https://hooks.example.com/x")
    return channel


def put(api: Any, **values: Any) -> Any:
    return api.put(ROUTES, {"channel": "ops", "kind": "*", "reason": "r", **values}, format="json")


def test_a_new_channel_waits_for_a_second_person_and_starts_with_every_warning(
    api: Any, second_risk_officer: Any
) -> None:
    answer = api.post(CHANNELS, WEBHOOK, format="json")
    assert answer.status_code == 202
    assert answer.json()["diff"]["host"] == [None, "hooks.example.com"]
    assert NotificationChannel.objects.count() == 0
    change_request_approve(request_id=answer.json()["id"], approver=second_risk_officer)
    route = NotificationRoute.objects.get()
    assert (route.channel.name, route.kind, route.severity) == ("ops", "*", "warning")


def test_another_address_is_a_request_and_the_old_one_stays_until_then(
    api: Any, ops: NotificationChannel, second_risk_officer: Any
) -> None:
    sealed = bytes(ops.sealed)
    answer = api.post(CHANNELS, {**WEBHOOK, "members": {"url": "https://other.example.com/"}}, format="json")
    assert answer.json()["diff"]["host"] == ["hooks.example.com", "other.example.com"]
    ops.refresh_from_db()
    assert bytes(ops.sealed) == sealed
    change_request_approve(request_id=answer.json()["id"], approver=second_risk_officer)
    ops.refresh_from_db()
    assert ops.host == "other.example.com"


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"url": "https://127.0.0.2/"}, "not the public name"),
        ({"url": "http://hooks.example.com/"}, "expected https"),
        ({}, "needs it"),
        ({"url": "https://hooks.example.com/", "verify": "no"}, "no such member"),
    ],
)
def test_a_channel_that_may_not_be_is_refused_at_once(api: Any, members: dict[str, Any], said: str) -> None:
    answer = api.post(CHANNELS, {**WEBHOOK, "members": members}, format="json")
    assert answer.status_code == 400
    assert answer.json()["code"] == "INVALID_CHANNEL"
    assert said in answer.json()["detail"]


def test_telling_more_applies_at_once_and_is_audited(api: Any, ops: NotificationChannel) -> None:
    assert put(api, severity="info").status_code == 200
    assert put(api, kind="breaker.*", severity="info", digest_s=0).status_code == 200
    assert NotificationRoute.objects.get(kind="*").severity == "info"
    entry = AuditEntry.objects.filter(action="notification.route_changed").earliest("pk")
    assert (entry.before["severity"], entry.after["severity"]) == ("warning", "info")


@pytest.mark.parametrize(
    "values",
    [
        {"severity": "critical"},
        {"digest_s": 600},
        {"dedupe_s": 3600},
        {"is_enabled": False},
        {"kind": "kill.*", "severity": "critical"},
        {"kind": "breaker.drawdown", "is_enabled": False},
    ],
)
def test_telling_less_is_a_request(
    api: Any, ops: NotificationChannel, second_risk_officer: Any, values: dict[str, Any]
) -> None:
    answer = put(api, **values)
    assert answer.status_code == 202
    row = NotificationRoute.objects.get()
    assert (row.kind, row.severity, row.digest_s, row.is_enabled) == ("*", "warning", 0, True)
    change_request_approve(request_id=answer.json()["id"], approver=second_risk_officer)
    row = NotificationRoute.objects.get(kind=values.get("kind", "*"))
    for name, value in values.items():
        assert getattr(row, name) == value


def test_a_request_says_what_would_not_have_been_told(
    api: Any, hook: NotificationChannel, receiver: Any, tell: Any
) -> None:
    from nautilus_site.common.services.outbox import publish

    publish("breakers", {"name": "spread", "scope": "symbol:BTCUSDT", "state": "open", "reason": "r"})
    publish("trading_state", {"scope": "global", "level_name": "CANCEL", "reason": "r", "changed_by": "risk"})
    tell()
    asked = {"channel": "hook", "reason": "r"}
    quieter = api.put(ROUTES, {**asked, "kind": "*", "severity": "critical"}, format="json").json()["effect"]
    silent = api.put(ROUTES, {**asked, "kind": "kill.*", "is_enabled": False}, format="json").json()["effect"]
    gone = api.post(f"{CHANNELS}/hook/disable", {"reason": "r"}, format="json").json()["effect"]
    assert quieter == {"told_last_7_days": 2, "it_would_not_have_told": 1, "of_them_critical": 0}
    assert silent == {"told_last_7_days": 1, "it_would_not_have_told": 1, "of_them_critical": 1}
    assert gone == {
        "told_last_7_days": 2,
        "of_them_critical": 1,
        "channels_left": "none: nobody would be told",
    }


def test_a_request_is_void_once_the_routes_have_changed(
    api: Any, ops: NotificationChannel, second_risk_officer: Any
) -> None:
    from nautilus_site.common.errors import Conflict

    asked = put(api, severity="critical").json()["id"]
    put(api, severity="info")
    with pytest.raises(Conflict, match="changed after"):
        change_request_approve(request_id=asked, approver=second_risk_officer)


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "Breaker"},
        {"kind": "a.b.c.d"},
        {"severity": "loud"},
        {"digest_s": -1},
        {"dedupe_s": 10**9},
        {"volume": 11},
        {"channel": "nobody"},
        {"reason": " "},
    ],
)
def test_a_bad_route_is_refused(api: Any, ops: NotificationChannel, values: dict[str, Any]) -> None:
    assert put(api, **values).status_code in (400, 404)
    assert NotificationRoute.objects.get().severity == "warning"


def test_disabling_takes_two_and_enabling_one(
    api: Any, ops: NotificationChannel, second_risk_officer: Any
) -> None:
    answer = api.post(f"{CHANNELS}/ops/disable", {"reason": "r"}, format="json")
    assert answer.status_code == 202
    ops.refresh_from_db()
    assert ops.is_enabled
    change_request_approve(request_id=answer.json()["id"], approver=second_risk_officer)
    ops.refresh_from_db()
    assert not ops.is_enabled
    assert api.post(f"{CHANNELS}/ops/test", {}, format="json").status_code == 409
    assert api.post(f"{CHANNELS}/ops/enable", {"reason": "r"}, format="json").json()["is_enabled"] is True


def test_a_channel_is_muted_for_a_day_at_most(api: Any, ops: NotificationChannel) -> None:
    mute = f"{CHANNELS}/ops/mute"
    assert api.post(mute, {"minutes": 1441, "reason": "r"}, format="json").json()["code"] == "INVALID_MUTE"
    assert api.post(mute, {"minutes": 1440, "reason": "r"}, format="json").json()["muted_until"] is not None
    assert api.post(mute, {"minutes": 0, "reason": "r"}, format="json").json()["muted_until"] is None


def test_a_test_is_sent_from_the_api(api: Any, hook: NotificationChannel, receiver: Any, tell: Any) -> None:
    answer = api.post(f"{CHANNELS}/hook/test", {}, format="json")
    assert answer.status_code == 202
    tell()
    told = api.get(f"/api/v1/notifications/deliveries/{answer.json()['id']}").json()
    assert (told["state"], told["kind"]) == ("sent", "test")
    assert "a test asked for by risk" in receiver.texts()[0]


def test_w86_a_message_is_called_sent_only_once_its_receiver_took_it(
    api: Any, hook: NotificationChannel, receiver: Any, tell: Any
) -> None:
    """In the earlier system routes answered ok for what nobody had done."""
    receiver.status = 500
    asked = api.post(f"{CHANNELS}/hook/test", {}, format="json").json()
    assert asked["state"] == "waiting"
    tell()
    told = api.get(f"/api/v1/notifications/deliveries/{asked['id']}").json()
    assert (told["state"], told["sent_at"]) == ("waiting", None)
    assert "500" in told["error"]


def test_a_test_is_sent_from_the_admin(
    session_client: Any, risk_officer: Any, hook: NotificationChannel, receiver: Any, tell: Any, client: Any
) -> None:
    client.force_login(risk_officer, backend="django.contrib.auth.backends.ModelBackend")
    page = "/admin/governance/notificationchannel/"
    asked = {"action": "test_selected", "_selected_action": [str(hook.pk)]}
    assert "says it is a test" in client.post(page, asked).content.decode()
    assert NotificationDelivery.objects.count() == 0, "asked for, not yet confirmed"
    client.post(page, {**asked, "confirmed": "yes"})
    tell()
    assert NotificationDelivery.objects.get().state == "sent"
    assert len(receiver.requests) == 1


def test_the_admin_saves_no_channel_or_route_directly(
    client: Any, risk_officer: Any, ops: NotificationChannel
) -> None:
    client.force_login(risk_officer, backend="django.contrib.auth.backends.ModelBackend")
    client.post(f"/admin/governance/notificationchannel/{ops.pk}/change/", {"reason": "quiet"})
    route = NotificationRoute.objects.get()
    form = {"severity": "critical", "digest_s": 0, "dedupe_s": 300, "is_enabled": "on", "reason": "quiet"}
    client.post(f"/admin/governance/notificationroute/{route.pk}/change/", form)
    ops.refresh_from_db()
    route.refresh_from_db()
    assert (ops.is_enabled, route.severity) == (True, "warning")
    kinds = set(ChangeRequest.objects.filter(state="pending").values_list("kind", flat=True))
    assert kinds == {"notification.channel_off", "notification.route"}


def test_a_viewer_looks_and_changes_nothing(token_client: Any, viewer: Any, ops: NotificationChannel) -> None:
    api = token_client(viewer)
    assert [row["name"] for row in api.get(CHANNELS).json()["results"]] == ["ops"]
    assert put(api, severity="info").status_code == 403
    assert api.post(f"{CHANNELS}/ops/test", {}, format="json").status_code == 403
    assert api.post(CHANNELS, WEBHOOK, format="json").status_code == 403


def test_a_person_tells_something_by_command(hook: NotificationChannel, receiver: Any, tell: Any) -> None:
    from django.core.management import CommandError, call_command

    call_command(
        "notify", "--message", "venue maintenance at 03:00", "--severity", "warning", "--source", "ops"
    )
    tell()
    assert "venue maintenance at 03:00" in receiver.texts()[0]
    NotificationRoute.objects.update(is_enabled=False)
    with pytest.raises(CommandError, match="no channel"):
        call_command("notify", "--message", "nobody hears this")


def test_the_page_shows_channels_routes_and_the_log(
    client: Any, viewer: Any, ops: NotificationChannel
) -> None:
    client.force_login(viewer, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get("/notifications/")
    assert page.status_code == 200
    assert "hooks.example.com" in page.content.decode()
    state = client.get("/state/notifications/").json()
    assert state["channels"][0]["lamp"]["text"] == "not used yet"
    assert state["summary"]["waiting"] == 0


def test_a_deployment_may_name_the_only_hosts_there_are(
    api: Any, hook: NotificationChannel, receiver: Any, tell: Any, settings: Any
) -> None:
    settings.NOTIFY_HOSTS, settings.NOTIFY_PRIVATE_HOSTS = (".example.com",), ()
    assert api.post(CHANNELS, WEBHOOK, format="json").status_code == 202
    other = {**WEBHOOK, "name": "other", "members": {"url": "https://hooks.example.org/x"}}
    answer = api.post(CHANNELS, other, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_CHANNEL")
    # The list became shorter than what two people had agreed on.
    asked = api.post(f"{CHANNELS}/hook/test", {}, format="json").json()
    tell()
    told = api.get(f"/api/v1/notifications/deliveries/{asked['id']}").json()
    assert (told["state"], told["error"]) == ("waiting", "127.0.0.1 is not among NOTIFY_HOSTS")
    assert receiver.requests == []


def test_the_page_says_who_hears_what_by_severity_and_when_nobody_hears_the_gravest(
    api: Any, add_channel: Any, ops: NotificationChannel
) -> None:
    from governance.selectors.alerting import notifications_state

    add_channel("mail", "webhook", url="https://hooks.example.com/mail")
    NotificationRoute.objects.filter(channel__name="mail").update(kind="kill.*", severity="critical")

    def reach() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = notifications_state()["summary"]["reach"]
        return found

    ops_alone = {"channels": ["ops"], "but_for": {}, "some_kinds": [], "nobody": []}
    assert reach() == [
        {**ops_alone, "severity": "critical", "some_kinds": ["mail"]},
        {**ops_alone, "severity": "warning"},
        {**ops_alone, "severity": "info", "channels": [], "nobody": ["*", "kill.*"]},
    ]
    # A route that is off decides for its kinds, and no wider one speaks in its place.
    for kind in ("incident.*", "kill.*"):
        NotificationRoute.objects.create(
            channel=ops, kind=kind, severity="warning", is_enabled=False, changed_by="t", changed_at=now()
        )
    critical = reach()[0]
    assert (critical["channels"], critical["but_for"]) == ([], {"ops": ["incident.*", "kill.*"]})
    assert critical["nobody"] == ["incident.*"], "of kills mail hears"
    NotificationChannel.objects.filter(pk=ops.pk).update(is_enabled=False)
    assert reach()[0]["nobody"] == ["*"]


def test_the_effect_of_a_wide_route_leaves_out_what_a_narrower_one_decides(
    ops: NotificationChannel,
) -> None:
    from governance.services.notifications import route_effect

    NotificationRoute.objects.create(
        channel=ops, kind="incident.*", severity="warning", changed_by="t", changed_at=now()
    )
    for kind in ("incident.daily_loss", "kill.global"):
        NotificationDelivery.objects.create(
            channel=ops, kind=kind, severity="critical", title="t",
            event_at=now(), created_at=now(), due_at=now(),
        )  # fmt: skip
    effect = route_effect("route:ops:*", {"is_enabled": False, "severity": "warning"})
    assert effect == {"told_last_7_days": 1, "it_would_not_have_told": 1, "of_them_critical": 1}
