"""ccxt finds the paper exchange by its `urls`; the same settings serve ccxt and ccxt.pro."""

from __future__ import annotations

from typing import Any

from account import URL, WS


def urls() -> dict[str, Any]:
    """The `urls` of a `binance` object."""
    return {
        "api": {
            "public": f"{URL}/api/v3",
            "private": f"{URL}/api/v3",
            "v1": f"{URL}/api/v1",
            "sapi": f"{URL}/sapi/v1",
            "sapiV2": f"{URL}/sapi/v2",
            "sapiV3": f"{URL}/sapi/v3",
            "sapiV4": f"{URL}/sapi/v4",
            "fapiPublic": f"{URL}/fapi/v1",
            "fapiPublicV2": f"{URL}/fapi/v2",
            "fapiPublicV3": f"{URL}/fapi/v3",
            "fapiPrivate": f"{URL}/fapi/v1",
            "fapiPrivateV2": f"{URL}/fapi/v2",
            "fapiPrivateV3": f"{URL}/fapi/v3",
            "fapiData": f"{URL}/futures/data",
            "dapiPublic": f"{URL}/dapi/v1",
            "ws": {
                "spot": f"{WS}/stream/ws",  # `/stream` is how ccxt.pro tells spot from futures
                "linear": f"{WS}/ws",
                "ws-api": {"spot": f"{WS}/ws-api/v3", "linear": f"{WS}/ws-fapi/v1"},
            },
        }
    }
