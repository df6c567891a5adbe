"""Deliberate misbehaviour: what the control API asks for, matched at the request and event edges."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from testnet.errors import ApiError

REQUEST_EFFECTS = frozenset(
    {"delay_ms", "error_before", "error_after", "late_ms", "rate_limit", "zero_balances"}
)
EVENT_EFFECTS = frozenset({"drop_event", "duplicate_event", "reorder_events"})
STANDING_EFFECTS = frozenset({"disconnect", "clock_skew_ms", "halt_symbol"})
_MATCH_NAMES = frozenset({"path", "method", "symbol", "account_id", "event", "probability", "count", "seed"})
_INTEGER_EFFECTS = frozenset({"delay_ms", "late_ms", "clock_skew_ms"})
MAX_FAULTS = 1_000

MESSAGES = {
    -1000: "An unknown error occurred while processing the request.",
    -1001: "Internal error; unable to process your request. Please try again.",
    -1003: "Too many requests; current limit is 6000 request weight per 1 MINUTE.",
    -1006: "An unexpected response was received from the message bus. Execution status unknown.",
    -1007: "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
    -1008: "Server is currently overloaded with other requests. Please try again in a few minutes.",
    -1015: "Too many new orders; current limit is 100 orders per 10 SECOND.",
    -1021: "Timestamp for this request is outside of the recvWindow.",
    -2010: "Account has insufficient balance for requested action.",
    -2015: "Invalid API-key, IP, or permissions for action.",
}


@dataclass(frozen=True, slots=True)
class Edge:
    """One request or event as faults see it; `paths` are all names it goes by."""

    paths: tuple[str, ...]
    method: str | None = None
    symbol: str | None = None
    account_id: str | None = None
    event: str | None = None


@dataclass(slots=True)
class Fault:
    """A rule in force, with what remains of its count."""

    fault_id: int
    match: dict[str, Any]
    effect: dict[str, Any]
    rng: random.Random
    remaining: int | None
    hits: int = 0

    def fits(self, edge: Edge) -> bool:
        """True when every member of the match agrees; draws the probability last."""
        if self.remaining == 0:
            return False
        match = self.match
        path = match.get("path", "*")
        if path != "*" and not any(name.startswith(path) for name in edge.paths):
            return False
        for name, value in (
            ("method", edge.method),
            ("symbol", edge.symbol),
            ("account_id", edge.account_id),
            ("event", edge.event),
        ):
            wanted = match.get(name)
            if wanted not in (None, "*") and wanted != value:
                return False
        return self.rng.random() < float(match.get("probability", 1))

    def spend(self) -> None:
        """Count one use."""
        self.hits += 1
        if self.remaining is not None:
            self.remaining -= 1

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.fault_id,
            "match": self.match,
            "effect": self.effect,
            "remaining": self.remaining,
            "hits": self.hits,
        }


class Faults:
    """Every rule in force, in the order they were added."""

    def __init__(self) -> None:
        self._rules: dict[int, Fault] = {}
        self._next = 1

    def add(self, raw: object) -> Fault:
        """Validate and add a rule.

        Raises
        ------
        ApiError : unknown members or values of the wrong kind.
        """
        if not isinstance(raw, dict) or set(raw) - {"match", "effect"}:
            raise ApiError(-1100, "expected an object with match and effect")
        match, effect = raw.get("match") or {}, raw.get("effect")
        if not isinstance(match, dict) or set(match) - _MATCH_NAMES:
            raise ApiError(-1100, f"match: expected members out of {', '.join(sorted(_MATCH_NAMES))}")
        _check_match(match)
        _check_effect(effect)
        if len(self._rules) >= MAX_FAULTS:
            raise ApiError(-1100, f"no more than {MAX_FAULTS} faults at a time")
        fault = Fault(
            self._next,
            match,
            dict(effect) if isinstance(effect, dict) else {},
            random.Random(match.get("seed", 0)),
            match.get("count"),
        )
        self._rules[fault.fault_id] = fault
        self._next += 1
        return fault

    def remove(self, fault_id: int) -> Fault:
        """Take a rule away; ApiError (404) when there is none."""
        if fault_id not in self._rules:
            raise ApiError(-1100, f"no fault {fault_id}", 404)
        return self._rules.pop(fault_id)

    def all(self) -> list[Fault]:
        """Every rule."""
        return list(self._rules.values())

    def at_request(self, edge: Edge) -> dict[str, Any]:
        """The effects on a request; where two rules name the same effect the earlier one counts."""
        return self._matching(edge, REQUEST_EFFECTS)

    @property
    def has_rules(self) -> bool:
        """True while any rule is in force."""
        return bool(self._rules)

    def at_event(self, edge: Edge) -> dict[str, Any]:
        """The effects on an event about to be sent."""
        return self._matching(edge, EVENT_EFFECTS)

    def clock_skew_ms(self) -> int:
        """How wrong the server's clock is at present."""
        return sum(int(rule.effect.get("clock_skew_ms", 0)) for rule in self._rules.values())

    def _matching(self, edge: Edge, names: frozenset[str]) -> dict[str, Any]:
        effects: dict[str, Any] = {}
        for rule in self._rules.values():
            mine = {name: value for name, value in rule.effect.items() if name in names}
            if mine and rule.fits(edge):
                rule.spend()
                effects = {**mine, **effects}
        return effects


def error_of(effect: object) -> ApiError:
    """The error an `error_before` or `error_after` asks for."""
    spec = effect if isinstance(effect, dict) else {}
    status = int(spec.get("status", 503))
    code = spec.get("code")
    if code is None:
        return ApiError(0, "Service Unavailable." if status == 503 else f"HTTP {status}", status)
    return ApiError(int(code), str(spec.get("msg") or MESSAGES.get(int(code), "Injected fault.")), status)


def _check_match(match: dict[str, Any]) -> None:
    probability = match.get("probability", 1)
    if isinstance(probability, bool) or not isinstance(probability, int | float) or not 0 <= probability <= 1:
        raise ApiError(-1100, "match.probability: expected a number from 0 to 1")
    count = match.get("count")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
        raise ApiError(-1100, "match.count: expected a non-negative integer or null")
    for name in ("path", "method", "symbol", "account_id", "event"):
        if match.get(name) is not None and not isinstance(match[name], str):
            raise ApiError(-1100, f"match.{name}: expected text")
    if not isinstance(match.get("seed", 0), int):
        raise ApiError(-1100, "match.seed: expected an integer")


def _check_effect(effect: object) -> None:
    known = REQUEST_EFFECTS | EVENT_EFFECTS | STANDING_EFFECTS
    if not isinstance(effect, dict) or not effect or set(effect) - known:
        raise ApiError(-1100, f"effect: expected one or more of {', '.join(sorted(known))}")
    for name, value in effect.items():
        if name in _INTEGER_EFFECTS:
            good = (
                isinstance(value, int)
                and not isinstance(value, bool)
                and (name == "clock_skew_ms" or value >= 0)
            )
        elif name in ("error_before", "error_after"):
            good = (name == "error_after" and value == "drop") or _is_error(value)
        elif name == "rate_limit":
            good = (
                isinstance(value, dict)
                and value.get("status") in (429, 418)
                and isinstance(value.get("retry_after", 1), int)
            )
        elif name == "halt_symbol":
            good = isinstance(value, str)
        else:
            good = value is True
        if not good:
            raise ApiError(-1100, f"effect.{name}: not a valid value")


def _is_error(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("status", 503), int)
        and 400 <= value.get("status", 503) <= 599
        and isinstance(value.get("code", 0), int | None)
    )
