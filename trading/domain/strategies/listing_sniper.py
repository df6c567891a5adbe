"""Buy a new listing once, small and only in time; leave by stop, ladder or clock.

The evidence is against it: what new listings gain comes mostly before an order can act, and holding them loses on
median (see the page of this strategy). So it is off unless switched on, and every guard must pass: age of the
listing known, not too early, not late, a first price that was really seen, a two-sided book, a narrow spread,
enough on both sides, and an ask not above the first price by more than the cap. One entry per symbol, ever.

The size is risk / stop: with the stop hit, the part `risk` of its capital is lost. It then leaves by a hard stop, by
a ladder (half at the first rung, the rest at the second), or when the time is up, and never comes back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple

from trading.domain.clock import NS_PER_S
from trading.domain.strategies.base import Desired, Observation, Protection, Strategy
from trading.domain.strategies.parameters import ParameterError, parameter
from trading.domain.strategies.sniper_guards import FINAL, EntryLimits, entry_refused, two_sided

WATCHING, ENTERING, HOLDING, DONE = "watching", "entering", "holding", "done"
_RUNGS: Final = 2


@dataclass(frozen=True, slots=True)
class ListingSniperParams:
    """When it may enter, how much, and how it leaves."""

    enabled: bool = parameter(False, help="off: it looks and never buys")
    delay_s: float = parameter(12.0, ge=0.0, le=600.0, unit="s", help="no entry earlier after the listing")
    lateness_s: float = parameter(180.0, ge=1.0, le=86_400.0, unit="s", help="no entry later")
    baseline_s: float = parameter(
        5.0, ge=0.0, le=600.0, unit="s", help="the first price must have been seen by then"
    )
    spread: float = parameter(0.05, ge=0.0001, le=0.5, help="widest spread, part of the middle")
    depth_quote: float = parameter(
        1_000.0, ge=0.0, le=1e9, unit="quote", help="least on the best bid and on the best ask"
    )
    chase: float = parameter(0.45, ge=0.0, le=5.0, help="most the ask may be above the first price")
    risk: float = parameter(0.0075, ge=0.0001, le=0.1, help="part of the capital lost when the stop is hit")
    stop: float = parameter(0.12, ge=0.01, le=0.9, help="hard stop below the entry")
    first_rung: float = parameter(0.5, ge=0.01, le=10.0, help="half is sold so far above the entry")
    second_rung: float = parameter(1.0, ge=0.01, le=20.0, help="the rest is sold so far above it")
    cap: float = parameter(0.25, ge=0.001, le=1.0, help="largest part of the capital, whatever the risk")
    fill_s: float = parameter(30.0, ge=0.1, le=3_600.0, unit="s", help="an entry not filled is given up")
    hold_s: float = parameter(3_600.0, ge=1.0, le=86_400.0, unit="s", help="everything is sold after it")
    halt_s: float = parameter(60.0, ge=1.0, le=86_400.0, unit="s", help="silence that counts as a halt")
    cooldown_s: float = parameter(900.0, ge=0.0, le=86_400.0, unit="s", help="no entry after a halt")

    def __post_init__(self) -> None:
        if self.lateness_s <= self.delay_s:
            raise ParameterError(
                "lateness_s", f"expected more than the delay of {self.delay_s} s, was {self.lateness_s}"
            )
        if self.second_rung <= self.first_rung:
            raise ParameterError(
                "second_rung", f"expected above the first rung {self.first_rung}, was {self.second_rung}"
            )

    @property
    def size(self) -> float:
        """Part of the capital bought: risk / stop, at most `cap`."""
        return min(self.cap, self.risk / self.stop)

    def limits(self) -> EntryLimits:
        """Return what an entry needs."""
        return EntryLimits(self.delay_s, self.lateness_s, self.spread, self.depth_quote, self.chase)


class SniperState(NamedTuple):
    """Where it stands with its one listing.

    Attributes
    ----------
    baseline : first price, 0.0 before it was seen or when it was missed.  missed : it was.
    seen_ns : market time of the last step.  quiet_until_ns : no entry before it.
    since_ns : of the entry's decision at a book, of the step after one at a bar (0 until then), then of the fill.
    entry : price the exits count from.
    rungs : of the ladder that were sold.  reason : how it ended.
    """

    phase: str = WATCHING
    baseline: float = 0.0
    missed: bool = False
    seen_ns: int = 0
    quiet_until_ns: int = 0
    since_ns: int = 0
    entry: float = 0.0
    rungs: int = 0
    reason: str = ""


class ListingSniper(Strategy):
    """One small, guarded entry into a new listing, and a way out by price and by clock."""

    name: ClassVar[str] = "listing_sniper"
    Params: ClassVar[type] = ListingSniperParams
    steps_at_books: ClassVar[bool] = True
    trades_listings: ClassVar[bool] = True

    def warmup(self, params: ListingSniperParams) -> int:
        """Return 1: a new listing has no history."""
        return 1

    def initial(self, params: ListingSniperParams) -> tuple[Any, ...]:
        """Return a sniper that has seen nothing."""
        return SniperState()

    def gave_up(self, state: tuple[Any, ...]) -> bool:
        """Say whether its one entry is over, or never was."""
        return SniperState(*state).phase == DONE

    def step(
        self, params: ListingSniperParams, state: tuple[Any, ...], observation: Observation
    ) -> tuple[tuple[Any, ...], Desired]:
        """Decide at every trigger."""
        now = _noticed(SniperState(*state), params, observation)
        if now.phase == WATCHING:
            now = _watch(now, params, observation)
        elif now.phase == ENTERING:
            now = _enter(now, params, observation)
        if now.phase == HOLDING:
            now = _hold(now, params, observation)
        return now, _desired(now, params, observation)


def _noticed(state: SniperState, params: ListingSniperParams, seen: Observation) -> SniperState:
    quiet = state.quiet_until_ns
    if state.seen_ns and seen.now_ns - state.seen_ns > params.halt_s * NS_PER_S:
        quiet = seen.now_ns + int(params.cooldown_s * NS_PER_S)
    baseline, missed = state.baseline, state.missed
    age_s = seen.listing_age_s
    if baseline == 0.0 and not missed and age_s is not None and age_s >= 0.0:
        listed_ns = seen.now_ns - int(age_s * NS_PER_S)
        if seen.bar.open_ns <= listed_ns < seen.bar.close_ns or (
            0 <= seen.bar.open_ns - listed_ns <= params.baseline_s * NS_PER_S
        ):
            baseline = seen.bar.open  # the listing's first bar: its open is the first trade
        elif age_s <= params.baseline_s:
            baseline = (seen.bid + seen.ask) / 2.0 if two_sided(seen) else 0.0
        elif seen.bar.close_ns:
            # A price seen later is not the first one: measured from it, any rise looks small. While no bar has closed
            # the first one is still to come, and its open is that price.
            missed = True
    return state._replace(baseline=baseline, missed=missed, quiet_until_ns=quiet, seen_ns=seen.now_ns)


def _watch(state: SniperState, params: ListingSniperParams, seen: Observation) -> SniperState:
    if seen.position > 0.0:
        # Something is held that this state does not know of: sell it rather than guess its entry.
        return state._replace(phase=DONE, reason="UNKNOWN_POSITION")
    because = entry_refused(seen, state.baseline, state.quiet_until_ns, params.limits(), missed=state.missed)
    if because in FINAL and params.enabled:
        return state._replace(phase=DONE, reason=because)
    if because or not params.enabled:
        return state._replace(reason=because if params.enabled else "OFF")
    # A bar is stamped by its close and may be told long after it: the time to be filled begins with the next look.
    since_ns = 0 if seen.trigger == "bar" else seen.now_ns
    return state._replace(phase=ENTERING, since_ns=since_ns, entry=seen.ask, reason="ENTRY")


def _enter(state: SniperState, params: ListingSniperParams, seen: Observation) -> SniperState:
    if seen.position > 0.0:
        paid = seen.average_price if seen.average_price > 0.0 else state.entry
        return state._replace(phase=HOLDING, since_ns=seen.now_ns, entry=paid, reason="HELD")
    if state.since_ns == 0:
        state = state._replace(since_ns=seen.now_ns)
    if seen.now_ns - state.since_ns > params.fill_s * NS_PER_S:
        return state._replace(phase=DONE, reason="NOT_FILLED")
    if seen.ask > state.baseline * (1.0 + params.chase):
        # The price ran away before the order was filled; what it would pay now was refused at the entry.
        return state._replace(phase=DONE, reason="CHASE")
    return state


def _hold(state: SniperState, params: ListingSniperParams, seen: Observation) -> SniperState:
    if seen.position <= 0.0:
        return state._replace(phase=DONE, reason="CLOSED")
    # What a sale would bring now; a bar's close stands in where the book shows no bid.
    price = seen.bid if seen.bid > 0.0 else seen.bar.close
    if 0.0 < price <= state.entry * (1.0 - params.stop):
        return state._replace(phase=DONE, reason="STOP")
    if seen.now_ns - state.since_ns >= params.hold_s * NS_PER_S:
        return state._replace(phase=DONE, reason="TIME_STOP")
    reached = sum(price >= state.entry * (1.0 + rung) for rung in (params.first_rung, params.second_rung))
    rungs = max(state.rungs, reached)
    if rungs == _RUNGS:
        return state._replace(phase=DONE, rungs=rungs, reason="SECOND_RUNG")
    return state._replace(rungs=rungs, reason="FIRST_RUNG" if rungs else "HELD")


def _desired(state: SniperState, params: ListingSniperParams, seen: Observation) -> Desired:
    features = {"baseline": state.baseline}
    if seen.listing_age_s is not None:
        features["listing_age_s"] = seen.listing_age_s
        if state.reason == "LATE":
            features["late_s"] = seen.listing_age_s - params.lateness_s
    if state.phase not in (ENTERING, HOLDING):
        return Desired(0.0, 1.0, state.reason, features=features)
    features |= {"entry": state.entry, "price_cap": state.baseline * (1.0 + params.chase)}
    target = params.size * (1.0 - state.rungs / _RUNGS)
    protection = Protection(
        stop=state.entry * (1.0 - params.stop), take_profit=state.entry * (1.0 + params.second_rung)
    )
    return Desired(target, 1.0, state.reason, protection=protection, features=features)
