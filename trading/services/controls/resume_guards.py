"""Why a level may not be lowered yet, as the apps above trading say it: they know of reviews that are missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nautilus_site.common.errors import Conflict
from trading.domain.values import Level
from trading.services.scopes import GLOBAL


@dataclass(frozen=True, slots=True)
class Hold:
    """A level below which a scope is not resumed yet, and why."""

    scope: str
    level: Level
    code: str
    why: str
    link: str = ""
    incident: int | None = None

    def covers(self, scope: str) -> bool:
        """Whether it holds a scope: its own, everything, or one that lies in it by its name."""
        if self.scope in (GLOBAL, scope):
            return True
        kind, _, rest = scope.partition(":")
        strategy, _, symbol = rest.rpartition(":")
        return kind == "strategy_symbol" and self.scope in (f"strategy:{strategy}", f"symbol:{symbol}")


ResumeGuard = Callable[[], list[Hold]]
_guards: dict[str, ResumeGuard] = {}


def register_resume_guard(guard: ResumeGuard, *, name: str) -> None:
    """Let an app above hold levels; asked whenever a lower one is requested, and again when it is applied."""
    if name in _guards and _guards[name] is not guard:
        raise ValueError(f"a guard of resumes is called {name!r} already")
    _guards[name] = guard


def resume_guards() -> list[Hold]:
    """Everything that holds a level now."""
    return [hold for guard in _guards.values() for hold in guard()]


def check_not_held(scope: str, to_level: Level) -> None:
    """Refuse what would bring a scope below a level that is held.

    Raises
    ------
    Conflict : the code of the hold, REVIEW_REQUIRED; `extra` has a link and the incidents.
    """
    held = [hold for hold in resume_guards() if to_level < hold.level and hold.covers(scope)]
    if not held:
        return
    worst = max(held, key=lambda hold: hold.level)
    raise Conflict(
        worst.code,
        "; ".join(hold.why for hold in held),
        extra={
            "incidents": [hold.incident for hold in held if hold.incident is not None],
            "link": worst.link,
        },
    )
