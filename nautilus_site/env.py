"""The process environment, read once and typed. Nothing else in the project reads os.environ."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
BINANCE_ENVIRONMENTS = ("local", "testnet", "demo", "live")


class SettingError(SystemExit):
    """A setting is missing or malformed; the message names it. Start-up stops here."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"setting {name}: {problem} (see .env.example)")


def load_dotenv(path: Path = ROOT / ".env") -> None:
    """Put KEY=VALUE lines of a `.env` file into the environment; what is already set wins."""
    if not path.is_file():
        return
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        key, separator, value = line.partition("=")
        if not separator or not key.strip().isidentifier():
            raise SettingError(path.name, f"line {number} is not KEY=VALUE")
        os.environ.setdefault(key.strip(), value.strip().strip("'\""))


@dataclass(frozen=True, slots=True)
class Environment:
    """Every setting the platform takes from outside, with its default."""

    home: Path
    bind: str
    port: int
    testnet_port: int
    exporter_port: int
    database_url: str
    database_owner_url: str
    redis_url: str
    secret_key: str
    field_encryption_keys: tuple[str, ...]
    binance_env: str
    allowed_hosts: tuple[str, ...]
    trusted_proxies: tuple[str, ...]
    log_level: str
    wall_time_rails: bool
    crash_points: bool
    replay: str
    testnet_url: str
    training_slots: int
    notify_private_hosts: tuple[str, ...]
    notify_hosts: tuple[str, ...]
    notify_ports: tuple[int, ...]
    notify_proxy: str
    public_url: str
    require_second_factor: bool | None
    session_idle_min: int | None

    @classmethod
    def read(cls, source: Mapping[str, str] | None = None) -> Environment:
        env = os.environ if source is None else source
        binance_env = env.get("BINANCE_ENV", "local")
        if binance_env not in BINANCE_ENVIRONMENTS:
            raise SettingError(
                "BINANCE_ENV", f"expected one of {', '.join(BINANCE_ENVIRONMENTS)}, was {binance_env!r}"
            )
        wall_time_rails = env.get("WALL_TIME_RAILS", "on")
        if wall_time_rails not in ("on", "off"):
            raise SettingError("WALL_TIME_RAILS", f"expected on or off, was {wall_time_rails!r}")
        if wall_time_rails == "off" and binance_env != "local":
            raise SettingError("WALL_TIME_RAILS", "may be off only with BINANCE_ENV=local")
        crash_points = env.get("CRASH_POINTS", "off")
        if crash_points not in ("on", "off"):
            raise SettingError("CRASH_POINTS", f"expected on or off, was {crash_points!r}")
        if crash_points == "on" and binance_env != "local":
            raise SettingError("CRASH_POINTS", "may be on only with BINANCE_ENV=local")
        return cls(
            home=Path(env.get("NAUTILUS_HOME") or ROOT / "var").expanduser().absolute(),
            bind=env.get("BIND", "127.0.0.1"),
            port=_port(env, "PORT", 8000),
            testnet_port=_port(env, "TESTNET_PORT", 9100),
            exporter_port=_port(env, "EXPORTER_PORT", 9200),
            database_url=env.get("DATABASE_URL", ""),
            database_owner_url=_owner_url(env),
            redis_url=env.get("REDIS_URL", ""),
            secret_key=env.get("SECRET_KEY", ""),
            field_encryption_keys=tuple(k for k in env.get("FIELD_ENCRYPTION_KEYS", "").split(",") if k),
            binance_env=binance_env,
            allowed_hosts=tuple(h for h in env.get("ALLOWED_HOSTS", "").split(",") if h),
            trusted_proxies=_networks(env, "TRUSTED_PROXIES"),
            log_level=env.get("LOG_LEVEL", "INFO").upper(),
            wall_time_rails=wall_time_rails == "on",
            crash_points=crash_points == "on",
            replay=env.get("REPLAY", ""),
            testnet_url=env.get("TESTNET_URL", ""),
            training_slots=_count(env, "TRAINING_SLOTS", 1),
            notify_private_hosts=_names(env, "NOTIFY_PRIVATE_HOSTS"),
            notify_hosts=_names(env, "NOTIFY_HOSTS"),
            notify_ports=_ports(env, "NOTIFY_PORTS"),
            notify_proxy=_address(env, "NOTIFY_PROXY"),
            public_url=_address(env, "PUBLIC_URL"),
            require_second_factor=_switch(env, "REQUIRE_SECOND_FACTOR"),
            session_idle_min=_idle(env, "SESSION_IDLE"),
        )


def _owner_url(env: Mapping[str, str]) -> str:
    """The database's owner; as the application, where nothing else is said."""
    url, owner = env.get("DATABASE_URL", ""), env.get("DATABASE_OWNER_URL", "")
    if not owner:
        return url
    if not url:
        raise SettingError(
            "DATABASE_OWNER_URL", "needs DATABASE_URL: the embedded database has an owner of its own"
        )
    if database_config(owner, "DATABASE_OWNER_URL")["NAME"] != database_config(url)["NAME"]:
        raise SettingError("DATABASE_OWNER_URL", "names another database than DATABASE_URL")
    return owner


def _switch(env: Mapping[str, str], name: str) -> bool | None:
    """on or off; None where it is left to the settings."""
    text = env.get(name, "")
    if text not in ("", "on", "off"):
        raise SettingError(name, f"expected on or off, was {text!r}")
    return text == "on" if text else None


def _idle(env: Mapping[str, str], name: str) -> int | None:
    """Minutes, 0 for never; None where it is left to the settings."""
    text = env.get(name, "")
    if text in ("", "off"):
        return 0 if text else None
    if not text.isdigit() or not 0 < int(text) <= 600:
        raise SettingError(name, f"expected off or minutes, 1 to 600, was {text!r}")
    return int(text)


def _names(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Host names separated by commas, in lower case."""
    return tuple(word.strip().lower() for word in env.get(name, "").split(",") if word.strip())


def _networks(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    texts = [text.strip() for text in env.get(name, "").split(",") if text.strip()]
    try:
        return tuple(str(ip_network(text)) for text in texts)
    except ValueError as error:
        raise SettingError(name, f"expected addresses or networks, separated by commas: {error}") from None


def _address(env: Mapping[str, str], name: str) -> str:
    text = env.get(name, "").rstrip("/")
    if text and (urlsplit(text).scheme not in ("http", "https") or not urlsplit(text).hostname):
        raise SettingError(name, f"expected http://... or https://..., was {text!r}")
    return text


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise SettingError(name, f"expected a port number, was {text!r}")
    return int(text)


def _ports(env: Mapping[str, str], name: str) -> tuple[int, ...]:
    texts = [text.strip() for text in env.get(name, "").split(",") if text.strip()]
    for text in texts:
        if not text.isdigit() or not 0 < int(text) < 65536:
            raise SettingError(name, f"expected port numbers, separated by commas, was {text!r}")
    return tuple(int(text) for text in texts)


def _count(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not text.isdigit() or not 0 < int(text) <= 256:
        raise SettingError(name, f"expected a number of 1 to 256, was {text!r}")
    return int(text)


def database_config(url: str, setting: str = "DATABASE_URL") -> dict[str, Any]:
    """Django's DATABASES entry for a libpq URL; a `host` query parameter may name a socket directory."""
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise SettingError(setting, f"expected postgresql://..., was scheme {parts.scheme!r}")
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    host = query.pop("host", None) or parts.hostname or ""
    return {
        "NAME": unquote(parts.path.lstrip("/")) or "nautilus",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": str(parts.port or ""),
        "OPTIONS": dict(query),
    }


@dataclass(frozen=True, slots=True)
class RedisUrls:
    """One server, three uses: Celery's broker, the Channels layer, Django's cache."""

    broker: str
    channels: str
    cache: str

    @classmethod
    def from_url(cls, url: str) -> RedisUrls:
        parts = urlsplit(url)
        if parts.scheme == "unix":
            path = unquote(parts.path)
            return cls(f"redis+socket://{path}?virtual_host=0", f"unix://{path}?db=1", f"unix://{path}?db=2")
        if parts.scheme in ("redis", "rediss"):
            base = f"{parts.scheme}://{parts.netloc}"
            return cls(f"{base}/0", f"{base}/1", f"{base}/2")
        raise SettingError(
            "REDIS_URL", f"expected unix:///path or redis://host:port, was scheme {parts.scheme!r}"
        )
