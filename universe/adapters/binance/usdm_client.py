"""The same client on the USD-M host, which has weights and order counts of its own."""

from __future__ import annotations

from typing import Any

from universe.adapters.binance.clients import SpotClient
from universe.adapters.binance.endpoints import Endpoints
from universe.adapters.binance.lanes import Priority


class UsdmClient(SpotClient):
    """One key (or none) on USD-M. One instance per thread."""

    def __init__(self, endpoints: Endpoints, *, venue: str = "binance-usdm", **options: Any) -> None:
        super().__init__(endpoints, venue=venue, **options)

    def keyed_request(self, method: str, path: str) -> Any:
        """A call that carries the API key and no signature: the venue's listen keys. Raises as `signed_request`."""
        return self._send(method, self._address(path), {}, signed=False, priority=Priority.READ)

    def _address(self, path: str) -> str:
        if not path.startswith(("/fapi/", "/futures/")):
            raise ValueError(f"expected a path of the futures host, was {path!r}")
        return self.FUTURES_URL.removesuffix("/fapi") + path
