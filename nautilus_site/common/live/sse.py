"""`GET /api/v1/stream`: the same events as server-sent events, resumable with `Last-Event-ID`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase

from nautilus_site.common.addresses import request_address
from nautilus_site.common.api.problems import plain_problem
from nautilus_site.common.clock import now_ms
from nautilus_site.common.live.credentials import Credentials, credentials_from, watcher_now
from nautilus_site.common.live.feed import EventFeed
from nautilus_site.common.live.packets import Packet
from nautilus_site.common.live.protocol import ProtocolError, parse_resume, parse_topics

HEARTBEAT_S = 10.0
RECHECK_S = 5.0


async def stream(request: HttpRequest) -> HttpResponseBase:
    """Stream events of `?topics=a,b` (all the caller may watch by default)."""
    if request.method != "GET":
        refused = plain_problem(request, "METHOD_NOT_ALLOWED", "only GET", 405)
        refused["Allow"] = "GET"
        return refused
    credentials = credentials_from(
        request.headers.get("Authorization", ""),
        f"{settings.SESSION_COOKIE_NAME}={request.COOKIES.get(settings.SESSION_COOKIE_NAME, '')}",
        address=request_address(request),
    )
    watcher = await watcher_now(credentials)
    if watcher is None:
        refused = plain_problem(request, "NOT_AUTHENTICATED", "log in or send a bearer token", 401)
        refused["WWW-Authenticate"] = 'Bearer realm="api"'
        return refused
    try:
        topics = parse_topics([t for t in request.GET.get("topics", "").split(",") if t])
        resume = parse_resume(
            _number(request.headers.get("Last-Event-ID") or request.GET.get("last_event_id"))
        )
    except ProtocolError as error:
        return plain_problem(request, "VALIDATION", error.reason, 400)
    for topic in topics:
        if not watcher.may_watch(topic):
            extra = {"permission": f"read:{topic}"}
            return plain_problem(request, "PERMISSION_DENIED", f"you may not watch {topic}", 403, extra)
    response = StreamingHttpResponse(_lines(topics, resume, credentials), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


stream.required = {"GET": "read"}  # type: ignore[attr-defined]


async def _lines(topics: tuple[str, ...], resume: int | None, credentials: Credentials) -> AsyncIterator[str]:
    async with EventFeed(topics, resume=resume) as feed:
        yield f": subscribed, newest id {feed.newest}\n\n"
        if feed.missed:
            yield f'event: missed\ndata: {{"last_id": {feed.newest}}}\n\n'
        batches = feed.batches()
        waiting: asyncio.Task[list[Packet]] | None = None
        checked_at = pinged_at = time.monotonic()
        try:
            while True:
                # The pending step is kept across heartbeats: cancelling it would end the feed.
                waiting = waiting or asyncio.ensure_future(anext(batches))
                done, _ = await asyncio.wait({waiting}, timeout=RECHECK_S)
                if done:
                    packets, waiting = waiting.result(), None
                    yield "".join(map(sse_text, packets))
                moment = time.monotonic()
                if moment - checked_at >= RECHECK_S:
                    checked_at = moment
                    if not await _may_still_watch(credentials):
                        yield 'event: closed\ndata: {"reason": "the log-in has ended"}\n\n'
                        return
                if moment - pinged_at >= HEARTBEAT_S:
                    pinged_at = moment
                    yield f": ping {now_ms()}\n\n"
        finally:
            if waiting is not None:
                waiting.cancel()
                await asyncio.wait({waiting})
            await batches.aclose()  # type: ignore[attr-defined]


async def _may_still_watch(credentials: Credentials) -> bool:
    try:
        return await watcher_now(credentials) is not None
    except (DatabaseError, InterfaceError):
        # Not an answer about the person; no event can be read either until Postgres is back.
        return True


def sse_text(packet: Packet) -> str:
    """One event in the wire format, as a plain message; no id where the event is outside the promise."""
    identity = "" if packet.id is None else f"id: {packet.id}\n"
    return f"{identity}data: {packet.text}\n\n"


def _number(text: str | None) -> int | None:
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ProtocolError(400, "Last-Event-ID: expected an event id")
    return int(text)
