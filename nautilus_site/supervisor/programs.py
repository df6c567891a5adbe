"""The table of processes: what runs, in which order it stops, and how patiently."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass

from nautilus_site.supervisor.configuration import DEMO_SPEED, REPLAY_SPEED, Configuration


@dataclass(frozen=True, slots=True)
class Program:
    """One supervised process.

    `stop_rank`: lower stops earlier; equal ranks stop together. `patience_s`: how long it may take to end
    after SIGTERM. `death_signal`: what it gets when the supervisor itself is killed.
    """

    kind: str
    arguments: tuple[str, ...]
    stop_rank: int
    patience_s: float = 3.0
    death_signal: signal.Signals = signal.SIGKILL


def platform_programs(configuration: Configuration) -> tuple[Program, ...]:
    """Everything `make run` starts, in starting order (the embedded services excepted)."""
    testnet = (_testnet(configuration),) if configuration.runs_testnet else ()
    return (
        *testnet,
        _program("web", *_web(configuration), stop_rank=3, patience_s=6.0),
        _program("worker-control", *_worker("control", "control", 2), stop_rank=2, patience_s=6.0),
        _program(
            "worker-trading",
            *_worker("trading", "trading", configuration.trading_workers),
            stop_rank=2,
            patience_s=6.0,
        ),
        _program(
            "worker-jobs",
            *_worker("governance,universe,training", "jobs", 1),
            *("--max-tasks-per-child", "50"),
            stop_rank=2,
            patience_s=6.0,
        ),
        _program("feed", "manage.py", "feed", stop_rank=1),
        # Follows everything as well, and takes over within seconds when the first one dies.
        _program("feed-standby", "manage.py", "feed", stop_rank=1),
        _program("relay", "manage.py", "relay", stop_rank=4),
        _program("watchdog", "manage.py", "watchdog", stop_rank=5),
        _program("exporter", "manage.py", "exporter", stop_rank=6),
        _program("beat", *_beat(), stop_rank=0),
    )


def prepare_program() -> Program:
    """What runs once before all others: migrations, static files, the demo."""
    return _program("prepare", "manage.py", "prepare", stop_rank=0)


def _program(kind: str, *arguments: str, stop_rank: int, patience_s: float = 3.0) -> Program:
    # CPython keeps unknown -X options: they are how a process list shows what each one is.
    return Program(kind, (sys.executable, "-X", f"nautilus-{kind}", *arguments), stop_rank, patience_s)


def _testnet(configuration: Configuration) -> Program:
    state = configuration.home / "testnet"
    arguments = [
        *("-m", "testnet", "--host", configuration.bind, "--port", str(configuration.testnet_port)),
        *("--data-dir", str(state), "--accounts", str(state / "accounts.json")),
        *("--seed", configuration.testnet_seed),
    ]
    if configuration.testnet_control:
        arguments.append("--control")
    else:
        arguments += ["--control-token", str(state / "control_token")]
    if configuration.replay is not None:
        arguments += ["--replay", str(configuration.replay)]
        arguments += ["--speed", configuration.testnet_speed or REPLAY_SPEED]
    elif configuration.testnet_speed:
        arguments += ["--speed", configuration.testnet_speed]
    else:
        # The demo's market hurries until it has caught up with the present, then runs in real time.
        arguments += ["--speed", DEMO_SPEED, "--catch-up"]
    # SIGTERM lets it save its state even when the supervisor is killed.
    prefix = (sys.executable, "-X", "nautilus-testnet")
    return Program("testnet", (*prefix, *arguments), stop_rank=7, death_signal=signal.SIGTERM)


def _web(configuration: Configuration) -> tuple[str, ...]:
    return (
        # Static files are small and read whole, by a middleware that knows no other way.
        *("-W", "ignore:StreamingHttpResponse must consume synchronous iterators"),
        *("-m", "uvicorn", "nautilus_site.asgi:application"),
        *("--host", configuration.bind, "--port", str(configuration.port)),
        # Events are small and go to many: compressing each for everybody costs more than it saves.
        *(
            "--ws",
            "websockets-sansio",
            "--ws-per-message-deflate",
            "false",
            "--no-access-log",
            "--log-level",
            "warning",
        ),
        *("--no-proxy-headers", "--no-server-header", "--timeout-graceful-shutdown", "5"),
    )


def _worker(queues: str, name: str, concurrency: int) -> tuple[str, ...]:
    # Django's checks load every page and its libraries for ever; `prepare` has run them.
    return (
        # Root is warned of pickled messages, which are not accepted (JSON only).
        *("-W", "ignore:You're running the worker with superuser"),
        *("-m", "celery", "-A", "nautilus_site.celery:app", "--quiet", "--skip-checks", "worker"),
        *("-Q", queues, "-n", f"{name}@%h", "-c", str(concurrency), "-l", "WARNING"),
        *("--without-gossip", "--without-mingle"),
    )


def _beat() -> tuple[str, ...]:
    return (
        *("-m", "celery", "-A", "nautilus_site.celery:app", "--quiet", "--skip-checks", "beat"),
        *("-S", "governance.daemons.beat:ClaimingScheduler", "-l", "WARNING", "--pidfile="),
    )
