"""The whole platform as a subject: started by its own command in a home of its own, driven from outside only."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(check: Callable[[], Any], *, within_s: float, what: str, every_s: float = 0.25) -> Any:
    """Return the first truthy answer; fail with the last one when the time is over."""
    deadline = time.monotonic() + within_s
    answer: Any = None
    while time.monotonic() < deadline:
        try:
            answer = check()
        except (OSError, urllib.error.URLError, KeyError) as error:
            answer = error
        else:
            if answer:
                return answer
        time.sleep(every_s)
    raise AssertionError(f"{what}: not within {within_s} s, last {answer!r}")


@dataclass(frozen=True)
class Answer:
    """One HTTP answer with its decoded JSON."""

    status: int
    body: Any
    headers: dict[str, str]


@dataclass
class Platform:
    """One running platform."""

    home: Path
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    testnet_port: int = field(default_factory=free_port)
    exporter_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.home.parent / f"{self.home.name}.log"

    def start(self, *, ready_within_s: float = 120.0) -> float:
        """Start and wait until ready. Returns the seconds it took."""
        environment = {
            **inherited(),
            "NAUTILUS_HOME": str(self.home),
            "PORT": str(self.port),
            "TESTNET_PORT": str(self.testnet_port),
            "EXPORTER_PORT": str(self.exporter_port),
            **self.settings,
        }
        started = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "run"],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        eventually(self._ready, within_s=ready_within_s, what=f"ready (log: {self.log})")
        return time.monotonic() - started

    def _ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            tail = self.log.read_text(errors="replace")[-3000:]
            raise AssertionError(f"the platform ended with {self.process.returncode}:\n{tail}")
        return self.get("/readyz", token=None).status == 200

    def stop(self) -> float:
        """SIGTERM, and wait for the orderly end. Returns the seconds it took."""
        assert self.process is not None
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return time.monotonic() - started

    def pids(self, kind: str) -> list[int]:
        """Processes of a kind that belong to this home, the eldest first."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if not re.search(_PATTERNS.get(kind, rf"nautilus-{kind}(?![\w-])"), line):
                    continue
                surroundings = (entry / "environ").read_bytes()
                if f"NAUTILUS_HOME={self.home}".encode() in surroundings or str(self.home) in line:
                    found.append(int(entry.name))
        return sorted(found)

    def all_pids(self) -> list[int]:
        """Every process that was started for this home, the supervisor included."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    if f"NAUTILUS_HOME={self.home}\0".encode() in (entry / "environ").read_bytes():
                        state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                        if state != "Z":
                            found.append(int(entry.name))
        return found

    def credentials(self, name: str) -> dict[str, str]:
        return dict(json.loads((self.home / "credentials.json").read_text())["users"][name])

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = "trader",
        headers: dict[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> Answer:
        """One call of the HTTP API as the named person's token; None for nobody."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {self.credentials(token)['token']}"
        data = None
        if body is not None:
            data, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        request = urllib.request.Request(f"{self.url}{path}", data=data, headers=sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return Answer(answer.status, _json(answer.read()), dict(answer.headers))
        except urllib.error.HTTPError as error:
            return Answer(error.code, _json(error.read()), dict(error.headers))

    def get(self, path: str, *, token: str | None = "trader") -> Answer:
        return self.request("GET", path, token=token)

    def everything(self, path: str) -> list[dict[str, Any]]:
        """Every page of a list."""
        rows: list[dict[str, Any]] = []
        url: str | None = path
        while url:
            page = self.get(url).body
            rows += page["results"]
            url = page["next"].removeprefix(self.url) if page["next"] else None
        return rows

    def order(self, key: str, **members: Any) -> Answer:
        """`POST /orders` under an idempotency key."""
        body = {"account": "paper-spot", "type": "LIMIT", **members}
        return self.request(
            "POST", "/api/v1/orders?wait=ack&timeout=10", body, headers={"Idempotency-Key": key}
        )

    def testnet(self, method: str, path: str, body: Any = None) -> Any:
        """One call of the paper exchange's control API."""
        token = (self.home / "testnet" / "control_token").read_text().strip()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.testnet_port}/testnet/v1/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Testnet-Control": token, "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return _json(answer.read())

    def venue_ledger(self) -> dict[str, Any]:
        """The oracle: what really happened at the exchange on our account."""
        return dict(self.testnet("GET", "ledger?account_id=paper-spot"))

    def price(self, symbol: str) -> Decimal:
        url = f"http://127.0.0.1:{self.testnet_port}/api/v3/ticker/bookTicker?symbol={symbol}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return Decimal(json.loads(answer.read())["bidPrice"])

    def command(self, *arguments: str, timeout_s: float = 90.0) -> subprocess.CompletedProcess[str]:
        """`manage.py ...` in a second terminal: nothing but the home is told to it."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**inherited(), "NAUTILUS_HOME": str(self.home)},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def session(self, name: str) -> Session:
        return Session(self, name)


class Session:
    """A person's browser session without the browser: cookies, CSRF, a fresh log-in."""

    def __init__(self, platform: Platform, name: str) -> None:
        self._platform = platform
        self._cookies = CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies))
        with self._opener.open(f"{platform.url}/accounts/login/", timeout=10) as page:
            page.read()
        form = (
            f"username={name}&password={platform.credentials(name)['password']}"
            f"&csrfmiddlewaretoken={self._csrf()}&next=/about/"
        )
        request = urllib.request.Request(
            f"{platform.url}/accounts/login/", data=form.encode(), headers={"Referer": platform.url}
        )
        with self._opener.open(request, timeout=10) as page:
            assert "/accounts/login/" not in page.url, "the log-in was refused"

    def post(self, path: str, body: Any) -> Answer:
        request = urllib.request.Request(
            f"{self._platform.url}{path}",
            data=json.dumps(body).encode(),
            headers={
                "Content-Type": "application/json",
                "X-CSRFToken": self._csrf(),
                "Referer": self._platform.url,
                "Origin": self._platform.url,
            },
        )
        try:
            with self._opener.open(request, timeout=30) as answer:
                return Answer(answer.status, _json(answer.read()), dict(answer.headers))
        except urllib.error.HTTPError as error:
            return Answer(error.code, _json(error.read()), dict(error.headers))

    def _csrf(self) -> str:
        return next(c.value or "" for c in self._cookies if "csrf" in c.name)


# Supervisor and test services keep these to themselves; a platform under test gets its own.
_NOT_INHERITED = {
    "DATABASE_URL",
    "DATABASE_OWNER_URL",
    "REDIS_URL",
    "NAUTILUS_HOME",
    "DJANGO_SETTINGS_MODULE",
    "PROMETHEUS_MULTIPROC_DIR",
    "PORT",
    "TESTNET_PORT",
    "EXPORTER_PORT",
    "REPLAY",
    "BINANCE_ENV",
    "SECRET_KEY",
}


def inherited() -> dict[str, str]:
    """Our environment without what belongs to another platform."""
    return {k: v for k, v in os.environ.items() if k not in _NOT_INHERITED}


_PATTERNS = {"postgres": r"pginstall/bin/postgres|bin/postgres -D", "valkey": r"valkey-server"}


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw.decode(errors="replace")
