"""What streams share: one subscription and one text for all, and reads of Postgres that are answered together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import pytest

from nautilus_site.common.live import feed as feed_module
from nautilus_site.common.live import hub as hub_module
from nautilus_site.common.live.database import Gathered
from nautilus_site.common.live.feed import EventFeed
from nautilus_site.common.live.groups import push_async, push_prices_async
from nautilus_site.common.live.hub import hub
from nautilus_site.common.live.packets import Packet
from tests.integration.common.live_client import numbered

pytestmark = pytest.mark.django_db(transaction=True)


async def packets_of(feed: EventFeed) -> AsyncIterator[Packet]:
    async for packets in feed.batches():
        for packet in packets:
            yield packet


async def soon(packets: AsyncIterator[Packet]) -> Packet:
    return await asyncio.wait_for(anext(packets), timeout=5)


async def test_everybody_gets_the_very_same_packet_of_one_subscription() -> None:
    async with AsyncExitStack() as open_feeds:
        feeds = [await open_feeds.enter_async_context(EventFeed(["fills", "prices"])) for _ in range(5)]
        streams = [packets_of(feed) for feed in feeds]
        waiting = [asyncio.create_task(soon(stream)) for stream in streams]
        await asyncio.sleep(0.05)
        await push_async(await numbered({"n": 1}))
        first, *others = await asyncio.gather(*waiting)
        assert first.text.startswith('{"id":1,"topic":"fills","at":"')
        assert all(packet is first for packet in others)
        waiting = [asyncio.create_task(soon(stream)) for stream in streams]
        await push_prices_async({"BTCUSDT": {"mid": "1"}})
        first, *others = await asyncio.gather(*waiting)
        assert first.event["data"] == {"BTCUSDT": {"mid": "1"}}
        assert all(packet is first for packet in others)
    # With the last stream the subscription ends: nothing is heard any more.
    await push_async(await numbered({"n": 2}))
    await asyncio.sleep(0.1)
    assert hub().last == 0


async def test_a_stream_further_behind_than_the_hub_holds_reads_the_rest_from_postgres(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub_module, "HELD", 3)
    async with EventFeed(["fills"]) as feed:
        packets = packets_of(feed)
        for batch in ([1, 2], [3, 4, 5], [6, 7, 8, 9]):
            await push_async(await numbered(*({"n": n} for n in batch)))
        async with asyncio.timeout(5):
            while hub().last < 9:
                await asyncio.sleep(0.01)
        assert hub().after(5) is None
        assert [packet.id for packet in hub().after(6) or ()] == [7, 8, 9]
        assert [(await soon(packets)).event["data"]["n"] for _ in range(9)] == list(range(1, 10))


async def test_a_reader_that_fell_behind_gets_all_there_is_at_once_by_the_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed_module, "PAGE", 4)
    async with EventFeed(["fills"]) as feed:
        batches = feed.batches()
        for _ in range(5):
            await push_async(await numbered({"n": 1}, {"n": 2}))
        async with asyncio.timeout(5):
            while hub().last < 10:
                await asyncio.sleep(0.01)
        got = [[packet.id for packet in await asyncio.wait_for(anext(batches), timeout=5)] for _ in range(3)]
        assert got == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]


async def test_with_many_streams_what_comes_close_together_is_written_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with AsyncExitStack() as open_feeds:
        feeds = [await open_feeds.enter_async_context(EventFeed(["fills"])) for _ in range(3)]
        streams = [feed.batches() for feed in feeds]
        rounds = [asyncio.create_task(anext(stream)) for stream in streams]
        await asyncio.sleep(0.05)
        await push_async(await numbered({"n": 1}))  # nothing was written for long: at once
        first = await asyncio.wait_for(asyncio.gather(*rounds), timeout=5)
        rounds = [asyncio.create_task(anext(stream)) for stream in streams]
        monkeypatch.setattr(hub_module, "ROUND_S", 1000.0)
        await push_async(await numbered({"n": 2}))
        await push_async(await numbered({"n": 3}))
        async with asyncio.timeout(5):
            while hub().last < 3:
                await asyncio.sleep(0.01)
        assert not any(round_.done() for round_ in rounds)
        monkeypatch.setattr(hub_module, "ROUND_S", 0.0)  # as when the time is over
        await push_async(await numbered({"n": 4}))
        second = await asyncio.wait_for(asyncio.gather(*rounds), timeout=5)
        assert [[packet.id for packet in packets] for packets in first] == [[1]] * 3
        assert [[packet.id for packet in packets] for packets in second] == [[2, 3, 4]] * 3


async def test_a_slow_reader_of_prices_gets_the_newest_of_every_symbol_it_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub_module, "PRICE_INTERVAL_S", 0.0)
    async with EventFeed(["prices"]) as feed:
        for symbol, mid in (("BTCUSDT", "1"), ("ETHUSDT", "2"), ("BTCUSDT", "3")):
            await push_prices_async({symbol: {"mid": mid}})
        async with asyncio.timeout(5):
            while hub().prices_version < 3:
                await asyncio.sleep(0.01)
        packet = await soon(packets_of(feed))
        assert packet.event["data"] == {"BTCUSDT": {"mid": "3"}, "ETHUSDT": {"mid": "2"}}


async def test_what_is_asked_during_a_read_is_answered_together_by_the_next() -> None:
    asked: list[Sequence[int]] = []
    go_on = threading.Event()

    def work(questions: Sequence[int]) -> list[int]:
        asked.append(list(questions))
        go_on.wait(5)
        return [question * 10 for question in questions]

    reads: Gathered[int, int] = Gathered(work)
    first = asyncio.create_task(reads.ask(1))
    async with asyncio.timeout(5):
        while not asked:
            await asyncio.sleep(0.01)
    others = [asyncio.create_task(reads.ask(n)) for n in (2, 3, 4)]
    given_up = asyncio.create_task(reads.ask(5))
    await asyncio.sleep(0.05)
    given_up.cancel()
    go_on.set()
    assert await first == 10
    assert await asyncio.gather(*others) == [20, 30, 40]
    assert asked == [[1], [2, 3, 4, 5]]
    assert await reads.ask(6) == 60


async def test_a_read_that_fails_tells_everybody_who_asked_and_the_next_is_tried_anew() -> None:
    broken = True

    def work(questions: Sequence[str]) -> Sequence[str]:
        if broken:
            raise ConnectionError("gone")
        return questions

    reads: Gathered[str, str] = Gathered(work)
    answers = await asyncio.gather(reads.ask("a"), reads.ask("b"), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ConnectionError, ConnectionError]
    broken = False
    assert await reads.ask("c") == "c"
