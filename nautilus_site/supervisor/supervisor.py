"""Start everything in order, keep it running, stop everything in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from nautilus_site.supervisor.beside import OWNER, forget_running_services, note_running_services
from nautilus_site.supervisor.child import Child, Spawn, StopStep, describe_exit
from nautilus_site.supervisor.configuration import Configuration
from nautilus_site.supervisor.embedded.errors import EmbeddedServiceError
from nautilus_site.supervisor.embedded.lineage import become_subreaper, child_setup
from nautilus_site.supervisor.embedded.postgres import EmbeddedPostgres
from nautilus_site.supervisor.embedded.valkey import EmbeddedValkey
from nautilus_site.supervisor.failures import StartupFailure
from nautilus_site.supervisor.home import empty_directory, write_token
from nautilus_site.supervisor.merged_log import MergedLog
from nautilus_site.supervisor.programs import Program
from nautilus_site.supervisor.readiness import is_listening, readyz_status
from nautilus_site.supervisor.reaper import Reaper, children_of

SERVICE_START_S = 60.0
# All processes of the platform together; Valkey and Postgres have their own time after that.
STOP_BUDGET_S = 11.0
NOT_READY_NOTICE_S = 60.0
READY_POLL_S = 0.5


class Interrupted(Exception):
    """Somebody asked to stop while the platform was starting."""


class Supervisor:
    """Runs a table of programs, and the embedded services they need.

    Parameters
    ----------
    configuration : the settings.
    programs : what to run, in starting order.
    prepare : what to run once before them; None for nothing.
    log : where lines go.
    began : `time.monotonic()` of the command's start, for the figures shown.
    """

    def __init__(
        self,
        configuration: Configuration,
        programs: Iterable[Program],
        *,
        prepare: Program | None,
        log: MergedLog,
        began: float,
    ) -> None:
        self._configuration = configuration
        self._programs = tuple(programs)
        self._prepare = prepare
        self._log = log
        self._began = began
        self._reaper = Reaper()
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._running: list[tuple[Program, Child]] = []
        self._postgres: tuple[EmbeddedPostgres, Child] | None = None
        self._valkey: tuple[EmbeddedValkey, Child] | None = None

    async def run(self) -> int:
        """Run until a signal asks to stop; returns the exit code."""
        become_subreaper()
        self._reaper.install()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._asked_to_stop, number)
        code = 0
        try:
            await self._start()
            await self._stop.wait()
        except Interrupted:
            self._log.say("stopped while starting")
        except (StartupFailure, EmbeddedServiceError) as error:
            self._log.say(f"cannot start: {error}")
            code = 1
        finally:
            await self._stop_everything()
        return code

    def _asked_to_stop(self, number: signal.Signals) -> None:
        if self._stop.is_set():
            self._log.say(f"{number.name} again: no more waiting")
            self._hurry.set()
            return
        self._log.say(f"{number.name}: stopping (once more to hurry)")
        self._stop.set()

    async def _start(self) -> None:
        configuration = self._configuration
        database_url, owner_url = configuration.database_url, configuration.database_owner_url
        if not database_url:
            database_url, owner_url = await self._start_postgres()
        redis_url = configuration.redis_url
        if not redis_url:
            redis_url = await self._start_valkey()
        environment = configuration.child_environment(database_url, redis_url)
        empty_directory(configuration.metrics_directory)
        note_running_services(configuration.home, environment, owner_url)
        if configuration.runs_testnet:
            write_token(configuration.home / "testnet" / "control_token")
        if self._prepare is not None:
            # The only one who hears of the owner: all others work as the application.
            await self._run_prepare(self._prepare, environment | {OWNER: owner_url})
        for program in self._programs:
            self._check_stop()
            child = self._child(program, environment)
            self._running.append((program, child))
            child.start()
            if program.kind == "testnet":
                # Calls to an exchange that does not listen yet would count as its errors.
                await self._wait_listening("the paper exchange", self._configuration.testnet_port)
            await asyncio.sleep(0)
        self._step(f"{len(self._programs)} processes started", time.monotonic())
        if any(program.kind == "web" for program in self._programs):
            await self._wait_ready()

    async def _start_postgres(self) -> tuple[str, str]:
        began = time.monotonic()
        postgres = EmbeddedPostgres(
            self._configuration.home, binaries=self._configuration.postgres_binaries or None
        )
        postgres.prepare()
        child = self._service("postgres", postgres.spawn, postgres.stop_steps)
        self._postgres = (postgres, child)
        await self._wait_service("PostgreSQL", child, postgres.is_ready)
        postgres.ensure_database()
        self._step(f"PostgreSQL is ready ({postgres.placement.account.way.value})", began)
        return postgres.url, postgres.owner_url

    async def _start_valkey(self) -> str:
        began = time.monotonic()
        valkey = EmbeddedValkey(self._configuration.home, binary=self._configuration.valkey_binary or None)
        valkey.prepare()
        child = self._service("valkey", valkey.spawn, valkey.stop_steps)
        self._valkey = (valkey, child)
        await self._wait_service("Valkey", child, valkey.is_ready)
        self._step("Valkey is ready", began)
        return valkey.url

    def _service(self, kind: str, spawn: Spawn, steps: tuple[tuple[signal.Signals, float], ...]) -> Child:
        stop_steps = tuple(StopStep(number, patience) for number, patience in steps)
        child = Child(kind, spawn, stop_steps, log=self._log, reaper=self._reaper)
        child.start()
        return child

    async def _wait_service(self, name: str, child: Child, is_ready: Callable[[], bool]) -> None:
        # It may end and be started again meanwhile: orphans of a killed one keep its files for a moment.
        deadline = time.monotonic() + SERVICE_START_S
        while time.monotonic() < deadline:
            self._check_stop()
            if is_ready():
                return
            await asyncio.sleep(0.03)
        raise StartupFailure(
            f"{name} did not become ready within {SERVICE_START_S:.0f} s; see "
            f"{self._configuration.home / 'logs' / f'{child.kind}.log'}"
        )

    async def _wait_listening(self, name: str, port: int) -> None:
        began = time.monotonic()
        while time.monotonic() - began < SERVICE_START_S:
            self._check_stop()
            if await is_listening(self._configuration.bind, port):
                self._step(f"{name} listens", began)
                return
            await asyncio.sleep(0.05)
        # Everything else copes with an exchange that comes later.
        self._log.say(f"{name} does not listen yet; going on without it")

    async def _run_prepare(self, program: Program, environment: dict[str, str]) -> None:
        began = time.monotonic()
        child = self._child(program, environment)
        running = asyncio.get_running_loop().create_task(child.run_once())
        asked = asyncio.get_running_loop().create_task(self._stop.wait())
        await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not running.done():
            await child.stop(self._hurry, time.monotonic() + STOP_BUDGET_S)
            running.cancel()
            raise Interrupted
        code = running.result()
        await self._log.drain(0.2)
        if code != 0:
            raise StartupFailure(
                f"preparing the platform {describe_exit(code)}; see above and "
                f"{self._configuration.home / 'logs' / f'{program.kind}.log'}"
            )
        self._step("database and static files are prepared", began)

    def _child(self, program: Program, environment: dict[str, str]) -> Child:
        root = self._configuration.root

        def spawn(output: int) -> subprocess.Popen[bytes]:
            return subprocess.Popen(  # noqa: S603 (our own table, no shell)
                program.arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=root,
                start_new_session=True,
                preexec_fn=child_setup(program.death_signal),
            )

        steps = (StopStep(signal.SIGTERM, program.patience_s),)
        return Child(program.kind, spawn, steps, log=self._log, reaper=self._reaper)

    async def _wait_ready(self) -> None:
        configuration = self._configuration
        notice = time.monotonic() + NOT_READY_NOTICE_S
        while True:
            self._check_stop()
            status, body = await readyz_status(configuration.bind, configuration.port)
            if status == 200:
                break
            if time.monotonic() > notice:
                notice += NOT_READY_NOTICE_S
                reason = "the web process does not answer yet" if status is None else f"{status} {body[:300]}"
                self._log.say(f"still not ready: {reason}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), READY_POLL_S)
        self._log.say(f"ready in {time.monotonic() - self._began:.1f} s: {configuration.dashboard_url}")
        credentials = configuration.home / "credentials.json"
        if credentials.is_file():
            self._log.say(f"user names, passwords and API tokens: {credentials}")
        self._log.say(f"logs: {configuration.home / 'logs'}; Ctrl-C stops everything")

    def _step(self, text: str, began: float) -> None:
        now = time.monotonic()
        self._log.say(f"[{now - self._began:5.1f} s] {text} ({now - began:.1f} s)")

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Interrupted

    async def _stop_everything(self) -> None:
        began = time.monotonic()
        deadline = asyncio.get_running_loop().time() + STOP_BUDGET_S
        for rank in sorted({program.stop_rank for program, _ in self._running}):
            children = [child for program, child in self._running if program.stop_rank == rank]
            await asyncio.gather(*(child.stop(self._hurry, deadline) for child in children))
        # The services get all their time: a hurried database only recovers longer on the next start.
        patient = asyncio.Event()
        if self._valkey is not None:
            valkey, child = self._valkey
            await child.stop(patient, asyncio.get_running_loop().time() + 5.0)
            valkey.release()
        if self._postgres is not None:
            postgres, child = self._postgres
            await child.stop(patient, asyncio.get_running_loop().time() + 15.0)
            postgres.release()
        await self._kill_leftovers()
        forget_running_services(self._configuration.home)
        await self._log.drain()
        self._log.say(f"everything has stopped ({time.monotonic() - began:.1f} s)")

    async def _kill_leftovers(self) -> None:
        """End what has outlived its parent and was adopted by us; there should be nothing."""
        if not Path("/proc/self/stat").exists():
            return
        for _ in range(100):
            left = children_of(os.getpid())
            if not left:
                return
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.02)
            self._reaper.reap()
