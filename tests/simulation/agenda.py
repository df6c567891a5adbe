"""The clock of a simulation: what happens next, under one seed, and the trace of what did."""

from __future__ import annotations

import hashlib
import heapq
import itertools
import random
from collections.abc import Callable, Generator, Iterator

from trading.domain.execution import MS, SECOND

Process = Generator[int, None, None]


class Agenda:
    """Lets processes go on when their time has come; while there is trouble they may be killed or sleep."""

    def __init__(self, seed: int, *, trouble_s: int) -> None:
        self.rng = random.Random(seed)
        self.now = 1_700_000_000 * SECOND
        self.trouble_until = self.now + trouble_s * SECOND
        self.events = 0
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._ids = itertools.count()
        self._trace = hashlib.sha256()

    def happen(self, until_ns: int) -> Iterator[None]:
        """Let one thing after the other happen, up to a time; the caller looks on after each."""
        while self._agenda and self._agenda[0][0] <= until_ns:
            self.now, _, act = heapq.heappop(self._agenda)
            self.events += 1
            act()
            yield

    @property
    def digest(self) -> str:
        """The trace's digest: equal for equal runs."""
        return self._trace.hexdigest()

    @property
    def trouble(self) -> bool:
        return self.now < self.trouble_until

    def note(self, *words: object) -> None:
        """Add one line to the trace."""
        self._trace.update(f"{self.now} {' '.join(map(str, words))}\n".encode())

    def at(self, delay_ns: int, act: Callable[[], None]) -> None:
        """Let something happen later; ties in order of asking."""
        heapq.heappush(self._agenda, (self.now + max(delay_ns, 0), next(self._ids), act))

    def start(self, process: Process) -> None:
        def step() -> None:
            try:
                delay = next(process)
            except StopIteration:
                return
            self.at(delay, step)

        self.at(self.rng.randrange(10 * MS), step)

    def spawn(self, name: str, make: Callable[[str], Process]) -> None:
        """A process that is killed anywhere while there is trouble, sleeps at times, and is started again."""
        lives = itertools.count(1)

        def begin() -> None:
            life = f"{name}.{next(lives)}"
            process = make(life)

            def step() -> None:
                if self.trouble and self.rng.random() < 0.004:
                    self.note("kill", life)
                    process.close()
                    self.at(self.rng.randrange(1 * SECOND, 4 * SECOND), begin)
                    return
                try:
                    delay = next(process)
                except StopIteration:
                    self.at(SECOND, begin)
                    return
                if self.trouble and self.rng.random() < 0.004:
                    delay += self.rng.randrange(20) * SECOND
                    self.note("sleep", life, delay)
                self.at(delay, step)

            step()

        self.at(self.rng.randrange(10 * MS), begin)
