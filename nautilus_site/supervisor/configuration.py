"""What the supervisor takes from the environment, and the environment it gives its children."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nautilus_site.common.commit import commit_of
from nautilus_site.env import ROOT, Environment, SettingError

REPLAY_SPEED = "600"
DEMO_SPEED = "10"


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings that decide which processes run and how."""

    home: Path
    root: Path
    bind: str
    port: int
    testnet_port: int
    exporter_port: int
    binance_env: str
    database_url: str
    database_owner_url: str
    redis_url: str
    trading_workers: int
    testnet_seed: str
    testnet_speed: str
    testnet_control: bool
    replay: Path | None
    postgres_binaries: str
    valkey_binary: str
    environment: Mapping[str, str]

    @classmethod
    def read(cls, source: Mapping[str, str]) -> Configuration:
        """Read and check the settings.

        Raises
        ------
        SettingError : one is malformed; the message names it.
        """
        common = Environment.read(source)
        replay = source.get("REPLAY", "")
        if replay and not Path(replay).expanduser().exists():
            raise SettingError("REPLAY", f"{replay} does not exist")
        if replay and not any(Path(replay).expanduser().glob("*_*.csv*")):
            raise SettingError(
                "REPLAY", f"{replay} holds no candle files named SYMBOL_INTERVAL.csv or .csv.gz"
            )
        return cls(
            home=common.home,
            root=ROOT,
            bind=common.bind,
            port=common.port,
            testnet_port=common.testnet_port,
            exporter_port=common.exporter_port,
            binance_env=common.binance_env,
            database_url=common.database_url,
            database_owner_url=common.database_owner_url,
            redis_url=common.redis_url,
            trading_workers=_whole_number(source, "WORKERS", 2, least=1),
            testnet_seed=str(_whole_number(source, "TESTNET_SEED", 7, least=0)),
            testnet_speed=_speed(source),
            testnet_control=source.get("TESTNET_CONTROL", "") == "1",
            replay=Path(replay).expanduser().absolute() if replay else None,
            postgres_binaries=source.get("POSTGRES_BIN_DIR", ""),
            valkey_binary=source.get("VALKEY_BINARY", ""),
            environment=dict(source),
        )

    @property
    def runs_testnet(self) -> bool:
        return self.binance_env == "local"

    @property
    def metrics_directory(self) -> Path:
        return self.home / "run" / "metrics"

    @property
    def dashboard_url(self) -> str:
        """Where a browser on this machine finds the dashboard."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.bind, self.bind)  # noqa: S104 (compared, not bound)
        return f"http://{host if ':' not in host or host.startswith('[') else f'[{host}]'}:{self.port}"

    def child_environment(self, database_url: str, redis_url: str) -> dict[str, str]:
        """The whole environment of a child process."""
        own = {
            "NAUTILUS_HOME": str(self.home),
            "DATABASE_URL": database_url,
            # Empty, not absent: a .env that names the owner must not tell the application either.
            "DATABASE_OWNER_URL": "",
            "REDIS_URL": redis_url,
            "PROMETHEUS_MULTIPROC_DIR": str(self.metrics_directory),
            "PYTHONUNBUFFERED": "1",
            # One build for as long as this supervisor runs: a commit beside it must not make its next child a stranger.
            "BUILD_SHA": commit_of(ROOT, self.environment),
        }
        fallback = {
            "DJANGO_SETTINGS_MODULE": "nautilus_site.settings.local",
            "NUMBA_CACHE_DIR": str(self.home / "cache" / "numba"),
            # A dozen processes on a small machine: no thread pool and few malloc arenas for each of them.
            "OPENBLAS_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",
        }
        return fallback | dict(self.environment) | own


def _whole_number(source: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    text = source.get(name) or str(default)
    if not text.isdecimal() or int(text) < least:
        raise SettingError(name, f"expected a whole number of at least {least}, was {text!r}")
    return int(text)


def _speed(source: Mapping[str, str]) -> str:
    text = source.get("TESTNET_SPEED", "")
    if not text:
        return ""
    try:
        valid = 0 < float(text) < float("inf")
    except ValueError:
        valid = False
    if not valid:
        raise SettingError("TESTNET_SPEED", f"expected a positive number, was {text!r}")
    return text
