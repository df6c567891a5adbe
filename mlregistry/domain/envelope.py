"""What may happen to a family without a person, as two people approved it, and until when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Final

from trading.domain.clock import written_moment

LONGEST_DAYS: Final = 90
SOONEST_REFIT_DAYS: Final = 0.25
"""Every version is one more trial of its family, and raises the gate's bar."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Attributes
    ----------
    until : ISO 8601 with a zone; past it nothing is promoted. Empty: nothing may be.
    canary, champion : whether a version past the gate becomes canary, and a canary that has won becomes champion.
    rules : of the canaries begun that way, as `CanaryRules`.
    most_capital : a canary may have, quote currency.  every_days : at least between two champions.
    refit_days : a version is trained anew once the newest is so old, as a candidate; 0: never by itself.
    demote_on_drift : a champion whose drift raises an alarm steps back to shadow; it lowers risk and does not expire.
    approval : the change request it was approved by.
    """

    until: str = ""
    canary: bool = False
    champion: bool = False
    rules: Mapping[str, Any] | None = None
    most_capital: float = 0.0
    every_days: float = 7.0
    refit_days: float = 0.0
    demote_on_drift: bool = False
    approval: str = ""

    def __post_init__(self) -> None:
        for name in ("canary", "champion", "demote_on_drift"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name}: expected true or false, was {getattr(self, name)!r}")
        for name in ("most_capital", "every_days", "refit_days"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
                raise ValueError(f"{name}: expected a number of zero or more, was {value!r}")
        if self.until and self.until_at is None:
            raise ValueError(f"until: expected ISO 8601 with a time zone, was {self.until!r}")
        if (self.canary or self.champion or self.refit_days) and not self.until:
            raise ValueError("until: what happens by itself needs an end")
        if 0 < self.refit_days < SOONEST_REFIT_DAYS:
            raise ValueError(
                f"refit_days: expected 0, or {SOONEST_REFIT_DAYS:g} or more, was {self.refit_days:g}"
            )
        if self.canary and self.most_capital <= 0:
            raise ValueError("most_capital: a canary begun by itself needs a bound")

    @property
    def until_at(self) -> datetime | None:
        """The end as a moment, None where there is none."""
        try:
            return written_moment(self.until)
        except (TypeError, ValueError):
            return None

    def allows(self, what: str, at: datetime) -> bool:
        """Tell whether `canary`, `champion` or `refit_days` may happen by itself at a moment."""
        end = self.until_at
        return bool(getattr(self, what)) and end is not None and at < end

    def members(self) -> dict[str, Any]:
        """Return it as JSON members."""
        return asdict(self)


def envelope_read(members: Mapping[str, Any]) -> Envelope:
    """Return what is stored; nothing stored allows nothing.

    Raises
    ------
    ValueError : a member there is none of, or a value it cannot have.
    """
    unknown = sorted(set(members) - {one.name for one in fields(Envelope)})
    if unknown:
        raise ValueError(f"an envelope has no {', '.join(unknown)}")
    return Envelope(**members)
