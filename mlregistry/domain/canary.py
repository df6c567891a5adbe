"""When a canary has won, when it harms, and which guard rail ends it at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import NormalDist
from typing import Any, Final

from trading.domain.statistics.peeking import Peek, log_e_path, peek

MOST_SHARE: Final = 0.25
STEPS: Final = 2
WHOLE: Final = ("fills", "rejects_of", "slippage_of", "stale_bars")
CONFIDENCE: Final = 0.9
"""Of the bound on slippage, one-sided."""


@dataclass(frozen=True, slots=True)
class CanaryRules:
    """What a canary is held to, as approved; fractions as fractions.

    Attributes
    ----------
    share : of the champion's capital.  cap : of the canary's capital, quote currency.
    ramp : the share it grows to in a second step; 0, or no more than `share`: it keeps its size.
    ramp_alpha : it grows once log e is ln(1 / ramp_alpha) or more, at that look.
    alpha : false promotions, looking at every interval.  n_opt : intervals at which the test is sharpest.
    harm_alpha : of the mirrored test, which may stop early.  interval_s : of a paired observation.
    dwell_s, fills : at least so long and so many in each step before it can grow or win.
    longest_s : it ends without a winner then.
    drawdown, daily_loss : of its capital.  drawdown_times : of what its backtest was under 99 % of the time.
    rejects, rejects_of : share of its orders refused, of at least so many.
    errors : share of its orders, of as many, whose answer was lost or that never arrived.
    unknown_s : it may not be known for so long what became of an order.
    slippage_bps, slippage_times, slippage_of : what the gate's costs assume, how much of it the mean over at least
        so many orders may surely exceed.
    divergence : between its exposure and the champion's, each per capital, in any symbol.
    stale_bars : it may be behind the champion, and behind the bars that closed.  quote_s : age of its prices.
    unmeasured_s : its worth may be unknown.  cool_s : after an end.
    """

    share: float = 0.05
    cap: float = 1_000.0
    ramp: float = 0.0
    ramp_alpha: float = 0.2
    alpha: float = 0.05
    n_opt: float = 100.0
    harm_alpha: float = 0.2
    interval_s: float = 28_800.0
    dwell_s: float = 7 * 86_400.0
    fills: int = 10
    longest_s: float = 180 * 86_400.0
    drawdown: float = 0.10
    drawdown_times: float = 2.0
    daily_loss: float = 0.03
    rejects: float = 0.2
    rejects_of: int = 5
    errors: float = 0.1
    unknown_s: float = 45.0
    slippage_bps: float = 1.0
    slippage_times: float = 2.0
    slippage_of: int = 10
    divergence: float = 1.5
    stale_bars: int = 3
    quote_s: float = 120.0
    unmeasured_s: float = 45.0
    cool_s: float = 86_400.0

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"{one.name}: expected a number, was {value!r}")
            if value <= 0 and one.name not in ("fills", "dwell_s", "cool_s", "ramp"):
                raise ValueError(f"{one.name}: expected a number above zero, was {value}")
            if one.name in WHOLE and not isinstance(value, int):
                raise ValueError(f"{one.name}: expected a whole number, was {value}")
            if value < 0:
                raise ValueError(f"{one.name}: expected zero or more, was {value}")
        for name, most in (
            ("share", MOST_SHARE),
            ("ramp", MOST_SHARE),
            ("ramp_alpha", 0.4),
            ("alpha", 0.25),
            ("harm_alpha", 0.4),
            ("drawdown", 0.5),
            ("daily_loss", 0.5),
            ("rejects", 1.0),
            ("errors", 1.0),
            ("drawdown_times", 10.0),
            ("slippage_times", 10.0),
            ("divergence", 4.0),
        ):
            if getattr(self, name) > most:
                raise ValueError(f"{name}: expected at most {most}, was {getattr(self, name)}")
        for name in ("unmeasured_s", "unknown_s"):
            if getattr(self, name) > 60:
                # A breach has to be acted on within a minute, and not knowing is one.
                raise ValueError(f"{name}: expected at most 60, was {getattr(self, name)}")
        if self.slippage_of < 2:
            raise ValueError(f"slippage_of: expected two or more, was {self.slippage_of}")

    @property
    def steps(self) -> int:
        """How many sizes it has before all of the capital: one, or two with a ramp."""
        return STEPS if self.ramp > self.share else 1

    def members(self) -> dict[str, Any]:
        """Return them as JSON members."""
        return asdict(self)


def rules_read(asked: Mapping[str, Any]) -> CanaryRules:
    """Return the rules of what was asked, defaults where nothing was.

    Raises
    ------
    ValueError : a member there is no rule for, or a number no rule takes.
    """
    known = {one.name: one for one in fields(CanaryRules)}
    unknown = sorted(set(asked) - set(known))
    if unknown:
        raise ValueError(f"no rule is called {', '.join(unknown)}; there are {', '.join(known)}")
    return CanaryRules(
        **{
            name: int(value) if name in WHOLE and isinstance(value, float) and value.is_integer() else value
            for name, value in asked.items()
        }
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """What a canary shows now; None where it cannot be told.

    Attributes
    ----------
    capital : quote currency.  result, peak, day_start : of its own trading, net, quote currency.
    orders, rejected : it had a part in, and of those the venue refused.
    lost : of those the answer was lost or that never arrived.  unknown_s : the longest of which it is not known now.
    bars_behind : the champion's decisions, or the bars that closed.  quote_s : age of the oldest price it needs.
    unmeasured_s : since when its worth is unknown.  drifted : whether its log score or a feature raised an alarm.
    backtest_drawdown : fraction its backtest was under 99 % of the time; None without a verdict.
    slippage : against the mid price when decided, of its executed orders.
    divergence : largest of any symbol between its exposure and the champion's, each per capital.
    """

    capital: float
    result: float | None
    peak: float
    day_start: float
    orders: int
    rejected: int
    bars_behind: int
    unmeasured_s: float
    drifted: bool
    backtest_drawdown: float | None = None
    slippage: Slippage | None = None
    divergence: float | None = 0.0
    lost: int = 0
    unknown_s: float = 0.0
    quote_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Slippage:
    """Of so many orders: their mean and sample deviation, bps; positive is worse for us."""

    orders: int
    mean: float
    deviation: float

    def at_least(self) -> float:
        """Return the lower end of the one-sided 90 % interval of the mean, bps; two orders or more.

        Source: Student's quantile by its expansion in 1/nu, Abramowitz & Stegun (1964) 26.7.5; within 1e-3 from nine
        degrees of freedom on.
        """
        nu, z = self.orders - 1, NormalDist().inv_cdf(CONFIDENCE)
        t = (
            z
            + (z**3 + z) / (4 * nu)
            + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * nu**2)
            + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * nu**3)
        )
        return self.mean - t * self.deviation / math.sqrt(self.orders)


@dataclass(frozen=True, slots=True)
class Rail:
    """One guard rail as measured; `breached` when above its limit."""

    name: str
    measured: float | None
    limit: float
    breached: bool

    def members(self) -> dict[str, Any]:
        """Return it as JSON members."""
        return asdict(self)


def guard(rules: CanaryRules, now: Measured) -> tuple[Rail, ...]:
    """Return every guard rail. One breached is enough to roll back."""
    drawdown = daily = None
    if now.result is not None and now.capital > 0:
        drawdown = max(0.0, now.peak - now.result) / now.capital
        daily = max(0.0, now.day_start - now.result) / now.capital
    told = now.orders >= rules.rejects_of
    rejects = now.rejected / now.orders if told else 0.0
    errors = now.lost / now.orders if told else 0.0
    slippage = None
    if now.slippage is not None and now.slippage.orders >= rules.slippage_of:
        slippage = now.slippage.at_least()
    measured: list[tuple[str, float | None, float]] = [
        ("drawdown", drawdown, rules.drawdown),
        ("daily_loss", daily, rules.daily_loss),
        ("rejects", rejects, rules.rejects),
        ("errors", errors, rules.errors),
        ("unknown_s", now.unknown_s, rules.unknown_s),
        ("stale", float(now.bars_behind), float(rules.stale_bars)),
        ("quote_s", now.quote_s, rules.quote_s),
        # What cannot be measured cannot be guarded: after a while that is a breach itself.
        ("unmeasured_s", now.unmeasured_s, rules.unmeasured_s),
        ("drift", float(now.drifted), 0.0),
        ("slippage", slippage, rules.slippage_times * rules.slippage_bps),
        ("divergence", now.divergence, rules.divergence),
    ]
    if now.backtest_drawdown is not None:
        measured.append(("backtest_drawdown", drawdown, rules.drawdown_times * now.backtest_drawdown))
    return tuple(
        Rail(name, value, limit, value is not None and value > limit) for name, value, limit in measured
    )


@dataclass(frozen=True, slots=True)
class Tested:
    """The two tests after all differences so far: for the canary, and for harm; `grows`: its next step is due."""

    better: Peek
    worse: Peek
    won: bool
    harmed: bool
    grows: bool


def weigh(
    differences: Sequence[float],
    rules: CanaryRules,
    *,
    alpha: float,
    age_s: float,
    fills: int,
    step: int = STEPS,
) -> Tested:
    """Look at the paired differences, canary minus champion, after every one of them.

    Parameters
    ----------
    alpha : this canary's own part, where several share the rules' alpha.
    age_s, fills : of the canary in its present step; before `dwell_s` and `fills` it neither grows nor wins,
        whatever the evidence.
    step : 1 or 2; it wins only in its last one. The differences are per capital, so the test goes on over a step.
    """
    better = peek(differences, alpha=alpha, n_opt=rules.n_opt)
    worse = peek([-one for one in differences], alpha=rules.harm_alpha, n_opt=rules.n_opt)
    long_enough = age_s >= rules.dwell_s and fills >= rules.fills
    last = step >= rules.steps
    evident = better.log_e is not None and better.log_e >= math.log(1.0 / rules.ramp_alpha)
    return Tested(
        better,
        worse,
        won=better.decides(alpha) and long_enough and last,
        harmed=worse.decides(rules.harm_alpha),
        grows=evident and long_enough and not last,
    )


def evidence_path(
    differences: Sequence[float], rules: CanaryRules, *, alpha: float
) -> tuple[list[float | None], list[float | None]]:
    """Return log e of both tests after each difference, for the canary and for harm; None while it cannot be told."""
    return (
        log_e_path(differences, alpha=alpha, n_opt=rules.n_opt),
        log_e_path([-one for one in differences], alpha=rules.harm_alpha, n_opt=rules.n_opt),
    )
