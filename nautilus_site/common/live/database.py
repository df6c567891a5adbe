"""How streams read from Postgres: in a thread, and many that ask the same kind of thing together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from asgiref.sync import sync_to_async
from django.db import connection

Question = TypeVar("Question")
Answer = TypeVar("Answer")


async def in_database(work: Callable[..., Any], *args: Any) -> Any:
    """Run a read in a thread and give its connection back: a stream lives far longer than it reads."""

    def run() -> Any:
        try:
            return work(*args)
        finally:
            if not connection.in_atomic_block:
                connection.close()

    return await sync_to_async(run)()


class Gathered(Generic[Question, Answer]):
    """Questions asked while an answer is under way are answered together by the next read.

    `work` takes all of them and returns an answer for each, in order. An answer is never older than its question.
    """

    def __init__(self, work: Callable[[Sequence[Question]], Sequence[Answer]]) -> None:
        self._work = work
        self._waiting: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._reading: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> Answer:
        """Raises what `work` raises."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        return await answer

    async def _read(self) -> None:
        while self._waiting:
            asked, self._waiting = self._waiting, []
            try:
                answers = await in_database(self._work, [question for question, _ in asked])
            except Exception as error:  # noqa: BLE001  whoever asked handles it
                for _, waiting in asked:
                    if not waiting.done():
                        waiting.set_exception(error)
            else:
                for (_, waiting), answer in zip(asked, answers, strict=True):
                    if not waiting.done():
                        waiting.set_result(answer)
        self._reading = None
