"""Circuit breakers: closed, open, half-open. Pure; the verdict on an order is the rail's.

A measure opens the breaker only after a minimum of samples (one error is no rate, W21); all are written so that
higher is worse.
Open blocks for a cool-down that doubles up to a bound; half-open lets single probes through; enough
successes close it and clear the window; one failure opens it again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from trading.domain.clock import NS_PER_S
from trading.domain.errors import IllegalTransition


class Phase(StrEnum):
    """What a breaker does with calls: passes, blocks, or lets single probes through."""

    closed = "closed"
    open = "open"
    half_open = "half_open"


@dataclass(frozen=True, slots=True)
class BreakerRule:
    """When a breaker opens and how it recovers; seconds, counts, and a threshold in the measure's unit."""

    window_s: float
    min_samples: int
    threshold: float
    cooldown_s: float
    cooldown_max_s: float
    half_open_successes: int

    def __post_init__(self) -> None:
        if self.window_s <= 0 or self.cooldown_s <= 0 or self.cooldown_max_s < self.cooldown_s:
            raise ValueError("expected window_s > 0 and 0 < cooldown_s <= cooldown_max_s")
        if self.min_samples < 1 or self.half_open_successes < 1 or not 0 < self.threshold < math.inf:
            raise ValueError("expected min_samples and half_open_successes >= 1, a positive threshold")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a measure says now: its value, over how many samples, and in words.

    `for_s` is how long the venue itself told us to stay away, where it did.
    """

    value: float
    samples: int = 1
    detail: str = ""
    for_s: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether it rests on anything."""
        return self.samples > 0


@dataclass(frozen=True, slots=True)
class BreakerState:
    """Where a breaker is.

    Attributes
    ----------
    samples : (time ns, calls, errors), oldest first, within the window.
    until_ns : an open breaker admits a probe from then on.  cooldown_s : of the next opening.
    probe_ns : when the probe in flight started, or None.  successes : probes that succeeded in a row.
    """

    phase: Phase = Phase.closed
    samples: tuple[tuple[int, int, int], ...] = ()
    opened_ns: int | None = None
    until_ns: int | None = None
    cooldown_s: float | None = None
    probe_ns: int | None = None
    successes: int = 0
    reason: str = ""

    def retry_after_s(self, now_ns: int) -> float | None:
        """Return how long an open breaker still blocks, None when it does not."""
        if self.phase is not Phase.open or self.until_ns is None:
            return None
        return max(0.0, (self.until_ns - now_ns) / NS_PER_S)


def error_rate(state: BreakerState, rule: BreakerRule, now_ns: int) -> tuple[int, int]:
    """Return (calls, errors) inside the window that ends now."""
    kept = _within(state.samples, rule, now_ns)
    return sum(calls for _, calls, _ in kept), sum(errors for _, _, errors in kept)


def observe(
    state: BreakerState,
    rule: BreakerRule,
    now_ns: int,
    calls: int,
    errors: int,
    *,
    jitter: float = 0.0,
) -> BreakerState:
    """Count finished calls and open when the error rate in the window reaches the threshold.

    Calls of unknown outcome are counted once they are resolved. Results that arrive while the breaker
    is open or half-open belong to calls made before; only a probe speaks then (`on_probe_result`).

    Parameters
    ----------
    jitter : fraction the cool-down is lengthened by, so that many processes do not probe at once.

    Raises
    ------
    ValueError : not 0 <= errors <= calls.
    """
    if not 0 <= errors <= calls:
        raise ValueError(f"expected 0 <= errors <= calls, were {errors} and {calls}")
    if state.phase is not Phase.closed or calls == 0:
        return state
    samples = (*_within(state.samples, rule, now_ns), (now_ns, calls, errors))
    state = replace(state, samples=samples)
    total, failed = error_rate(state, rule, now_ns)
    if total < rule.min_samples or failed < rule.threshold * total:
        return state
    reason = f"{failed} errors in {total} calls within {rule.window_s:g} s"
    return _opened(state, rule, now_ns, reason, jitter)


def judge(
    state: BreakerState,
    rule: BreakerRule,
    now_ns: int,
    reading: Reading,
    *,
    recovers: bool = True,
    jitter: float = 0.0,
) -> BreakerState:
    """Let a reading open a closed breaker, or be the probe of a half-open one; let time end a cool-down.

    Parameters
    ----------
    recovers : whether the cool-down ends by itself; otherwise a person must reset it.
    """
    bad = reading.value >= rule.threshold or not math.isfinite(reading.value)
    if state.phase is Phase.closed:
        if reading.samples < rule.min_samples or not bad:
            return state
        return trip(state, rule, now_ns, reading.detail, for_s=reading.for_s, jitter=jitter)
    if state.phase is Phase.open:
        if bad and reading.for_s is not None:
            return trip(state, rule, now_ns, reading.detail, for_s=reading.for_s)
        return try_probe(state, rule, now_ns)[0] if recovers else state
    if not reading.is_known:
        return state  # nothing has happened that could prove anything
    return on_probe_result(state, rule, now_ns, not bad, jitter=jitter)


def trip(
    state: BreakerState,
    rule: BreakerRule,
    now_ns: int,
    reason: str,
    *,
    for_s: float | None = None,
    jitter: float = 0.0,
) -> BreakerState:
    """Open at once, e.g. on a venue ban, for the time the venue stated (`for_s`) or the cool-down.

    An open breaker is never shortened by it.
    """
    if for_s is None:
        opened = _opened(state, rule, now_ns, reason, jitter)
    else:
        until = now_ns + round(for_s * NS_PER_S)
        opened = replace(
            state,
            phase=Phase.open,
            samples=(),
            opened_ns=now_ns,
            until_ns=until,
            probe_ns=None,
            successes=0,
            reason=reason,
        )
    if state.phase is Phase.open and state.until_ns is not None and opened.until_ns is not None:
        return replace(opened, opened_ns=state.opened_ns, until_ns=max(state.until_ns, opened.until_ns))
    return opened


def try_probe(state: BreakerState, rule: BreakerRule, now_ns: int) -> tuple[BreakerState, bool]:
    """Ask to let one call through; returns the state and whether the call may go.

    Closed always passes. Open passes nothing until its time is over, then becomes half-open. Half-open
    passes one probe at a time; a probe that never reported (its process died) is given up after the
    rule's cool-down.
    """
    if state.phase is Phase.closed:
        return state, True
    if state.phase is Phase.open:
        if state.until_ns is None or now_ns < state.until_ns:
            return state, False
        return replace(state, phase=Phase.half_open, probe_ns=now_ns, successes=0), True
    lost_ns = round(rule.cooldown_s * NS_PER_S)
    if state.probe_ns is not None and now_ns - state.probe_ns < lost_ns:
        return state, False
    return replace(state, probe_ns=now_ns), True


def on_probe_result(
    state: BreakerState, rule: BreakerRule, now_ns: int, ok: bool, *, jitter: float = 0.0
) -> BreakerState:
    """Take a probe's result: enough successes close, one failure opens for twice as long.

    A result that comes after the breaker opened or closed again changes nothing.
    """
    if state.phase is not Phase.half_open:
        return state
    if not ok:
        return _opened(state, rule, now_ns, f"probe failed ({state.reason})", jitter)
    if state.successes + 1 >= rule.half_open_successes:
        return BreakerState()
    return replace(state, probe_ns=None, successes=state.successes + 1)


def reset(state: BreakerState) -> BreakerState:
    """Let a person end the cool-down: to half-open, never straight to closed; probes decide.

    Raises
    ------
    IllegalTransition : the breaker is closed, so there is nothing to reset.
    """
    if state.phase is Phase.closed:
        raise IllegalTransition("the breaker is closed already")
    return replace(state, phase=Phase.half_open, until_ns=None, probe_ns=None, successes=0)


def _within(
    samples: tuple[tuple[int, int, int], ...], rule: BreakerRule, now_ns: int
) -> tuple[tuple[int, int, int], ...]:
    oldest = now_ns - round(rule.window_s * NS_PER_S)
    return tuple(sample for sample in samples if sample[0] > oldest)


def _opened(state: BreakerState, rule: BreakerRule, now_ns: int, reason: str, jitter: float) -> BreakerState:
    cooldown = rule.cooldown_s if state.cooldown_s is None else state.cooldown_s
    return BreakerState(
        phase=Phase.open,
        opened_ns=now_ns,
        until_ns=now_ns + round(cooldown * (1 + jitter) * NS_PER_S),
        cooldown_s=min(2 * cooldown, rule.cooldown_max_s),
        reason=reason,
    )
