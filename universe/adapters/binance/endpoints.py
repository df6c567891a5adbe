"""Addresses per environment, as Binance documents them; `local` is the paper exchange on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Base addresses without a trailing slash.

    `spot_rest` and `futures_rest` are roots (clients add `/api/v3`, `/fapi/v1`), the stream roots take
    `/stream` or `/ws`, the WS-API addresses are complete.
    """

    environment: str
    spot_rest: str
    spot_streams: str
    spot_ws_api: str
    futures_rest: str
    futures_streams: str
    futures_ws_api: str


_HOSTED = {
    "live": Endpoints(
        environment="live",
        spot_rest="https://api.binance.com",
        spot_streams="wss://stream.binance.com:9443",
        spot_ws_api="wss://ws-api.binance.com:443/ws-api/v3",
        futures_rest="https://fapi.binance.com",
        futures_streams="wss://fstream.binance.com",
        futures_ws_api="wss://ws-fapi.binance.com/ws-fapi/v1",
    ),
    "testnet": Endpoints(
        environment="testnet",
        spot_rest="https://testnet.binance.vision",
        spot_streams="wss://stream.testnet.binance.vision",
        spot_ws_api="wss://ws-api.testnet.binance.vision/ws-api/v3",
        futures_rest="https://testnet.binancefuture.com",
        futures_streams="wss://stream.binancefuture.com",
        futures_ws_api="wss://testnet.binancefuture.com/ws-fapi/v1",
    ),
    "demo": Endpoints(
        environment="demo",
        spot_rest="https://demo-api.binance.com",
        spot_streams="wss://demo-stream.binance.com",
        spot_ws_api="wss://demo-ws-api.binance.com/ws-api/v3",
        futures_rest="https://demo-fapi.binance.com",
        futures_streams="wss://fstream.binancefuture.com",
        futures_ws_api="wss://testnet.binancefuture.com/ws-fapi/v1",
    ),
}


def endpoints_for(environment: str, *, local_url: str = "http://127.0.0.1:9100") -> Endpoints:
    """Return the addresses of an environment.

    Parameters
    ----------
    environment : local, testnet, demo or live.
    local_url : root of the paper exchange, used for `local` only; must be plain HTTP.

    Raises
    ------
    ValueError : unknown environment, or a local URL that is not `http://HOST:PORT`.
    """
    if environment in _HOSTED:
        return _HOSTED[environment]
    if environment != "local":
        raise ValueError(f"unknown environment {environment!r}; expected local, testnet, demo or live")
    parts = urlsplit(local_url)
    if parts.scheme != "http" or not parts.netloc or parts.path.strip("/"):
        raise ValueError(f"expected http://HOST:PORT for the paper exchange, was {local_url!r}")
    root, sockets = f"http://{parts.netloc}", f"ws://{parts.netloc}"
    return Endpoints(
        environment="local",
        spot_rest=root,
        spot_streams=sockets,
        spot_ws_api=f"{sockets}/ws-api/v3",
        futures_rest=root,
        futures_streams=sockets,
        futures_ws_api=f"{sockets}/ws-fapi/v1",
    )
