"""A local HTTP server that keeps each request's bytes and answers from a script."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class RawServer:
    """Answers each connection's requests with the next scripted answer; `b""` cuts the connection."""

    def __init__(self, answers: list[bytes]) -> None:
        self.requests: list[bytes] = []
        self._answers = list(answers)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        request = _read_request(connection)
        if not request:
            return
        self.requests.append(request)
        reply = self._answers.pop(0) if self._answers else b""
        if reply:
            connection.sendall(reply)


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def http(status: str, body: str, *headers: str) -> bytes:
    """An HTTP answer that ends its connection."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


@contextlib.contextmanager
def raw_server(*answers: bytes) -> Iterator[RawServer]:
    server = RawServer(list(answers))
    try:
        yield server
    finally:
        server.close()
