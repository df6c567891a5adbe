"""`GET /api/v1/stream`: server-sent events with resume."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from django.test import AsyncClient

from nautilus_site.common.live.groups import push_async
from nautilus_site.common.models import User
from nautilus_site.common.services.tokens import token_create
from tests.integration.common.live_client import numbered

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.integration.common.toy_urls")]
PATH = "/api/v1/stream"


@pytest.fixture
def headers(viewer: User) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_create(user=viewer, name='t', actor=viewer)}"}


async def take(response: Any, count: int) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    stream = response.streaming_content
    async with asyncio.timeout(10):
        async for chunk in stream:
            for block in chunk.decode().split("\n\n"):
                lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
                if "data" in lines and "event" not in lines:
                    event = json.loads(lines["data"])
                    assert lines["id"] == str(event["id"])
                    events.append(event)
            if len(events) >= count:
                await stream.aclose()
                return events
    return events


async def test_events_resume_after_the_last_event_id_and_go_on_live(headers: dict[str, str]) -> None:
    await numbered(*({"n": n} for n in range(1, 6)))
    response = await AsyncClient().get(f"{PATH}?topics=fills", headers={**headers, "Last-Event-ID": "2"})
    assert response["Content-Type"] == "text/event-stream"
    assert response["Cache-Control"] == "no-store"

    async def later() -> None:
        await asyncio.sleep(0.3)
        await push_async(await numbered({"n": 6}))

    pushing = asyncio.create_task(later())
    events = await take(response, 4)
    await pushing
    assert [(event["id"], event["data"]["n"]) for event in events] == [(3, 3), (4, 4), (5, 5), (6, 6)]


@pytest.mark.parametrize(
    ("query", "last", "status", "code"),
    [
        ("?topics=fills", "x", 400, "VALIDATION"),
        ("?topics=secrets", "", 400, "VALIDATION"),
        ("", "", 400, "VALIDATION"),
    ],
)
async def test_bad_input_is_a_problem(
    headers: dict[str, str], query: str, last: str, status: int, code: str
) -> None:
    response = await AsyncClient().get(PATH + query, headers={**headers, "Last-Event-ID": last})
    assert (response.status_code, response.json()["code"]) == (status, code)


async def test_without_credentials_the_stream_is_closed() -> None:
    response = await AsyncClient().get(f"{PATH}?topics=fills")
    assert (response.status_code, response.json()["code"]) == (401, "NOT_AUTHENTICATED")
