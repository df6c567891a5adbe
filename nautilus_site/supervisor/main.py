"""`manage.py run`: check what can be checked, then hand over to the supervisor.

Django is not set up here: the supervisor stays small, starts at once, and runs even when an app is broken.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence

from nautilus_site.env import SettingError
from nautilus_site.supervisor.configuration import Configuration
from nautilus_site.supervisor.console import Console
from nautilus_site.supervisor.failures import StartupFailure
from nautilus_site.supervisor.home import HomeLock
from nautilus_site.supervisor.merged_log import MergedLog
from nautilus_site.supervisor.ports import check_ports
from nautilus_site.supervisor.programs import Program, platform_programs, prepare_program
from nautilus_site.supervisor.supervisor import Supervisor

DESCRIPTION = """\
Run the whole platform in the foreground: embedded Postgres and Valkey (unless DATABASE_URL and REDIS_URL are
set), the paper exchange, web, workers, beat, feed, relay, watchdog and exporter. Ctrl-C stops everything in
order. Settings are environment variables; .env.example lists them."""
EXAMPLE = "example: NAUTILUS_HOME=./b PORT=8001 TESTNET_PORT=9101 EXPORTER_PORT=9201 python manage.py run"


def run_platform(
    source: Mapping[str, str],
    programs: Sequence[Program] | None = None,
    prepare: Program | None = None,
) -> int:
    """Run the platform until it is told to stop.

    Parameters
    ----------
    source : the environment.
    programs, prepare : what to run instead of the platform's own processes (for tests).

    Returns
    -------
    The exit code: 0 after an orderly stop, 1 when it could not start.
    """
    began = time.monotonic()
    try:
        configuration = Configuration.read(source)
        lock = HomeLock(configuration.home)
        lock.acquire()
    except (SettingError, StartupFailure) as error:
        print(f"nautilus: {error}", file=sys.stderr)  # noqa: T201 (a command's answer to its caller)
        return 1
    try:
        ports = {"PORT": configuration.port, "EXPORTER_PORT": configuration.exporter_port}
        if configuration.runs_testnet:
            ports["TESTNET_PORT"] = configuration.testnet_port
        check_ports(configuration.bind, ports)
        if programs is None:
            programs, prepare = platform_programs(configuration), prepare_program()
        return asyncio.run(_supervise(configuration, programs, prepare, began))
    except StartupFailure as error:
        print(f"nautilus: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:  # before the supervisor took the signal over; nothing runs yet
        return 130
    finally:
        lock.release()


async def _supervise(
    configuration: Configuration, programs: Sequence[Program], prepare: Program | None, began: float
) -> int:
    output = sys.stdout.fileno()
    coloured = os.isatty(output) and not configuration.environment.get("NO_COLOR")
    log = MergedLog(configuration.home / "logs", Console(output), coloured=coloured)
    try:
        return await Supervisor(configuration, programs, prepare=prepare, log=log, began=began).run()
    finally:
        log.close()
