"""When a session ends: unused for a while, ended everywhere by its person; for pages, API and live streams alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.routing import URLRouter
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path

from nautilus_site.common import totp
from nautilus_site.common.clock import now
from nautilus_site.common.live.consumer import LiveConsumer
from nautilus_site.common.live.credentials import Credentials, watcher_of
from nautilus_site.common.live.handshake import LiveHandshake
from nautilus_site.common.models import AuditEntry, SessionUse, User
from nautilus_site.common.second_factor_views import BEGUN
from nautilus_site.common.services.second_factors import second_factor_begin, second_factor_pending
from nautilus_site.common.services.sessions import session_uses_prune
from nautilus_site.common.sessions import AUTHENTICATED_AT
from tests.conftest import PASSWORD
from tests.factories.second_factors import code_now, enrol, passed
from tests.integration.common.live_client import SocketClient

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
IDLE = timedelta(minutes=15)
EVERYWHERE = "/accounts/logout/everywhere/"
application = LiveHandshake(URLRouter([path("ws/live/", LiveConsumer.as_asgi())]))  # type: ignore[arg-type]


@pytest.fixture
def idle(settings: Any) -> None:
    settings.SESSION_IDLE = IDLE


def is_in(client: Client) -> bool:
    return client.get("/people/").status_code == 200


def stream_of(client: Client) -> Credentials:
    return Credentials(session_key=client.session.session_key)


def pass_by(client: Client, by: timedelta) -> None:
    """Time goes by for the one session there is: everything noted of it is that much older."""
    for row in SessionUse.objects.all():
        SessionUse.objects.filter(pk=row.pk).update(at=row.at - by)
    session = client.session
    if AUTHENTICATED_AT in session:
        session[AUTHENTICATED_AT] -= by.total_seconds()
        session.save()


@pytest.mark.usefixtures("idle")
def test_a_session_ends_a_quarter_of_an_hour_after_its_last_request(
    viewer: User, browser: Callable[[User], Client]
) -> None:
    client = browser(viewer)
    for _ in range(5):
        assert is_in(client)
        pass_by(client, IDLE - timedelta(minutes=1))
    assert is_in(client), "used again and again it lives on"
    pass_by(client, IDLE + timedelta(seconds=1))
    assert not is_in(client)
    assert "_auth_user_id" not in client.session
    assert client.get("/api/v1/tokens").status_code == 401


@pytest.mark.usefixtures("idle")
def test_a_session_that_was_never_used_ends_by_the_age_of_its_log_in(
    viewer: User, browser: Callable[[User], Client]
) -> None:
    client = browser(viewer)
    pass_by(client, IDLE + timedelta(seconds=1))
    assert watcher_of(stream_of(client)) is None, "no stream brings it back to life"
    assert client.get("/api/v1/tokens").status_code == 401


@pytest.mark.usefixtures("idle")
def test_an_open_stream_counts_as_use(viewer: User, browser: Callable[[User], Client]) -> None:
    client = browser(viewer)
    for _ in range(5):
        assert watcher_of(stream_of(client)) is not None
        pass_by(client, IDLE - timedelta(minutes=1))
    assert is_in(client)
    pass_by(client, IDLE + timedelta(seconds=1))
    assert watcher_of(stream_of(client)) is None


@pytest.mark.usefixtures("idle")
def test_a_use_is_written_down_once_a_minute_at_most(viewer: User, browser: Callable[[User], Client]) -> None:
    client = browser(viewer)
    assert is_in(client)
    row, session = SessionUse.objects.get(), client.session.session_key
    assert session not in row.digest
    with CaptureQueriesContext(connection) as asked:
        for _ in range(5):
            client.get("/state/people/")
            watcher_of(stream_of(client))
    writes = [
        query["sql"] for query in asked if query["sql"].lstrip().startswith(("INSERT", "UPDATE", "DELETE"))
    ]
    assert writes == []
    assert SessionUse.objects.get().at == row.at
    pass_by(client, timedelta(seconds=61))
    is_in(client)
    assert SessionUse.objects.get().at > row.at


def test_a_session_in_use_does_not_end_however_short_the_idle_time(
    viewer: User, browser: Callable[[User], Client], settings: Any
) -> None:
    settings.SESSION_IDLE = timedelta(minutes=1)
    client = browser(viewer)
    for _ in range(30):
        assert watcher_of(stream_of(client)) is not None
        pass_by(client, timedelta(seconds=5))
    pass_by(client, timedelta(seconds=61))
    assert watcher_of(stream_of(client)) is None


@pytest.mark.usefixtures("idle")
def test_a_probe_is_no_use(viewer: User, browser: Callable[[User], Client]) -> None:
    client = browser(viewer)
    assert client.get("/livez").status_code == 200
    assert not SessionUse.objects.exists()


def test_without_the_setting_nothing_is_noted_and_nothing_ends(
    viewer: User, browser: Callable[[User], Client]
) -> None:
    client = browser(viewer)
    pass_by(client, timedelta(hours=9))
    assert is_in(client)
    assert not SessionUse.objects.exists()


def test_ten_hours_after_its_log_in_a_session_ends_whatever_was_written_to_it_since(
    viewer: User, browser: Callable[[User], Client]
) -> None:
    client = browser(viewer)
    pass_by(client, timedelta(hours=9, minutes=59))
    assert is_in(client)
    pass_by(client, timedelta(minutes=2))
    assert watcher_of(stream_of(client)) is None
    assert not is_in(client)


def test_notes_of_sessions_that_are_over_are_forgotten() -> None:
    SessionUse.objects.create(digest="a", at=now() - timedelta(hours=11))
    SessionUse.objects.create(digest="b", at=now() - timedelta(hours=9))
    assert session_uses_prune() == 1
    assert SessionUse.objects.get().digest == "b"


def test_logging_out_everywhere_ends_all_sessions_of_oneself_and_no_others(
    viewer: User, trader: User, browser: Callable[[User], Client], token_client: Any
) -> None:
    here, elsewhere, other, script = browser(viewer), browser(viewer), browser(trader), token_client(viewer)
    assert "Log out everywhere" in here.get("/accounts/password/").content.decode()
    assert here.get(EVERYWHERE).status_code == 405
    assert "everywhere else" in here.post(EVERYWHERE).content.decode()
    assert (is_in(here), is_in(elsewhere), is_in(other)) == (False, False, True)
    assert watcher_of(stream_of(elsewhere)) is None
    assert script.get("/api/v1/tokens").status_code == 200, "tokens are revoked one by one"
    assert is_in(browser(User.objects.get(pk=viewer.pk))), "a new log-in is as good as ever"
    entry = AuditEntry.objects.get(action="session.all_ended")
    assert (entry.target, entry.actor_name) == ("user:viewer", "viewer")


def test_a_stranger_ends_nobodys(client: Client) -> None:
    assert client.post(EVERYWHERE)["Location"].startswith("/accounts/login/")


@pytest.mark.django_db(transaction=True)
async def test_an_open_socket_ends_within_five_seconds_of_logging_out_everywhere(
    viewer: User, browser: Callable[[User], Client]
) -> None:
    here, elsewhere = await sync_to_async(lambda: (browser(viewer), browser(viewer)))()
    cookie = f"sessionid={elsewhere.cookies['sessionid'].value}".encode()
    headers = [(b"host", b"testserver"), (b"origin", b"http://testserver"), (b"cookie", cookie)]
    socket = SocketClient(application, "/ws/live/", headers=headers)
    assert (await socket.connect())[0]
    await sync_to_async(here.post)(EVERYWHERE)
    since = time.monotonic()
    answer = await socket.receive_output(6)
    assert (answer["type"], answer["code"]) == ("websocket.close", 4403)
    assert time.monotonic() - since <= 5.5
    refused = SocketClient(application, "/ws/live/", headers=headers)
    assert await refused.connect() == (False, 4403)


@pytest.fixture
def in_use(
    viewer: User, idle: None, browser: Callable[[User], Client], clean_cache: None
) -> Callable[[], Client]:
    """A session of a person with a second factor, whose log-in is older than the idle time and who used it just now."""

    def make() -> Client:
        client = passed(browser(User.objects.get(pk=viewer.pk)))
        pass_by(client, IDLE - timedelta(minutes=1))
        assert is_in(client)
        session = client.session
        session[AUTHENTICATED_AT] -= IDLE.total_seconds()
        session.save()
        assert is_in(client), "in use"
        return client

    return make


def test_renewing_a_log_in_ends_nothing_before_the_code_is_given(
    viewer: User, in_use: Callable[[], Client]
) -> None:
    enrol(viewer)
    client = in_use()
    stream = stream_of(client)
    answer = client.post("/accounts/login/", {"username": "viewer", "password": PASSWORD})
    assert client.get(answer["Location"]).status_code == 200, "asked for the code"
    assert watcher_of(stream) is not None
    assert client.post("/accounts/code/", {"code": code_now(viewer)}).status_code == 302
    assert is_in(client)
    assert watcher_of(stream) is None, "whoever had come by the key of before is not renewed with it"


def test_a_log_in_by_the_password_alone_is_renewed_under_another_key_too(
    viewer: User, in_use: Callable[[], Client]
) -> None:
    client = in_use()
    stream = stream_of(client)
    assert client.post("/accounts/login/", {"username": "viewer", "password": PASSWORD}).status_code == 302
    assert (is_in(client), watcher_of(stream)) == (True, None)


def test_another_password_keeps_a_session_whose_log_in_is_older_than_the_idle_time(
    in_use: Callable[[], Client],
) -> None:
    client, new = in_use(), "quite another long one"
    form = {"present": PASSWORD, "password": new, "again": new}
    assert "Changed" in client.post("/accounts/password/", form).content.decode()
    assert is_in(client)


def test_confirming_a_second_factor_keeps_such_a_session(viewer: User, in_use: Callable[[], Client]) -> None:
    client = in_use()
    session = client.session
    session[BEGUN] = second_factor_begin(user=viewer)
    session.save()
    secret = second_factor_pending(viewer, session[BEGUN])
    assert secret is not None
    code = totp.code_at(secret, totp.step_at(time.time()))
    client.post("/accounts/second-factor/", {"action": "confirm", "code": code})
    assert is_in(client)
