"""When a canary has won, when it harms, and which guard rail ends it at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from trading.domain.statistics.peeking import Peek, peek

MOST_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True)
class CanaryRules:
    """What a canary is held to, as approved; fractions as fractions.

    Attributes
    ----------
    share : of the champion's capital.  cap : of the canary's capital, quote currency.
    alpha : false promotions, looking at every interval.  n_opt : intervals at which the test is sharpest.
    harm_alpha : of the mirrored test, which may stop early.  interval_s : of a paired observation.
    dwell_s, fills : at least so long and so many before it can win.  longest_s : it ends without a winner then.
    drawdown, daily_loss : of its capital.  rejects, rejects_of : share of its orders refused, of at least so many.
    stale_bars : it may be behind the champion.  unmeasured_s : its worth may be unknown.  cool_s : after an end.
    """

    share: float = 0.05
    cap: float = 1_000.0
    alpha: float = 0.05
    n_opt: float = 100.0
    harm_alpha: float = 0.2
    interval_s: float = 28_800.0
    dwell_s: float = 7 * 86_400.0
    fills: int = 10
    longest_s: float = 180 * 86_400.0
    drawdown: float = 0.10
    daily_loss: float = 0.03
    rejects: float = 0.2
    rejects_of: int = 5
    stale_bars: int = 3
    unmeasured_s: float = 45.0
    cool_s: float = 86_400.0

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"{one.name}: expected a number, was {value!r}")
            if value <= 0 and one.name not in ("fills", "dwell_s", "cool_s"):
                raise ValueError(f"{one.name}: expected a number above zero, was {value}")
            if one.name in ("fills", "rejects_of", "stale_bars") and not isinstance(value, int):
                raise ValueError(f"{one.name}: expected a whole number, was {value}")
            if value < 0:
                raise ValueError(f"{one.name}: expected zero or more, was {value}")
        for name, most in (
            ("share", MOST_SHARE),
            ("alpha", 0.25),
            ("harm_alpha", 0.4),
            ("drawdown", 0.5),
            ("daily_loss", 0.5),
            ("rejects", 1.0),
        ):
            if getattr(self, name) > most:
                raise ValueError(f"{name}: expected at most {most}, was {getattr(self, name)}")
        if self.unmeasured_s > 60:
            # A breach has to be acted on within a minute, and not knowing is one.
            raise ValueError(f"unmeasured_s: expected at most 60, was {self.unmeasured_s}")

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
    whole = ("fills", "rejects_of", "stale_bars")
    return CanaryRules(
        **{
            name: int(value) if name in whole and isinstance(value, float) and value.is_integer() else value
            for name, value in asked.items()
        }
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """What a canary shows now; None where it cannot be told.

    Attributes
    ----------
    capital : quote currency.  result, peak, day_start : of its own trading, net, quote currency.
    orders, rejected : it had, and of those the venue refused.  bars_behind : the champion's decisions.
    unmeasured_s : since when its worth is unknown.  drifted : whether its log score raised an alarm.
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
    rejects = now.rejected / now.orders if now.orders >= rules.rejects_of else 0.0
    measured: Sequence[tuple[str, float | None, float]] = (
        ("drawdown", drawdown, rules.drawdown),
        ("daily_loss", daily, rules.daily_loss),
        ("rejects", rejects, rules.rejects),
        ("stale", float(now.bars_behind), float(rules.stale_bars)),
        # What cannot be measured cannot be guarded: after a while that is a breach itself.
        ("unmeasured_s", now.unmeasured_s, rules.unmeasured_s),
        ("drift", float(now.drifted), 0.0),
    )
    return tuple(
        Rail(name, value, limit, value is not None and value > limit) for name, value, limit in measured
    )


@dataclass(frozen=True, slots=True)
class Tested:
    """The two tests after all differences so far: for the canary, and for harm."""

    better: Peek
    worse: Peek
    won: bool
    harmed: bool


def weigh(
    differences: Sequence[float], rules: CanaryRules, *, alpha: float, age_s: float, fills: int
) -> Tested:
    """Look at the paired differences, canary minus champion, after every one of them.

    Parameters
    ----------
    alpha : this canary's own part, where several share the rules' alpha.
    age_s, fills : of the canary; before `dwell_s` and `fills` it has not won, whatever the evidence.
    """
    better = peek(differences, alpha=alpha, n_opt=rules.n_opt)
    worse = peek([-one for one in differences], alpha=rules.harm_alpha, n_opt=rules.n_opt)
    long_enough = age_s >= rules.dwell_s and fills >= rules.fills
    return Tested(better, worse, better.decides(alpha) and long_enough, worse.decides(rules.harm_alpha))
