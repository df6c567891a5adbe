"""The rules that decide about an amount, in a person's words, with the member of the policy that sets each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Wording:
    """What a rule is called, and the policy's members that set it; none where no policy does."""

    words: str
    members: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """Where a person finds it, "" where no policy sets it."""
        return f"capital policy: {', '.join(self.members)}" if self.members else ""


RULES: Final[Mapping[str, Wording]] = {
    "method": Wording("as the method wants", ("method",)),
    "unchanged": Wording("nothing to change", ("method",)),
    "hold": Wording("too little is known", ("min_observations", "fallback_mode")),
    "manual": Wording("people decide alone", ("allocation_mode",)),
    "sharpe_demote": Wording("it does not earn enough", ("sharpe_demote",)),
    "sharpe_promote": Wording("it does not earn enough to rise", ("sharpe_promote",)),
    "unproven": Wording(
        "too little is known to rise", ("min_observations", "min_quota_usd", "unproven_quota_usd")
    ),
    "within_band": Wording("too small a change", ("hysteresis_pct",)),
    "step_up": Wording("the largest rise at a time", ("step_up_pct", "smallest_step_usd")),
    "step_down": Wording("the largest fall at a time", ("step_down_pct",)),
    "cooldown": Wording("it changed a moment ago", ("cooldown_sec",)),
    "cap": Wording("the most it may have", ("caps", "max_quota_usd")),
    "group": Wording("the most its group may have", ("groups",)),
    "pool": Wording("the pool is given out", ("base_equity_frac", "min_pool_usd", "reserve_equity_usd")),
    "minimum": Wording("too little to trade with", ("min_quota_usd",)),
    "envelope": Wording("more takes two people", ("envelope",)),
    "not_enabled": Wording("the policy does not decide about it", ("enabled",)),
    "too_fine": Wording("no whole number of cents"),
    "no_symbol": Wording("it trades no symbol"),
    "switched_off": Wording("it is switched off"),
    "killed": Wording("its kill switch stopped it"),
    "halted": Wording("trading is restricted"),
    "lowered_by_hand": Wording("somebody lowered it"),
    "canary": Wording("a part of its champion's capital"),
}


def wording(rule: str) -> Wording:
    """What a rule is called; its code, where an older version had one that is no more."""
    return RULES.get(rule) or Wording(rule.replace("_", " "))
