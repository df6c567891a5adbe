"""An embedded Valkey on a Unix socket, append-only, so that queued messages survive kill -9."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from pathlib import Path
from typing import IO, Any

from nautilus_site.supervisor.embedded.binaries import find_valkey
from nautilus_site.supervisor.embedded.errors import EmbeddedServiceError
from nautilus_site.supervisor.embedded.lineage import child_setup
from nautilus_site.supervisor.embedded.process import last_lines, server_environment, stop_process, wait_until
from nautilus_site.supervisor.embedded.sockets import release_directory, socket_directory


class EmbeddedValkey:
    """Owns one server with its data in `home/valkey`.

    `start` and `stop` are for callers that wait; a supervisor uses `prepare`, `spawn` and `is_ready`.
    """

    name = "valkey"
    stop_steps: tuple[tuple[signal.Signals, float], ...] = ((signal.SIGTERM, 5.0),)

    def __init__(self, home: Path, *, binary: str | Path | None = None) -> None:
        self.home = home.absolute()
        self.data = self.home / "valkey"
        self.log = self.home / "logs" / "valkey.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._explicit = binary
        self._socket: Path | None = None

    @property
    def socket(self) -> Path:
        if self._socket is None:
            self._socket = socket_directory(self.home, self.name) / "valkey.sock"
        return self._socket

    @property
    def url(self) -> str:
        return f"unix://{self.socket}?db=0"

    def prepare(self) -> None:
        """Create the data directory and find the program."""
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        find_valkey(self._explicit)

    def spawn(self, output: IO[Any] | int) -> subprocess.Popen[bytes]:
        """Start the server, its output going to `output`; it is not ready yet."""
        self.process = subprocess.Popen(  # noqa: S603 (our own binary, no shell)
            [
                str(find_valkey(self._explicit)),
                *("--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"),
                *("--dir", str(self.data), "--daemonize", "no", "--loglevel", "warning"),
                *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
                *("--maxmemory-policy", "noeviction", "--databases", "16"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=server_environment(),
            cwd=self.data,
            start_new_session=True,
            preexec_fn=child_setup(signal.SIGTERM),
        )
        return self.process

    def is_ready(self) -> bool:
        """Whether our own child answers and has loaded its data; somebody else's server does not count."""
        answer = self._info()
        if self.process is None or answer is None:
            return False
        return answer.get("process_id") == str(self.process.pid) and answer.get("loading") == "0"

    def start(self, timeout_s: float = 30.0) -> None:
        """Start the server and wait until it answers.

        Raises
        ------
        EmbeddedServiceError : it ended or did not answer in time; the message quotes its log.
        """
        self.prepare()
        with self.log.open("ab") as output:
            process = self.spawn(output)
        if not wait_until(self.is_ready, process, timeout_s):
            stop_process(process, self.stop_steps, self.name)
            raise EmbeddedServiceError(f"Valkey did not start: {last_lines(self.log)} (log: {self.log})")

    def stop(self) -> None:
        """Stop the server; nothing happens when it is not running."""
        if self.process is not None:
            stop_process(self.process, self.stop_steps, self.name)
            self.process = None
        self.release()

    def release(self) -> None:
        """Remove what a stopped server leaves outside the home."""
        self.socket.unlink(missing_ok=True)
        release_directory(self.socket.parent, self.home)
        self._socket = None

    def _info(self) -> dict[str, str] | None:
        # A raw INFO keeps the client library, and its import time, out of the supervisor.
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(2.0)
                connection.connect(str(self.socket))
                connection.sendall(b"INFO\r\n")
                received = b""
                while not _is_whole(received):
                    block = connection.recv(65536)
                    if not block:
                        return None
                    received += block
        except OSError:
            return None
        lines = received.decode("utf-8", errors="replace").splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)


def _is_whole(bulk: bytes) -> bool:
    """Whether a bulk string of the wire protocol ($LENGTH, line end, text) has arrived completely."""
    header = re.match(rb"\$(\d+)\r\n", bulk)
    return header is not None and len(bulk) >= header.end() + int(header[1])
