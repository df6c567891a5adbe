"""The official SDKs answer with pydantic models; this takes them apart, under the names on the wire."""

from __future__ import annotations

import asyncio
from typing import Any


def plain(value: Any) -> Any:
    """Dictionaries and lists in place of models, unwrapping the SDKs' one-of containers."""
    if hasattr(value, "model_dump"):
        # Not `to_dict`: it fails for lists of lists (klines over the WebSocket API).
        return plain(value.model_dump(by_alias=True, exclude_none=True))
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        if "actual_instance" in value:
            return plain(value["actual_instance"])
        extra = value.get("additional_properties") or {}
        rest = {key: item for key, item in value.items() if key != "additional_properties"}
        return {key: plain(item) for key, item in {**rest, **extra}.items()}
    return value


def answer(response: Any) -> Any:
    """The data of a REST answer, or the result of a WebSocket API answer; an error there raises."""
    data = plain(response.data())
    if isinstance(data, dict) and data.get("error"):
        raise RefusedOverSocket(data["error"])
    return data["result"] if isinstance(data, dict) and "result" in data else data


class RefusedOverSocket(Exception):
    """The SDKs hand WebSocket API errors over as data; here they are raised to be recorded like others."""

    def __init__(self, error: Any) -> None:
        super().__init__(str(error))
        self.code = error.get("code") if isinstance(error, dict) else None


async def first(handle: Any) -> Any:
    """The first event of a stream handle."""
    arrived: asyncio.Queue[Any] = asyncio.Queue()
    handle.on("message", arrived.put_nowait)
    return plain(await asyncio.wait_for(arrived.get(), 30))
