"""One run of a client's script, read back."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .environments import ROOT, interpreter
from .exchange import Account, PaperExchange

SCRIPTS = Path(__file__).with_name("scripts")
EXAMPLES = ROOT / "testnet" / "examples"
TIMEOUT_S = 180


@dataclass(frozen=True, slots=True)
class ClientError:
    """The exception a client raised: its class and bases by name, the exchange's code, its text."""

    kinds: tuple[str, ...]
    code: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """What one script recorded, and the account it traded on."""

    account: Account
    results: dict[str, Any]
    stderr: str

    def __getitem__(self, step: str) -> Any:
        """The value of a step that must have succeeded."""
        assert step in self.results, f"{step} was never reached; stderr: {self.stderr[-3000:]}"
        found = self.results[step]
        assert "value" in found, f"{step} failed in the client:\n{found['traceback']}"
        return found["value"]

    def error(self, step: str) -> ClientError:
        """The exception of a step that must have failed."""
        assert step in self.results, f"{step} was never reached; stderr: {self.stderr[-3000:]}"
        found = self.results[step]
        assert "error" in found, f"{step} was expected to fail and gave {found.get('value')}"
        return ClientError(tuple(found["error"]), found["code"], found["text"])


def run_script(client: str, script: str, exchange: PaperExchange, account: Account, *arguments: str) -> Run:
    """Run `scripts/SCRIPT` where `client` lives, against the exchange and with the account's key."""
    done = _run(client, SCRIPTS / script, exchange, account, *arguments)
    assert done.returncode == 0, f"{script} ended with {done.returncode}:\n{done.stderr[-4000:]}"
    return Run(account, json.loads(done.stdout.splitlines()[-1]), done.stderr)


def run_example(client: str, command: str, exchange: PaperExchange, account: Account | None) -> str:
    """Run `testnet/examples/COMMAND`, with the account's key or letting it open one; returns its output."""
    example, *arguments = command.split()
    done = _run(client, EXAMPLES / example, exchange, account, *arguments)
    assert done.returncode == 0, (
        f"{example} ended with {done.returncode}:\n{done.stdout}\n{done.stderr[-4000:]}"
    )
    return done.stdout


def _run(
    client: str, path: Path, exchange: PaperExchange, account: Account | None, *arguments: str
) -> subprocess.CompletedProcess[str]:
    python = interpreter(client)
    environment = dict(os.environ, TESTNET_URL=exchange.url, PYTHONDONTWRITEBYTECODE="1")
    # The scripts take the addresses from the examples, so that those are tested in full.
    environment["PYTHONPATH"] = str(EXAMPLES)
    for name in ("API_KEY", "API_SECRET"):
        environment.pop(name, None)
    if account is not None:
        environment |= {"API_KEY": account.api_key, "API_SECRET": account.api_secret}
    return subprocess.run(
        [str(python), str(path), *arguments],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
