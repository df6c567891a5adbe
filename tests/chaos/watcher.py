"""A screen that never closes: the live stream of orders, followed through every disconnection by its event ids (O9)."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time

from tests.chaos.witness import Database, number
from tests.e2e.platform import Platform

CAUGHT_UP_WITHIN_S = 20.0


class Watcher:
    """Keeps the last state it was told of every order."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._token = platform.credentials("viewer")["token"]
        self._last_id: str = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self.orders: dict[str, tuple[str, str]] = {}
        self.backwards = 0

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()

    def differences(self, database: Database) -> list[str]:
        """Orders whose last state on the screen is not the row's, after a moment to catch up."""
        deadline = time.monotonic() + CAUGHT_UP_WITHIN_S
        while True:
            found = []
            for row in database.rows(
                "SELECT uid, client_order_id, status, executed_quantity FROM trading_order"
            ):
                shown = self.orders.get(str(row["uid"]))
                if shown is None:
                    found.append(f"order {row['client_order_id']} was never on the screen")
                elif shown[0] != row["status"] or number(shown[1]) != number(row["executed_quantity"]):
                    found.append(
                        f"order {row['client_order_id']}: the screen shows {shown[0]} {shown[1]}, "
                        f"the row says {row['status']} {row['executed_quantity']}"
                    )
            if not found or time.monotonic() > deadline:
                return [*found, *([f"{self.backwards} events came out of order"] if self.backwards else [])]
            time.sleep(0.5)

    def _follow(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                self._read()
            self._stopping.wait(0.5)

    def _read(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._platform.port, timeout=30)
        headers = {"Authorization": f"Bearer {self._token}", "Last-Event-ID": self._last_id or "0"}
        connection.request("GET", "/api/v1/stream?topics=orders", headers=headers)
        answer = connection.getresponse()
        if answer.status != 200:
            raise OSError(f"stream answered {answer.status}")
        number_text, data = "", ""
        while not self._stopping.is_set():
            line = answer.readline()
            if not line:
                return
            text = line.decode().rstrip("\r\n")
            if text.startswith("id:"):
                number_text = text[3:].strip()
            elif text.startswith("data:"):
                data = text[5:].strip()
            elif not text and data:
                self._take(number_text, json.loads(data))
                number_text, data = "", ""

    def _take(self, number_text: str, event: dict[str, object]) -> None:
        if number_text:
            if self._last_id and int(number_text) <= int(self._last_id):
                self.backwards += 1
            self._last_id = number_text
        members = event.get("data", event)
        if isinstance(members, dict) and "status" in members:
            self.orders[str(members["id"])] = (str(members["status"]), str(members["executed_quantity"]))
