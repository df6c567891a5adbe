"""python-binance pointed at our addresses, with our clock, our text and our reading of failures.

The base class writes its own `timestamp`, a recvWindow of 10000 and numbers through `str()`. An order's
validity must be the one stored with it, and a float would go out as `1e-05`; so the one place where every
wrapper method builds its request, `_request`, is replaced here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import requests
from binance.client import Client
from requests.adapters import HTTPAdapter

from trading.domain.errors import OutcomeUnknown, VenueError, VenueRejected, VenueUnavailable
from trading.domain.values import decimal_text
from universe.adapters.binance.endpoints import Endpoints
from universe.adapters.binance.errors import Call, classify_answer, classify_exception
from universe.adapters.binance.lanes import Priority, lane_of
from universe.adapters.binance.treasury import MemoryBackoffStore, WeightTreasury
from universe.adapters.binance.weights import orders_counted, request_weight
from universe.domain.calls import CallOutcome

CONNECT_TIMEOUT_S: Final = 2.0
READ_TIMEOUT_S: Final = 5.0
RECV_WINDOW_MS: Final = 2000


CallObserver = Callable[[str, CallOutcome, float, int | None], None]
"""(venue, outcome, latency in seconds, venue error code or None)."""

LimitObserver = Callable[[str, int, float], None]
"""(venue, HTTP status 418 or 429, seconds the venue wants us to wait)."""


@dataclass(frozen=True, slots=True)
class AnswerHeaders:
    """What the last answer said beside its body; `date` is the server's text."""

    used_weight: int | None = None
    order_count_10s: int | None = None
    order_count_1d: int | None = None
    retry_after_s: int | None = None
    date: str = ""

    @classmethod
    def read(cls, headers: Mapping[str, str]) -> AnswerHeaders:
        def number(*names: str) -> int | None:
            texts = (headers.get(name, "") for name in names)
            return next((int(text) for text in texts if text.isdigit()), None)

        return cls(
            used_weight=number("X-MBX-USED-WEIGHT-1M", "X-MBX-USED-WEIGHT"),
            order_count_10s=number("X-MBX-ORDER-COUNT-10S"),
            order_count_1d=number("X-MBX-ORDER-COUNT-1D"),
            retry_after_s=number("Retry-After"),
            date=headers.get("Date", ""),
        )


def parameter_text(name: str, value: object) -> str:
    """Return a request parameter as text.

    Raises
    ------
    TypeError : a float (its text would be `1e-05` or worse), or anything that is not a plain value.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return str(value)
    raise TypeError(f"parameter {name}: expected Decimal, int or str, was {type(value).__name__}")


class SpotClient(Client):
    """One key (or none) on one venue. One instance per thread: a requests session is not shared."""

    def __init__(
        self,
        endpoints: Endpoints,
        *,
        venue: str = "binance-spot",
        api_key: str | None = None,
        api_secret: str | None = None,
        private_key: str | None = None,
        treasury: WeightTreasury | None = None,
        account: str = "",
        on_limited: LimitObserver | None = None,
        observer: CallObserver | None = None,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.API_URL = f"{endpoints.spot_rest}/api"
        self.MARGIN_API_URL = f"{endpoints.spot_rest}/sapi"
        self.FUTURES_URL = f"{endpoints.futures_rest}/fapi"
        self.FUTURES_DATA_URL = f"{endpoints.futures_rest}/futures/data"
        self.WS_API_URL = endpoints.spot_ws_api
        self.WS_FUTURES_URL = endpoints.futures_ws_api
        self.venue = venue
        self.on_limited = on_limited
        self.account = account or (api_key or "")[-12:]
        self.treasury = treasury or WeightTreasury(venue, MemoryBackoffStore())
        self.observer = observer
        self.clock_ms = clock_ms
        self.last_headers = AnswerHeaders()
        super().__init__(
            api_key=api_key,
            api_secret=api_secret,
            private_key=private_key,
            ping=False,
            testnet=False,
            demo=False,
        )

    def _init_session(self) -> requests.Session:
        session: requests.Session = super()._init_session()
        session.trust_env = False  # no proxy and no .netrc decides where an order goes
        session.headers["User-Agent"] = "nautilus-hmm"
        adapter = HTTPAdapter(max_retries=0)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return session

    def signed_request(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any],
        *,
        timestamp_ms: int,
        recv_window_ms: int,
        priority: Priority | None = None,
    ) -> Any:
        """Send one signed call once, with exactly this timestamp and window; returns the decoded JSON.

        Parameters
        ----------
        path : from the root, e.g. `/api/v3/order`.
        params : Decimal, int, bool or str values; None is left out.
        priority : the lane in the rate-limit treasury; by default the one its method, path and parameters say.

        Raises
        ------
        VenueRejected, VenueUnavailable, OutcomeUnknown : see `universe.adapters.binance.errors`.
        TypeError : a float among the parameters.
        """
        stamped = {**params, "timestamp": timestamp_ms, "recvWindow": recv_window_ms}
        return self._send(method, self._address(path), stamped, signed=True, priority=priority)

    def public_request(
        self, path: str, params: Mapping[str, Any], *, priority: Priority = Priority.READ
    ) -> Any:
        """GET without a signature; otherwise as `signed_request`."""
        return self._send("GET", self._address(path), params, signed=False, priority=priority)

    def _address(self, path: str) -> str:
        if not path.startswith("/"):
            raise ValueError(f"expected a path from the root, was {path!r}")
        return self.API_URL.removesuffix("/api") + path

    def _request(self, method: str, uri: str, signed: bool, force_params: bool = False, **kwargs: Any) -> Any:
        # Every wrapper of the base class ends here (create_order, get_account, ...).
        params = {key: value for key, value in (kwargs.get("data") or {}).items() if key != "headers"}
        if signed:
            params.setdefault("timestamp", self.clock_ms())
            params.setdefault("recvWindow", RECV_WINDOW_MS)
        return self._send(method, uri, params, signed=signed, priority=None)

    def _send(
        self, method: str, uri: str, params: Mapping[str, Any], *, signed: bool, priority: Priority | None
    ) -> Any:
        verb = method.upper()
        pairs = sorted((k, parameter_text(k, v)) for k, v in params.items() if v is not None)
        client_order_id = next((v for k, v in pairs if k in _CLIENT_IDS and v), "")
        call = Call(verb, uri, client_order_id)
        payload = urlencode(pairs, quote_via=quote, safe="")
        if signed:
            payload = f"{payload}&signature={self._signature(payload)}"
        in_body = verb in ("POST", "PUT")
        address = uri if in_body or not payload else f"{uri}?{payload}"
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if in_body else {"Content-Type": None}
        path = urlsplit(uri).path
        # A plain read may be a look-up of an order, which has a lane of its own.
        named = None if priority is Priority.READ else priority
        self.treasury.permit(
            named or lane_of(verb, path, params),
            weight=request_weight(verb, path, params),
            orders=orders_counted(verb, path),
            account=self.account,
        )
        started = time.perf_counter()
        try:
            answer = self._exchange(call, verb, address, payload if in_body else None, headers)
        except VenueError as error:
            self._observe(error, time.perf_counter() - started)
            raise
        self._observe(None, time.perf_counter() - started)
        return answer

    def _signature(self, payload: str) -> str:
        if self.PRIVATE_KEY:
            sign = self._rsa_signature if self._is_rsa else self._ed25519_signature
            return quote(sign(payload), safe="")
        if not self.API_SECRET:
            raise ValueError("a signed call needs an API secret or a private key")
        return str(self._hmac_signature(payload))

    def _exchange(
        self, call: Call, verb: str, address: str, body: str | None, headers: Mapping[str, str | None]
    ) -> Any:
        try:
            response = self.session.request(
                verb,
                address,
                data=body,
                headers=headers,
                timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise classify_exception(call, error) from error
        self.response = response
        self.last_headers = AnswerHeaders.read(response.headers)
        self.treasury.saw_headers(response.headers, account=self.account)
        if not 200 <= response.status_code < 300:
            failure = classify_answer(call, response.status_code, response.text, response.headers)
            limited = response.status_code in (418, 429) or (
                isinstance(failure, VenueUnavailable) and failure.code == -1003
            )
            # -1015 counts orders of one account; blocking every call of the address would stop exits too.
            if limited and isinstance(failure, VenueUnavailable) and failure.code != -1015:
                self.treasury.saw_limit(failure.retry_after_s or 60.0, f"HTTP {response.status_code}")
                if self.on_limited is not None:
                    self.on_limited(self.venue, response.status_code, failure.retry_after_s or 60.0)
            raise failure
        try:
            return response.json() if response.text else {}
        except ValueError as error:
            message = f"HTTP {response.status_code} with a body that is not JSON"
            if call.mutates:
                raise OutcomeUnknown(call.client_order_id, message) from error
            raise VenueUnavailable(None, message) from error

    def _observe(self, error: VenueError | None, latency_s: float) -> None:
        if self.observer is None:
            return
        match error:
            case None:
                outcome, code = CallOutcome.OK, None
            case VenueRejected():
                outcome, code = CallOutcome.OK, error.code
            case VenueUnavailable():
                outcome, code = CallOutcome.ERROR, error.code
            case _:
                outcome, code = CallOutcome.UNKNOWN, None
        self.observer(self.venue, outcome, latency_s, code)


_CLIENT_IDS: Final = frozenset({"newClientOrderId", "origClientOrderId", "clientAlgoId", "listClientOrderId"})
_DEFAULT_PRIORITY: Final = {"GET": Priority.READ, "DELETE": Priority.EXIT}
