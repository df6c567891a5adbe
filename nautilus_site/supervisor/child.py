"""One supervised child: started, restarted when it crashes, stopped when asked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nautilus_site.supervisor.backoff import Backoff
from nautilus_site.supervisor.merged_log import MergedLog
from nautilus_site.supervisor.reaper import Reaper

Spawn = Callable[[int], "subprocess.Popen[bytes]"]


@dataclass(frozen=True, slots=True)
class StopStep:
    """A signal, and how long the process may take to end after it."""

    number: signal.Signals
    patience_s: float


class Child:
    """Keeps one process running until it is stopped.

    Parameters
    ----------
    kind : its name in the log.
    spawn : starts it, given the descriptor its output goes to.
    stop_steps : tried in turn; SIGKILL follows the last one.
    """

    def __init__(
        self, kind: str, spawn: Spawn, stop_steps: tuple[StopStep, ...], *, log: MergedLog, reaper: Reaper
    ) -> None:
        self.kind = kind
        self.process: subprocess.Popen[bytes] | None = None
        self.restarts = 0
        self._spawn = spawn
        self._stop_steps = stop_steps
        self._log = log
        self._reaper = reaper
        self._stopping = asyncio.Event()
        self._exit: asyncio.Future[int] | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return None if self.process is None else self.process.pid

    def start(self) -> None:
        """Start it now, and again after every crash."""
        self._launch()
        self._keeper = asyncio.get_running_loop().create_task(self._keep_running())

    async def run_once(self) -> int:
        """Start it, wait for its end and return its exit code; no restart."""
        self._launch()
        return await self._wait_exit()

    async def stop(self, hurry: asyncio.Event, deadline: float) -> None:
        """Stop it: each signal in turn, then SIGKILL.

        Parameters
        ----------
        hurry : when set, there is no more waiting.
        deadline : loop time after which there is no more waiting either.
        """
        self._stopping.set()
        loop = asyncio.get_running_loop()
        for step in (*self._stop_steps, StopStep(signal.SIGKILL, 5.0)):
            if self._exit is None or self._exit.done() or self.process is None:
                break
            if step.number is signal.SIGKILL:
                self._log.say(f"{self.kind} does not stop by itself: killed")
            # Not Popen.send_signal: that collects the exit of a process that has just ended, and the reaper, who
            # would then never hear of it, is waited for here.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, step.number)
            last = step.number is signal.SIGKILL
            patience = step.patience_s if last else max(0.0, min(step.patience_s, deadline - loop.time()))
            hurried = loop.create_task(hurry.wait())
            waiting: set[asyncio.Future[Any]] = {self._exit} if last else {self._exit, hurried}
            await asyncio.wait(waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            hurried.cancel()
        if self._keeper is not None:
            await self._keeper

    def _launch(self) -> None:
        output = self._log.pipe(self.kind)
        try:
            self.process = self._spawn(output)
        finally:
            os.close(output)
        self._exit = self._reaper.watch(self.process)

    async def _wait_exit(self) -> int:
        assert self._exit is not None
        return await asyncio.shield(self._exit)

    async def _keep_running(self) -> None:
        backoff = Backoff()
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            ended = await self._wait_exit()
            if self._stopping.is_set():
                return
            delay, backoff = backoff.after(loop.time() - began)
            while True:
                self._log.say(f"{self.kind} {describe_exit(ended)}; starting it again in {delay:.0f} s")
                if await self._stopped_within(delay):
                    return
                self.restarts += 1
                try:
                    self._launch()
                    break
                except (OSError, subprocess.SubprocessError) as error:
                    # Out of processes or memory, most likely: as good as a crash.
                    self._log.say(f"{self.kind} could not be started: {error}")
                    delay, backoff = backoff.after(0.0)

    async def _stopped_within(self, delay_s: float) -> bool:
        try:
            await asyncio.wait_for(self._stopping.wait(), delay_s)
        except TimeoutError:
            return False
        return True


def describe_exit(code: int) -> str:
    """Say how a process ended: `ended with code 1`, `was ended by SIGKILL`."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
