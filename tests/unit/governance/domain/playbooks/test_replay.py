"""What would not have been done under another rule, and the steps nothing would stand for."""

from __future__ import annotations

from typing import Any

import pytest

from governance.domain.playbooks import Past, Rule, Setting, not_acted, steps_lost

WAS = Setting(Rule(100.0, confirm=2, min_samples=5, cooldown_s=300), max_scopes=2)
# Two symbols, the first twice ten minutes apart; its second cause stood for a minute.
RUNS = [
    Past("symbol:A", 0.0, 150.0, 9, 3600.0),
    Past("symbol:B", 60.0, 120.0, 6, 3600.0),
    Past("symbol:A", 600.0, 150.0, 9, 60.0),
]


def proposed(max_scopes: int = 2, **changes: Any) -> Setting:
    members = {"threshold": 100.0, "confirm": 2, "min_samples": 5, "cooldown_s": 300.0, **changes}
    return Setting(Rule(**members), max_scopes)


@pytest.mark.parametrize(
    ("setting", "lost"),
    [
        (proposed(), 0),
        (proposed(threshold=120.0), 0),
        (proposed(threshold=120.1), 1),
        (proposed(min_samples=6), 0),
        (proposed(min_samples=7), 1),
        # Readings each 5 s: of a cause over after 60 s eleven more are above, the twelfth is not.
        (proposed(confirm=13), 0),
        (proposed(confirm=14), 1),
        (proposed(cooldown_s=600.0), 0),
        (proposed(cooldown_s=601.0), 1),
        (proposed(max_scopes=1), 1),
        (proposed(max_scopes=3, cooldown_s=0.0, confirm=1), 0),
    ],
)
def test_runs_there_would_not_have_been(setting: Setting, lost: int) -> None:
    assert not_acted(RUNS, WAS, setting, period_s=5.0) == lost


def test_a_run_that_is_not_taken_begins_no_cool_down() -> None:
    runs = [Past("global", 0.0, 110.0, 9, 60.0), Past("global", 400.0, 150.0, 9, 60.0)]
    assert not_acted(runs, WAS, proposed(threshold=140.0, cooldown_s=900.0), period_s=5.0) == 1


def test_what_had_no_figure_counts_as_reached() -> None:
    runs = [Past("global", 0.0, None, 0, 1.0)]
    assert not_acted(runs, WAS, proposed(threshold=9e9, min_samples=9, confirm=99), period_s=5.0) == 0


def test_a_step_that_does_less_is_one_that_is_lost() -> None:
    long, short = ({"do": "blackout", "minutes": minutes} for minutes in (30, 1))
    half = {"do": "tighten", "limit": "max_notional", "factor": 0.5}
    assert [step.minutes for step in steps_lost([half, long], [half, short])] == [30]
    assert steps_lost([short, half], [half, long]) == []
