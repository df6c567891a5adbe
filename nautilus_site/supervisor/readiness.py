"""Asking the web process whether the platform is ready."""

from __future__ import annotations

import asyncio
import contextlib


async def readyz_status(bind: str, port: int, timeout_s: float = 3.0) -> tuple[int | None, str]:
    """GET /readyz.

    Returns
    -------
    The HTTP status (None when nobody answers) and the body.
    """
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104 (compared, not bound)
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                request = f"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
                writer.write(request.encode("ascii"))
                answer = (await reader.read(65536)).decode("utf-8", errors="replace")
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError):
        return None, ""
    head, _, body = answer.partition("\r\n\r\n")
    fields = head.split(" ", 2)
    if len(fields) < 2 or not fields[1].isdigit():
        return None, ""
    return int(fields[1]), body.strip()


async def is_listening(bind: str, port: int, timeout_s: float = 1.0) -> bool:
    """Tell whether somebody accepts connections on the port."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104 (compared, not bound)
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
    return True
